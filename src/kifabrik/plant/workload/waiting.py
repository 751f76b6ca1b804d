"""Waiting jobs of one size as a tree of least estimates: the first that ends in time is found in log n steps.

A queue of any length can so be searched whole for jobs to backfill; no depth has to be cut off. One flat array
holds the trees of all sizes: tree `t` has `leaves[t]` leaves (a power of two) from `root[t]` on, node 1 being its
root.
"""

from typing import Any

import numpy as np

from kifabrik.plant.workload.nodes import jit


def plant_trees(jobs_of_tree: Any) -> tuple[Any, Any, Any]:
    """Empty trees for so many jobs each: values, roots, leaves."""
    leaves = np.array([1 << max(int(count) - 1, 0).bit_length() for count in jobs_of_tree], dtype=np.int64)
    root = np.concatenate([[0], np.cumsum(2 * leaves)]).astype(np.int64)
    return np.full(int(root[-1]), np.inf), root[:-1], leaves


@jit
def set_leaf(values: Any, root: int, leaves: int, place: int, value: float) -> None:
    """Put an estimate in its place, or infinity to take it away."""
    at = leaves + place
    values[root + at] = value
    at >>= 1
    while at >= 1:
        least = min(values[root + 2 * at], values[root + 2 * at + 1])
        if values[root + at] == least:
            break
        values[root + at] = least
        at >>= 1


@jit
def first_within(values: Any, root: int, leaves: int, most: float) -> int:
    """The first place whose estimate is at most `most`, or -1."""
    if not values[root + 1] <= most:
        return -1
    at = 1
    while at < leaves:
        at *= 2
        if not values[root + at] <= most:
            at += 1
    return at - leaves
