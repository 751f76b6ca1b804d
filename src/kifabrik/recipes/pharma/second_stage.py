"""The second stage of a screen: filters, then the full model, for molecules worth it.

Invariants:
    - Every molecule comes back with either a prediction or a reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from rdkit.rdBase import BlockLogs

from kifabrik.recipes.pharma.filters import Filters
from kifabrik.recipes.pharma.fingerprints import read_molecule
from kifabrik.recipes.pharma.model import Model, load

SCHEMA: Final = pa.schema(
    [
        ("row", pa.int64()),
        ("id", pa.string()),
        ("smiles", pa.string()),
        ("first", pa.float32()),
        ("value", pa.float64()),
        ("low", pa.float64()),
        ("high", pa.float64()),
        ("similarity", pa.float64()),
        ("in_domain", pa.bool_()),
        ("reason", pa.string()),
    ]
)
"""Columns of a judged batch: `first` is the score of the first stage, `reason` says why there is no value."""


@dataclass(frozen=True, slots=True)
class Candidates:
    """Molecules for the full model.

    Attributes:
        rows: Of the library, shape (n,).
        ids: Of each.
        smiles: Of each.
        first: Score of the first stage, shape (n,); NaN: there was none.
    """

    rows: NDArray[np.int64]
    ids: Sequence[str]
    smiles: Sequence[str]
    first: NDArray[np.float32]

    def part(self, start: int, stop: int) -> "Candidates":
        """Some of them."""
        return Candidates(
            self.rows[start:stop], self.ids[start:stop], self.smiles[start:stop], self.first[start:stop]
        )


@cache
def _model(folder: Path) -> Model:
    """The model, read once in each process."""
    return load(folder)


def judge(candidates: Candidates, model: Path, filters: Filters) -> pa.Table:
    """Filter and predict molecules.

    Args:
        candidates: Molecules.
        model: Folder of the full model.
        filters: What they must fulfil.

    Returns:
        A table of `SCHEMA`, a row for each molecule.
    """
    with BlockLogs():
        reasons = [_reason(text, filters) for text in candidates.smiles]
        going = [place for place, reason in enumerate(reasons) if not reason]
        count = len(reasons)
        numbers = {name: np.full(count, np.nan) for name in ("value", "low", "high", "similarity")}
        inside = np.zeros(count, bool)
        if going:
            said = _model(model).predict([candidates.smiles[place] for place in going])
            for name, column in numbers.items():
                column[going] = getattr(said, name)
            inside[going] = said.in_domain
            for place, reason in zip(going, said.reason, strict=True):
                reasons[place] = reason
    return pa.table(
        [
            *(candidates.rows, list(candidates.ids), list(candidates.smiles), candidates.first),
            *numbers.values(),
            *(inside, reasons),
        ],
        schema=SCHEMA,
    )


def given_up(candidates: Candidates) -> pa.Table:
    """The table for molecules that ended the process that looked at them."""
    count = len(candidates.rows)
    nothing = np.full(count, np.nan)
    return pa.table(
        [
            *(candidates.rows, list(candidates.ids), list(candidates.smiles), candidates.first),
            *(nothing, nothing, nothing, nothing),
            *(np.zeros(count, bool), ["it ended the process that looked at it"] * count),
        ],
        schema=SCHEMA,
    )


def _reason(smiles: str, filters: Filters) -> str:
    molecule = read_molecule(smiles)
    if molecule is None:
        return "RDKit cannot read the SMILES" if smiles else "the row has no SMILES"
    return filters.reason(molecule)
