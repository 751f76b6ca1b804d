"""Substructure queries as tables that compiled code can walk.

A query atom is a truth table over columns, one for each thing that can be asked of an atom: a plain expression
(`[N&X3]`), whether a surrounding (`$(...)`) starts at it, or a combination of such columns by not, and, or. Columns
are in an order in which each rests on earlier ones only. Texts are those RDKit writes: `!` binds tighter than `&`,
`&` than `,`, and `,` than `;`.

Source: Daylight's theory manual, chapter 4 (SMARTS), as RDKit reads it.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

Ints = NDArray[np.int64]

NOT: Final = -1
AND: Final = -2
OR: Final = -3
"""Codes of a combination in postfix order; numbers from 0 on are columns."""
_SURROUNDING: Final = "$("


class Program(NamedTuple):
    """Queries for compiled code.

    Attributes:
        plain: How many columns are plain expressions; they come first.
        kind: Of each later column: the query that must start at the atom, or -1 for a combination.
        code: Codes of all combinations.
        code_at: Where the codes of each later column begin, and the end.
        first: Where the steps of each query begin, and the end.
        steps: Shape (steps, 5): the column its atom must be in, the step it hangs on, what the bond between must
            be, where its ring closures begin and end. The first step of a query hangs on none.
        rings: Shape (closures, 2): the earlier step, what the bond must be.
    """

    plain: int
    kind: Ints
    code: Ints
    code_at: Ints
    first: Ints
    steps: Ints
    rings: Ints


@dataclass(slots=True)
class Compiler:
    """Collects queries; those asked for get the numbers `add` gave them.

    Attributes:
        atoms: Plain expressions of atoms, by text.
        bonds: Expressions of bonds, by text, with a bond that has it.
        kept: Queries; their bonds do not outlive them.
    """

    atoms: dict[str, int] = field(default_factory=dict)
    bonds: dict[str, tuple[int, Any]] = field(default_factory=dict)
    kept: list[Any] = field(default_factory=list)
    _queries: list[list[tuple[Any, int, Any, list[tuple[int, Any]]]]] = field(default_factory=list)
    _surroundings: dict[str, int] = field(default_factory=dict)
    _combined: dict[tuple[Any, ...], int] = field(default_factory=dict)
    _kinds: list[int] = field(default_factory=list)
    _codes: list[tuple[Any, ...]] = field(default_factory=list)

    def add(self, query: Any) -> int:
        """Add a connected query; gives its number."""
        steps: list[tuple[Any, int, Any, list[tuple[int, Any]]]] = []
        place: dict[int, int] = {}

        def visit(at: int, parent: int, by: Any) -> None:
            atom = query.GetAtomWithIdx(at)
            rings = []
            later = []
            for bond in atom.GetBonds():
                other = bond.GetOtherAtomIdx(at)
                if by is not None and bond.GetIdx() == by.GetIdx():
                    continue
                if other in place:
                    rings.append((place[other], self._bond(bond)))
                else:
                    later.append((other, bond))
            mine = place[at] = len(steps)
            steps.append((self._atom(atom.GetSmarts()), parent, -1 if by is None else self._bond(by), rings))
            for other, bond in later:
                if other not in place:
                    visit(other, mine, bond)

        visit(0, -1, None)
        self.kept.append(query)
        self._queries.append(steps)
        return len(self._queries) - 1

    def starts_at(self, query: Any) -> int:
        """Add a column that tells at which atoms a query starts; gives its place among the later columns."""
        return self._column(self.add(query), ())

    def program(self) -> Program:
        """All that was added."""
        plain = len(self.atoms)

        def column(name: tuple[str, int]) -> int:
            return name[1] if name[0] == "plain" else plain + name[1]

        codes = [[part if isinstance(part, int) else column(part) for part in code] for code in self._codes]
        steps = [step for query in self._queries for step in query]
        ring_at = _offsets([step[3] for step in steps])
        return Program(
            plain=plain,
            kind=_ints(self._kinds),
            code=_ints([part for code in codes for part in code]),
            code_at=_offsets(codes),
            first=_offsets(self._queries),
            steps=np.column_stack(
                [
                    _ints([column(step[0]) for step in steps]),
                    _ints([step[1] for step in steps]),
                    _ints([step[2] for step in steps]),
                    ring_at[:-1],
                    ring_at[1:],
                ]
            ),
            rings=np.array([ring for step in steps for ring in step[3]], np.int64).reshape(-1, 2),
        )

    def _bond(self, bond: Any) -> int:
        text = bond.GetSmarts()
        return self.bonds.setdefault(text, (len(self.bonds), bond))[0]

    def _atom(self, text: str) -> tuple[str, int]:
        """The column of an atom's text."""
        if _SURROUNDING not in text:
            return "plain", self.atoms.setdefault(text, len(self.atoms))
        return self._all([self._any(part) for part in split(text[1:-1], ";")])

    def _any(self, text: str) -> tuple[str, int]:
        if _SURROUNDING not in text:
            return self._atom(f"[{text}]")
        return self._join(OR, [self._every(part) for part in split(text, ",")])

    def _every(self, text: str) -> tuple[str, int]:
        parts = split(text, "&")
        plain = [part for part in parts if _SURROUNDING not in part]
        found = [self._atom(f"[{'&'.join(plain)}]")] if plain else []
        return self._all(found + [self._surrounding(part) for part in parts if _SURROUNDING in part])

    def _all(self, parts: list[tuple[str, int]]) -> tuple[str, int]:
        return self._join(AND, parts)

    def _surrounding(self, text: str) -> tuple[str, int]:
        bare = text.lstrip("!")
        if bare not in self._surroundings:
            number = self.add(Chem.MolFromSmarts(bare[2:-1]))
            self._surroundings[bare] = self._column(number, ())
        found = "later", self._surroundings[bare]
        return self._combine((found, NOT)) if (len(text) - len(bare)) % 2 else found

    def _join(self, code: int, parts: list[tuple[str, int]]) -> tuple[str, int]:
        joined: list[Any] = [parts[0]]
        for part in parts[1:]:
            joined += [part, code]
        return self._combine(tuple(joined)) if len(parts) > 1 else parts[0]

    def _combine(self, code: tuple[Any, ...]) -> tuple[str, int]:
        if code not in self._combined:
            self._combined[code] = self._column(-1, code)
        return "later", self._combined[code]

    def _column(self, kind: int, code: tuple[Any, ...]) -> int:
        self._kinds.append(kind)
        self._codes.append(code)
        return len(self._kinds) - 1


def split(text: str, at: str) -> list[str]:
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


def _ints(values: Sequence[int]) -> Ints:
    return np.array(values, np.int64)


def _offsets(lists: Sequence[Sequence[Any]]) -> Ints:
    return np.cumsum([0, *map(len, lists)], dtype=np.int64)
