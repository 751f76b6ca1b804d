"""Inner loops of fingerprint search: shared bits, counted in machine code, block by block.

Molecules are sorted by the number of bits that are on. A block of them stays in the processor's cache while all
queries of a batch pass over it; a block whose counts cannot reach what a query still needs is skipped, and a
molecule is left as soon as the rest of its bits could not make it a hit.

The similarity is Tversky's, z / (a x + b y + (1 - a - b) z), where x and y are the bits of query and molecule and z
those they share; a = b = 1 is Tanimoto's. It is computed as RDKit does, so values are the same to the last bit.

Sources: Swamidass and Baldi, J. Chem. Inf. Model. 47 (2007) 302, for the bound by counts.
"""

import math
from typing import Any, Final

import numba
import numpy as np
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

Words = NDArray[np.uint64]
_WORDS: Final = 32
_FIRST_LOOK: Final = 8
"""Words, a line of the cache, after which a molecule is left that could not share enough even if it had all further
bits of the query."""
_SECOND_LOOK: Final = 16
_int: Any = np.int64
_OUT_OF_REACH: Final = 1 << 20
_SLACK: Final = 1e-6
"""Less than one shared bit, more than rounding: what the quick test may let through in vain."""
_jit = numba.njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)


def _population(_context: Any, word: Any) -> Any:
    """The processor's population count."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(word), generate


_bits: Any = intrinsic(_population)


@_jit
def count_bits(words: Words) -> NDArray[np.int32]:
    """Bits that are on in each row.

    Args:
        words: Shape (n, 32).
    """
    counts = np.zeros(words.shape[0], np.int32)
    for row in range(words.shape[0]):
        count = np.uint64(0)
        for word in range(_WORDS):
            count += _bits(words[row, word])
        counts[row] = count
    return counts


@_jit
def _similarity(shared: float, of_query: float, of_molecule: float, a: float, b: float) -> float:
    below = a * of_query + b * of_molecule + (1 - a - b) * shared
    return shared / below if below != 0 else 1.0


@_jit
def _worse(one: float, one_row: int, other: float, other_row: int) -> bool:
    """Whether a hit ranks below another: by similarity, then by its row."""
    return one < other or (one == other and one_row > other_row)


@_jit
def _sink(similarities: NDArray[np.float64], rows: NDArray[np.int64], size: int) -> None:
    """Bring the first hit of a heap to its place; the worst hit is on top."""
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            return
        if child + 1 < size and _worse(similarities[child + 1], rows[child + 1], similarities[child], rows[child]):
            child += 1
        if not _worse(similarities[child], rows[child], similarities[at], rows[at]):
            return
        similarities[at], similarities[child] = similarities[child], similarities[at]
        rows[at], rows[child] = rows[child], rows[at]
        at = child


@_jit
def _rise(similarities: NDArray[np.float64], rows: NDArray[np.int64], at: int) -> None:
    """Bring the last hit of a heap to its place."""
    while at > 0:
        parent = (at - 1) // 2
        if not _worse(similarities[at], rows[at], similarities[parent], rows[parent]):
            return
        similarities[at], similarities[parent] = similarities[parent], similarities[at]
        rows[at], rows[parent] = rows[parent], rows[at]
        at = parent


@_jit
def _bits_from(words: NDArray[np.uint64], first: int) -> int:
    """Bits that are on from a word on."""
    count = _int(0)
    for word in range(first, _WORDS):
        count += _int(_bits(words[word]))
    return int(count)


@_jit
def best(  # noqa: C901, PLR0912 - one loop, written out for the compiler
    molecules: Words,
    counts: NDArray[np.int32],
    rows: NDArray[np.int64],
    blocks: NDArray[np.int64],
    block: int,
    queries: Words,
    query_counts: NDArray[np.int32],
    weights: tuple[float, float],
    threshold: float,
    similarities: NDArray[np.float64],
    found: NDArray[np.int64],
    sizes: NDArray[np.int64],
) -> None:
    """Find the most similar molecules of each query; what is found is added to what was.

    Args:
        molecules: Sorted by count, shape (n, 32).
        counts: Bits on in each, ascending, shape (n,).
        rows: Their places in the library, shape (n,).
        blocks: Numbers of the blocks to visit, in this order.
        block: Molecules in a block.
        queries: Shape (m, 32).
        query_counts: Shape (m,).
        weights: Tversky's a and b.
        threshold: Least similarity of a hit.
        similarities: Of hits, heaps of shape (m, most).
        found: Rows of hits, shape (m, most).
        sizes: Number of hits that qualify; above `most` only the best are kept, shape (m,).
    """
    a, b = weights
    most = similarities.shape[1]
    for number in blocks:
        first = number * block
        last = min(first + block, counts.size)
        for query in range(queries.shape[0]):
            x = _int(query_counts[query])
            full = sizes[query] >= most
            need = similarities[query, 0] if full else threshold
            nearest = min(max(x, counts[first]), counts[last - 1])
            if _similarity(min(x, nearest), x, nearest, a, b) < need:
                continue
            words = queries[query]
            after_first = _bits_from(words, _FIRST_LOOK)
            after_second = _bits_from(words, _SECOND_LOOK)
            cut = _int(0)
            known = _int(-1)
            for at in range(first, last):
                y = _int(counts[at])
                if y != known:
                    known = y
                    cut = _int(math.ceil(need * (a * x + b * y) / (1 - need * (1 - a - b)) - _SLACK))
                    if _similarity(min(x, y), x, y, a, b) < need:
                        cut = _int(_OUT_OF_REACH)
                if cut > x:
                    continue
                z = _int(0)
                for word in range(_FIRST_LOOK):
                    z += _int(_bits(molecules[at, word] & words[word]))
                if z + after_first < cut:
                    continue
                for word in range(_FIRST_LOOK, _SECOND_LOOK):
                    z += _int(_bits(molecules[at, word] & words[word]))
                if z + after_second < cut:
                    continue
                for word in range(_SECOND_LOOK, _WORDS):
                    z += _int(_bits(molecules[at, word] & words[word]))
                if z < cut:
                    continue
                similarity = _similarity(float(z), x, y, a, b)
                if similarity < need:
                    continue
                size = sizes[query]
                if size < most:
                    similarities[query, size] = similarity
                    found[query, size] = rows[at]
                    _rise(similarities[query], found[query], size)
                elif _worse(similarities[query, 0], found[query, 0], similarity, rows[at]):
                    similarities[query, 0] = similarity
                    found[query, 0] = rows[at]
                    _sink(similarities[query], found[query], most)
                sizes[query] = size + 1
                if sizes[query] >= most:
                    need = max(threshold, similarities[query, 0])
                    known = _int(-1)


@_jit
def covering(molecules: Words, query: Words) -> NDArray[np.int64]:
    """Rows that have every bit of a query.

    Args:
        molecules: Shape (n, 32).
        query: Shape (32,).
    """
    asked = np.flatnonzero(query)
    found = np.empty(molecules.shape[0], np.int64)
    size = 0
    for row in range(molecules.shape[0]):
        missing = np.uint64(0)
        for word in asked:
            missing |= query[word] & ~molecules[row, word]
            if missing:
                break
        if not missing:
            found[size] = row
            size += 1
    return found[:size].copy()


@_jit
def nearest(queries: Words, references: Words) -> NDArray[np.float32]:
    """Tanimoto similarity of each query to its most similar reference.

    Args:
        queries: Shape (n, 32).
        references: Shape (m, 32).

    Returns:
        Shape (n,).
    """
    query_counts = count_bits(queries)
    counts = count_bits(references)
    similarities = np.zeros(queries.shape[0], np.float32)
    for query in range(queries.shape[0]):
        highest = 0.0
        x = query_counts[query]
        for at in range(references.shape[0]):
            y = counts[at]
            if min(x, y) < highest * max(x, y):
                continue
            z = np.uint64(0)
            for word in range(_WORDS):
                z += _bits(references[at, word] & queries[query, word])
            highest = max(highest, _similarity(float(z), x, y, 1.0, 1.0))
        similarities[query] = highest
    return similarities
