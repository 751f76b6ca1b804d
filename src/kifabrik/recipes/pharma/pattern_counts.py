"""Counts of many substructures in one molecule.

RDKit answers what an atom or a bond is, once for each kind of them; where patterns fit is found by compiled code,
with the answers looked up. Large molecules, and patterns in several pieces, are left to RDKit.

Invariants:
    - Counts equal those of asking RDKit for each pattern.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import Mol, rdmolops

from kifabrik.recipes.pharma.pattern_kernels import MOST_ATOMS, complete, count
from kifabrik.recipes.pharma.skeleton import Skeleton
from kifabrik.recipes.pharma.smarts import Compiler

_MOST_KINDS: Final = 50_000
"""Kinds of atoms kept; beyond, all are forgotten, so that memory stays bounded."""
_ROWS: Final = 256

Truth = NDArray[np.bool_]


class Answers:
    """What parts of molecules are, for each kind of part.

    Args:
        asked: Query atoms or bonds, in order.
        columns: Of the table; at least as many.
    """

    def __init__(self, asked: Sequence[Any], columns: int) -> None:
        self._asked = tuple(asked)
        self._rows: dict[Any, int] = {}
        self._table = np.zeros((_ROWS, columns), np.bool_)

    def of(self, kinds: Sequence[Any], part_at: Any) -> Truth:
        """A row for each kind, shape (kinds, columns): a table of its own.

        Args:
            kinds: Of the parts of a molecule.
            part_at: Gives the part with a number.
        """
        try:
            rows = [self._rows[kind] for kind in kinds]
        except KeyError:
            rows = [self._row(kind, part_at, number) for number, kind in enumerate(kinds)]
        return self._table[rows]

    def _row(self, kind: Any, part_at: Any, number: int) -> int:
        if kind not in self._rows:
            if len(self._rows) >= _MOST_KINDS:
                self._rows.clear()
            row = len(self._rows)
            if row >= len(self._table):
                self._table = np.vstack([self._table, np.zeros_like(self._table)])
            part = part_at(number)
            self._table[row, : len(self._asked)] = [query.Match(part) for query in self._asked]
            self._rows[kind] = row
        return self._rows[kind]


class Found(NamedTuple):
    """What was found in a molecule.

    Attributes:
        counts: How often each pattern is there, each set of atoms once, at most 1,000 times.
        marks: Shape (atoms, marks), where patterns start; None for a molecule too large for it.
    """

    counts: list[int]
    marks: Truth | None


class Patterns:
    """Substructures to look for together.

    Args:
        queries: What to look for.
        once_from: Patterns from this number on count once at most.
        marks: Patterns of which to tell at which atoms they start.
    """

    def __init__(self, queries: Sequence[Any], once_from: int, marks: Sequence[Any] = ()) -> None:
        self._queries = tuple(queries)
        self._once_from = once_from
        self._compiler = compiler = Compiler()
        whole = [at for at, query in enumerate(self._queries) if len(rdmolops.GetMolFrags(query)) == 1]
        self._numbers = np.array([compiler.add(self._queries[at]) for at in whole])
        self._places = whole
        self._apart = [at for at in range(len(self._queries)) if at not in set(whole)]
        marked = [compiler.starts_at(query) for query in marks]
        self._once_among = sum(at < once_from for at in whole)
        self._program = compiler.program()
        self._marked = self._program.plain + np.array(marked, np.int64)
        self._plain = [Chem.MolFromSmarts(text) for text in compiler.atoms]  # an atom does not outlive its molecule
        plain = [query.GetAtomWithIdx(0) for query in self._plain]
        self._atoms = Answers(plain, len(plain) + len(self._program.kind))
        self._bonds = Answers([bond for _, bond in compiler.bonds.values()], len(compiler.bonds))

    def find(self, molecule: Mol, skeleton: Skeleton) -> Found:
        """Look for all of them.

        Args:
            molecule: Where to look.
            skeleton: Of the molecule.
        """
        if len(skeleton.atoms) > MOST_ATOMS:
            return Found([self._ask(molecule, at) for at in range(len(self._queries))], None)
        truth = self._atoms.of(skeleton.atoms, molecule.GetAtomWithIdx)
        bond_truth = self._bonds.of(skeleton.bonds, molecule.GetBondWithIdx)
        links = skeleton.links
        present = complete(*self._program, truth, bond_truth, *links)
        found = [0] * len(self._queries)
        numbers = count(self._numbers, self._once_among, *self._program[-3:], present, truth, bond_truth, *links)
        for at, number in zip(self._places, numbers.tolist(), strict=True):
            found[at] = number if number >= 0 else self._ask(molecule, at)
        for at in self._apart:
            found[at] = self._ask(molecule, at)
        return Found(found, truth[:, self._marked])

    def _ask(self, molecule: Mol, at: int) -> int:
        query = self._queries[at]
        if at < self._once_from:
            return len(molecule.GetSubstructMatches(query))
        return int(molecule.HasSubstructMatch(query))
