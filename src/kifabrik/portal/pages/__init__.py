"""One module per noun; a page is who may see it, the use cases it asks, and a template."""
