"""A table of the past as it is found in a file: its rows, and which column means what.

Headings may be German or SAP's, and stand below titles; a workbook may have a cover sheet.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.text_files import read_text
from kifabrik.recipes.supply_chain.written import is_german

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
_DEMAND: Final = ("product", "site", "period", "quantity")
_LEAD_TIME: Final = ("lane", "lead_time")
_LOOKED_AT: Final = 40
"""Lines at the head of a file among which its headings are sought."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading as written, and a cell for each row."""

    heading: str
    cells: Sequence[Any]


@dataclass(frozen=True, slots=True)
class PastTable:
    """The columns by what they mean.

    Attributes:
        name: Of the file, in errors.
        columns: By meaning.
        rows: Where each row is in its file.
        is_german: Whether numbers and days are written as in Germany; None: nothing tells.
        repeated: Rows that are the same as another in every column.
    """

    name: str
    columns: Mapping[str, Column]
    rows: Sequence[int]
    is_german: bool | None = False
    repeated: int = 0


def read_table(path: Path) -> PastTable:
    """Read a file.

    Raises:
        UsageError: It is not there, no table of these kinds, or lacks a column.
    """
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    try:
        grid, semicolons = _grid(path)
    except _UNREADABLE as error:
        raise UsageError(f"{path.name} cannot be read: {str(error).splitlines()[0]}.") from None
    filled = [(number, row) for number, row in enumerate(grid, 1) if not all(map(is_empty, row))]
    if not filled:
        raise UsageError(f"{path.name} is empty.")
    place = next((at for at, (_, row) in enumerate(filled[:_LOOKED_AT]) if _is_heading(row)), 0)
    headings = [text_of(cell) if cell is not None else "" for cell in filled[place][1]]
    body = filled[place + 1 :]
    columns = [[row[at] if at < len(row) else None for _, row in body] for at in range(len(headings))]
    written_so = is_german(cell for _, row in body[:_LOOKED_AT] for cell in row if isinstance(cell, str))
    return PastTable(
        path.name,
        _meant(path.name, headings, columns),
        [number for number, _ in body],
        True if written_so else (None if semicolons else False),
        len(body) - len({tuple(row) for _, row in body}),
    )


def table_of(columns: Mapping[str, Sequence[Any]], name: str) -> PastTable:
    """The same from columns by heading, of a table called so; its headings are row 1.

    Raises:
        UsageError: It lacks a column.
    """
    length = len(next(iter(columns.values()), ()))
    return PastTable(name, _meant(name, list(columns), list(columns.values())), range(2, length + 2))


def _is_heading(row: Sequence[Any]) -> bool:
    names = {_name(cell) for cell in row}
    return any(all(names.intersection(_NAMES[meaning]) for meaning in wanted) for wanted in (_DEMAND, _LEAD_TIME))


def _name(heading: Any) -> str:
    """A heading as it is looked up: `Menge [St]` and `Menge (St)` as `menge`."""
    return str(heading or "").partition("[")[0].partition("(")[0].strip().lower()


def _meant(name: str, headings: Sequence[str], columns: Sequence[Sequence[Any]]) -> dict[str, Column]:
    by_name: dict[str, Column] = {}
    for heading, cells in zip(headings, columns, strict=True):
        by_name.setdefault(_name(heading), Column(heading, cells))
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
    text = read_text(path)
    head = text.splitlines()[:_LOOKED_AT]
    by_mark = {mark: list(csv.reader(head, delimiter=mark)) for mark in ";\t|,"}
    usual = max(by_mark, key=lambda mark: sum(line.count(mark) for line in head))
    mark = next((mark for mark, grid in by_mark.items() if any(map(_is_heading, grid))), usual)
    try:
        return list(csv.reader(io.StringIO(text), delimiter=mark)), mark == ";"
    except csv.Error as error:
        raise UsageError(f"{path.name} is not a CSV file: {error}.") from None


def is_empty(cell: Any) -> bool:
    """Whether nothing stands in a cell; not a number is nothing."""
    return cell is None or (isinstance(cell, str) and not cell.strip()) or cell != cell  # noqa: PLR0124 - NaN


def text_of(cell: Any) -> str:
    """A cell as text; a workbook's whole numbers without a point."""
    return str(int(cell)) if isinstance(cell, float) and cell.is_integer() else str(cell).strip()


def shown(cell: Any) -> str:
    """A cell as an error names it."""
    return repr(text_of(cell))
