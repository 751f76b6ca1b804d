"""The plant's meters as the operator's page shows them, where there are any."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from kifabrik.errors import KifabrikError
from kifabrik.values import format_time

_DAY_S: Final = 86_400
_POINTS: Final = 96
_METERS: Final = 256
"""Meters whose last day is kept until they change."""


@dataclass(frozen=True)
class Day:
    """The last 24 hours of a meter, counted back from its last reading.

    Args:
        amount: What went through it in that time, in J or m³; of a temperature the mean in °C.
        covered: Which share of the time that says something about.
        course: Its values in SI, evenly picked; of a counter none.
    """

    amount: float
    covered: float
    course: tuple[float, ...]


@dataclass(frozen=True)
class MeterView:
    """A meter, its last reading and its last day.

    Args:
        name: Its name.
        kind: What it measures, such as `temperature`.
        unit: Of the value.
        value: The last one; None where there is none yet.
        time: Of that, in seconds since 1970; 0 where there is none.
        day: The last day; None where there is no reading.
    """

    name: str
    kind: str
    unit: str
    value: float | None
    time: int
    day: Day | None

    @property
    def at(self) -> str:
        """Time of the last value."""
        return format_time(datetime.fromtimestamp(self.time, UTC)) if self.time else ""


@dataclass(frozen=True)
class Plant:
    """What can be said of the plant.

    Args:
        meters: By name.
        lacks: Why nothing can be said: `none`, `missing` (the package that reads meters), `broken`; else empty.
        message: More about that.
    """

    meters: tuple[MeterView, ...] = ()
    lacks: str = ""
    message: str = ""


def look(folder: Path | None) -> Plant:
    """Read the last values of all meters in a folder."""
    if folder is None or not folder.is_dir():
        return Plant(lacks="none")
    try:
        from kifabrik.plant.metering.store import Store  # noqa: PLC0415 - an extra, and it takes a second
    except ImportError:
        return Plant(lacks="missing")
    try:
        meters = tuple(_view(folder, meter, Store(folder).last(meter.name)) for meter in Store(folder).meters())
    except KifabrikError as error:
        return Plant(lacks="broken", message=error.message)
    return Plant(meters, "" if meters else "none")


def _view(folder: Path, meter: Any, last: tuple[int, float] | None) -> MeterView:
    day = None if last is None else _day(folder, meter.name, last)
    value, time = (None, 0) if last is None else (last[1] / meter.factor, last[0])
    return MeterView(meter.name, meter.kind.value, meter.unit, value, time, day)


@lru_cache(maxsize=_METERS)
def _day(folder: Path, name: str, last: tuple[int, float]) -> Day:
    """The last day of a meter; `last` is its last reading, so that what is kept changes with it."""
    from kifabrik.plant.metering.store import Store  # noqa: PLC0415

    readings = Store(folder).read(name)
    amount, covered = readings.used(last[0] - _DAY_S, last[0])
    if readings.meter.counter:
        return Day(amount, covered, ())
    values = readings.value[readings.time >= last[0] - _DAY_S]
    picked = values[:: max(len(values) // _POINTS, 1)]
    return Day(amount, covered, tuple(float(one) for one in picked))
