"""Which nodes have how many GPUs free: sets of node numbers by that count, each a two-level bitmap.

The lowest-numbered node of a set is found in a few steps however many nodes there are, so "best fit, lowest number
first" costs the same in a fleet of ten and of ten thousand nodes.
"""

import math
from typing import Any

import numba
import numpy as np

jit = numba.njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)
_ONE = np.uint64(1)
_ZERO = np.uint64(0)
_LOW = np.uint64(63)


def empty_sets(nodes: int, gpus: int) -> tuple[Any, Any]:
    """Bitmaps of `gpus + 1` empty sets of nodes: bits, and which of their words are not 0.

    Shapes: (gpus + 1, words), (gpus + 1, words of words), uint64.
    """
    words = (nodes + 63) // 64
    return np.zeros((gpus + 1, words), np.uint64), np.zeros((gpus + 1, (words + 63) // 64), np.uint64)


@jit
def put(bits: Any, words: Any, size: Any, row: int, node: int) -> None:
    """Add a node to a set; `size` counts each set."""
    word = node >> 6
    bits[row, word] |= _ONE << (np.uint64(node) & _LOW)
    words[row, word >> 6] |= _ONE << (np.uint64(word) & _LOW)
    size[row] += 1


@jit
def take(bits: Any, words: Any, size: Any, row: int, node: int) -> None:
    """Remove a node from a set."""
    word = node >> 6
    bits[row, word] &= ~(_ONE << (np.uint64(node) & _LOW))
    if bits[row, word] == _ZERO:
        words[row, word >> 6] &= ~(_ONE << (np.uint64(word) & _LOW))
    size[row] -= 1


@jit
def _lowest_bit(word: Any) -> int:
    """Number of the lowest bit set; a power of two is exact as a float, so its exponent is that number."""
    return math.frexp(float(word & (~word + _ONE)))[1] - 1


@jit
def lowest(bits: Any, words: Any, row: int) -> int:
    """The lowest-numbered node of a set that is not empty."""
    for block in range(words.shape[1]):
        if words[row, block] != _ZERO:
            word = (block << 6) + _lowest_bit(words[row, block])
            return (word << 6) + _lowest_bit(bits[row, word])
    return -1


@jit
def smallest_that_holds(size: Any, gpus: int) -> int:
    """The smallest free count of at least `gpus` that some node has, or -1."""
    for row in range(gpus, size.shape[0]):
        if size[row] > 0:
            return row
    return -1
