"""The past, as a table of sales or lead times tells it: CSV, Parquet or XLSX, as programs and people save them.

Invariants:
    - A period without a row is a period without demand, between a series' first and the table's last period.
    - What is left out, added up or doubtful is said (`Past.remarks`); nothing is changed in silence.
"""

import csv
import io
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.written import Days, DoubtError, Numbers, is_german

Floats = NDArray[np.float64]
_UNREADABLE: Final = (OSError, ValueError, KeyError, SyntaxError, BadZipFile)
"""What the readers of Parquet (Arrow's errors are ValueErrors) and XLSX (a ZIP of XML) raise."""
_NAMES: Final = {
    "product": (
        "product", "material", "matnr", "item", "sku", "artikel", "artikelnummer", "artikel-nr.", "artikelnr",
        "artikel-nr", "produkt", "materialnummer",
    ),
    "site": (
        "site", "plant", "werks", "location", "werk", "standort", "lager", "lagerort", "filiale", "warehouse",
    ),
    "period": (
        "period", "date", "day", "budat", "week", "month", "datum", "tag", "periode", "woche", "monat", "kw",
        "buchungsdatum", "belegdatum", "lieferdatum", "kalendertag", "posting date",
    ),
    "quantity": (
        "quantity", "demand", "menge", "qty", "absatz", "bedarf", "verkaufsmenge", "absatzmenge", "stück",
        "bedarfsmenge",
    ),
    "lane": ("lane", "strecke"),
    "lead_time": ("lead_time", "lead time", "leadtime", "lieferzeit", "durchlaufzeit"),
}  # fmt: skip
"""Column names understood, lower case; SAP's and German ones among them."""
_COUNTED: Final = frozenset({"period", "periode"})
"""Headings under which plain numbers are numbers of periods."""
_DEMAND: Final = ("product", "site", "period", "quantity")
_LEAD_TIME: Final = ("lane", "lead_time")
_LOOKED_AT: Final = 40
"""Lines at the head of a file among which its headings are sought."""
_UTF_16: Final = (b"\xff\xfe", b"\xfe\xff")
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


@dataclass(frozen=True, slots=True)
class _Column:
    heading: str
    cells: Sequence[Any]


@dataclass(frozen=True, slots=True)
class _Table:
    """A table's columns by what they mean.

    Attributes:
        name: Of the file, in errors.
        columns: By meaning.
        rows: Where each row is in its file.
        is_german: Whether numbers and days are written as in Germany; None: nothing tells.
        repeated: Rows that are the same as another in every column.
    """

    name: str
    columns: Mapping[str, _Column]
    rows: Sequence[int]
    is_german: bool | None = False
    repeated: int = 0


def read_past(path: Path) -> Past:
    """Read a file of `product`, `site`, `date` or `period`, `quantity`, or of `lane`, `lead_time`.

    Headings may be German or SAP's, and stand below titles. CSV may be parted by comma, semicolon, tab or `|`, in
    UTF-8, UTF-16 or Windows-1252; numbers and days are read as their columns show (`written`).

    Raises:
        UsageError: If it cannot be read as such a table; row and column are named.
    """
    return _past(_table(path))


def past_of(columns: Mapping[str, Sequence[Any]], name: str) -> Past:
    """The same from columns by lower-case name, of a table called so."""
    length = len(next(iter(columns.values()), ()))
    return _past(_Table(name, _meant(name, list(columns), list(columns.values())), range(2, length + 2)))


def _past(table: _Table) -> Past:
    if "lane" in table.columns and "lead_time" in table.columns:
        return _lead_times(table)
    return _demands(table)


def _lead_times(table: _Table) -> Past:
    lanes: defaultdict[str, list[float]] = defaultdict(list)
    numbers = _numbers(table, "lead_time")
    for lane, value in zip(table.columns["lane"].cells, numbers, strict=True):
        if value is not None:
            lanes[_text(lane)].append(value)
    if not lanes:
        raise UsageError(f"{table.name} has no row with a value.")
    found = tuple(
        Series(name=f"lane {name}", values=np.array(values), step=Step.NUMBER)
        for name, values in sorted(lanes.items())
    )
    return Past(series=found, remarks=tuple(_left_out(table, numbers)))


def _demands(table: _Table) -> Past:
    places, step, first = _periods(table)
    quantities = _numbers(table, "quantity")
    sums: defaultdict[str, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
    used: list[float | None] = []
    for product, site, place, quantity in zip(
        table.columns["product"].cells, table.columns["site"].cells, places, quantities, strict=True
    ):
        if place is None or quantity is None or _is_empty(product) or _is_empty(site):
            used.append(None)
            continue
        used.append(quantity)
        if quantity >= 0:
            sums[f"{_text(product)}@{_text(site)}"][place] += quantity
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


def _periods(table: _Table) -> tuple[list[int | None], Step, date | None]:
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
            known[cell] = None if _is_empty(cell) else reader.read(cell)
        days.append(known[cell])
    distinct = {day for day in known.values() if day is not None}
    if not distinct:
        return _numbered(table, column), Step.NUMBER, None
    for row, cell, day in zip(table.rows, column.cells, days, strict=True):
        if day is None and not _is_empty(cell):
            raise UsageError(
                f"{table.name}, row {row}, column {column.heading}: {_shown(cell)} is no day.",
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


def _numbered(table: _Table, column: _Column) -> list[int | None]:
    places: list[int | None] = []
    for row, cell in zip(table.rows, column.cells, strict=True):
        if _is_empty(cell):
            places.append(None)
            continue
        try:
            number = float(cell)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise UsageError(
                f"{table.name}, row {row}, column {column.heading}: {_shown(cell)} is neither a date such as "
                "2026-03-31 or 31.03.2026 nor a number."
            )
        if not number.is_integer():
            raise UsageError(
                f"{table.name}, row {row}, column {column.heading}: {_shown(cell)} is not a whole number."
            )
        places.append(int(number))
    return places


def _numbers(table: _Table, meaning: str) -> list[float | None]:
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
        if _is_empty(cell):
            found.append(None)
            continue
        if cell not in known:
            known[cell] = reader.read(cell)
        if not math.isfinite(known[cell]):
            raise UsageError(f"{table.name}, row {row}, column {column.heading}: {_shown(cell)} is not a number.")
        found.append(known[cell])
    return found


def _left_out(table: _Table, values: Sequence[float | None]) -> Iterator[str]:
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


def _said_twice(table: _Table) -> Iterator[str]:
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


def _is_empty(cell: Any) -> bool:
    return cell is None or (isinstance(cell, str) and not cell.strip()) or cell != cell  # noqa: PLR0124 - NaN


def _text(cell: Any) -> str:
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def _shown(cell: Any) -> str:
    return repr(_text(cell))


def _table(path: Path) -> _Table:
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    try:
        grid, semicolons = _grid(path)
    except _UNREADABLE as error:
        raise UsageError(f"{path.name} cannot be read: {str(error).splitlines()[0]}.") from None
    filled = [(number, row) for number, row in enumerate(grid, 1) if not all(map(_is_empty, row))]
    if not filled:
        raise UsageError(f"{path.name} is empty.")
    place = next((at for at, (_, row) in enumerate(filled[:_LOOKED_AT]) if _is_heading(row)), 0)
    headings = [_text(cell) if cell is not None else "" for cell in filled[place][1]]
    body = filled[place + 1 :]
    columns = [[row[at] if at < len(row) else None for _, row in body] for at in range(len(headings))]
    written_so = is_german(cell for _, row in body[:_LOOKED_AT] for cell in row if isinstance(cell, str))
    return _Table(
        path.name,
        _meant(path.name, headings, columns),
        [number for number, _ in body],
        True if written_so else (None if semicolons else False),
        len(body) - len({tuple(row) for _, row in body}),
    )


def _is_heading(row: Sequence[Any]) -> bool:
    names = {_name(cell) for cell in row}
    return any(all(names.intersection(_NAMES[meaning]) for meaning in wanted) for wanted in (_DEMAND, _LEAD_TIME))


def _name(heading: Any) -> str:
    """A heading as it is looked up: `Menge [St]` and `Menge (St)` as `menge`."""
    return str(heading or "").partition("[")[0].partition("(")[0].strip().lower()


def _meant(name: str, headings: Sequence[str], columns: Sequence[Sequence[Any]]) -> dict[str, _Column]:
    by_name: dict[str, _Column] = {}
    for heading, cells in zip(headings, columns, strict=True):
        by_name.setdefault(_name(heading), _Column(heading, cells))
    meant = {
        meaning: next(by_name[each] for each in names if each in by_name)
        for meaning, names in _NAMES.items()
        if any(each in by_name for each in names)
    }
    missing = [meaning for meaning in _DEMAND if meaning not in meant]
    if missing and not all(meaning in meant for meaning in _LEAD_TIME):
        there = ", ".join(heading for heading in headings[:8] if heading) or "nothing"
        raise UsageError(
            f"{name} has no column {', '.join(missing)}; its first line holds: {there}.",
            hint="Name the columns product, site, date (or period), quantity; or lane, lead_time. Artikel, Werk, "
            "Datum, Menge and SAP's names do, too. With one site, add a column that says its name in each row.",
        )
    return meant


def _grid(path: Path) -> tuple[list[list[Any]], bool]:
    """Cells as they are, and whether they are parted by semicolons, as Excel does where commas are decimal."""
    match path.suffix.lower():
        case ".csv" | ".txt":
            return _csv(path)
        case ".parquet":
            import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import

            table = pq.read_table(path)
            cells = zip(*(column.to_pylist() for column in table.columns), strict=True)
            return [list(table.column_names), *map(list, cells)], False
        case ".xlsx" | ".xlsm":
            import openpyxl  # noqa: PLC0415 - slow to import

            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            sheets = ([list(row) for row in sheet.iter_rows(values_only=True)] for sheet in book.worksheets)
            first: list[list[Any]] = []
            for grid in sheets:
                if any(map(_is_heading, grid[:_LOOKED_AT])):
                    return grid, False
                first = first or grid
            return first, False
        case suffix:
            raise UsageError(f"{path.name}: a table is .csv, .parquet or .xlsx, not {suffix or 'without ending'}.")


def _csv(path: Path) -> tuple[list[list[Any]], bool]:
    content = path.read_bytes()
    try:
        text = content.decode("utf-16" if content[:2] in _UTF_16 else "utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    if "\0" in text:
        raise UsageError(f"{path.name} is not a text file.", hint="Save it as CSV or as a workbook (.xlsx).")
    head = text.splitlines()[:_LOOKED_AT]
    by_mark = {mark: list(csv.reader(head, delimiter=mark)) for mark in ";\t|,"}
    usual = max(by_mark, key=lambda mark: sum(line.count(mark) for line in head))
    mark = next((mark for mark, grid in by_mark.items() if any(map(_is_heading, grid))), usual)
    try:
        return list(csv.reader(io.StringIO(text), delimiter=mark)), mark == ";"
    except csv.Error as error:
        raise UsageError(f"{path.name} is not a CSV file: {error}.") from None
