"""Counts of many substructures in one molecule, asking only for those its bonds do not rule out.

A molecule has a substructure only if it has, for each bond of the pattern, one that fits. Whether an atom or a bond
fits depends on a few of its properties, so the answers are kept by those. Atoms that a pattern describes by their
surroundings (`$(...)`) rule nothing out.

Invariants:
    - Counts equal those of asking for each pattern.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from rdkit.Chem import Mol

from kifabrik.recipes.pharma.skeleton import AtomKind, BondKind, Skeleton

_MOST_KEPT: Final = 200_000
"""Kinds of atoms and bonds kept; beyond, all are forgotten, so that memory stays bounded."""
_SURROUNDINGS: Final = "$"


class Patterns:
    """Substructures to look for together."""

    def __init__(self, queries: Sequence[Any]) -> None:
        self._queries = tuple(queries)
        self._atoms: dict[str, Any] = {}
        self._orders: dict[str, Any] = {}
        self._bonds: dict[tuple[int, int, int], int] = {}
        self._needs = tuple(self._need(query) for query in self._queries)
        self._atom_fits: dict[AtomKind, int] = {}
        self._order_fits: dict[BondKind, int] = {}
        self._bond_fits: dict[tuple[int, int, int], int] = {}

    def possible(self, molecule: Mol, skeleton: Skeleton) -> list[int]:
        """Numbers of the patterns that the molecule may have, ascending."""
        have = self._have(molecule, skeleton)
        return [number for number, need in enumerate(self._needs) if need & have == need]

    def counts(self, molecule: Mol, numbers: Iterable[int]) -> list[int]:
        """How often each is there, each set of atoms once, at most 1,000 times.

        Args:
            molecule: Where to look.
            numbers: Of patterns.
        """
        return [len(molecule.GetSubstructMatches(self._queries[number])) for number in numbers]

    def present(self, molecule: Mol, numbers: Iterable[int]) -> int:
        """How many of the patterns with these numbers are there."""
        return sum(molecule.HasSubstructMatch(self._queries[number]) for number in numbers)

    def _need(self, query: Any) -> int:
        """One bit for each distinct bond that a pattern asks for."""
        need = 0
        for bond in query.GetBonds():
            ends = bond.GetBeginAtom(), bond.GetEndAtom()
            if any(_SURROUNDINGS in end.GetSmarts() for end in ends):
                continue
            one, other = sorted(_place(self._atoms, end) for end in ends)
            need |= self._bonds.setdefault((one, other, _place(self._orders, bond)), 1 << len(self._bonds))
        return need

    def _have(self, molecule: Mol, skeleton: Skeleton) -> int:
        """The bits that the bonds of a molecule fit."""
        if len(self._atom_fits) + len(self._bond_fits) > _MOST_KEPT:
            self._atom_fits.clear()
            self._bond_fits.clear()
        fits = []
        for at, kind in enumerate(skeleton.atoms):
            fit = self._atom_fits.get(kind)
            if fit is None:
                fit = self._atom_fits[kind] = _fit(self._atoms, molecule.GetAtomWithIdx(at))
            fits.append(fit)
        have = 0
        for at, (ends, order) in enumerate(zip(skeleton.ends, skeleton.bonds, strict=True)):
            order_fit = self._order_fits.get(order)
            if order_fit is None:
                order_fit = self._order_fits[order] = _fit(self._orders, molecule.GetBondWithIdx(at))
            key = fits[ends[0]], fits[ends[1]], order_fit
            fit = self._bond_fits.get(key)
            if fit is None:
                fit = self._bond_fits[key] = self._bond_fit(*key)
            have |= fit
        return have

    def _bond_fit(self, begin: int, end: int, order: int) -> int:
        """The bits of a bond whose atoms and order fit these parts of the patterns."""
        return sum(
            bit
            for (one, other, by), bit in self._bonds.items()
            if order >> by & 1
            and ((begin >> one & 1 and end >> other & 1) or (begin >> other & 1 and end >> one & 1))
        )


def _place(known: dict[str, Any], part: Any) -> int:
    """The number of a distinct part of the patterns."""
    text = part.GetSmarts()
    known.setdefault(text, part)
    return list(known).index(text)


def _fit(known: dict[str, Any], part: Any) -> int:
    """One bit for each part of the patterns that an atom or bond fits."""
    return sum(query.Match(part) << number for number, query in enumerate(known.values()))
