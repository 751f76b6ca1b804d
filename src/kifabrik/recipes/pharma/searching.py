"""Searches as people ask for them: by SMILES or a file of them, answered with ids and structures."""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np

from kifabrik.durable import write_whole
from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.fingerprints import of_molecules, read_molecule
from kifabrik.recipes.pharma.index import Index
from kifabrik.recipes.pharma.libraries import Library
from kifabrik.recipes.pharma.search import TANIMOTO, Hits, similar, with_substructure
from kifabrik.recipes.pharma.torch_search import Device, torch_for
from kifabrik.recipes.pharma.torch_search import similar as by_torch

_BATCH: Final = 10_000
COLUMNS: Final = ("query", "rank", "id", "smiles", "similarity", "row")

Hit = tuple[str, int, str, str, float | None, int]
"""Query, rank, id, SMILES, similarity (None: a substructure), row of the library."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found.

    Attributes:
        hits: Best first, query by query.
        unread: Names of queries that could not be read.
    """

    hits: list[Hit]
    unread: tuple[str, ...] = ()


def like(
    index: Index,
    queries: Library | str,
    *,
    most: int | None,
    threshold: float = 0.0,
    weights: tuple[float, float] = TANIMOTO,
    workers: int = 1,
    device: Device | None = None,
) -> Found:
    """Find molecules that are similar to each query.

    Args:
        index: What to search.
        queries: A SMILES, or a file of them.
        most: Hits of each query; None: all that reach the threshold.
        threshold: Least similarity.
        weights: Tversky's a and b.
        workers: Threads.
        device: Where torch computes; None: our own kernel does, on the processor. What is found is the same.

    Raises:
        UsageError: No query can be read, a number is out of its range, or torch or its device is not there.
    """
    find: Callable[..., list[Hits]] = partial(similar, workers=workers)
    if device is not None:
        torch_for(device)
        find = partial(by_torch, device=device)
    names, molecules, unread = [], [], []
    for name, text in _named(queries):
        molecule = read_molecule(text)
        if molecule is None:
            unread.append(name)
        else:
            names.append(name)
            molecules.append(molecule)
    if not names:
        what = f"the query {queries!r}" if isinstance(queries, str) else f"a query in {queries.path}"
        raise UsageError(f"RDKit cannot read {what}.", hint="Give SMILES, such as CC(=O)Oc1ccccc1C(=O)O.")
    hits: list[Hit] = []
    for start in range(0, len(names), _BATCH):
        bits = of_molecules(molecules[start : start + _BATCH])
        found = find(index, bits, most=most, threshold=threshold, weights=weights)
        for name, one in zip(names[start : start + _BATCH], found, strict=True):
            hits += _named_hits(index, name, one.rows.tolist(), one.similarities.tolist())
    return Found(hits, tuple(unread))


def containing(
    index: Index,
    smarts: str,
    *,
    most: int | None,
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Found:
    """Find molecules that contain a substructure, in the order of the library.

    Args:
        index: What to search.
        smarts: The substructure.
        most: How many; None: all.
        workers: Processes.
        progress: Told how many further molecules were looked at.

    Raises:
        UsageError: RDKit cannot read the substructure.
    """
    seen = 0

    def count(looked_at: int, candidates: int) -> None:
        nonlocal seen
        share = round(index.header.molecules * looked_at / candidates)
        if progress:
            progress(share - seen)
        seen = share

    rows = with_substructure(index, smarts, most=most, workers=workers, progress=count).tolist()
    return Found(_named_hits(index, smarts, rows, [None] * len(rows)))


def write(found: Found, path: Path) -> None:
    """Write hits as CSV with the columns of `COLUMNS`.

    Raises:
        UsageError: The file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(found.hits)
    try:
        write_whole(path, text.getvalue().encode())
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror or error}.", hint="Name another file."
        ) from error


def _named(queries: Library | str) -> list[tuple[str, str]]:
    if isinstance(queries, str):
        return [("1", queries)]
    return [
        (name, text) for chunk in queries.chunks(_BATCH) for name, text in zip(chunk.ids, chunk.smiles, strict=True)
    ]


def _named_hits(index: Index, query: str, rows: list[int], similarities: list[float] | list[None]) -> list[Hit]:
    table = index.molecules.take(np.array(rows, np.int64)).to_pydict()
    return [
        (query, rank, name, smiles, similarity, row)
        for rank, (row, name, smiles, similarity) in enumerate(
            zip(table["row"], table["id"], table["smiles"], similarities, strict=True), 1
        )
    ]
