"""A forecast as a table: river and heat demand, hour by hour; a line holds until the next, the last for an hour."""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.plant.governor.river import Hour
from kifabrik.plant.readable import rows_of

COLUMNS: Final = ("time", "river_celsius", "flow_m3s", "limit_celsius", "limit_warming_k")
"""Of the table; `heat_wanted_kw` and `price_eur_mwh` may be there too."""
_HOUR: Final = 3600.0
_LONGEST: Final = 24 * _HOUR
"""Between two lines."""
_MOST_PRICE: Final = 10_000.0


def read_forecast(path: Path) -> list[Hour]:
    """Read hours of a forecast; times are ISO 8601, without a zone UTC, and from an hour to a day apart.

    Returns:
        Every hour: of a forecast by every third one, each line thrice.

    Raises:
        NotFoundError: There is no such file.
        UsageError: A column is missing, a field makes no sense, times do not rise or leave a hole; line and field
            are named.
    """
    if not path.is_file():
        raise NotFoundError(
            f"There is no forecast {path}.", hint=f"A CSV file with the columns {', '.join(COLUMNS)}."
        )
    hours: list[Hour] = []
    for where, row in rows_of(path, COLUMNS, f"Needed: {', '.join(COLUMNS)}"):
        hour = Hour(
            at=_time(row["time"], where),
            river_celsius=_number(row, "river_celsius", where, -1.0),
            flow=_number(row, "flow_m3s", where, 0.0),
            limit_celsius=_number(row, "limit_celsius", where, 0.0),
            limit_warming=_number(row, "limit_warming_k", where, 0.0),
            heat_wanted=1000 * _number(row, "heat_wanted_kw", where, 0.0) if row.get("heat_wanted_kw") else 0.0,
            price=_number(row, "price_eur_mwh", where, -_MOST_PRICE) if row.get("price_eur_mwh") else None,
        )
        if hours and hour.at < hours[-1].at + _HOUR:
            raise UsageError(f"{where}: {row['time']} is not an hour after the last.", hint="Sort the hours.")
        if hours and hour.at > hours[-1].at + _LONGEST:
            raise UsageError(f"{where}: {row['time']} is more than a day after the last.", hint="Fill the hole.")
        while hours and hours[-1].at + _HOUR < hour.at:
            hours.append(replace(hours[-1], at=hours[-1].at + _HOUR))
        hours.append(hour)
    if not hours:
        raise UsageError(f"{path} has no hour.", hint="A forecast needs at least one line besides its header.")
    return hours


def _number(row: Mapping[str, str], name: str, where: str, least: float) -> float:
    try:
        value = float(row[name])
    except (TypeError, ValueError):
        value = math.nan
    if not least <= value < math.inf:
        raise UsageError(
            f"{where}, field {name}: '{row[name]}' is not a number from {least:g} on.", hint="Correct it."
        )
    return value


def _time(text: str | None, where: str) -> float:
    try:
        time = datetime.fromisoformat(text or "")
    except ValueError:
        raise UsageError(f"{where}, field time: '{text}' is not a time.", hint="2026-07-20T12:00+02:00") from None
    return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
