"""Loads that need no schedule: constant, a daily course, or a table of power.

A schedule's own load is a `kifabrik.plant.load.Load` and needs none of this.
"""

import math
import re
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import numpy as np

from kifabrik.errors import UsageError
from kifabrik.plant.load import Fleet, Load
from kifabrik.plant.readable import rows_of
from kifabrik.plant.spans import Span

_CONSTANT: Final = re.compile(r"^constant:(\d+(?:\.\d+)?)$")
_DAILY: Final = re.compile(r"^daily:(\d+(?:\.\d+)?)-(\d+(?:\.\d+)?)$")
_HINT: Final = "Write constant:0.8, daily:0.5-0.9, or the name of a CSV file with the columns time and watts."
_ZONE: Final = timezone(timedelta(hours=1), "CET")
_BUSIEST_HOUR: Final = 15


def load_of(text: str, fleet: Fleet, span: Span) -> Load:
    """A load by its name.

    Args:
        text: `constant:SHARE`, `daily:LOW-HIGH` (shares of the way from idle to full), or a CSV file.
        fleet: Whose power.
        span: The year.

    Raises:
        UsageError: It is none of these, or the file is wrong.
    """
    if found := _CONSTANT.match(text):
        return constant(fleet, _share(found[1], text), span)
    if found := _DAILY.match(text):
        return daily(fleet, _share(found[1], text), _share(found[2], text), span)
    path = Path(text)
    if path.is_file():
        return read_load(path, span)
    raise UsageError(f"{text} is no load and no file.", hint=_HINT)


def constant(fleet: Fleet, share: float, span: Span) -> Load:
    """The same all year; `share` of the way from idle to full."""
    watts = fleet.idle_watts + share * (fleet.full_watts - fleet.idle_watts)
    return Load(np.array([0.0, span.seconds]), np.array([watts]))


def daily(fleet: Fleet, low: float, high: float, span: Span) -> Load:
    """A cosine over each day in steps of an hour, highest at 15:00."""
    hours = np.arange(span.hours, dtype=np.float64)
    wave = 0.5 * (1 + np.cos(2 * np.pi * (hours % 24 + 0.5 - _BUSIEST_HOUR) / 24))
    shares = low + (high - low) * wave
    edges = np.linspace(0.0, span.seconds, span.hours + 1)
    watts = fleet.idle_watts + shares * (fleet.full_watts - fleet.idle_watts)
    return Load(edges, watts)


def read_load(path: Path, span: Span) -> Load:
    """Read power from a CSV file with the columns `time` and `watts`.

    A time is in seconds from the start of the year, or ISO 8601; one without an offset is Central European Time
    without summer time. Power holds until the next line; the last line ends the load, its power is not used.

    Args:
        path: Of the file.
        span: The year.

    Raises:
        UsageError: A column is missing, a time does not rise, power is negative; the line is named.
    """
    edges, watts = [], []
    for where, row in rows_of(path, ("time", "watts"), _HINT):
        edges.append(_seconds(row["time"] or "", span, where))
        watts.append(_watts(row["watts"] or "", where))
        if len(edges) > 1 and edges[-1] <= edges[-2]:
            message = f"{where}: {row['time']} is not after the line before."
            raise UsageError(
                message,
                hint="On a day of 25 hours give the offset with each time, as in 2026-10-25T02:00+01:00.",
            )
    if len(edges) < 2:  # noqa: PLR2004
        raise UsageError(f"{path} has no piece of time: it needs two lines at least.", hint=_HINT)
    if edges[0] < 0:
        raise UsageError(f"{path} begins before the year {span.year}.", hint="Choose `--year`, or cut the file.")
    return Load(np.array(edges), np.array(watts[:-1]))


def _share(text: str, whole: str) -> float:
    value = float(text)
    if value > 1:
        raise UsageError(f"{whole}: {text} is more than all there is.", hint="Shares go from 0 to 1.")
    return value


def _seconds(text: str, span: Span, where: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        pass
    else:
        if math.isfinite(seconds):
            return seconds
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(
            f"{where}: {text!r} is no time.", hint="Write 2026-10-25T02:00+01:00, or seconds."
        ) from None
    time = time if time.tzinfo else time.replace(tzinfo=_ZONE)
    return (time - datetime(span.year, 1, 1, tzinfo=_ZONE)).total_seconds()


def _watts(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        raise UsageError(f"{where}: {text!r} is no power.", hint="Write watts, as 12500000.") from None
    if not math.isfinite(value) or value < 0:
        raise UsageError(f"{where}: power is {text}.", hint="Power is a number of watts, not negative.")
    return value
