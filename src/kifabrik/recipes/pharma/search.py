"""Search an index: the most similar molecules, all above a threshold, or all with a substructure.

Invariants:
    - Similarities equal those of RDKit's `BulkTanimotoSimilarity` and `BulkTverskySimilarity` to the last bit.
    - Hits are ordered by similarity, then by their place in the library: the same query has the same answer,
      whatever the batch and the number of threads.
    - A substructure hit has been confirmed atom by atom; pattern fingerprints only leave molecules out.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.fingerprints import Packed
from kifabrik.recipes.pharma.index import Index, pattern_words
from kifabrik.recipes.pharma.popcount import best, count_bits, covering
from kifabrik.recipes.pharma.processes import processes

_BLOCK: Final = 2_048
"""Molecules in a block: 512 KiB of fingerprints, which a core's second cache holds."""
_TOGETHER: Final = 32
"""Queries with like counts that pass over the blocks together."""
_FIRST_ROOM: Final = 1_024
_CONFIRMED_AT_ONCE: Final = 2_000
TANIMOTO: Final = (1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Hits:
    """Molecules found for one query, best first.

    Attributes:
        rows: Their places in `index.molecules`, shape (hits,).
        similarities: To the query, shape (hits,).
    """

    rows: NDArray[np.int64]
    similarities: NDArray[np.float64]


def similar(
    index: Index,
    queries: Packed,
    *,
    most: int | None = None,
    threshold: float = 0.0,
    weights: tuple[float, float] = TANIMOTO,
    workers: int = 1,
) -> list[Hits]:
    """Find similar molecules.

    Args:
        index: What to search.
        queries: Fingerprints, shape (n, 32).
        most: Hits of each query; None: all that reach the threshold.
        threshold: Least similarity of a hit, 0 to 1.
        weights: Tversky's a (of the query's own bits) and b (of the molecule's own); 1 and 1 is Tanimoto.
        workers: Threads.

    Returns:
        Hits of each query, in the order of queries.

    Raises:
        UsageError: A number is out of its range.
    """
    check_question(most, threshold, weights)
    counts = count_bits(queries)
    order = np.argsort(counts, kind="stable")
    groups = [order[start : start + _TOGETHER] for start in range(0, len(order), _TOGETHER)]
    if workers > 1 and 1 < len(order) < workers * _TOGETHER:
        groups = np.array_split(order, min(workers, len(order)))
    find = partial(
        _find, index, most=most, threshold=float(threshold), weights=(float(weights[0]), float(weights[1]))
    )
    with ThreadPoolExecutor(workers) as pool:
        found = list(pool.map(lambda group: find(queries[group], counts[group]), groups))
    hits = [hit for group in found for hit in group]
    back = np.argsort(order)
    return [hits[place] for place in back]


def check_question(most: int | None, threshold: float, weights: tuple[float, float]) -> None:
    """Refuse questions that make no sense.

    Raises:
        UsageError: A number is out of its range.
    """
    if not 0 <= threshold <= 1:
        raise UsageError(f"A threshold of {threshold:g} makes no sense.", hint="Give a similarity from 0 to 1.")
    if min(weights) < 0 or sum(weights) == 0:
        raise UsageError(f"Weights of {weights[0]:g} and {weights[1]:g} make no sense.", hint="Give a, b >= 0.")
    if most is not None and most < 1:
        raise UsageError(f"{most} hits are none.", hint="Ask for at least one.")


def _find(
    index: Index,
    queries: Packed,
    counts: NDArray[np.int32],
    *,
    most: int | None,
    threshold: float,
    weights: tuple[float, float],
) -> list[Hits]:
    """Hits of a few queries, in one thread."""
    molecules = index.header.molecules
    room = min(most or _FIRST_ROOM, molecules)
    number = len(queries)
    blocks = _order(index.counts, counts)
    similarities, rows = np.zeros((number, room)), np.zeros((number, room), np.int64)
    sizes = np.zeros(number, np.int64)
    search = partial(best, index.fingerprints, index.counts, index.rows, blocks, _BLOCK)
    search(queries, counts, weights, threshold, similarities, rows, sizes)
    found = [_ranked(similarities[at], rows[at], min(sizes[at], room)) for at in range(number)]
    if most is None:
        for at in np.flatnonzero(sizes >= room).tolist():
            found[at] = _all_of(search, queries[at : at + 1], counts[at : at + 1], weights, threshold, molecules)
    return found


def _all_of(
    search: Callable[..., None],
    query: Packed,
    count: NDArray[np.int32],
    weights: tuple[float, float],
    threshold: float,
    molecules: int,
) -> Hits:
    """All hits of a query that has very many."""
    similarities, rows = np.zeros((1, molecules)), np.zeros((1, molecules), np.int64)
    sizes = np.zeros(1, np.int64)
    search(query, count, weights, threshold, similarities, rows, sizes)
    return _ranked(similarities[0], rows[0], int(sizes[0]))


def _order(counts: NDArray[np.int32], of_queries: NDArray[np.int32]) -> NDArray[np.int64]:
    """Blocks with counts most like the queries' first: what is found there lets others be skipped."""
    firsts = np.arange(0, len(counts), _BLOCK)
    middles = counts[np.minimum(firsts + _BLOCK // 2, len(counts) - 1)]
    return np.argsort(np.abs(middles - np.median(of_queries)), kind="stable").astype(np.int64)


def _ranked(similarities: NDArray[np.float64], rows: NDArray[np.int64], size: int) -> Hits:
    order = np.lexsort((rows[:size], -similarities[:size]))
    return Hits(rows[:size][order], similarities[:size][order])


def with_substructure(
    index: Index,
    smarts: str,
    *,
    most: int | None = None,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.int64]:
    """Find molecules with a substructure.

    Args:
        index: What to search; without pattern fingerprints each molecule is looked at.
        smarts: The substructure, as SMARTS or SMILES.
        most: How many to find, the first of the library; None: all.
        workers: Processes.
        progress: Told how many were looked at, and of how many.

    Returns:
        Places in `index.molecules`, ascending.

    Raises:
        UsageError: RDKit cannot read the substructure.
    """
    with BlockLogs():
        query = Chem.MolFromSmarts(smarts)
    if query is None or not query.GetNumAtoms():
        raise UsageError(f"RDKit cannot read the substructure {smarts!r}.", hint="Give SMARTS, such as c1ccncc1.")
    if index.patterns is None:
        candidates = np.arange(index.header.molecules)
    else:
        candidates = covering(index.patterns, pattern_words([query])[0])
    found: list[NDArray[np.int64]] = []
    seen = hits = 0
    for places, matched in _confirm(index, candidates, smarts, workers):
        found.append(places[matched])
        seen += len(places)
        hits += len(found[-1])
        if progress:
            progress(seen, len(candidates))
        if most is not None and hits >= most:
            break
    return np.concatenate(found)[:most] if found else np.empty(0, np.int64)


def _confirm(
    index: Index, candidates: NDArray[np.int64], smarts: str, workers: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.bool_]]]:
    """Candidates in pieces, and which of them have the substructure."""
    pieces = (
        candidates[start : start + _CONFIRMED_AT_ONCE] for start in range(0, len(candidates), _CONFIRMED_AT_ONCE)
    )
    column = index.molecules.column("smiles")
    if workers <= 1 or len(candidates) <= _CONFIRMED_AT_ONCE:
        for places in pieces:
            yield places, _matches(smarts, column.take(places).to_pylist())
        return
    with processes(workers) as pool:
        waiting: deque[tuple[NDArray[np.int64], Any]] = deque()
        try:
            for places in pieces:
                waiting.append((places, pool.submit(_matches, smarts, column.take(places).to_pylist())))
                if len(waiting) > 2 * workers:
                    done, answer = waiting.popleft()
                    yield done, answer.result()
            for done, answer in waiting:
                yield done, answer.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _matches(smarts: str, smiles: list[str]) -> NDArray[np.bool_]:
    """Which molecules have a substructure."""
    query = Chem.MolFromSmarts(smarts)
    with BlockLogs():
        molecules = map(Chem.MolFromSmiles, smiles)
        return np.array([one is not None and one.HasSubstructMatch(query) for one in molecules], bool)
