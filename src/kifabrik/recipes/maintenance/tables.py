"""Files as tables of cells: CSV as controllers, loggers and Excel write it, and workbooks."""

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.recipes.maintenance.cells import numbers

BOOKS: Final = (".xlsx", ".xlsm")
ENDINGS: Final = (".csv", ".tsv", *BOOKS)
"""Of files that are read from a folder."""
_OTHER_TABLES: Final = (".xls", ".xlsb", ".ods", ".txt", ".dat", ".asc", ".parquet", ".zip")
"""Of files that may hold readings and are not read from a folder."""
_LOOKED_AT: Final = 60
"""Lines at the head of a file in which its table is sought."""
_SEPARATORS: Final = ";\t|,"
_DECIMAL_COMMA: Final = re.compile(r"\d,\d")


def files_of(path: Path) -> tuple[list[Path], list[Path]]:
    """A file, or all files of a folder that are read, and those that may hold readings and are not.

    Raises:
        NotFoundError: There is nothing to read.
        UsageError: The file is of a kind that is not read.
    """
    if not path.exists():
        raise NotFoundError(
            f"there is no {path}", hint="Name a folder of CSV files or workbooks, or one such file."
        )
    if path.is_file():
        if path.suffix.lower() not in ENDINGS:
            raise UsageError(f"{path.name} is neither .csv nor .xlsx", hint=_saved_anew(path))
        return [path], []
    files = sorted(file for file in path.rglob("*") if file.is_file())
    files = [file for file in files if not file.name.startswith("~$")]  # what Excel leaves beside an open workbook
    found = [file for file in files if file.suffix.lower() in ENDINGS]
    others = [file for file in files if file.suffix.lower() in _OTHER_TABLES]
    if not found:
        hint = f"There is {others[0].name}. {_saved_anew(others[0])}" if others else ""
        raise NotFoundError(f"there is no .csv and no .xlsx file in {path}", hint=hint)
    return found, others


def _saved_anew(file: Path) -> str:
    if file.suffix.lower() in {".txt", ".dat", ".asc"}:
        return f"If it is a table, rename it to {file.stem}.csv."
    return "Open it in Excel and save it as a workbook (.xlsx) or as CSV UTF-8."


def read_table(file: Path) -> Any:
    """Read one file as a table of cells, with a name for each column.

    Raises:
        UsageError: It is empty, no table, or names no columns.
    """
    table = _workbook(file) if file.suffix.lower() in BOOKS else _csv(file)
    names = [str(name).strip() for name in table.columns]
    names = [
        f"column {at}" if not name or name.startswith("Unnamed:") else name for at, name in enumerate(names, 1)
    ]
    table.columns = [
        f"{name} ({names[:at].count(name) + 1})" if name in names[:at] else name for at, name in enumerate(names)
    ]
    said = pd.Series([name for name in names if not name.startswith("column ")], dtype="string")
    if not len(said) or np.isfinite(numbers(said)).all():
        raise UsageError(
            f"{file.name}: the first line must name the columns; it holds {', '.join(said[:6]) or 'nothing'}",
            hint="Add a line above the readings, such as Zeit;Temperatur;Druck.",
        )
    return table


def _csv(file: Path) -> Any:
    text = _decoded(file)
    head = text.splitlines()[:_LOOKED_AT]
    separator = next((mark for mark in _SEPARATORS if _usual_count(head, mark)), ",")
    fields = [next(csv.reader([line], delimiter=separator), []) for line in head]
    skipped = 0 if len(head) > 0 and not _usual_count(head, separator) else _title_lines(fields)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", pd.errors.ParserWarning)
            return pd.read_csv(
                io.StringIO("\n".join(text.splitlines()[skipped:])),
                sep=separator,
                decimal="," if separator != "," and any(_DECIMAL_COMMA.search(line) for line in head) else ".",
                skipinitialspace=True,
                low_memory=False,
                index_col=False,
            )
    except (pd.errors.ParserError, pd.errors.EmptyDataError):
        raise UsageError(
            f"{file.name} is no table: its lines have different numbers of columns",
            hint="Open it in a text editor: is it the right file? If so, save it as CSV again.",
        ) from None


def _decoded(file: Path) -> str:
    raw = file.read_bytes()
    if not raw.strip():
        raise UsageError(f"{file.name} is empty")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    if b"\0" in raw:
        raise UsageError(f"{file.name} is no text", hint="Save it as CSV UTF-8 or as a workbook (.xlsx).")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _usual_count(lines: Sequence[str], mark: str) -> int:
    """How often a separator stands in most of the lines."""
    counts = Counter(line.count(mark) for line in lines if line.strip())
    return counts.most_common(1)[0][0] if counts else 0


def _title_lines(fields: Sequence[Sequence[Any]]) -> int:
    """How many lines stand above the one that names the columns: titles, Excel's `sep=`, empty ones."""
    usual = Counter(len(one) for one in fields if any(_said(one))).most_common(1)
    width = usual[0][0] if usual else 0
    for at, one in enumerate(fields):
        if len(one) >= width and sum(_said(one)) > width / 2:
            return at
    return 0


def _said(fields: Sequence[Any]) -> list[bool]:
    return [field is not None and str(field).strip() != "" for field in fields]


def _workbook(file: Path) -> Any:
    import openpyxl  # noqa: PLC0415 - only for workbooks

    try:
        book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        rows = _table_of(book)
    except Exception:  # noqa: BLE001 - openpyxl lets through whatever its parsers raise
        raise UsageError(f"{file.name} is no workbook that can be read", hint="Save it again in Excel.") from None
    if not rows:
        raise UsageError(f"{file.name} is empty")
    at = _title_lines(rows[:_LOOKED_AT])
    names = ["" if name is None else str(name) for name in rows[at]]
    table = pd.DataFrame(rows[at + 1 :], columns=names, dtype=object)
    return table.apply(lambda column: pd.to_numeric(column) if column.map(_is_number).all() else column)


def _table_of(book: Any) -> list[list[Any]]:
    """The filled rows of the first sheet that has a table: two rows of two cells at least. A cover has none."""
    first: list[list[Any]] = []
    for sheet in book.worksheets:
        rows = [list(row) for row in sheet.iter_rows(values_only=True) if any(_said(row))]
        if sum(sum(_said(row)) > 1 for row in rows) > 1:
            return rows
        first = first or rows
    return first


def _is_number(cell: Any) -> bool:
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))
