"""Fingerprint search by torch, on a GPU or on the processor: the same hits and similarities as `search.similar`.

Shared bits are a product of matrices of zeros and ones. Its entries are whole numbers of at most 2,048, which half
precision holds exactly, and so are all sums on the way there; the similarity is then computed in double precision
in the order RDKit computes it. torch is imported when a search begins.

Invariants:
    - Hits, their order and their similarities are those of `search.similar` to the last bit, on any device.
    - The device holds one block of unpacked molecules, whatever the size of the index.
"""

from enum import Enum
from importlib import import_module
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.fingerprints import BITS, Packed
from kifabrik.recipes.pharma.index import Index
from kifabrik.recipes.pharma.popcount import count_bits
from kifabrik.recipes.pharma.search import TANIMOTO, Hits, check_question

_QUERIES: Final = 128
"""Queries that pass over the index together."""


class Device(Enum):
    """Where torch computes; the value is torch's name."""

    CPU = "cpu"
    CUDA = "cuda"


_BLOCKS: Final = {Device.CPU: 4_096, Device.CUDA: 65_536}
"""Molecules unpacked at once: 32 MiB in single precision, 256 MiB in half."""


def similar(
    index: Index,
    queries: Packed,
    *,
    most: int | None = None,
    threshold: float = 0.0,
    weights: tuple[float, float] = TANIMOTO,
    device: Device = Device.CUDA,
) -> list[Hits]:
    """Find similar molecules.

    Args:
        index: What to search.
        queries: Fingerprints, shape (n, 32).
        most: Hits of each query; None: all that reach the threshold.
        threshold: Least similarity of a hit, 0 to 1.
        weights: Tversky's a (of the query's own bits) and b (of the molecule's own); 1 and 1 is Tanimoto.
        device: Where to compute.

    Returns:
        Hits of each query, in the order of queries.

    Raises:
        UsageError: A number is out of its range, torch is not installed, or it has no such device.
    """
    check_question(most, threshold, weights)
    torch = torch_for(device)
    hits: list[Hits] = []
    with torch.inference_mode():
        for start in range(0, len(queries), _QUERIES):
            part = _Search(torch, device, queries[start : start + _QUERIES], most, float(threshold), weights)
            hits += part.over(index)
    return hits


def torch_for(device: Device) -> Any:
    """The module torch.

    Raises:
        UsageError: It is not installed, or has no such device.
    """
    try:
        torch = import_module("torch")
    except ImportError as error:
        raise UsageError(
            f"Searching on {device.value} needs torch, which cannot be imported ({error}).",
            hint="Install kifabrik[pharma-gpu], or leave out --device.",
        ) from error
    if device is Device.CUDA and not torch.cuda.is_available():
        raise UsageError(
            f"torch {torch.__version__} finds no GPU on this machine.",
            hint="Leave out --device: the search on the processor finds the same.",
        )
    return torch


class _Search:
    """Some queries and what was found for them so far."""

    def __init__(
        self,
        torch: Any,
        device: Device,
        queries: Packed,
        most: int | None,
        threshold: float,
        weights: tuple[float, float],
    ) -> None:
        self._torch = torch
        self._device = device
        self._dtype = torch.float16 if device is Device.CUDA else torch.float32
        self._most = most
        self._weights = float(weights[0]), float(weights[1])
        self._count = len(queries)
        self._bits = self._unpacked(queries)
        self._of_queries = self._sent(count_bits(queries).astype(np.float64))
        self._need = self._sent(np.full(self._count, threshold))
        self._query = np.empty(0, np.int64)
        self._similarity = np.empty(0)
        self._row = np.empty(0, np.int64)

    def over(self, index: Index) -> list[Hits]:
        """Pass over an index, block by block."""
        block = _BLOCKS[self._device]
        for start in range(0, index.header.molecules, block):
            at = slice(start, start + block)
            self._keep(self._similarities(index.fingerprints[at], index.counts[at]), index.rows[at])
        order = np.lexsort((self._row, -self._similarity, self._query))
        edges = np.searchsorted(self._query[order], np.arange(self._count + 1))
        return [
            Hits(self._row[order[first:last]], self._similarity[order[first:last]])
            for first, last in pairwise(edges.tolist())
        ]

    def _similarities(self, packed: Packed, counts: NDArray[np.int32]) -> Any:
        """Of each molecule of a block to each query, float64 (molecules, queries)."""
        a, b = self._weights
        shared = (self._unpacked(packed) @ self._bits.T).double()
        of_molecules = self._sent(counts.astype(np.float64))
        below = (a * self._of_queries)[None, :] + (b * of_molecules)[:, None] + (1 - a - b) * shared
        return self._torch.where(below != 0, shared / below, 1.0)

    def _keep(self, similarities: Any, rows: NDArray[np.int64]) -> None:
        """Add what qualifies to what was found, and leave of it what may still be a hit."""
        need = self._need
        if self._most is not None and self._most <= len(similarities):
            best = similarities.topk(self._most, dim=0).values[-1]
            need = self._torch.maximum(need, best)
        place, query = (similarities >= need[None, :]).nonzero(as_tuple=True)
        found = similarities[place, query].cpu().numpy()
        self._query = np.concatenate([self._query, query.cpu().numpy()])
        self._similarity = np.concatenate([self._similarity, found])
        self._row = np.concatenate([self._row, rows[place.cpu().numpy()]])
        if self._most is not None:
            self._cut(self._most)

    def _cut(self, most: int) -> None:
        """Leave each query its best hits, and raise what further ones need."""
        order = np.lexsort((self._row, -self._similarity, self._query))
        query = self._query[order]
        first = np.searchsorted(query, np.arange(self._count))
        order = order[np.arange(len(order)) - first[query] < most]
        self._query, self._similarity, self._row = self._query[order], self._similarity[order], self._row[order]
        edges = np.searchsorted(self._query, np.arange(self._count + 1))
        full = np.flatnonzero(np.diff(edges) == most)
        if len(full):
            last = self._similarity[edges[full + 1] - 1]
            self._need[self._sent(full)] = self._torch.maximum(self._need[self._sent(full)], self._sent(last))

    def _unpacked(self, packed: Packed) -> Any:
        """Bits as numbers, shape (n, 2048), in the order of bytes and from their lowest bit."""
        torch = self._torch
        held = self._sent(np.array(packed, dtype="<u8").view(np.uint8))
        places = torch.arange(8, dtype=torch.uint8, device=self._device.value)
        return ((held[:, :, None] >> places) & 1).reshape(len(packed), BITS).to(self._dtype)

    def _sent(self, values: NDArray[Any]) -> Any:
        return self._torch.from_numpy(values).to(self._device.value)
