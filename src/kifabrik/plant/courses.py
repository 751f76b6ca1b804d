"""Temperatures over a year by the minute: of the river and of the air, from tables or, without one, from a cosine.

A course is `measured` where a table gave it; what a report makes of a cosine is marked estimated.
"""

import gzip
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np

from kifabrik.errors import UsageError
from kifabrik.plant.load import Floats
from kifabrik.plant.readable import rows_of
from kifabrik.plant.site import Course, Table
from kifabrik.plant.spans import DAY_STEPS, Span

DATA_FOLDER: Final = "KIFABRIK_PLANT_DATA"
_MOST_GAP: Final = 7
"""Days; a longer hole in a river's table is not bridged."""
_WARMEST_HOUR: Final = 17
"""Assumed: rivers are warmest in the late afternoon."""
_WARMEST_AIR_HOUR: Final = 15
_YEAR_HOURS: Final = 8760
_COLUMNS: Final = ("date", "temp_mean_c", "temp_max_c", "temp_min_c")


@dataclass(frozen=True, slots=True)
class River:
    """The river's temperature.

    Attributes:
        celsius: By the minute; shape (steps,).
        source: Where it comes from, to be said with every result.
        measured: Whether a table gave it.
        bridged: Days without a value, between measured ones.
    """

    celsius: Floats
    source: str
    measured: bool
    bridged: int = 0


@dataclass(frozen=True, slots=True)
class Weather:
    """The air.

    Attributes:
        celsius: Dry bulb by the minute; shape (steps,).
        wet_bulb: °C by the minute; shape (steps,).
        hourly: Dry bulb by the hour, means; shape (hours,).
        source: Where it comes from.
        measured: Whether a table gave it.
    """

    celsius: Floats
    wet_bulb: Floats
    hourly: Floats
    source: str
    measured: bool


NONE_NAMED: Final = "a yearly course from the site file"
NO_TABLE: Final = "a yearly course from the site file; its table was not found"


def find_table(file: str, folder: Path | None) -> Path | None:
    """A table by its name: in the folder given, in $KIFABRIK_PLANT_DATA, or here; None if nowhere.

    Args:
        file: As in the site file.
        folder: Where to look first; if given, nowhere else.
    """
    if not file:
        return None
    named = os.environ.get(DATA_FOLDER)
    folders = [folder] if folder else [*([Path(named)] if named else []), Path()]
    return next((one / file for one in folders if (one / file).is_file()), None)


def river_of(table: Table, span: Span, folder: Path | None = None, year: int | None = None) -> River:
    """The river's temperature over a year.

    Args:
        table: From the site file.
        span: To fill.
        folder: Where tables are.
        year: Of the table, instead of the one in the site file.

    Raises:
        UsageError: The table is wrong, or does not have that year whole; or a year is named and there is no table.
    """
    path = find_table(table.file, folder)
    if path is None and year is not None:
        raise UsageError(
            f"river.year is {year}, but the river's table was not found: {table.file or 'the site names none'}.",
            hint="Name the folder of tables with --data or KIFABRIK_PLANT_DATA, or leave river.year out.",
        )
    if path is None:
        return River(_cosine(table.otherwise, span, _WARMEST_HOUR), _stand_in(table), False)
    days = _river_days(path)
    year = year or table.year or span.year
    if year not in {day.year for day in days}:
        known = f"{min(days).year} to {max(days).year}"
        raise UsageError(
            f"{path} has no year {year}; it has {known}.",
            hint=f"Set river.year to one of {known}, or add that year's days: {', '.join(_COLUMNS)}.",
        )
    mean, swing, bridged = _whole_year(days, year, path)
    at = (np.arange(len(mean)) + 0.5) * DAY_STEPS
    minutes = np.arange(span.steps) + 0.5
    daily = np.cos(2 * np.pi * (minutes / DAY_STEPS - _WARMEST_HOUR / 24))
    celsius = np.interp(minutes, at, mean) + np.interp(minutes, at, swing) * daily
    return River(np.maximum(celsius, 0.0), f"{path.name}, {year}", True, bridged)


def weather_of(table: Table, span: Span, folder: Path | None = None) -> Weather:
    """The air over a year: a test reference year of the DWD, or the course of the site file.

    Args:
        table: From the site file.
        span: To fill; a reference year has 8,760 hours, and a leap day repeats the day before.
        folder: Where tables are.

    Raises:
        UsageError: The table is wrong.
    """
    path = find_table(table.file, folder)
    if path is None:
        minutes = _cosine(table.otherwise, span, _WARMEST_AIR_HOUR)
        hourly = minutes.reshape(span.hours, -1).mean(axis=1)
        return Weather(minutes, wet_bulb(minutes, 70.0), hourly, _stand_in(table), False)  # 70 %: assumed
    dry, humidity = _reference_year(path)
    leap = span.hours - _YEAR_HOURS
    if leap:
        before = 59 * 24
        dry, humidity = (np.insert(one, before, one[before - 24 : before]) for one in (dry, humidity))
    at = (np.arange(span.hours) + 0.5) * 60
    steps = np.arange(span.steps) + 0.5
    wet = np.interp(steps, at, wet_bulb(dry, humidity))
    return Weather(np.interp(steps, at, dry), wet, dry, path.name, True)


def _stand_in(table: Table) -> str:
    return NO_TABLE if table.file else NONE_NAMED


def wet_bulb(celsius: Floats, humidity: Floats | float) -> Floats:
    """Wet-bulb temperature, °C, after R. Stull, J. Appl. Meteorol. Climatol. 50, 2267, 2011, equation 1.

    Its error is below 1 K from 5 to 99 % humidity and -20 to 50 °C, at sea level.

    Args:
        celsius: Dry bulb, °C.
        humidity: Relative, per cent.
    """
    humid = np.clip(humidity, 5.0, 99.0)
    wet: Floats = (
        celsius * np.arctan(0.151977 * np.sqrt(humid + 8.313659))
        + np.arctan(celsius + humid)
        - np.arctan(humid - 1.676331)
        + 0.00391838 * humid**1.5 * np.arctan(0.023101 * humid)
        - 4.686035
    )
    return np.minimum(wet, celsius)


def _cosine(course: Course, span: Span, hour: int) -> Floats:
    minutes = np.arange(span.steps) + 0.5
    yearly = np.cos(2 * np.pi * (minutes / DAY_STEPS - span.day_of(course.warmest) - 0.5) / span.days)
    daily = np.cos(2 * np.pi * (minutes / DAY_STEPS - hour / 24))
    return np.asarray(course.mean + course.swing * yearly + course.daily * daily, dtype=np.float64)


def _river_days(path: Path) -> dict[date, tuple[float, float, float]]:
    """Days with their mean, highest and lowest temperature; NaN where the table has none."""
    days: dict[date, tuple[float, float, float]] = {}
    for where, row in rows_of(path, _COLUMNS, f"Columns: {', '.join(_COLUMNS)}."):
        try:
            day = date.fromisoformat(row["date"] or "")
            mean, high, low = (float(row[name]) if row[name] else math.nan for name in _COLUMNS[1:])
        except ValueError as error:
            raise UsageError(f"{where}: {error}.", hint="A day is written 2003-08-13, a number 21.4.") from None
        if any(not -1 <= value <= 45 for value in (mean, high, low) if not math.isnan(value)):  # noqa: PLR2004
            raise UsageError(f"{where}: no river is so cold or so warm.", hint="Temperatures are in °C.")
        if day in days:
            raise UsageError(f"{where}: {day} stands there twice.", hint="Keep one line for each day.")
        days[day] = (mean, high, low)
    if not days:
        raise UsageError(f"{path} has no days.", hint="Name another table, or leave `file` out.")
    return days


def _whole_year(days: dict[date, tuple[float, float, float]], year: int, path: Path) -> tuple[Floats, Floats, int]:
    """Means and half ranges of a year's days; short holes are bridged in a straight line."""
    first = date(year, 1, 1).toordinal()
    count = date(year + 1, 1, 1).toordinal() - first
    none = (math.nan, math.nan, math.nan)
    values = np.array([days.get(date.fromordinal(first + number), none) for number in range(count)])
    known = ~np.isnan(values).any(axis=1)
    hole = longest = start = 0
    for number, there in enumerate(known):
        hole = 0 if there else hole + 1
        if hole > longest:
            longest, start = hole, number - hole + 1
    if longest > _MOST_GAP:
        begin = date.fromordinal(first + start)
        message = f"{path} has no values for {longest} days from {begin} on."
        raise UsageError(message, hint=f"Choose another river.year; holes of up to {_MOST_GAP} days are bridged.")
    at = np.arange(count)
    mean, high, low = (np.interp(at, at[known], values[known, column]) for column in range(3))
    return mean, (high - low) / 2, int((~known).sum())


def _reference_year(path: Path) -> tuple[Floats, Floats]:
    """Dry bulb (°C) and relative humidity (%) of a test reference year's hours (DWD's format of 2016)."""
    dry, humidity = [], []
    for number, row in _reference_rows(path):
        where = f"{path}, line {number}"
        if len(row) < 12:  # noqa: PLR2004 - up to RF
            raise UsageError(
                f"{where}: {len(row)} columns; a test reference year has 17.", hint="Use DWD's file as is."
            )
        try:
            air, wet = float(row[5]), float(row[11])
        except ValueError as error:
            raise UsageError(f"{where}: {error}.", hint="Use DWD's file as it is.") from None
        if not (-60 <= air <= 60 and 0 <= wet <= 100):  # noqa: PLR2004
            raise UsageError(
                f"{where}: no air has {row[5]} °C and {row[11]} % humidity.", hint="Use DWD's file as it is."
            )
        dry.append(air)
        humidity.append(wet)
    if len(dry) != _YEAR_HOURS:
        message = f"{path} has {len(dry)} hours; a year of Central European Time has {_YEAR_HOURS}."
        raise UsageError(message, hint="Days of 23 or 25 hours come from summer time: use times without it.")
    return np.array(dry), np.array(humidity)


def _reference_rows(path: Path) -> Iterator[tuple[int, list[str]]]:
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rt", encoding="latin-1") as file:
            begun = False
            for number, line in enumerate(file, 1):
                if begun and line.strip():
                    yield number, line.split()
                begun = begun or line.startswith("***")
    except (OSError, EOFError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", hint="Fetch it again.") from error
