"""The 2,563 features of the published MapLight recipe, with values identical to its plain loop.

Source: Notwell and Wood, "ADMET property prediction through combinations of molecular fingerprints",
arXiv:2310.00174, and the code published with it: Morgan counts (radius 2, 1,024), Avalon counts (1,024),
extended reduced graph (ErG, 315), 200 RDKit descriptors, in this order.

Invariants:
    - A row depends on its SMILES alone: not on its neighbours, the number of processes, or the cache.
    - Every value is finite or NaN. Rows with a NaN are flagged; a row that is all NaN could not be read.
    - Counts are not cut at 127, where the published code's 8-bit integers end.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rdkit.Avalon.pyAvalonTools import GetAvalonCountFP
from rdkit.Chem import Mol, MolToMolBlock, rdFingerprintGenerator, rdReducedGraphs
from rdkit.rdBase import BlockLogs

from kifabrik.recipes.pharma import descriptors
from kifabrik.recipes.pharma.erg import reduced_graph
from kifabrik.recipes.pharma.feature_cache import FeatureCache
from kifabrik.recipes.pharma.fingerprints import read_molecule
from kifabrik.recipes.pharma.processes import processes

MORGAN_COUNTS: Final = 1024
AVALON_COUNTS: Final = 1024
ERG_VALUES: Final = 315
NAMES: Final[tuple[str, ...]] = (
    *(f"morgan_{number}" for number in range(MORGAN_COUNTS)),
    *(f"avalon_{number}" for number in range(AVALON_COUNTS)),
    *(f"erg_{number}" for number in range(ERG_VALUES)),
    *descriptors.NAMES,
)
MOST_ATOMS: Final = 250
"""Heavy atoms above which a molecule is not described: the cost of `Ipc` grows with their fourth power, and its
value leaves the range of 64-bit numbers near 300."""
_AVALON_FEATURES: Final = 0x7FFF
"""All but the classes for similarity; `avalonSSSBits` of RDKit."""
_CHUNK: Final = 250

Values = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Features:
    """Features of molecules.

    Attributes:
        values: Shape (n, 2563); NaN where RDKit has no finite value.
        names: Of the columns.
        flagged: Shape (n,), True where a row holds a NaN.
    """

    values: Values
    names: tuple[str, ...]
    flagged: NDArray[np.bool_]


def maplight(smiles: Sequence[str], *, workers: int = 1, cache: Path | None = None) -> Features:
    """Features of molecules.

    Args:
        smiles: One molecule each; what cannot be read gets a row of NaN.
        workers: Processes; 1 computes in this one.
        cache: A folder that keeps features between calls, made if missing; see `feature_cache`.

    Returns:
        Values of shape (n, 2563).
    """
    kept = FeatureCache(cache) if cache else None
    known = kept.find(smiles) if kept else {}
    missing = list(dict.fromkeys(text for text in smiles if text not in known))
    with feature_pool(workers if len(missing) > _CHUNK else 1) as run:
        chunks = [missing[start : start + _CHUNK] for start in range(0, len(missing), _CHUNK)]
        for chunk, values in zip(chunks, run(chunks), strict=True):
            fresh = list(zip(chunk, values, strict=True))
            known.update(fresh)
            if kept:
                kept.keep(fresh)
    values = np.stack([known[text] for text in smiles]) if len(smiles) else np.empty((0, len(NAMES)), np.float32)
    return Features(values, NAMES, np.any(np.isnan(values), axis=1, keepdims=True)[:, 0])


Run = Callable[[Iterable[Sequence[str]]], Iterator[Values]]


@contextmanager
def feature_pool(workers: int) -> Iterator[Run]:
    """Processes that describe chunks of SMILES and give values back in the same order.

    Args:
        workers: Processes; with 1, this one.
    """
    if workers <= 1:
        yield lambda chunks: map(describe, chunks)
        return
    with processes(workers) as pool:
        yield lambda chunks: pool.map(describe, chunks)


def describe(smiles: Sequence[str]) -> Values:
    """Values of some molecules, in this process: float32 (n, 2563)."""
    values = np.full((len(smiles), len(NAMES)), np.nan, np.float32)
    with BlockLogs():
        for row, text in enumerate(smiles):
            molecule = read_molecule(text)
            if molecule is not None and molecule.GetNumHeavyAtoms() <= MOST_ATOMS:
                _describe_one(molecule, values[row])
    return values


@cache
def _morgan() -> Any:
    return rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=MORGAN_COUNTS)


def _avalon(molecule: Mol) -> dict[int, int]:
    """Bins of Avalon counts that are not empty.

    RDKit hands a molecule to Avalon as a mol block with stereochemistry, and takes the default set of features
    whatever its `bitFlags` say. Avalon's counts do not look at stereochemistry, and it takes as long to write as
    all the rest; so this writes a block without it, and names that set.
    """
    block = MolToMolBlock(molecule, includeStereo=False)
    counts: dict[int, int] = GetAvalonCountFP(
        block, False, AVALON_COUNTS, False, _AVALON_FEATURES
    ).GetNonzeroElements()
    return counts


def _describe_one(molecule: Mol, row: Values) -> None:
    """Fill one row."""
    row[:MORGAN_COUNTS] = _morgan().GetCountFingerprintAsNumPy(molecule)
    at = MORGAN_COUNTS + AVALON_COUNTS
    row[MORGAN_COUNTS:at] = 0
    for bin_, count in _avalon(molecule).items():
        row[MORGAN_COUNTS + bin_] = count
    seen = descriptors.look(molecule)
    row[at : at + ERG_VALUES] = (
        rdReducedGraphs.GetErGFingerprint(molecule)
        if seen.features is None
        else reduced_graph(molecule, seen.skeleton, seen.features)
    )
    with np.errstate(over="ignore"):
        row[at + ERG_VALUES :] = descriptors.together(molecule, seen)
    row[~np.isfinite(row)] = np.nan
