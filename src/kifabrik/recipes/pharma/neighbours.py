"""Nearest neighbours by Tanimoto similarity of packed Morgan fingerprints, exactly."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

_ROWS: Final = 64

Packed = NDArray[np.uint64]
"""Shape (n, 32), as `kifabrik.recipes.pharma.fingerprints` makes them."""


def similarities(queries: Packed, base: Packed) -> NDArray[np.float32]:
    """Tanimoto similarity of all pairs, float32 (queries, base); of two empty fingerprints it is 0."""
    found = np.empty((len(queries), len(base)), np.float32)
    bits = np.bitwise_count(base).sum(axis=1, dtype=np.int32)
    for start in range(0, len(queries), _ROWS):
        part = queries[start : start + _ROWS]
        both = np.zeros((len(part), len(base)), np.int32)
        for word in range(base.shape[1]):
            both += np.bitwise_count(part[:, word, None] & base[None, :, word])
        either = np.bitwise_count(part).sum(axis=1, dtype=np.int32)[:, None] + bits[None, :] - both
        found[start : start + len(part)] = both / np.maximum(either, 1)
    return found


def nearest(queries: Packed, base: Packed) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Similarity to the nearest of `base`, and its place; 0 and -1 where there is none."""
    if not len(base):
        return np.zeros(len(queries), np.float32), np.full(len(queries), -1, np.intp)
    best = np.empty(len(queries), np.float32)
    place = np.empty(len(queries), np.intp)
    for start in range(0, len(queries), _ROWS):
        found = similarities(queries[start : start + _ROWS], base)
        at = found.argmax(axis=1)
        place[start : start + len(at)] = at
        best[start : start + len(at)] = np.take_along_axis(found, at[:, None], axis=1)[:, 0]
    return best, place


def nearest_others(base: Packed) -> NDArray[np.float32]:
    """Similarity of each to the nearest other one."""
    best = np.zeros(len(base), np.float32)
    for start in range(0, len(base), _ROWS):
        found = similarities(base[start : start + _ROWS], base)
        rows = np.arange(len(found))
        found[rows, start + rows] = -1.0
        best[start : start + len(found)] = np.maximum(found.max(axis=1), 0.0)
    return best
