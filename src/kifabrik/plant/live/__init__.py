"""The plant as it is now, as a page."""
