"""The past, as a table of sales or lead times tells it: CSV, Parquet or XLSX, as programs and people save them.

Invariants:
    - A period without a row is a period without demand, between a series' first and the table's last period.
    - What is left out, added up or doubtful is said (`Past.remarks`); nothing is changed in silence.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.past_table import (
    Column,
    PastTable,
    is_empty,
    read_table,
    shown,
    table_of,
    text_of,
)
from kifabrik.recipes.supply_chain.written import Days, DoubtError, Numbers

Floats = NDArray[np.float64]
_COUNTED: Final = frozenset({"period", "periode"})
"""Headings under which plain numbers are numbers of periods."""
_MOST_PERIODS: Final = 100_000
"""270 years of days: dates and numbers are mixed."""
_LEAST_DATES: Final = 8
"""So many days that are all Mondays, or all the first of a month, are no chance."""
_WEEK: Final = 7
_YEAR: Final = 12
_LONG_GAP_DAYS: Final = 14
_UNUSUAL: Final = 5
"""A gap so many times as long as nearly all others is a hole in the export rather than a quiet time."""


class Step(Enum):
    """What a period of a series is; the value is the unit in the table `demand`."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    NUMBER = "period"

    def after(self, first: date, periods: int) -> date:
        """The day on which a period begins, so many periods after a first one."""
        if self is Step.MONTH:
            months = first.year * _YEAR + first.month - 1 + periods
            return date(months // _YEAR, months % _YEAR + 1, 1)
        return first + timedelta(days=periods * (_WEEK if self is Step.WEEK else 1))


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Values of one node or lane.

    Attributes:
        name: `product@site` or the lane.
        values: Demand of each period, or lead times [value].
        first: Date of the first value; None where periods are numbers, or for lead times.
        step: What a period is, where they have dates.
    """

    name: str
    values: Floats
    first: date | None = None
    step: Step = Step.DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What a table tells.

    Attributes:
        series: By name.
        remarks: Sentences on what was left out, added up, or may be missing.
    """

    series: tuple[Series, ...]
    remarks: tuple[str, ...] = ()


def read_past(path: Path) -> Past:
    """Read a file of `product`, `site`, `date` or `period`, `quantity`, or of `lane`, `lead_time`.

    Headings may be German or SAP's, and stand below titles. CSV may be parted by comma, semicolon, tab or `|`, in
    UTF-8, UTF-16 or Windows-1252; numbers and days are read as their columns show (`written`).

    Raises:
        UsageError: If it cannot be read as such a table; row and column are named.
    """
    return _past(read_table(path))


def past_of(columns: Mapping[str, Sequence[Any]], name: str) -> Past:
    """The same from columns by lower-case name, of a table called so."""
    return _past(table_of(columns, name))


def _past(table: PastTable) -> Past:
    if "lane" in table.columns and "lead_time" in table.columns:
        return _lead_times(table)
    return _demands(table)


def _lead_times(table: PastTable) -> Past:
    lanes: defaultdict[str, list[float]] = defaultdict(list)
    numbers = _numbers(table, "lead_time")
    for lane, value in zip(table.columns["lane"].cells, numbers, strict=True):
        if value is not None:
            lanes[text_of(lane)].append(value)
    if not lanes:
        raise UsageError(f"{table.name} has no row with a value.")
    found = tuple(
        Series(name=f"lane {name}", values=np.array(values), step=Step.NUMBER)
        for name, values in sorted(lanes.items())
    )
    return Past(series=found, remarks=tuple(_left_out(table, numbers)))


def _demands(table: PastTable) -> Past:
    places, step, first = _periods(table)
    quantities = _numbers(table, "quantity")
    sums: defaultdict[str, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
    used: list[float | None] = []
    for product, site, place, quantity in zip(
        table.columns["product"].cells, table.columns["site"].cells, places, quantities, strict=True
    ):
        if place is None or quantity is None or is_empty(product) or is_empty(site):
            used.append(None)
            continue
        used.append(quantity)
        if quantity >= 0:
            sums[f"{text_of(product)}@{text_of(site)}"][place] += quantity
    if not sums:
        raise UsageError(f"{table.name} has no row.", hint="Every row is empty, lacks a cell, or is below zero.")
    last = max(max(periods) for periods in sums.values())
    found = []
    for name, periods in sorted(sums.items()):
        begun = min(periods)
        if last - begun > _MOST_PERIODS:
            raise UsageError(f"{table.name}: the periods of {name} reach from {begun} to {last}.")
        values = np.array([periods.get(at, 0.0) for at in range(begun, last + 1)])
        found.append(Series(name=name, values=values, first=step.after(first, begun) if first else None, step=step))
    remarks = [*_left_out(table, used), *_said_twice(table), *_gaps(sums, step, first)]
    if step in {Step.WEEK, Step.MONTH}:
        remarks.insert(0, f"Its days are one a {step.value}: quantities are those of whole {step.value}s.")
    return Past(series=tuple(found), remarks=tuple(remarks))


def _periods(table: PastTable) -> tuple[list[int | None], Step, date | None]:
    """The place of each row's period, what periods are, and the day of place 0 (none: they are numbers)."""
    column = table.columns["period"]
    counted = column.heading.lower() in _COUNTED
    try:
        reader = Days(column.cells, counted=counted)
    except DoubtError as error:
        raise UsageError(
            f"{table.name}, column {column.heading}: it {error}", hint="Write days as 2026-12-31 or 31.12.2026."
        ) from None
    known: dict[Any, date | None] = {}
    days: list[date | None] = []
    for cell in column.cells:
        if cell not in known:
            known[cell] = None if is_empty(cell) else reader.read(cell)
        days.append(known[cell])
    distinct = {day for day in known.values() if day is not None}
    if not distinct:
        return _numbered(table, column), Step.NUMBER, None
    for row, cell, day in zip(table.rows, column.cells, days, strict=True):
        if day is None and not is_empty(cell):
            raise UsageError(
                f"{table.name}, row {row}, column {column.heading}: {shown(cell)} is no day.",
                hint="Days are written 2026-12-31 or 31.12.2026; numbers of periods do not go with them.",
            )
    step = _step_of(distinct)
    first = min(distinct)
    if step is Step.MONTH:
        first = first.replace(day=1)
        at = {day: (day.year - first.year) * _YEAR + day.month - first.month for day in distinct}
    else:
        length = _WEEK if step is Step.WEEK else 1
        at = {day: (day - first).days // length for day in distinct}
    return [None if day is None else at[day] for day in days], step, first


def _step_of(days: set[date]) -> Step:
    """Whether days are days, or stand for weeks (all the same weekday) or months (all the first, or the last)."""
    if len(days) < _LEAST_DATES:
        return Step.DAY
    if len({day.weekday() for day in days}) == 1:
        return Step.WEEK
    is_first = all(day.day == 1 for day in days)
    if is_first or all((day + timedelta(days=1)).day == 1 for day in days):
        return Step.MONTH
    return Step.DAY


def _numbered(table: PastTable, column: Column) -> list[int | None]:
    places: list[int | None] = []
    for row, cell in zip(table.rows, column.cells, strict=True):
        if is_empty(cell):
            places.append(None)
            continue
        try:
            number = float(cell)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise UsageError(
                f"{table.name}, row {row}, column {column.heading}: {shown(cell)} is neither a date such as "
                "2026-03-31 or 31.03.2026 nor a number."
            )
        if not number.is_integer():
            raise UsageError(
                f"{table.name}, row {row}, column {column.heading}: {shown(cell)} is not a whole number."
            )
        places.append(int(number))
    return places


def _numbers(table: PastTable, meaning: str) -> list[float | None]:
    """Numbers of a column; None for empty cells."""
    column = table.columns[meaning]
    try:
        reader = Numbers(column.cells, german=table.is_german)
    except DoubtError as error:
        raise UsageError(
            f"{table.name}, column {column.heading}: it {error}",
            hint="Save the numbers without separators of thousands.",
        ) from None
    known: dict[Any, float] = {}
    found: list[float | None] = []
    for row, cell in zip(table.rows, column.cells, strict=True):
        if is_empty(cell):
            found.append(None)
            continue
        if cell not in known:
            known[cell] = reader.read(cell)
        if not math.isfinite(known[cell]):
            raise UsageError(f"{table.name}, row {row}, column {column.heading}: {shown(cell)} is not a number.")
        found.append(known[cell])
    return found


def _left_out(table: PastTable, values: Sequence[float | None]) -> Iterator[str]:
    lacking = [row for row, value in zip(table.rows, values, strict=True) if value is None]
    if lacking:
        yield f"{_rows(len(lacking))} left out that lack a cell, the first is row {lacking[0]}."
    below = [(row, value) for row, value in zip(table.rows, values, strict=True) if value is not None and value < 0]
    if below:
        yield (
            f"{_rows(len(below))} below zero left out, {-sum(value for _, value in below):g} units together, the "
            f"first is row {below[0][0]}: returns and corrections are no demand. What was booked and cancelled "
            "still counts: take out such pairs."
        )


def _said_twice(table: PastTable) -> Iterator[str]:
    if table.repeated:
        yield (
            f"{_rows(table.repeated)} the same as another in every column, and added up: take them out if exports "
            "overlap."
        )


def _gaps(sums: Mapping[str, Mapping[int, float]], step: Step, first: date | None) -> Iterator[str]:
    """Times in which nothing at all has a row, though rows are seldom far apart otherwise."""
    at = np.array(sorted({place for periods in sums.values() for place in periods}))
    apart = np.diff(at)
    if len(apart) < _LEAST_DATES:
        return
    usual = float(np.quantile(apart, 0.95))
    least = _LONG_GAP_DAYS if step is Step.DAY else 1
    for place in np.flatnonzero((apart > least) & (apart > (_UNUSUAL if step is Step.DAY else 1) * usual)):
        begin, end = int(at[place]) + 1, int(at[place + 1]) - 1
        count = end - begin + 1
        what = f"{count} {step.value}" + ("s" if count > 1 else "")
        when = f"{begin} to {end}"
        if first is not None:
            when = f"{step.after(first, begin)} to {step.after(first, end + 1) - timedelta(days=1)}"
        yield f"No row at all from {when}: counted as {what} without demand. Is that part of the export missing?"


def _rows(count: int) -> str:
    return f"{count:,} rows are" if count > 1 else "1 row is"
