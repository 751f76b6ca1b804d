"""Readings of a machine, as controllers, loggers and Excel write them.

CSV files (comma, semicolon or tab; decimal comma or point; UTF-8 or Windows' own letters; a title above the table)
and workbooks (`.xlsx`, the first sheet). One column per sensor; date and time in one column, in two, or in none.

Invariants:
    - What cannot be used is named with its reason, never guessed.
"""

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.recipes.maintenance.cells import MOSTLY, filled, numbers, times, written_times

_LOOKED_AT: Final = 60
"""Lines at the head of a file in which its table is sought."""
_DECIMAL_COMMA: Final = re.compile(r"\d,\d")
_FEW: Final = 20
_ENDINGS: Final = (".csv", ".xlsx")
_DAYS, _CLOCKS = ("datum", "date", "tag", "day"), ("uhrzeit", "zeit", "time", "clock")


class Reason(Enum):
    """Why a column is no sensor."""

    TIME = "time"
    LABEL = "label"
    ASKED = "asked"
    EMPTY = "empty"
    TEXT = "text"
    SAME = "same"
    COUNTER = "counter"
    SILENT = "silent"


@dataclass(frozen=True)
class LeftOut:
    """A column that is not used.

    Attributes:
        name: Of the column.
        reason: Why.
        example: A cell of it, where it holds words.
    """

    name: str
    reason: Reason
    example: str = ""


@dataclass(frozen=True)
class Readings:
    """What the files hold, in order of time.

    Attributes:
        times: Of each row, to the second; without a column of times rows are `every` apart, from 1970 on.
        timed: Whether the times are the machine's own.
        names: Of the sensors.
        values: Of shape (rows, sensors); NaN where a cell is empty or holds no number.
        label: True where a row is known to be of a fault, or None.
        left_out: Columns that are no sensors.
        files: How many files there were.
        dropped: Rows without a readable time.
    """

    times: NDArray[np.datetime64]
    timed: bool
    names: tuple[str, ...]
    values: NDArray[np.float64]
    label: NDArray[np.bool_] | None
    left_out: tuple[LeftOut, ...]
    files: int
    dropped: int = 0

    def without(self, silent: NDArray[np.bool_]) -> "Readings":
        """The same without some sensors, which are then among those left out as silent."""
        gone = tuple(
            LeftOut(name, Reason.SILENT) for name, is_silent in zip(self.names, silent, strict=True) if is_silent
        )
        names = tuple(name for name, is_silent in zip(self.names, silent, strict=True) if not is_silent)
        kept = {"names": names, "values": self.values[:, ~silent], "left_out": self.left_out + gone}
        return Readings(**(self.__dict__ | kept))


def read_readings(
    path: Path, *, label: str = "", leave_out: Sequence[str] = (), every: int = 60, only: Sequence[str] = ()
) -> Readings:
    """Read a file, or all files of a folder, as one table in order of time.

    Args:
        path: File or folder.
        label: Column that is above 0 while a fault goes on.
        leave_out: Columns that are no sensors.
        every: Seconds between rows, where no column holds times.
        only: Sensors to read, in this order, whatever their values; all of them must be there.

    Raises:
        NotFoundError: There is nothing to read, or no column of a name.
        UsageError: A file is no table, or no column holds readings.
    """
    files = _files(path)
    table = pd.concat([read_table(file) for file in files], ignore_index=True)
    for name in (*filter(None, [label]), *leave_out, *only):
        if name not in table:
            hint = f"There are {', '.join(map(str, table.columns))}."
            raise NotFoundError(f"no column in {path} is called {name!r}", hint=hint)
    when, of_time = _times_of(table)
    rows = len(table)
    if when is not None:
        kept = np.flatnonzero(~np.isnat(when))
        order = kept[np.argsort(when[kept], kind="stable")]
        table, when = table.iloc[order].reset_index(drop=True), when[order]
    left_out = [LeftOut(name, Reason.TIME) for name in of_time]
    left_out += [LeftOut(name, Reason.ASKED) for name in leave_out if name not in of_time]
    left_out += [LeftOut(label, Reason.LABEL)] if label else []
    named = {one.name for one in left_out}
    sensors: dict[str, NDArray[np.float64]] = {}
    for name in only or [str(name) for name in table.columns if name not in named]:
        values = numbers(table[name])
        why = None if only else _no_sensor(name, table[name], values)
        if why:
            left_out.append(why)
        else:
            sensors[name] = values
    if not sensors:
        known = ", ".join(f"{one.name} ({one.reason.value})" for one in left_out)
        raise UsageError(
            f"no column in {path} holds readings that vary: {known}", hint="One column per sensor is read."
        )
    return Readings(
        times=_apart(len(table), every) if when is None else when,
        timed=when is not None,
        names=tuple(sensors),
        values=np.column_stack(list(sensors.values())),
        label=numbers(table[label]) > 0 if label else None,
        left_out=tuple(left_out),
        files=len(files),
        dropped=rows - len(table),
    )


def _files(path: Path) -> list[Path]:
    if not path.exists():
        raise NotFoundError(
            f"there is no {path}", hint="Name a folder of CSV files or workbooks, or one such file."
        )
    if path.is_file():
        if path.suffix.lower() not in _ENDINGS:
            hint = "Save it as CSV UTF-8 or as an Excel workbook (.xlsx)."
            raise UsageError(f"{path.name} is neither .csv nor .xlsx", hint=hint)
        return [path]
    found = sorted(file for file in path.rglob("*") if file.is_file() and file.suffix.lower() in _ENDINGS)
    found = [file for file in found if not file.name.startswith("~$")]  # what Excel leaves beside an open workbook
    if not found:
        raise NotFoundError(f"there is no .csv and no .xlsx file in {path}")
    return found


def _apart(rows: int, every: int) -> NDArray[np.datetime64]:
    return np.datetime64(0, "s") + np.arange(rows) * np.timedelta64(every, "s")


def read_table(file: Path) -> Any:
    """Read one file as a table of cells, with a name for each column.

    Raises:
        UsageError: It is empty, no table, or names no columns.
    """
    table = _workbook(file) if file.suffix.lower() == ".xlsx" else _csv(file)
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
    separator = next((mark for mark in ";\t," if _usual_count(head, mark)), ",")
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
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UsageError(f"{file.name} is no table: {str(error).strip()}") from None


def _decoded(file: Path) -> str:
    raw = file.read_bytes()
    if not raw.strip():
        raise UsageError(f"{file.name} is empty")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
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
        rows = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
    except Exception as error:  # noqa: BLE001 - openpyxl lets through whatever its parsers raise
        raise UsageError(
            f"{file.name} is no workbook that can be read: {error}", hint="Save it again in Excel."
        ) from None
    rows = [row for row in rows if any(_said(row))]
    if not rows:
        raise UsageError(f"{file.name} is empty")
    at = _title_lines(rows[:_LOOKED_AT])
    names = ["" if name is None else str(name) for name in rows[at]]
    table = pd.DataFrame(rows[at + 1 :], columns=names, dtype=object)
    return table.apply(lambda column: pd.to_numeric(column) if column.map(_is_number).all() else column)


def _is_number(cell: Any) -> bool:
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))


def _times_of(table: Any) -> tuple[NDArray[np.datetime64] | None, tuple[str, ...]]:
    """Times of the rows and the names of the columns they are from; None where no column holds times."""
    words = {str(name).lower(): str(name) for name in table.columns}
    day = next((words[word] for word in _DAYS if word in words), None)
    clock = next((words[word] for word in _CLOCKS if word in words), None)
    if day is not None and clock is not None:
        text = table[day].astype("string").str.removesuffix(" 00:00:00") + " " + table[clock].astype("string")
        when = written_times(text)
        if when is not None:
            return when, (day, clock)
    for name in map(str, table.columns):
        when = times(name, table[name])
        if when is not None:
            return when, (name,)
    return None, ()


def _no_sensor(name: str, cells: Any, values: NDArray[np.float64]) -> LeftOut | None:
    said = filled(cells)
    if not said.any():
        return LeftOut(name, Reason.EMPTY)
    if np.isfinite(values).sum() < MOSTLY * said.sum():
        example = cells[said & ~np.isfinite(values)].iloc[0]
        return LeftOut(name, Reason.TEXT, str(example)[:20])
    known = values[np.isfinite(values)]
    if known.min() == known.max():
        return LeftOut(name, Reason.SAME)
    if len(known) > _FEW and (np.diff(known) >= 0).all():
        return LeftOut(name, Reason.COUNTER)
    return None
