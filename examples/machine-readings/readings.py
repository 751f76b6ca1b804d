"""CSV files of machine readings, as controllers, loggers and Excel write them.

Comma, semicolon or tab between columns; decimal comma or point; UTF-8 or Windows' own letters; date and time in one
column, in two, or in none. The first line names the columns. What cannot be used is named, never guessed.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

MOSTLY = 0.95
"""Share of a column's cells that must read as a number or a time for the column to be one."""


@dataclass(frozen=True)
class Readings:
    """What a folder holds.

    Attributes:
        times: Of each row, or None where no column holds any; times with an offset are in UTC.
        sensors: One column per sensor, NaN where a cell is empty or holds no number.
        label: True where a row is known to be odd, or None.
        left_out: Name of each column that is no sensor, and why.
        files: How many there were.
        separator: What stands between the columns of the last of them.
    """

    times: pd.Series | None
    sensors: pd.DataFrame
    label: np.ndarray | None
    left_out: dict[str, str]
    files: int
    separator: str


def read_folder(folder, label="", leave_out=()):
    """Read all CSV files of a folder as one table, in order of time."""
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.suffix.lower() == ".csv")
    if not files:
        raise SystemExit(f"error: there is no .csv file in {folder}")
    tables, separators = zip(*map(_read, files), strict=True)
    table = pd.concat(tables, ignore_index=True)
    for name in (*filter(None, [label]), *leave_out):
        if name not in table:
            raise SystemExit(f"error: no column is called {name!r}; there are {', '.join(map(str, table))}")
    left_out = dict.fromkeys(leave_out, "as you said") | ({label: "says what is odd"} if label else {})
    times, of_time = _times(table)
    if times is not None:
        left_out |= dict.fromkeys(of_time, "time")
        keep = times.notna()
        order = times[keep].sort_values(kind="stable").index
        table, times = table.loc[order].reset_index(drop=True), times.loc[order].reset_index(drop=True)
    odd = _numbers(table[label]).to_numpy() > 0 if label else None
    sensors = {}
    for name in table.columns.difference(left_out, sort=False):
        values = _numbers(table[name])
        why = _no_sensor(table[name], values)
        if why:
            left_out[name] = why
        else:
            sensors[name] = values
    if not sensors:
        named = "; ".join(f"{name}: {why}" for name, why in left_out.items())
        raise SystemExit(f"error: no column holds numbers that vary ({named})")
    return Readings(times, pd.DataFrame(sensors), odd, left_out, len(files), separators[-1])


def _read(file):
    raw = file.read_bytes()
    if not raw.strip():
        raise SystemExit(f"error: {file.name} is empty")
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    else:
        try:
            raw.decode("utf-8")
            encoding = "utf-8-sig"
        except UnicodeDecodeError:
            encoding = "cp1252"
    head = raw.decode(encoding, errors="replace").partition("\n")[0]
    separator = next((mark for mark in ";\t" if mark in head), ",")
    try:
        table = pd.read_csv(file, sep=separator, encoding=encoding, skipinitialspace=True, low_memory=False)
    except (pd.errors.ParserError, UnicodeDecodeError) as error:
        raise SystemExit(f"error: {file.name}: {str(error).strip()}") from None
    table.columns = [str(name).strip() for name in table.columns]
    if _numbers(pd.Series(head.strip().split(separator))).notna().all():
        numbers = head.strip()[:60]
        raise SystemExit(f"error: {file.name}: the first line must name the columns; it holds numbers: {numbers}")
    return table, separator


def _numbers(column):
    """Cells as numbers; where comma and point both occur in a cell, the last of them is the decimal one."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    text = column.astype("string").str.strip()
    both = text.str.contains(r"\..*,", na=False)
    text = text.mask(both, text.str.replace(".", "", regex=False))
    both = text.str.contains(r",.*\.", na=False)
    text = text.mask(both, text.str.replace(",", "", regex=False))
    return pd.to_numeric(text.str.replace(",", ".", regex=False), errors="coerce").astype(float)


def _times(table):
    """Times of the rows and the names of the columns they are from; None where no column holds times."""
    words = {str(name).lower(): name for name in table.columns}
    day = next((words[word] for word in ("datum", "date", "tag", "day") if word in words), None)
    clock = next((words[word] for word in ("uhrzeit", "zeit", "time", "clock") if word in words), None)
    if day is not None and clock is not None:
        times = _as_times(table[day].astype("string") + " " + table[clock].astype("string"))
        if times is not None:
            return times, (day, clock)
    for name in table.columns:
        if not pd.api.types.is_numeric_dtype(table[name]) and _numbers(table[name]).isna().all():
            times = _as_times(table[name].astype("string"))
            if times is not None:
                return times, (name,)
    return None, ()


def _as_times(text):
    text = text.str.strip()
    if text.notna().sum() == 0 or text.str.contains(r"\d.*[-./:].*\d", na=False).mean() < MOSTLY:
        return None
    times = pd.to_datetime(text, format="ISO8601", errors="coerce", utc=True)
    if times.notna().mean() < MOSTLY:
        times = pd.to_datetime(text, format="mixed", dayfirst=True, errors="coerce", utc=True)
    return times if times.notna().mean() >= MOSTLY else None


def _no_sensor(cells, values):
    """Why a column is no sensor; empty if it is one."""
    filled = cells.notna().sum()
    if filled == 0:
        return "empty"
    if values.notna().sum() < MOSTLY * filled:
        return f"no numbers, such as {str(cells[values.isna() & cells.notna()].iloc[0])[:20]!r}"
    known = values.dropna().to_numpy()
    if known.min() == known.max():
        return "always the same"
    if len(known) > 20 and (np.diff(known) >= 0).all():
        return "only rises: a counter"
    return ""
