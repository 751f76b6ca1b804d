"""From cells as written to values: numbers, choices, times in periods; every problem is collected, none raised."""

import math
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from kifabrik.recipes.supply_chain.tables.columns import TABLES
from kifabrik.recipes.supply_chain.tables.schema import DAYS, UNIT_NAMES, Column, Table, Type, Unit
from kifabrik.recipes.supply_chain.tables.source import RawRow, RawTable, Tables

Value = str | float | bool | tuple[float, ...]
_WITH_UNIT: Final = re.compile(r"(-?[\d.]+(?:[eE][-+]?\d+)?)\s*([^\W\d]+)")
_YES: Final = frozenset({"yes", "y", "true", "1", "ja", "j", "x", "wahr"})
_NO: Final = frozenset({"no", "n", "false", "0", "nein", "falsch"})


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong in the tables.

    Attributes:
        table: Name of the table.
        row: Number of the row, the heading being 1; 0: the table as a whole.
        column: Name of the column; empty: the row as a whole.
        message: What is wrong, and what to do.
    """

    table: str
    row: int
    column: str
    message: str

    def __str__(self) -> str:
        """`bom, row 3, column quantity: …`."""
        row = f", row {self.row}" if self.row else ""
        column = f", column {self.column}" if self.column else ""
        return f"{self.table}{row}{column}: {self.message}"


@dataclass(frozen=True, slots=True)
class Row:
    """A row with values. Columns without a value are not in it.

    Attributes:
        number: Number of the row, the heading being 1.
        values: Column name to value; times in periods, rates per period.
    """

    number: int
    values: dict[str, Value]

    def text(self, name: str, default: str = "") -> str:
        """Text, or the default."""
        return str(self.values.get(name, default))

    def number_or(self, name: str, default: float) -> float:
        """Number, or the default."""
        value = self.values.get(name, default)
        return value if isinstance(value, float) else default

    def maybe(self, name: str) -> float | None:
        """Number, or None."""
        value = self.values.get(name)
        return value if isinstance(value, float) else None

    def whole(self, name: str) -> int:
        """Number rounded half up to a whole one, 0 if there is none."""
        return math.floor(self.number_or(name, 0.0) + 0.5)

    def numbers(self, name: str) -> tuple[float, ...]:
        """Numbers, none if there are none."""
        value = self.values.get(name, ())
        return value if isinstance(value, tuple) else ()


@dataclass(slots=True)
class Parsed:
    """All tables with values, and what was wrong.

    Attributes:
        rows: Table name to its rows; every table is there.
        problems: Found so far.
        period_days: Length of a period.
    """

    rows: dict[str, list[Row]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    period_days: float = 1.0
    _makers: dict[str, tuple[str, ...]] | None = None

    def report(self, table: str, row: int, column: str, message: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(table, row, column, message))

    def makers(self, product: str) -> tuple[str, ...]:
        """Sites that have a row of `production` for a product."""
        if self._makers is None:
            found: dict[str, list[str]] = {}
            for row in self.rows["production"]:
                found.setdefault(row.text("product"), []).append(row.text("site"))
            self._makers = {each: tuple(sites) for each, sites in found.items()}
        return self._makers.get(product, ())


def parse(tables: Tables, like: Parsed | None = None, same: Collection[str] = ()) -> Parsed:
    """Values of all cells; what cannot be read is a problem and left out.

    Args:
        tables: As written.
        like: Values of tables that were in order.
        same: Those of them that are as they were.
    """
    parsed = Parsed()
    for name in ("network", *(name for name in TABLES if name != "network")):
        if like and name in same and (name == "network" or parsed.period_days == like.period_days):
            parsed.rows[name] = like.rows[name]
            parsed.period_days = like.period_days
            continue
        raw = tables.get(name, RawTable((), ()))
        _check_headings(parsed, TABLES[name], raw, there=name in tables)
        reader = _Reader(parsed, TABLES[name], raw.headings)
        parsed.rows[name] = [reader.read(row) for row in raw.rows]
        if name == "network":
            _take_period(parsed)
    return parsed


def _take_period(parsed: Parsed) -> None:
    rows = parsed.rows["network"]
    if len(rows) > 1:
        parsed.report("network", rows[1].number, "", "There must be one row only.")
    days = rows[0].number_or("period_days", 1.0) if rows else 1.0
    if days > 0:
        parsed.period_days = days
    else:
        parsed.report("network", rows[0].number, "period_days", "A period must be longer than nothing.")


def _check_headings(parsed: Parsed, table: Table, raw: RawTable, *, there: bool) -> None:
    import difflib  # noqa: PLC0415

    if not there:
        if table.required:
            parsed.report(table.name, 0, "", "This table is missing.")
        return
    if not raw.headings and not raw.unknown:
        parsed.report(table.name, 0, "", "It has no headings; leave it out, or give it the template's.")
        return
    for heading in raw.unknown:
        near = difflib.get_close_matches(heading.lower(), list(table.by_name), n=1)
        hint = f" Did you mean {near[0]}?" if near else " Remarks may be in columns that begin with _."
        parsed.report(table.name, 1, heading, f"There is no such column.{hint}")
    for column in table.columns:
        if column.required and column.name not in raw.headings:
            parsed.report(table.name, 1, column.name, "This column is missing.")
    for heading in {name for name in raw.headings if raw.headings.count(name) > 1}:
        parsed.report(table.name, 1, heading, "This column is there twice (perhaps once by its SAP name).")


class _Reader:
    """Reads the rows of one table. Equal cells of a column are read once; only units are looked for row by row."""

    def __init__(self, parsed: Parsed, table: Table, headings: Iterable[str]) -> None:
        self.parsed, self.table = parsed, table
        self.with_unit = [column for column in table.columns if _may_name_unit(column, headings)]
        self.plain = {column.name: column for column in table.columns if column not in self.with_unit}
        self.required = [column for column in self.plain.values() if column.required]
        self.known: dict[tuple[str, str, Unit], Value | ValueError] = {}
        self.usual: dict[str, Value] = {}
        for column in self.plain.values():
            if column.default and not column.required:
                self._put(self.usual, column, column.default, column.default_unit, 0)

    def read(self, raw: RawRow) -> Row:
        """A row with values; what is wrong with it is reported."""
        values = dict(self.usual)
        for name, written in raw.cells.items():
            column = self.plain.get(name)
            if column is not None:
                self._put(values, column, written, column.default_unit, raw.number)
        for column in self.required:
            if column.name not in raw.cells:
                self.parsed.report(self.table.name, raw.number, column.name, "The value is missing.")
        for column in self.with_unit:
            for written, unit in _written(self.parsed, self.table, column, raw):
                self._put(values, column, written, unit, raw.number)
        return Row(raw.number, values)

    def _put(self, values: dict[str, Value], column: Column, written: str, unit: Unit, number: int) -> None:
        key = (column.name, written, unit)
        value = self.known.get(key)
        if value is None:
            try:
                value = _value(column, written, unit, self.parsed.period_days)
            except ValueError as error:
                value = error
            self.known[key] = value
        if isinstance(value, ValueError):
            values.pop(column.name, None)
            self.parsed.report(self.table.name, number, column.name, str(value))
            return
        values[column.name] = value
        if column.type is Type.TIME:
            values.setdefault(column.where_unit, str(unit))


def _may_name_unit(column: Column, headings: Iterable[str]) -> bool:
    """Whether a heading may hold the unit of a column, or the column with its unit."""
    if column.type not in {Type.TIME, Type.RATE}:
        return False
    stems = (column.where_unit.removesuffix("_unit"), column.name)
    return any(
        heading == column.where_unit or any(heading == f"{stem}_{unit}" for stem in stems for unit in UNIT_NAMES)
        for heading in headings
    )


def _written(  # noqa: C901 - three places a unit may be in
    parsed: Parsed, table: Table, column: Column, raw: RawRow
) -> Iterator[tuple[str, Unit]]:
    """What a cell says, with its unit: from the heading, from the unit's column, or the usual one."""
    cell = raw.cells.get(column.name, "")
    unit = column.default_unit
    if column.type in {Type.TIME, Type.RATE}:
        where = column.where_unit
        named = raw.cells.get(where, "")
        if named.lower() in UNIT_NAMES:
            unit = UNIT_NAMES[named.lower()]
        elif named and where == f"{column.name}_unit":
            parsed.report(table.name, raw.number, where, _no_unit(named))
        for stem in dict.fromkeys((where.removesuffix("_unit"), column.name)):
            for heading, written in raw.cells.items():
                ending = heading.removeprefix(f"{stem}_")
                if ending != heading and ending in UNIT_NAMES:
                    cell, unit = (written if stem == column.name else cell), UNIT_NAMES[ending]
    if cell:
        yield cell, unit
    elif column.required:
        if column.name in table.key or raw.cells:
            parsed.report(table.name, raw.number, column.name, "The value is missing.")
    elif column.default:
        yield column.default, unit


def _no_unit(written: str) -> str:
    return f"There is no unit '{written}'; use {', '.join(Unit)}."


def _value(column: Column, written: str, unit: Unit, period_days: float) -> Value:  # noqa: C901, PLR0911, PLR0912
    """Value of a cell.

    Raises:
        ValueError: If it cannot be one; the message is for people.
    """
    match column.type:
        case Type.TEXT:
            return written
        case Type.CHOICE:
            return _choice(column, written)
        case Type.LOGICAL:
            if written.lower() in _YES | _NO:
                return written.lower() in _YES
            raise ValueError(f"'{written}' is neither yes nor no.")
        case Type.NUMBERS:
            return tuple(_number(part) for part in written.split())
    if column.type in {Type.TIME, Type.RATE} and (found := _WITH_UNIT.fullmatch(written.replace("/", " "))):
        named = found[2].lower()
        if named not in UNIT_NAMES and named != "inf":
            raise ValueError(_no_unit(found[2]))
        written, unit = found[1], UNIT_NAMES[named]
    number = _number(written, infinite=column.default == "inf")
    if column.type is not Type.NUMBER and number < 0:
        raise ValueError(f"{written} is negative; it must be zero or more.")
    match column.type:
        case Type.SHARE if number > 1:
            raise ValueError(f"{written} is more than 1; a share is between 0 and 1.")
        case Type.PERCENT:
            return number / 100
        case Type.COUNT if not number.is_integer():
            raise ValueError(f"{written} is not a whole number.")
        case Type.TIME:
            return number if unit is Unit.PERIODS else number * DAYS[unit] / period_days
        case Type.RATE:
            return number if unit is Unit.PERIODS else number * period_days / DAYS[unit]
        case _:
            return number


def _choice(column: Column, written: str) -> str:
    for choice in column.choices:
        if choice.lower() == written.lower().replace("_", "-").replace(" ", "-"):
            return choice
    raise ValueError(f"'{written}' is none of {', '.join(column.choices)}.")


def _number(written: str, *, infinite: bool = False) -> float:
    try:
        number = float(written)
    except ValueError:
        comma = " Write a decimal point, or part the columns by semicolons." if "," in written else ""
        raise ValueError(f"'{written}' is not a number.{comma}") from None
    if math.isnan(number) or (math.isinf(number) and not infinite):
        raise ValueError(f"'{written}' is not a finite number.")
    return number
