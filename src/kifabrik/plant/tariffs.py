"""What electricity costs and emits over a year: one number, or a table by the hour or quarter-hour.

A table is CSV with two columns: `time`, and one that is named by its unit (`EUR/MWh`, `g/kWh`, …), so no number
stands there without one. Times are ISO 8601, without an offset UTC+1, as all times of a simulation. Each line holds
until the next. The table must give its year without a hole; what is outside of that year is passed over.
"""

import csv
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

import numpy as np

from kifabrik.errors import UsageError
from kifabrik.plant.courses import find_table
from kifabrik.plant.load import Floats
from kifabrik.plant.quantities import CARBON_UNITS, PRICE_UNITS
from kifabrik.plant.readable import readable
from kifabrik.plant.site import Electricity, TariffTable
from kifabrik.plant.spans import HOUR_STEPS, Span

CONSTANT: Final = "constant, from the site file"
NOT_FOUND: Final = "constant: its table was not found"
_ZONE: Final = timezone(timedelta(hours=1))
_STEPS: Final = (900.0, 3600.0)
"""Seconds between two lines: a quarter-hour or an hour."""
_MWH: Final = 3.6e9
_FEBRUARY: Final = 31 + 28
"""Days of a year before 29 February."""
_MOST_PRICE: Final = 10.0 / 3.6e6
"""EUR/J; 10 EUR/kWh. The exchange's harmonised limit for day-ahead bids is 4 EUR/kWh (ACER decision 01/2023)."""
_MOST_CARBON: Final = 3.0 / 3.6e6
"""kg/J; 3 kg/kWh: lignite in an old plant emits about 1.2."""


@dataclass(frozen=True, slots=True)
class Tariff:
    """What each minute's electricity costs and emits; arrays have shape (steps,).

    Attributes:
        price: EUR/J.
        carbon_location: kg/J by the grid's mix.
        carbon_market: kg/J by the contracts.
        sources: Of these three, in words.
        varies: Whether any of them is a table.
    """

    price: Floats
    carbon_location: Floats
    carbon_market: Floats
    sources: tuple[str, str, str]
    varies: bool


def tariff_of(power: Electricity, span: Span, folder: Path | None = None) -> Tariff:
    """The tariff of a site over a year.

    Args:
        power: From the site file.
        span: To fill.
        folder: Where tables are.

    Raises:
        UsageError: A table is wrong, or does not have its year whole; line and field are named.
    """
    price, price_from = _course(power.price, power.price_table, PRICE_UNITS, span, folder)
    location, location_from = _course(
        power.carbon_location, power.carbon_location_table, CARBON_UNITS, span, folder
    )
    market, market_from = _course(power.carbon_market, power.carbon_market_table, CARBON_UNITS, span, folder)
    tables = (power.price_table, power.carbon_location_table, power.carbon_market_table)
    return Tariff(
        price,
        location,
        market,
        (price_from, location_from, market_from),
        any(table is not None for table in tables),
    )


def dearness(power: Electricity, heat_price: float, tariff: Tariff) -> Floats:
    """By how much each hour's electricity is dearer than the year's mean, in units of what its heat is sold for.

    Carbon by location counts with what the site says a tonne of it is worth. Where heat brings nothing, the mean
    price itself is the unit. Zero all year where neither price nor carbon varies.

    Args:
        power: From the site file.
        heat_price: EUR/J.
        tariff: Of the year.

    Returns:
        Shape (hours,).
    """
    cost = (tariff.price + tariff.carbon_location * power.carbon_worth).reshape(-1, HOUR_STEPS).mean(axis=1)
    mean = float(cost.mean())
    unit = heat_price if heat_price > 0 else abs(mean)
    return np.asarray((cost - mean) / unit if unit > 0 and tariff.varies else np.zeros(len(cost)))


def _course(
    constant: float, table: TariffTable | None, units: Mapping[str, float], span: Span, folder: Path | None
) -> tuple[Floats, str]:
    if table is None:
        return np.broadcast_to(np.float64(constant), span.steps), CONSTANT
    path = find_table(table.file, folder)
    if path is None:
        return np.broadcast_to(np.float64(constant), span.steps), NOT_FOUND
    year = table.year or span.year
    more = f" plus {table.plus * _MWH:g} EUR/MWh" if table.plus else ""
    values = _of_the_year(path, year, units)
    fitted = _fitted(values, Span(year), span)
    return np.repeat(fitted, span.steps // len(fitted)) + table.plus, f"{path.name}, {year}{more}"


def _fitted(values: Floats, own: Span, span: Span) -> Floats:
    """A year's values for another year: 29 February is left out, or repeats the day before."""
    each = len(values) // own.days
    at = _FEBRUARY * each
    if own.days > span.days:
        return np.delete(values, np.s_[at : at + each])
    if own.days < span.days:
        return np.insert(values, at, values[at - each : at])
    return values


def _of_the_year(path: Path, year: int, units: Mapping[str, float]) -> Floats:
    begin = datetime(year, 1, 1, tzinfo=_ZONE).timestamp()
    end = datetime(year + 1, 1, 1, tzinfo=_ZONE).timestamp()
    times: list[float] = []
    values: list[float] = []
    step = 0.0
    for line, at, value in _rows(path, units):
        where = f"{path}, line {line}, field time"
        if times:
            gap = at - times[-1]
            step = step or gap
            _check_step(gap, step, where, times[-1])
        times.append(at)
        values.append(value)
    inside = [number for number, at in enumerate(times) if begin <= at < end]
    if not inside or times[inside[0]] > begin or times[inside[-1]] + (step or _STEPS[1]) < end:
        has = f"{_clock(times[0])} to {_clock(times[-1])}" if times else "nothing"
        raise UsageError(
            f"{path} does not have all of {year}; it has {has}.",
            hint="Add the rest, or set the table's year to a whole one. Times without an offset are UTC+1.",
        )
    return np.array(values[inside[0] : inside[-1] + 1])


def _check_step(gap: float, step: float, where: str, before: float) -> None:
    if gap <= 0:
        raise UsageError(
            f"{where}: not later than the line before ({_clock(before)}).",
            hint="Of the hour that summer time repeats, give offsets: 2026-10-25T02:00+01:00",
        )
    if step not in _STEPS:
        raise UsageError(f"{where}: {step / 60:g} minutes after the line before.", hint="Hours or quarter-hours.")
    if gap != step:
        raise UsageError(
            f"{where}: {gap / 60:g} minutes after the line before ({_clock(before)}), not {step / 60:g}.",
            hint="Fill the hole, or use one step in the whole file. Give offsets where summer time begins.",
        )


def _rows(path: Path, units: Mapping[str, float]) -> "list[tuple[int, float, float]]":
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", hint="It has to be CSV in UTF-8.") from None
    with readable(path):
        return _parsed(csv.DictReader(text.splitlines()), path, units)


def _parsed(
    rows: "csv.DictReader[str]", path: Path, units: Mapping[str, float]
) -> "list[tuple[int, float, float]]":
    fields = list(rows.fieldnames or ())
    offered = " or ".join(list(units)[:3])
    if "time" not in fields:
        raise UsageError(f"{path}, line 1: the column time is missing.", hint=f"Columns: time and {offered}.")
    named = [name for name in fields if name in units]
    if len(named) != 1:
        raise UsageError(f"{path}, line 1: one column must be named by its unit: {offered}.", hint="time,EUR/MWh")
    (unit,) = named
    read = _reader(unit, units[unit], least=None if units is PRICE_UNITS else 0.0)
    return [
        (
            rows.line_num,
            _moment(row["time"], f"{path}, line {rows.line_num}, field time"),
            read(row[unit], path, rows.line_num),
        )
        for row in rows
    ]


def _reader(unit: str, factor: float, least: float | None) -> Callable[[str | None, Path, int], float]:
    most = _MOST_PRICE if least is None else _MOST_CARBON

    def read(text: str | None, path: Path, line: int) -> float:
        where = f"{path}, line {line}, field {unit}"
        try:
            value = float(text or "") * factor
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            raise UsageError(f"{where}: {text!r} is not a number.", hint="Write 84.5, with a point.")
        if least is not None and value < least:
            raise UsageError(f"{where}: {text} is negative.", hint="Only prices may be.")
        if abs(value) > most:
            raise UsageError(f"{where}: {text} {unit} is beyond anything known.", hint="Check the unit.")
        return value

    return read


def _moment(text: str | None, where: str) -> float:
    try:
        moment = datetime.fromisoformat(text or "")
    except ValueError:
        raise UsageError(f"{where}: {text!r} is not a time.", hint="Write 2024-03-31T00:00+01:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=_ZONE)).timestamp()


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).astimezone(_ZONE).strftime("%Y-%m-%dT%H:%M+01:00")
