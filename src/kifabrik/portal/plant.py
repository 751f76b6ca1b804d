"""The plant's meters as the operator's page shows them, where there are any."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kifabrik.errors import KifabrikError
from kifabrik.values import format_time


@dataclass(frozen=True)
class MeterView:
    """A meter and its last reading.

    Args:
        name: Its name.
        kind: What it measures, such as `temperature`.
        unit: Of the value.
        value: The last one; None where there is none yet.
        time: Of that.
    """

    name: str
    kind: str
    unit: str
    value: float | None
    time: str


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
    store = Store(folder)
    try:
        meters = tuple(
            MeterView(
                name=meter.name,
                kind=meter.kind.value,
                unit=meter.unit,
                value=last[1] / meter.factor if last else None,
                time=format_time(datetime.fromtimestamp(last[0], UTC)) if last else "",
            )
            for meter in store.meters()
            for last in [store.last(meter.name)]
        )
    except KifabrikError as error:
        return Plant(lacks="broken", message=error.message)
    return Plant(meters, "" if meters else "none")
