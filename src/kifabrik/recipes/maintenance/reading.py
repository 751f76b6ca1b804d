"""Readings of a machine, as controllers, loggers and Excel write them.

CSV files (comma, semicolon or tab; decimal comma or point; UTF-8 or Windows' own letters; a title above the table)
and workbooks (the first sheet with a table). One column per sensor; date and time in one column, in two, in none.

Invariants:
    - What cannot be used is named with its reason, never guessed.
    - Files of other columns than the first are read by their own, never as if they held the same.
"""

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
from kifabrik.recipes.maintenance.tables import files_of, read_table

_FEW: Final = 20
_NAMED: Final = 5
"""Columns an error names."""
_ENDED: Final = 20
"""A sensor without a value in more rows than that at the end has ended."""
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
        doubled: Rows that stood there twice with the same time and the same cells; each counts once.
        lacking: Files that lack columns others have, with these columns.
        ignored: Files that may hold readings and are not of a kind that is read.
    """

    times: NDArray[np.datetime64]
    timed: bool
    names: tuple[str, ...]
    values: NDArray[np.float64]
    label: NDArray[np.bool_] | None
    left_out: tuple[LeftOut, ...]
    files: int
    dropped: int = 0
    doubled: int = 0
    lacking: tuple[tuple[str, tuple[str, ...]], ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def ended(self) -> tuple[tuple[str, np.datetime64], ...]:
        """Sensors without a value in the last rows, with the time of their last value."""
        there = np.isfinite(self.values)
        last = len(there) - 1 - there[::-1].argmax(axis=0)
        silent = (len(there) - 1 - last > _ENDED) & there.any(axis=0)
        return tuple((self.names[at], self.times[last[at]]) for at in np.flatnonzero(silent))

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
    files, others = files_of(path)
    tables = [read_table(file) for file in files]
    everything = dict.fromkeys(str(name) for table in tables for name in table.columns)
    for name in (*filter(None, [label]), *leave_out, *only):
        if name not in everything:
            raise NotFoundError(
                f"no column in {path} is called {name!r}", hint=f"There are {', '.join(everything)}."
            )
    table, when, of_time = _joined(files, tables, label)
    rows, doubled = len(table), 0
    if when is not None:
        table, when, doubled = _in_order(table, when)
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
        raise _nothing_varies(path, left_out)
    if when is not None and len(sensors) == 1:
        _check_not_long(path, when, left_out, table)
    return Readings(
        times=_apart(len(table), every) if when is None else when,
        timed=when is not None,
        names=tuple(sensors),
        values=np.column_stack(list(sensors.values())),
        label=numbers(table[label]) > 0 if label else None,
        left_out=tuple(left_out),
        files=len(files),
        dropped=rows - len(table) - doubled,
        doubled=doubled,
        lacking=_lacking(files, tables, of_time),
        ignored=tuple(file.name for file in others),
    )


def _in_order(table: Any, when: NDArray[np.datetime64]) -> tuple[Any, NDArray[np.datetime64], int]:
    """Rows that have a time, by time, each once; and how many stood there again."""
    kept = np.flatnonzero(~np.isnat(when))
    order = kept[np.argsort(when[kept], kind="stable")]
    table, when = table.iloc[order].reset_index(drop=True), when[order]
    again = _again(table, when)
    return table[~again].reset_index(drop=True), when[~again], int(again.sum())


def _nothing_varies(path: Path, left_out: Sequence[LeftOut]) -> UsageError:
    known = ", ".join(f"{one.name} ({one.reason.value})" for one in left_out[:_NAMED])
    known += ", …" if len(left_out) > _NAMED else ""
    return UsageError(
        f"no column in {path} holds readings that vary: {known}", hint="One column per sensor is read."
    )


def _apart(rows: int, every: int) -> NDArray[np.datetime64]:
    return np.datetime64(0, "s") + np.arange(rows) * np.timedelta64(every, "s")


def _joined(
    files: Sequence[Path], tables: Sequence[Any], label: str
) -> tuple[Any, NDArray[np.datetime64] | None, tuple[str, ...]]:
    """All rows as one table, their times, and the columns these are from; files of the same columns together.

    Raises:
        UsageError: Only some files have times, or files have no sensor in common.
    """
    alike: dict[tuple[str, ...], list[int]] = {}
    for at, table in enumerate(tables):
        alike.setdefault(tuple(sorted(map(str, table.columns))), []).append(at)
    parts = [(group[0], pd.concat([tables[at] for at in group], ignore_index=True)) for group in alike.values()]
    found = [_times_of(part) for _, part in parts]
    of_time = tuple(dict.fromkeys(name for _, names in found for name in names))
    first, whole = parts[0]
    for (at, part), (when, _) in zip(parts[1:], found[1:], strict=True):
        if (when is None) != (found[0][0] is None):
            with_times, without = (at, first) if found[0][0] is None else (first, at)
            raise UsageError(
                f"{files[with_times].name} holds times and {files[without].name} none",
                hint="Read them apart, or give both a column of times.",
            )
        if not {*map(str, part.columns)} & {*map(str, whole.columns)} - {*of_time, label}:
            raise UsageError(
                f"{files[at].name} has no sensor in common with {files[first].name}",
                hint="Of one machine: put them into one table, by time. Of two machines: a folder for each.",
            )
    times_of_all = [when for when, _ in found if when is not None]
    table = pd.concat([part for _, part in parts], ignore_index=True)
    return table, np.concatenate(times_of_all) if times_of_all else None, of_time


def _lacking(
    files: Sequence[Path], tables: Sequence[Any], of_time: Sequence[str]
) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """Which files lack columns that others have."""
    everything = dict.fromkeys(str(name) for table in tables for name in table.columns if name not in of_time)
    lacking = (
        (file.name, tuple(name for name in everything if name not in table.columns))
        for file, table in zip(files, tables, strict=True)
    )
    return tuple((name, columns) for name, columns in lacking if columns)


def _again(table: Any, when: NDArray[np.datetime64]) -> NDArray[np.bool_]:
    """Rows whose time and cells have been there before; in order of time."""
    same_time = np.concatenate([[False], when[1:] == when[:-1]])
    if not same_time.any():
        return same_time
    near = same_time | np.concatenate([same_time[1:], [False]])
    again = np.zeros(len(when), dtype=bool)
    again[near] = table[near].assign(**{" time": when[near]}).astype("string").duplicated().to_numpy()
    return again


def _check_not_long(path: Path, when: NDArray[np.datetime64], left_out: Sequence[LeftOut], table: Any) -> None:
    """Refuse a table with a row for each reading: a column says which sensor, another what it shows."""
    which = [one.name for one in left_out if one.reason is Reason.TEXT and len(table[one.name].unique()) > 1]
    if which and len(np.unique(when)) <= len(when) / 2:
        raise UsageError(
            f"{path} has a row for each reading, and {which[0]} says of which sensor",
            hint=f"Turn it into a column per sensor: in Excel a pivot table of the times by {which[0]}.",
        )


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
