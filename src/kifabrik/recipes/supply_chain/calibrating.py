"""Fits demand and lead times to a history from a table: seasons first, then a distribution for each series.

Invariants:
    - A period without a row is a period without demand, between a series' first and the table's last period.
    - A season is used only if it shows beyond luck (Kruskal-Wallis test at 1 %) over at least two whole cycles.
"""

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.chi_square import Agreement
from kifabrik.recipes.supply_chain.fitting import Fit, empirical, fit

Floats = NDArray[np.float64]
WEEK: Final = 7
YEAR: Final = 12
_SEASON_LEVEL: Final = 0.01
_CYCLES: Final = 2
_TITLE: Final = 44
_UNREADABLE: Final = (OSError, ValueError, KeyError, SyntaxError, BadZipFile, csv.Error)
"""What the readers of CSV, Parquet (Arrow's errors are ValueErrors) and XLSX (a ZIP of XML) raise."""
_NAMES: Final = {
    "product": ("product", "material", "matnr", "item"),
    "site": ("site", "plant", "werks", "location"),
    "period": ("period", "date", "day", "budat"),
    "quantity": ("quantity", "demand", "menge"),
    "lane": ("lane",),
    "lead_time": ("lead_time", "lead time", "leadtime"),
}
"""Column names understood, lower case; SAP's among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Values of one node or lane.

    Attributes:
        name: `product@site` or the lane.
        values: Demand of each period, or lead times [value].
        first: Date of the first value; None where periods are numbers, or for lead times.
    """

    name: str
    values: Floats
    first: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What was fitted to a series.

    Attributes:
        series: The history.
        fit: Of the history without its season.
        factors: Of the season, mean one; or one and zero, where it only says when there is demand at all (no
            weekends); empty: none was found.
        season: `weekday`, `month`, `period` of 7, or empty.
        season_p: P-value of there being none; 1 where none was tested.
    """

    series: Series
    fit: Fit
    factors: tuple[float, ...] = ()
    season: str = ""
    season_p: float = 1.0


def calibrate(
    path: Path, *, seed: int = 1, progress: Callable[[int], None] | None = None
) -> tuple[Calibration, ...]:
    """Fit every series of a CSV, Parquet or XLSX file.

    Columns are `product`, `site`, `period` (a number) or `date`, `quantity`; or `lane`, `lead_time` (periods).

    Args:
        path: The file.
        seed: Of the bootstrap.
        progress: Told the number of series just finished.

    Raises:
        UsageError: If columns are missing, a value is no number, or a series has too few values.
    """
    found = []
    for series in read_history(path):
        found.append(calibrate_series(series, seed=seed))
        if progress:
            progress(1)
    return tuple(found)


def calibrate_series(series: Series, *, seed: int = 1) -> Calibration:
    """Find the season of a series, and fit what is left without it.

    Raises:
        UsageError: If it has too few values.
    """
    season, factors, chance = _season(series)
    return Calibration(
        series=series,
        fit=fit(_without(series, season, factors), what=series.name, seed=seed),
        factors=factors,
        season=season,
        season_p=chance,
    )


def season_of(series: Series, ahead: int) -> tuple[Floats, NDArray[np.intp]]:
    """The season of a series, if it shows one, and where in it each period is.

    Args:
        series: The history.
        ahead: Periods after its end to place, too.

    Returns:
        Factors, mean one (none: no season shows), and the place of each period of the history and after it.
    """
    season, factors, _ = _season(series)
    longer = replace(series, values=np.zeros(len(series.values) + ahead))
    return np.array(factors), _phases(longer, season)


def _without(series: Series, season: str, factors: tuple[float, ...]) -> Floats:
    """Values without their season; those of phases in which there never is any are left out."""
    if not factors:
        return series.values
    spread = np.array(factors)[_phases(series, season)]
    return np.asarray(series.values[spread > 0] / spread[spread > 0])


def _phases(series: Series, season: str) -> NDArray[np.intp]:
    """Place of each value in its season."""
    if season == "month" and series.first:
        days = np.datetime64(series.first) + np.arange(len(series.values))
        return np.asarray(days.astype("datetime64[M]").astype(int) % YEAR, dtype=np.intp)
    start = series.first.weekday() if season == "weekday" and series.first else 0
    return np.asarray((start + np.arange(len(series.values))) % WEEK, dtype=np.intp)


def _season(series: Series) -> tuple[str, tuple[float, ...], float]:
    """The season that shows most, its factors from Monday, January or the first period; and its P-value."""
    from scipy import stats  # noqa: PLC0415 - slow to import

    kinds = [("weekday" if series.first else "period", WEEK, _CYCLES * WEEK)]
    if series.first:
        kinds.append(("month", YEAR, _CYCLES * 365))
    best: tuple[str, tuple[float, ...], float] = ("", (), 1.0)
    for name, length, least in kinds:
        if (
            len(series.values) < least
            or series.values.min() == series.values.max()
            or series.name.startswith("lane ")
        ):
            continue
        phases = _phases(series, name)
        groups = [series.values[phases == phase] for phase in range(length)]
        chance = float(stats.kruskal(*groups).pvalue)
        if chance < min(best[2], _SEASON_LEVEL / len(kinds)):
            best = (name, _factors(groups), chance)
    return best


def _factors(groups: list[Floats]) -> tuple[float, ...]:
    """Factors of phases: their means, or whether there is any demand if they differ in nothing else."""
    from scipy import stats  # noqa: PLC0415 - slow to import

    means = np.array([group.mean() for group in groups])
    active = [group for group in groups if group.any()]
    if len(active) < len(groups) and (len(active) == 1 or stats.kruskal(*active).pvalue >= _SEASON_LEVEL):
        return tuple((means > 0).astype(float).tolist())
    return tuple((means / means.mean()).tolist())


def read_history(path: Path) -> tuple[Series, ...]:
    """Series of a file, by name.

    Raises:
        UsageError: If it cannot be read as such a table; row and column are named.
    """
    return series_of(_columns(path), path)


def series_of(columns: Mapping[str, list[Any]], path: Path) -> tuple[Series, ...]:
    """Series of a table's columns, by name.

    Args:
        columns: Values by lower-case name.
        path: What the table is called in errors.

    Raises:
        UsageError: If it is no such table; row and column are named.
    """
    named = {want: columns[name] for want, names in _NAMES.items() for name in names if name in columns}
    if "lead_time" in named and "lane" in named:
        return _lead_times(path, named)
    missing = [want for want in ("product", "site", "period", "quantity") if want not in named]
    if missing:
        raise UsageError(
            f"{path.name} has no column {', '.join(missing)}.",
            hint="Give product, site, period or date, quantity; or lane, lead_time.",
        )
    return _demands(path, named)


def _lead_times(path: Path, named: Mapping[str, list[Any]]) -> tuple[Series, ...]:
    lanes: defaultdict[str, list[float]] = defaultdict(list)
    for row, (lane, value) in enumerate(zip(named["lane"], named["lead_time"], strict=True), 2):
        lanes[str(lane)].append(_number(path, row, "lead_time", value))
    return tuple(Series(name=f"lane {name}", values=np.array(values)) for name, values in sorted(lanes.items()))


def _demands(path: Path, named: Mapping[str, list[Any]]) -> tuple[Series, ...]:
    sums: defaultdict[str, defaultdict[int, float]] = defaultdict(lambda: defaultdict(float))
    is_dated = False
    keys = zip(named["product"], named["site"], named["period"], named["quantity"], strict=True)
    for row, (product, site, period, quantity) in enumerate(keys, 2):
        day = _day(period)
        is_dated = is_dated or day is not None
        at = day.toordinal() if day else _period(path, row, period)
        sums[f"{product}@{site}"][at] += _number(path, row, "quantity", quantity)
    if not sums:
        raise UsageError(f"{path.name} has no row.")
    last = max(max(periods) for periods in sums.values())
    found = []
    for name, periods in sorted(sums.items()):
        first = min(periods)
        if last - first > 100_000:  # noqa: PLR2004 - 270 years of days: dates and numbers are mixed
            raise UsageError(f"{path.name}: the periods of {name} reach from {first} to {last}.")
        values = np.array([periods.get(at, 0.0) for at in range(first, last + 1)])
        found.append(Series(name=name, values=values, first=date.fromordinal(first) if is_dated else None))
    return tuple(found)


def _day(value: Any) -> date | None:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value)[:10]) if "-" in str(value)[1:] else None
    except ValueError:
        return None


def _period(path: Path, row: int, value: Any) -> int:
    number = _number(path, row, "period", value, wanted="neither a date such as 2026-03-31 nor a number")
    if not number.is_integer():
        raise UsageError(f"{path.name}, row {row}, column period: {value!r} is not a whole number.")
    return int(number)


def _number(path: Path, row: int, column: str, value: Any, *, wanted: str = "not a number") -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise UsageError(f"{path.name}, row {row}, column {column}: {value!r} is {wanted}.")
    if number < 0 and column != "period":
        raise UsageError(
            f"{path.name}, row {row}, column {column}: {value!r} is below zero.",
            hint="Leave out returns and corrections; they are no demand.",
        )
    return number


def _columns(path: Path) -> dict[str, list[Any]]:
    """Columns of a table by lower-case name."""
    if not path.is_file():
        raise UsageError(f"There is no file {path}.")
    try:
        rows = list(_rows(path))
    except _UNREADABLE as error:
        raise UsageError(f"{path.name} cannot be read: {str(error).splitlines()[0]}.") from None
    if not rows:
        raise UsageError(f"{path.name} is empty.")
    names = [str(name or "").strip().lower() for name in rows[0]]
    body = [row for row in rows[1:] if any(cell not in (None, "") for cell in row)]
    return {name: [row[at] if at < len(row) else None for row in body] for at, name in enumerate(names)}


def _rows(path: Path) -> Iterator[list[Any]]:
    match path.suffix.lower():
        case ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                sample = file.readline()
                file.seek(0)
                yield from csv.reader(file, delimiter=";" if sample.count(";") > sample.count(",") else ",")
        case ".parquet":
            import pyarrow.parquet as pq  # noqa: PLC0415 - slow to import

            table = pq.read_table(path)
            yield list(table.column_names)
            yield from (list(row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True))
        case ".xlsx":
            import openpyxl  # noqa: PLC0415 - slow to import

            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            yield from (list(row) for row in book.worksheets[0].iter_rows(values_only=True))
        case suffix:
            raise UsageError(f"{path.name}: a table is .csv, .parquet or .xlsx, not {suffix or 'without ending'}.")


def demand_rows(found: Sequence[Calibration]) -> list[dict[str, object]]:
    """Rows of the table `demand` that say what was fitted, for `tables.write.write_csvs`.

    Factors of weekdays begin with Monday and those of months with January: so must the network's first period.
    """
    rows: list[dict[str, object]] = []
    for one in found:
        product, at, site = one.series.name.partition("@")
        if not at or one.series.name.startswith("lane "):
            continue
        each, dated = one.fit.distribution, one.series.first is not None
        rows.append(
            {
                "product": product,
                "site": site,
                "kind": each.kind,
                "mean": each.mean,
                "sd": each.sd or None,
                "chance": each.chance if each.chance < 1 else None,
                "values": each.values or None,
                "weights": each.weights or None,
                "per": "day" if dated else "period",
                "factors": one.factors or None,
                "factor_time": "1 month" if one.season == "month" else None,
            }
        )
    return rows


def draw_fit(calibration: Calibration, target: Path) -> None:
    """Draw how well a fit fits (SVG or PNG): what was seen and what would be, as steps.

    Beside it, for whole numbers the classes of the chi-square test, for others rank by rank.
    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - slow to import

    fitted = calibration.fit
    values = _without(calibration.series, calibration.season, calibration.factors)
    seen = np.sort(values)
    ranks = (np.arange(len(seen)) + 0.5) / len(seen)
    best = fitted.candidates[0].distribution if fitted.candidates else empirical(seen)
    model = best.quantile(ranks)
    if fitted.chi_square:
        model = np.round(model)  # as it is drawn
    figure = Figure(figsize=(8, 3.4), layout="constrained")
    steps, beside = figure.subplots(1, 2)
    steps.step(seen, ranks, where="post", label="seen")
    steps.step(model, ranks, where="post", label=f"fitted: {best.kind}")
    title = f"{_shortened(calibration.series.name)}\nKolmogorov: P = {fitted.p_value:.3f}"
    steps.set(xlabel="quantity", ylabel="share at or below", title=title)
    steps.legend()
    if fitted.chi_square:
        _draw_classes(beside, fitted.chi_square, fitted.chi_square_p)
    else:
        beside.plot(model, seen, ".", markersize=3)
        most = float(max(seen[-1], model[-1]))
        beside.plot([0, most], [0, most], linewidth=0.8)
        beside.set(xlabel="fitted", ylabel="seen", title="rank by rank")
    figure.savefig(target)


def _draw_classes(axes: Any, counts: Agreement, p_value: float) -> None:
    at = np.arange(len(counts.seen))
    axes.bar(at, counts.seen, width=0.75, color="C0", alpha=0.55, label="seen")
    axes.hlines(counts.expected, at - 0.45, at + 0.45, color="C1", linewidth=2, label="expected")
    upto = [f"{end:g}" for end in counts.upto]
    start = [f"{end + 1:g}" for end in counts.upto]
    ends = zip(start[:-1], upto[1:], strict=True)
    between = [last if first == last else f"{first}-{last}" for first, last in ends]
    names = [f"≤ {upto[0]}", *between, f"≥ {start[-1]}"]
    every = -(-len(at) // 8)
    axes.set_xticks(at[::every], names[::every], fontsize=8)
    title = f"in classes\nchi-square {counts.statistic:.1f}: P = {p_value:.3f}"
    axes.set(xlabel="quantity", ylabel="periods", title=title)
    axes.legend()


def _shortened(name: str) -> str:
    """A name of at most so many letters."""
    return name if len(name) <= _TITLE else f"{name[: _TITLE - 1]}…"
