"""What a table may hold: the types of columns. The tables themselves are in `columns`."""

from dataclasses import dataclass, field
from enum import StrEnum


class Type(StrEnum):
    """How a cell is read, and what is allowed in it."""

    TEXT = "text"
    CHOICE = "choice"  # one of `choices`
    NUMBER = "number"  # any
    AMOUNT = "amount"  # zero or more
    SHARE = "share"  # 0 to 1
    PERCENT = "percent"  # 0 to 100, below 100; kept as a share
    COUNT = "whole number"  # zero or more
    LOGICAL = "yes or no"
    NUMBERS = "numbers"  # with blanks between them
    TIME = "time"  # zero or more; kept in periods
    RATE = "amount per time"  # zero or more; kept per period


class Unit(StrEnum):
    """Of times and rates."""

    HOURS = "hours"
    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"
    YEARS = "years"
    PERIODS = "periods"


DAYS: dict[Unit, float] = {
    Unit.HOURS: 1 / 24,
    Unit.DAYS: 1.0,
    Unit.WEEKS: 7.0,
    Unit.MONTHS: 365 / 12,
    Unit.YEARS: 365.0,
}
"""Length of each unit; that of a period is the network's."""

UNIT_NAMES: dict[str, Unit] = {
    **{unit.value: unit for unit in Unit},
    **{unit.value.removesuffix("s"): unit for unit in Unit},
    **dict.fromkeys(("h", "std", "stunde", "stunden", "hr", "hrs"), Unit.HOURS),
    **dict.fromkeys(("d", "tag", "tage", "t"), Unit.DAYS),
    **dict.fromkeys(("w", "wk", "wch", "woche", "wochen"), Unit.WEEKS),
    **dict.fromkeys(("mon", "monat", "monate"), Unit.MONTHS),
    **dict.fromkeys(("a", "y", "jahr", "jahre"), Unit.YEARS),
    **dict.fromkeys(("p", "periode", "perioden"), Unit.PERIODS),
}
"""What a unit may be called, in small letters."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    Attributes:
        name: Its heading.
        type: What is in it.
        en: Meaning, in English.
        de: Meaning, in German.
        default: What an empty cell means, as written in a cell; "" for nothing.
        required: Whether every row must have it.
        unit: What it is measured in, for people.
        sap: Other headings, in capitals: SAP field names.
        choices: For `CHOICE`.
        unit_column: Where the unit of a `TIME` or `RATE` is; empty: `NAME_unit`.
    """

    name: str
    type: Type
    en: str
    de: str
    default: str = ""
    required: bool = False
    unit: str = ""
    sap: tuple[str, ...] = ()
    choices: tuple[str, ...] = ()
    unit_column: str = ""

    @property
    def where_unit(self) -> str:
        """Name of the column that holds the unit."""
        return self.unit_column or f"{self.name}_unit"

    @property
    def default_unit(self) -> Unit:
        """Unit of a cell that names none: days for times, periods for rates."""
        return Unit.DAYS if self.type is Type.TIME else Unit.PERIODS


@dataclass(frozen=True, slots=True)
class Table:
    """A table.

    Attributes:
        name: Of its file or sheet.
        en: What it says, in English.
        de: What it says, in German.
        key: Columns that together occur once.
        columns: All of them.
        required: Whether there is no network without it.
        sap: SAP tables whose export may stand for it.
    """

    name: str
    en: str
    de: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    required: bool = False
    sap: tuple[str, ...] = ()
    by_name: dict[str, Column] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {column.name: column for column in self.columns})
