"""Counts of many substructures in one molecule, asking only for those its bonds do not rule out.

A molecule has a substructure only if it has, for each bond of the pattern, one that fits. Whether an atom or a bond
fits depends on a few of its properties, so the answers are kept by those. Atoms that a pattern describes by their
surroundings (`$(...)`) rule nothing out, except that an atom which is the whole pattern needs the bonds of one of
its surroundings. A pattern that is one plain atom is counted on the way.

Invariants:
    - Counts equal those of asking for each pattern.
"""

from collections.abc import Sequence
from typing import Any, Final

from rdkit import Chem
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
        self._lone = {
            number: 1 << _place(self._atoms, query.GetAtomWithIdx(0))
            for number, query in enumerate(self._queries)
            if query.GetNumAtoms() == 1 and _SURROUNDINGS not in query.GetAtomWithIdx(0).GetSmarts()
        }
        self._stand_for = {
            number: _surroundings(query) for number, query in enumerate(self._queries) if number not in self._lone
        }
        self._needs = tuple(
            (number, tuple(self._need(pattern) for pattern in patterns), self._queries[number].GetNumAtoms())
            for number, patterns in self._stand_for.items()
        )
        self._atom_fits: dict[AtomKind, int] = {}
        self._order_fits: dict[BondKind, int] = {}
        self._bond_fits: dict[tuple[int, int, int], int] = {}

    def counts(self, molecule: Mol, skeleton: Skeleton, only_present: int) -> list[int]:
        """How often each is there, each set of atoms once, at most 1,000 times.

        Args:
            molecule: Where to look.
            skeleton: Of the molecule.
            only_present: Patterns from this number on count once at most.
        """
        fits, have = self._have(molecule, skeleton)
        found = [0] * len(self._queries)
        for number, bit in self._lone.items():
            found[number] = sum(fit & bit > 0 for fit in fits)
        size = len(fits)
        for number, needs, atoms in self._needs:
            if atoms <= size and any(need & have == need for need in needs):
                query = self._queries[number]
                if number < only_present:
                    found[number] = len(molecule.GetSubstructMatches(query))
                else:
                    found[number] = int(molecule.HasSubstructMatch(query))
        return [min(count, 1) if number >= only_present else count for number, count in enumerate(found)]

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

    def _have(self, molecule: Mol, skeleton: Skeleton) -> tuple[list[int], int]:
        """The bits that each atom of a molecule fits, and those that its bonds fit."""
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
        return fits, have

    def _bond_fit(self, begin: int, end: int, order: int) -> int:
        """The bits of a bond whose atoms and order fit these parts of the patterns."""
        return sum(
            bit
            for (one, other, by), bit in self._bonds.items()
            if order >> by & 1
            and ((begin >> one & 1 and end >> other & 1) or (begin >> other & 1 and end >> one & 1))
        )


def _surroundings(query: Any) -> list[Any]:
    """What a pattern that is one atom may stand for, as patterns; any other pattern is itself."""
    text = query.GetAtomWithIdx(0).GetSmarts()
    if query.GetNumAtoms() > 1 or not text.startswith("[$("):
        return [query]
    found: list[Any] = []
    for alternative in _split(_split(text[1:-1], ";")[0], ","):
        first = _split(alternative, "&")[0]
        found.append(Chem.MolFromSmarts(first[2:-1]) if first.startswith("$(") else query)
    return found


def _split(text: str, at: str) -> list[str]:
    """Split where no bracket is open."""
    parts = [""]
    depth = 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter == at and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _place(known: dict[str, Any], part: Any) -> int:
    """The number of a distinct part of the patterns."""
    text = part.GetSmarts()
    known.setdefault(text, part)
    return list(known).index(text)


def _fit(known: dict[str, Any], part: Any) -> int:
    """One bit for each part of the patterns that an atom or bond fits."""
    return sum(query.Match(part) << number for number, query in enumerate(known.values()))
