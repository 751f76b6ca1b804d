"""Where a result comes from, in the form others already read."""
