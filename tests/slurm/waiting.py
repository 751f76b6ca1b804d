"""Waiting for what a cluster does in its own time."""

import time


def eventually(look, seconds=60):
    """Call a function until it returns something true, and return that."""
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
    return found
