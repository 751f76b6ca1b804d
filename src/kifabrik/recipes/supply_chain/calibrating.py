"""Fits demand and lead times to the past that a table tells: seasons first, then a distribution for each series.

Invariants:
    - A season is used only if it shows beyond luck (Kruskal-Wallis test at 1 %) over at least two whole cycles.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.chi_square import Agreement
from kifabrik.recipes.supply_chain.fitting import LEAST_HISTORY, Fit, empirical, fit
from kifabrik.recipes.supply_chain.past import Past, Series, Step, read_past

Floats = NDArray[np.float64]
WEEK: Final = 7
YEAR: Final = 12
_SEASON_LEVEL: Final = 0.01
_CYCLES: Final = 2
_LISTED: Final = 5
_TITLE: Final = 44


_SEASONS: Final[dict[Step, tuple[tuple[str, int, int], ...]]] = {
    Step.DAY: (("weekday", WEEK, _CYCLES * WEEK), ("month", YEAR, _CYCLES * 365)),
    Step.WEEK: (),
    Step.MONTH: (("month", YEAR, _CYCLES * YEAR),),
    Step.NUMBER: (("period", WEEK, _CYCLES * WEEK),),
}
"""Seasons sought in periods of a kind: name, length, and the least periods that show one."""


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


def calibrate(path: Path, *, seed: int = 1, remark: Callable[[str], None] | None = None) -> tuple[Calibration, ...]:
    """Fit every series of a CSV, Parquet or XLSX file (`past.read_past`).

    Args:
        path: The file.
        seed: Of the bootstrap.
        remark: Told what was left out or is doubtful, a sentence at a time.

    Raises:
        UsageError: If columns are missing, a value is no number, or no series has values enough.
    """
    past = read_past(path)
    found = calibrate_past(past, seed=seed, name=path.name)
    if remark:
        for sentence in (*past.remarks, *too_short(past, found)):
            remark(sentence)
    return found


def calibrate_past(
    past: Past, *, seed: int = 1, name: str = "The history", progress: Callable[[int], None] | None = None
) -> tuple[Calibration, ...]:
    """Fit every series that has values enough.

    Args:
        past: What a table tells.
        seed: Of the bootstrap.
        name: Of the table, in errors.
        progress: Told the number of series just finished.

    Raises:
        UsageError: If no series has values enough.
    """
    found = []
    for series in past.series:
        season, factors, chance = _season(series)
        if len(_without(series, season, factors)) >= LEAST_HISTORY:
            found.append(_calibrated(series, season, factors, chance, seed))
        if progress:
            progress(1)
    if not found:
        longest = max(past.series, key=lambda series: len(series.values))
        count = len(longest.values)
        raise UsageError(
            f"{name}: {longest.name}, the longest series, has {count} value{'s' * (count > 1)}; a fit takes "
            f"at least {LEAST_HISTORY}.",
            hint="Export a longer time, or write mean and deviation into the table demand by hand.",
        )
    return tuple(found)


def too_short(past: Past, found: Sequence[Calibration]) -> tuple[str, ...]:
    """A sentence on the series that were not fitted, if there are any."""
    fitted = {one.series.name for one in found}
    short = [series.name for series in past.series if series.name not in fitted]
    if not short:
        return ()
    listed = ", ".join(short[:_LISTED]) + (f" and {len(short) - _LISTED} more" if len(short) > _LISTED else "")
    return (f"Left out, as a fit takes at least {LEAST_HISTORY} values: {listed}.",)


def calibrate_series(series: Series, *, seed: int = 1) -> Calibration:
    """Find the season of a series, and fit what is left without it.

    Raises:
        UsageError: If it has too few values.
    """
    return _calibrated(series, *_season(series), seed)


def _calibrated(series: Series, season: str, factors: tuple[float, ...], chance: float, seed: int) -> Calibration:
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
    if season == "month" and series.first and series.step is Step.MONTH:
        return np.asarray((series.first.month - 1 + np.arange(len(series.values))) % YEAR)
    if season == "month" and series.first:
        days = np.datetime64(series.first) + np.arange(len(series.values))
        return np.asarray(days.astype("datetime64[M]").astype(int) % YEAR, dtype=np.intp)
    start = series.first.weekday() if season == "weekday" and series.first else 0
    return np.asarray((start + np.arange(len(series.values))) % WEEK, dtype=np.intp)


def _season(series: Series) -> tuple[str, tuple[float, ...], float]:
    """The season that shows most, its factors from Monday, January or the first period; and its P-value."""
    from scipy import stats  # noqa: PLC0415 - slow to import

    kinds = _SEASONS[series.step if series.first else Step.NUMBER]
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
                "per": one.series.step.value if dated else "period",
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
