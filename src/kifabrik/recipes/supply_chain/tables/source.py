"""Raw tables: cells as written, from a folder of CSV files or the sheets of one XLSX file."""

import csv
import io
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.recipes.supply_chain.tables.columns import TABLES
from kifabrik.recipes.supply_chain.tables.sap import Grid, joined
from kifabrik.recipes.supply_chain.tables.schema import UNIT_NAMES, Table, Type
from kifabrik.recipes.supply_chain.text_files import read_text
from kifabrik.recipes.supply_chain.written import DoubtError, Numbers, is_german

_GERMAN_NUMBER: Final = re.compile(r"(?<![\w.,])-?(?:\d{1,3}(?:\.\d{3})+|\d+),\d+(?![\w.,])")
_THOUSANDS: Final = re.compile(r"(?<![\w.,])[1-9]\d{0,2}(?:\.\d{3})+(?![\w.,])")
_NUMERIC: Final = frozenset({Type.NUMBER, Type.AMOUNT, Type.SHARE, Type.PERCENT, Type.COUNT, Type.TIME, Type.RATE})
_FILE_NAMES: Final = {
    **{name: name for name in TABLES},
    **{alias.lower(): name for name, table in TABLES.items() for alias in table.sap},
}


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as written.

    Attributes:
        number: Where it is in its file, the heading being row 1.
        cells: Heading to what is written; blank cells are left out.
    """

    number: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True)
class RawTable:
    """A table as written.

    Attributes:
        headings: Names of columns, aliases replaced.
        rows: Rows that are not blank.
        unknown: Headings that mean nothing here.
    """

    headings: tuple[str, ...]
    rows: tuple[RawRow, ...]
    unknown: tuple[str, ...] = ()


Tables = dict[str, RawTable]
"""Table name to table; a table that is not there is left out."""


def read_tables(path: Path) -> Tables:
    """Tables of a folder of CSV files or of an XLSX file.

    CSV may be parted by comma, semicolon (then a decimal comma is understood) or tab, in UTF-8, UTF-16 or
    Windows-1252. Files and sheets whose names are no table's are left aside.

    Raises:
        NotFoundError: If there is nothing at this path.
        UsageError: If there is no table in it, or a file cannot be read.
    """
    if not path.exists():
        raise NotFoundError(
            f"There is nothing at {path}.", hint="`kifabrik supply-chain template FOLDER` makes one."
        )
    grids = _folder(path) if path.is_dir() else _workbook(path)
    tables: Tables = {}
    for grid in joined([Grid.of(stem, cells) for stem, cells in grids]):
        name = _FILE_NAMES.get(_plain(grid.name))
        if name is None:
            continue
        table = _table(TABLES[name], grid)
        tables[name] = _joined(TABLES[name], tables[name], table) if name in tables else table
    if not tables:
        raise UsageError(
            f"There is no table in {path}.",
            hint=f"Known tables: {', '.join(TABLES)}. `kifabrik supply-chain template FOLDER` writes empty ones.",
        )
    return tables


def tables_of(texts: Mapping[str, str]) -> Tables:
    """Tables of CSV texts, comma between cells, by the name of the table.

    Raises:
        UsageError: If a text is no CSV.
    """
    try:
        grids = {name: list(csv.reader(io.StringIO(text), strict=True)) for name, text in texts.items()}
    except csv.Error as error:
        raise UsageError(f"This is no CSV: {error}.") from None
    return {name: _table(TABLES[name], Grid.of(name, grid)) for name, grid in grids.items()}


def _folder(path: Path) -> Iterable[tuple[str, list[list[str]]]]:
    for file in sorted(path.iterdir()):
        if file.suffix.lower() == ".csv":
            yield file.stem, _csv(file)


def _csv(file: Path) -> list[list[str]]:
    text = read_text(file)
    first = text.partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    try:
        grid = list(csv.reader(io.StringIO(text), delimiter=delimiter))
    except csv.Error as error:
        raise UsageError(f"{file} is not a CSV file: {error}.") from None
    if delimiter == ";":
        _join_thousands(file, grid)
        grid = [[_decimal_point(cell) for cell in row] for row in grid]
    return grid


def _join_thousands(file: Path, grid: list[list[str]]) -> None:
    """Take out the points that part thousands in columns of numbers, as Excel writes what it shows.

    Raises:
        UsageError: If `1.500` may be 1500 or 1.5, and nothing in the file tells which.
    """
    table = TABLES.get(_FILE_NAMES.get(_plain(file.stem), ""))
    if table is None:
        return
    names, german = _names(table), is_german(cell for row in grid[1:] for cell in row) or None
    for at, heading in enumerate(grid[0]):
        column = table.by_name.get(names.get(_plain(heading.lstrip("#")), ""))
        if column is None or column.type not in _NUMERIC:
            continue
        rows = [row for row in grid[1:] if at < len(row)]
        try:
            reader = Numbers([row[at] for row in rows], german=german)
        except DoubtError as error:
            raise UsageError(
                f"{file.name}, column {heading}: it {error}",
                hint="Save the numbers without separators of thousands.",
            ) from None
        if reader.comma:
            for row in rows:
                row[at] = _THOUSANDS.sub(lambda found: found[0].replace(".", ""), row[at])


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def _decimal_point(cell: str) -> str:
    return _GERMAN_NUMBER.sub(lambda found: found[0].replace(".", "").replace(",", "."), cell)


def _workbook(path: Path) -> Iterable[tuple[str, list[list[str]]]]:
    if path.suffix.lower() not in {".xlsx", ".xlsm"}:
        raise UsageError(f"{path} is neither a folder of CSV files nor an XLSX file.")
    try:
        import openpyxl  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError("Reading XLSX needs openpyxl.", hint="pip install 'kifabrik[supply-chain]'") from None
    from zipfile import BadZipFile  # noqa: PLC0415

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (BadZipFile, KeyError, ValueError, OSError) as error:
        raise UsageError(f"{path} cannot be read as XLSX: {error}.") from None
    try:
        for sheet in book.worksheets:
            yield sheet.title, [[_written(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
    finally:
        book.close()


def _written(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)


def _table(table: Table, grid: Grid) -> RawTable:
    names = _names(table)
    headings, unknown = [], []
    for written in grid.headings:
        heading = written.strip().lstrip("#")
        name = names.get(_plain(heading), "")
        headings.append(name)
        if not name and heading and not _is_foreign(heading):
            unknown.append(heading)
    rows = []
    for number, line in grid.lines:
        cells = {
            name: cell.strip() for name, cell in zip(headings, line, strict=False) if name and cell and cell.strip()
        }
        if cells:
            rows.append(RawRow(number, cells))
    return RawTable(tuple(name for name in headings if name), tuple(rows), tuple(unknown))


def _names(table: Table) -> dict[str, str]:
    names: dict[str, str] = {}
    for column in table.columns:
        names.update({alias.lower(): column.name for alias in column.sap})
    for column in table.columns:
        names[column.name] = column.name
        if column.type in {Type.TIME, Type.RATE}:
            names[column.where_unit] = column.where_unit
            names.update({f"{column.name}_{unit}": f"{column.name}_{unit}" for unit in UNIT_NAMES})
    return names


def _is_foreign(heading: str) -> bool:
    """Whether a heading looks like a field of another system, or a remark."""
    return heading.isupper() or heading.startswith("_") or heading.lower() in {"note", "notes", "remark"}


def _joined(table: Table, one: RawTable, other: RawTable) -> RawTable:
    """Two exports of one table, such as MARC and MBEW: cells of equal keys put together.

    Keys that are in the first one twice stay there twice, to be reported.
    """
    more: dict[tuple[str, ...], dict[str, str]] = {}
    alone: list[RawRow] = []
    known = {_key(table, row) for row in one.rows}
    for row in other.rows:
        key = _key(table, row)
        if key in known:
            more[key] = row.cells | more.get(key, {})
        else:
            alone.append(row)
    rows = [RawRow(row.number, more.get(_key(table, row), {}) | row.cells) for row in one.rows]
    headings = tuple(dict.fromkeys((*one.headings, *other.headings)))
    return RawTable(headings, (*rows, *alone), (*one.unknown, *other.unknown))


def _key(table: Table, row: RawRow) -> tuple[str, ...]:
    return tuple(row.cells.get(part, "") for part in table.key)
