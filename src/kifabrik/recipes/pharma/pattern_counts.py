"""Counts of many substructures in one molecule, asking only for those its atoms and bonds do not rule out.

A molecule has a substructure only if it has, for each atom and bond of the pattern, one that fits. Whether an atom
fits depends on a few of its properties, so the answer is kept by those; atoms that a pattern describes by their
surroundings (`$(...)`) rule nothing out.

Invariants:
    - Counts equal those of asking for each pattern.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from rdkit.Chem import Mol

_MOST_KEPT: Final = 200_000
"""Kinds of atoms and bonds kept; beyond, all are forgotten, so that memory stays bounded."""


class Patterns:
    """Substructures to look for together."""

    def __init__(self, queries: Sequence[Any]) -> None:
        self._queries = tuple(queries)
        self._atoms: dict[str, tuple[int, Any]] = {}
        self._bonds: dict[tuple[str, str, str], tuple[int, Any]] = {}
        self._needs = tuple(self._need(query) for query in self._queries)
        self._kinds: dict[tuple[Any, ...], tuple[int, int]] = {}
        self._links: dict[tuple[int, int, Any, bool], int] = {}

    def possible(self, molecule: Mol) -> list[int]:
        """Numbers of the patterns that the molecule may have, ascending."""
        have = self._have(molecule)
        return [number for number, need in enumerate(self._needs) if need & have == need]

    def counts(self, molecule: Mol, numbers: Iterator[int] | Sequence[int]) -> list[int]:
        """How often each is there, each set of atoms once, at most 1,000 times.

        Args:
            molecule: Where to look.
            numbers: Of patterns.
        """
        return [len(molecule.GetSubstructMatches(self._queries[number])) for number in numbers]

    def present(self, molecule: Mol, numbers: Iterator[int] | Sequence[int]) -> int:
        """How many of the patterns with these numbers are there."""
        return sum(molecule.HasSubstructMatch(self._queries[number]) for number in numbers)

    def _need(self, query: Any) -> int:
        """The bits of the atoms and bonds that a pattern asks for."""
        need = 0
        for atom in query.GetAtoms():
            text = atom.GetSmarts()
            if "$" not in text:
                need |= self._bit(self._atoms, text, atom)
        for bond in query.GetBonds():
            ends = bond.GetBeginAtom().GetSmarts(), bond.GetEndAtom().GetSmarts()
            if "$" not in "".join(ends):
                need |= self._bit(self._bonds, (ends[0], bond.GetSmarts(), ends[1]), bond)
        return need

    def _bit(self, known: dict[Any, tuple[int, Any]], key: Any, part: Any) -> int:
        if key not in known:
            known[key] = 1 << (len(self._atoms) + len(self._bonds)), part
        return known[key][0]

    def _have(self, molecule: Mol) -> int:
        """The bits that the atoms and bonds of a molecule fit."""
        if len(self._kinds) + len(self._links) > _MOST_KEPT:
            self._kinds.clear()
            self._links.clear()
        have = 0
        ids = []
        rings = molecule.GetRingInfo()
        for at, atom in enumerate(molecule.GetAtoms()):
            key = (
                atom.GetAtomicNum(),
                atom.GetIsotope(),
                atom.GetFormalCharge(),
                atom.GetIsAromatic(),
                atom.GetDegree(),
                atom.GetTotalNumHs(),
                atom.GetTotalValence(),
                rings.NumAtomRings(at),
                rings.MinAtomRingSize(at),
            )
            kind = self._kinds.get(key)
            if kind is None:
                mask = sum(bit for bit, query in self._atoms.values() if query.Match(atom))
                kind = self._kinds[key] = len(self._kinds), mask
            ids.append(kind[0])
            have |= kind[1]
        for bond in molecule.GetBonds():
            link = (
                ids[bond.GetBeginAtomIdx()],
                ids[bond.GetEndAtomIdx()],
                bond.GetBondType(),
                bond.IsInRing(),
            )
            mask = self._links.get(link, -1)
            if mask < 0:
                mask = self._links[link] = sum(bit for bit, query in self._bonds.values() if _fits(query, bond))
            have |= mask
        return have


def _fits(query: Any, bond: Any) -> bool:
    """Whether a bond with its atoms, either way round, is what a pattern's bond asks for."""
    if not query.Match(bond):
        return False
    asked = query.GetBeginAtom(), query.GetEndAtom()
    ends = bond.GetBeginAtom(), bond.GetEndAtom()
    return bool(
        (asked[0].Match(ends[0]) and asked[1].Match(ends[1]))
        or (asked[0].Match(ends[1]) and asked[1].Match(ends[0]))
    )
