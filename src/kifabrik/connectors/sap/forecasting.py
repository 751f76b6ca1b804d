"""A forecast of weekly demand from its history: level and season, no trend, and how well that would have done.

For each product at each site the demand of a period is its mean times the factor of its season
(`kifabrik.recipes.supply_chain.calibrating` finds it, and only if it shows beyond luck). Safety stock is for a
protection time T: z(service) · sd · sqrt(T), with the deviation of one day around the season (Silver, Pyke and
Thomas, Inventory and Production Management in Supply Chains, 4th ed., section 6.7).

How good it is, is measured before it is used: the last weeks are forecast from what came before, and set beside
the mean of the same weekday over the last four weeks, in one number (WAPE: sum of absolute errors over the sum of
demand).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from scipy import stats

from kifabrik.connectors.sap.network_tables import history_rows
from kifabrik.connectors.sap.templates import ForecastFrom
from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.calibrating import season_of
from kifabrik.recipes.supply_chain.past import Series, Step, past_of

FORECAST: Final = "forecast.parquet"
_WEEK: Final = 7
_NAIVE_WEEKS: Final = 4
_LEAST_WEEKS: Final = 8
"""Of history; less says nothing of a week."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ForecastMade:
    """A forecast.

    Args:
        file: Parquet: product, site, week (its Monday), quantity, safety_stock.
        rows: Of it.
        series: Products at sites.
        left_out: Of these, without enough history.
        error: WAPE of this method over the last weeks of the history; NaN if it is too short to tell.
        naive_error: The same of the naive one.
        held_out_weeks: How many weeks were forecast to find that.
    """

    file: bytes
    rows: int
    series: int
    left_out: int
    error: float
    naive_error: float
    held_out_weeks: int


def make_forecast(wanted: ForecastFrom, pulled: Mapping[str, pa.Table]) -> ForecastMade:
    """Forecast every product at every site.

    Raises:
        UsageError: The plan names a table or field that is not there, or the history has no days.
    """
    rows = list(history_rows(wanted.history, pulled))
    columns = {name: [row[at] for row in rows] for at, name in enumerate(("product", "site", "date", "quantity"))}
    columns["quantity"] = [0.0 if value is None else float(value) for value in columns["quantity"]]
    found = past_of(columns, "history").series
    names = {f"{product}@{site}": (str(product), str(site)) for product, site, _, _ in rows}
    daily = [one for one in found if one.first is not None and one.step is Step.DAY]
    long = [one for one in daily if len(one.values) >= _LEAST_WEEKS * _WEEK]
    if not long:
        raise UsageError(
            f"no product has {_LEAST_WEEKS} weeks of history with dates",
            hint="Pull more of it, with one date a row.",
        )
    start = _next_monday(long[0])
    parts = [_weeks(one, names[one.name], wanted, start) for one in long]
    file, count = _parquet([row for part in parts for row in part])
    held, error, naive = _backtest(long, wanted.weeks)
    return ForecastMade(file, count, len(long), len(found) - len(long), error, naive, held)


def _next_monday(series: Series) -> date:
    after = _end(series) + timedelta(days=1)
    return after + timedelta(days=-after.weekday() % _WEEK)


def _end(series: Series) -> date:
    if series.first is None:
        raise UsageError(f"the history of {series.name} has no dates")
    return series.first + timedelta(days=len(series.values) - 1)


def _weeks(
    series: Series, names: tuple[str, str], wanted: ForecastFrom, start: date
) -> list[tuple[str, str, date, float, float]]:
    ahead = (start - _end(series)).days - 1 + wanted.weeks * _WEEK
    daily, deviation = _daily(series, ahead)
    weekly = daily[-wanted.weeks * _WEEK :].reshape(wanted.weeks, _WEEK).sum(axis=1)
    safety = float(stats.norm.ppf(wanted.service)) * deviation * wanted.lead_time_days**0.5
    return [
        (*names, start + timedelta(weeks=number), float(quantity), safety) for number, quantity in enumerate(weekly)
    ]


def _daily(series: Series, days: int) -> tuple[Floats, float]:
    """Expected demand of each of the next days, and the deviation of one around it."""
    factors, phases = season_of(series, days)
    seen, coming = phases[: len(series.values)], phases[len(series.values) :]
    if not len(factors):
        return np.full(days, series.values.mean()), float(series.values.std(ddof=1))
    level = series.values.mean() / factors[seen].mean()
    rest = series.values - level * factors[seen]
    return level * factors[coming], float(rest.std(ddof=1))


def _backtest(found: Sequence[Series], weeks: int) -> tuple[int, float, float]:
    shortest = min(len(one.values) for one in found) // _WEEK
    held = min(weeks, shortest - _LEAST_WEEKS)
    if held < 1:
        return 0, float("nan"), float("nan")
    errors, naive, total = 0.0, 0.0, 0.0
    for one in found:
        days = held * _WEEK
        past = replace(one, values=one.values[:-days])
        truth = one.values[-days:].reshape(held, _WEEK).sum(axis=1)
        ours, _ = _daily(past, days)
        theirs = np.tile(past.values[-_NAIVE_WEEKS * _WEEK :].reshape(_NAIVE_WEEKS, _WEEK).mean(axis=0), held)
        errors += np.abs(ours.reshape(held, _WEEK).sum(axis=1) - truth).sum()
        naive += np.abs(theirs.reshape(held, _WEEK).sum(axis=1) - truth).sum()
        total += truth.sum()
    return (held, errors / total, naive / total) if total > 0 else (held, float("nan"), float("nan"))


def _parquet(rows: Sequence[tuple[str, str, date, float, float]]) -> tuple[bytes, int]:
    names = ("product", "site", "week", "quantity", "safety_stock")
    kinds = (pa.string(), pa.string(), pa.date32(), pa.float64(), pa.float64())
    arrays = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), kinds, strict=True)]
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_arrays(arrays, names=list(names)), sink, compression="zstd")
    data: bytes = sink.getvalue().to_pybytes()
    return data, len(rows)
