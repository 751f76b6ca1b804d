"""Counters in the hardware: what GPUs and processors draw, and how busy the node is.

Invariants:
- a missing library, driver, counter or permission never raises: the device is not counted, and whoever
  asks estimates it and says so;
- a counter that fails while it is used is dropped, so that a part is never passed off as the whole.
"""
