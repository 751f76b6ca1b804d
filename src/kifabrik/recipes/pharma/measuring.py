"""Which columns of a table are what, and the measurements its rows hold."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.endpoints import Censored, Limit
from kifabrik.recipes.pharma.numbers import Decimal, Relation, decimal_of, is_missing, number_of, relation_of
from kifabrik.recipes.pharma.reading import STRUCTURE, TITLE, Row
from kifabrik.recipes.pharma.rejects import Reason
from kifabrik.recipes.pharma.units import unit_in

_IDS: Final = (
    "id", "compound_id", "compound", "mol_id", "molecule_id", "cas", "name", "drug_id", "compound_name",
    "verbindung", "verbindungs-id", "substanz", "substanz-id", "substanznummer", "kennung",
)  # fmt: skip
_SIDES: Final = {
    "relation": ("relation", "qualifier", "operator", "standard_relation", "vorzeichen"),
    "unit": ("unit", "units", "einheit", "standard_units"),
    "date": ("date", "datum", "measured", "year", "test_date", "assay_date", "messdatum", "prüfdatum", "testdatum"),
}
_ENOUGH: Final = 0.6
"""A column is one of measurements if so many of its filled cells are numbers."""
_DATES: Final = (
    (re.compile(r"^(\d{4})-(\d{1,2})-(\d{1,2})"), (1, 2, 3)),
    (re.compile(r"^(\d{1,2})\.(\d{1,2})\.(\d{4})$"), (3, 2, 1)),
    (re.compile(r"^(\d{4})-(\d{1,2})$"), (1, 2, 0)),
    (re.compile(r"^(\d{4})(?:\.0)?$"), (1, 0, 0)),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What whoever prepares a table wishes.

    Attributes:
        endpoints: Columns with measurements; empty: the only one that can be.
        smiles_column: Column with structures; empty: the one usually called so.
        id_column: Column with names; empty: the one usually called so.
        units: Unit to come to, by endpoint; else the one most rows have.
        limits: Limits that make classes of numbers.
        censored: Whether bounds are kept.
        tolerance: Most that measurements of one compound may differ; None: one decade for concentrations,
            one standard deviation of the endpoint for other numbers.
        decimal: How numbers are written; unknown: as the columns show.
    """

    endpoints: tuple[str, ...] = ()
    smiles_column: str = ""
    id_column: str = ""
    units: dict[str, str] = field(default_factory=dict, hash=False)
    limits: tuple[Limit, ...] = ()
    censored: Censored = Censored.KEEP
    tolerance: float | None = None
    decimal: Decimal = Decimal.UNKNOWN


@dataclass(frozen=True, slots=True)
class Measured:
    """One measurement as it stands in a cell.

    Attributes:
        value: The number.
        relation: To what would have been measured.
        unit: As written; empty if it is not said.
    """

    value: float
    relation: Relation
    unit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns of a table are.

    Attributes:
        endpoints: Columns of measurements, with how their numbers are written.
        id: Column of names; empty if there is none.
        date: Column of dates; empty if there is none.
        relation: Column of relations by endpoint.
        unit: Column of units by endpoint.
        properties: All others.
    """

    endpoints: dict[str, Decimal] = field(hash=False)
    id: str
    date: str
    relation: dict[str, str] = field(hash=False)
    unit: dict[str, str] = field(hash=False)
    properties: tuple[str, ...]

    @classmethod
    def of(cls, rows: Sequence[Row], wishes: Wishes, file: str) -> "Columns":
        """Tell them from their names and cells.

        Raises:
            UsageError: If an endpoint is not there, or it is not clear which columns are endpoints.
        """
        names = list(dict.fromkeys(name for row in rows for name in row.cells if name != STRUCTURE))
        lower = {name.lower().replace(" ", "_"): name for name in reversed(names)}
        side = {(kind, name): _side(lower, kind, name) for kind in ("relation", "unit") for name in names}
        helpers = {*side.values(), *(lower.get(alias, "") for kind in _SIDES.values() for alias in kind)}
        identity = wishes.id_column or next((lower[name] for name in _IDS if name in lower), "")
        if wishes.id_column and wishes.id_column not in names:
            raise UsageError(f"{file} has no column {wishes.id_column}.", hint=f"It has: {', '.join(names)}.")
        if not identity and TITLE in names:
            identity = TITLE
        free = [name for name in names if name not in {*helpers, identity, TITLE}]
        endpoints = _endpoints(rows, free, names, wishes, file)
        return cls(
            endpoints={name: _decimal(rows, name, wishes) for name in endpoints},
            id=identity,
            date=next((lower[name] for name in _SIDES["date"] if name in lower), ""),
            relation={name: side["relation", name] for name in endpoints if side["relation", name]},
            unit={name: side["unit", name] for name in endpoints if side["unit", name]},
            properties=tuple(name for name in free if name not in endpoints),
        )

    def name_of(self, row: Row, file: str) -> str:
        """The compound's name in a row; made of file and row where there is none."""
        return row.cells.get(self.id, "").strip() or f"{file}-{row.number}"

    def measurement(self, row: Row, endpoint: str) -> Measured | tuple[Reason, str] | None:
        """What a row says of an endpoint: a measurement, why it is none, or nothing."""
        cell = row.cells.get(endpoint, "")
        if is_missing(cell):
            return None
        number = number_of(cell, self.endpoints[endpoint])
        if isinstance(number, str):
            return Reason.NOT_A_NUMBER, number
        relation = number.relation
        beside = row.cells.get(self.relation.get(endpoint, ""), "")
        if beside.strip() and relation is Relation.EQUAL:
            said = relation_of(beside)
            if said is None:
                return Reason.NOT_A_NUMBER, f"relation {beside.strip()[:20]!r}"
            relation = said
        unit = row.cells.get(self.unit.get(endpoint, ""), "").strip() or unit_in(endpoint)
        return Measured(number.value, relation, unit)


def identity_of(row: Row, file: str) -> str:
    """The name of a row's compound, from the column usually called so; made of file and row where there is none."""
    lower = {name.lower(): name for name in row.cells}
    names = (*(lower[name] for name in _IDS if name in lower), TITLE)
    return next(
        (row.cells[name].strip() for name in names if row.cells.get(name, "").strip()), f"{file}-{row.number}"
    )


def date_of(cell: str) -> str:
    """A date as ISO 8601 (2024-05-31, 2024-05, 2024); empty if it is none.

    Days after slashes are not guessed: 3/4/2024 is in April or in March.
    """
    text = cell.strip()
    for shape, (year, month, day) in _DATES:
        match = shape.match(text)
        if match is None:
            continue
        parts = [int(match.group(at)) if at else 1 for at in (year, month, day)]
        try:
            found = date(*parts).isoformat()
        except ValueError:
            return ""
        return found[: 4 + 3 * bool(month) + 3 * bool(day)]
    return ""


def _side(lower: dict[str, str], kind: str, endpoint: str) -> str:
    """The column of relations or units of an endpoint: its own, or the one for all."""
    own = (f"{endpoint.lower().replace(' ', '_')}{mark}{alias}" for alias in _SIDES[kind] for mark in "_.")
    return next((lower[name] for name in (*own, *_SIDES[kind]) if name in lower), "")


def _endpoints(
    rows: Sequence[Row], free: Sequence[str], names: Sequence[str], wishes: Wishes, file: str
) -> tuple[str, ...]:
    wished = tuple(dict.fromkeys((*wishes.endpoints, *(limit.endpoint for limit in wishes.limits))))
    if wished:
        missing = [name for name in wished if name not in names]
        if missing:
            raise UsageError(f"{file} has no column {missing[0]}.", hint=f"It has: {', '.join(names)}.")
        return wished
    numeric = [name for name in free if _is_numeric(row.cells.get(name, "") for row in rows)]
    if len(numeric) == 1:
        return tuple(numeric)
    if numeric:
        raise UsageError(
            f"{file} has several columns of numbers.",
            hint=f"Say which are measured: --endpoint NAME, once for each. They are: {', '.join(numeric[:20])}.",
        )
    raise UsageError(
        f"{file} has no column of measurements.",
        hint=f"Its columns are: {', '.join(names[:20])}; name one with --endpoint."
        if names
        else "It has structures only.",
    )


def _is_numeric(cells: Iterable[str]) -> bool:
    filled = [cell for cell in cells if not is_missing(cell)]
    good = sum(not isinstance(number_of(cell, Decimal.POINT), str) for cell in filled)
    return bool(filled) and good >= _ENOUGH * len(filled)


def _decimal(rows: Sequence[Row], name: str, wishes: Wishes) -> Decimal:
    if wishes.decimal is not Decimal.UNKNOWN:
        return wishes.decimal
    return decimal_of(row.cells.get(name, "") for row in rows)
