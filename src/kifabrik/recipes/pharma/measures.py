"""How good predictions are: measures, and their bootstrap intervals."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn import metrics

from kifabrik.recipes.pharma.endpoints import Kind

_BINS: Final = 10
ROUNDS: Final = 1000
"""Bootstrap samples behind an interval."""
_HALF: Final = 0.5

Floats = NDArray[np.float64]


class Measure(Enum):
    """A measure; its value is what files and reports call it."""

    ROC_AUC = "ROC AUC"
    PR_AUC = "PR AUC"
    BALANCED = "balanced accuracy"
    MCC = "MCC"
    BRIER = "Brier score"
    ECE = "calibration error"
    MAE = "MAE"
    RMSE = "RMSE"
    R2 = "R2"
    PEARSON = "Pearson r"
    SPEARMAN = "Spearman rho"


@dataclass(frozen=True, slots=True)
class Interval:
    """A measure with its 95 % bootstrap interval.

    Attributes:
        value: On all compounds; NaN where it is not defined.
        low: 2.5 % point.
        high: 97.5 % point.
    """

    value: float
    low: float
    high: float


def _mcc(true: Floats, found: Floats) -> float:
    """Matthews correlation of classes at a probability of one half; 0 where one class is never said."""
    said, is_one = found >= _HALF, true == 1
    hits, misses = float((said & is_one).sum()), float((~said & is_one).sum())
    alarms, rests = float((said & ~is_one).sum()), float((~said & ~is_one).sum())
    below = math.sqrt((hits + alarms) * (hits + misses) * (rests + alarms) * (rests + misses))
    return (hits * rests - alarms * misses) / below if below else 0.0


def _balanced(true: Floats, found: Floats) -> float:
    right = (found >= _HALF) == (true == 1)
    rates = [right[true == one].mean() for one in (0, 1) if (true == one).any()]
    return float(np.mean(rates))


def calibration_error(true: Floats, found: Floats) -> float:
    """Expected calibration error in ten equal bins of probability (Naeini et al., AAAI 2015)."""
    bins = np.minimum((found * _BINS).astype(int), _BINS - 1)
    off = [abs(true[bins == at].sum() - found[bins == at].sum()) for at in range(_BINS)]
    return float(sum(off) / len(true))


def _pearson(true: Floats, found: Floats) -> float:
    return float(np.corrcoef(true, found)[0, 1]) if np.ptp(found) > 0 and np.ptp(true) > 0 else math.nan


def _spearman(true: Floats, found: Floats) -> float:
    return _pearson(stats.rankdata(true), stats.rankdata(found))


def _rmse(true: Floats, found: Floats) -> float:
    return float(np.sqrt(np.mean((true - found) ** 2)))


def _mae(true: Floats, found: Floats) -> float:
    return float(np.mean(np.abs(true - found)))


def _r2(true: Floats, found: Floats) -> float:
    return float(metrics.r2_score(true, found)) if np.ptp(true) > 0 else math.nan


def _auc(true: Floats, found: Floats) -> float:
    """Area under the ROC curve as the Mann-Whitney statistic."""
    ones = int(true.sum())
    if ones in {0, len(true)}:
        return math.nan
    ranks = stats.rankdata(found)[true == 1].sum()
    return float((ranks - ones * (ones + 1) / 2) / (ones * (len(true) - ones)))


def _pr(true: Floats, found: Floats) -> float:
    return float(metrics.average_precision_score(true, found)) if true.any() else math.nan


def _brier(true: Floats, found: Floats) -> float:
    return float(np.mean((true - found) ** 2))


_FUNCTIONS: Final[dict[Kind, dict[Measure, Callable[[Floats, Floats], float]]]] = {
    Kind.CLASS: {
        Measure.ROC_AUC: _auc,
        Measure.PR_AUC: _pr,
        Measure.BALANCED: _balanced,
        Measure.MCC: _mcc,
        Measure.BRIER: _brier,
        Measure.ECE: calibration_error,
    },
    Kind.NUMBER: {
        Measure.PEARSON: _pearson,
        Measure.SPEARMAN: _spearman,
        Measure.R2: _r2,
        Measure.MAE: _mae,
        Measure.RMSE: _rmse,
    },
}
HEADLINE: Final = {Kind.CLASS: Measure.ROC_AUC, Kind.NUMBER: Measure.MAE}
"""What recipes are compared by."""
SMALL_IS_GOOD: Final = frozenset({Measure.BRIER, Measure.ECE, Measure.MAE, Measure.RMSE})


def measure(kind: Kind, true: Floats, found: Floats) -> dict[Measure, float]:
    """All measures of a kind.

    Args:
        kind: Of the endpoint.
        true: Measured, shape (n,).
        found: Predicted: probabilities, or numbers as they are compared (logarithms where the model takes them).
    """
    return {name: function(true, found) for name, function in _FUNCTIONS[kind].items()}


def measure_folds(kind: Kind, true: Floats, found: Floats, fold: NDArray[np.intp]) -> dict[Measure, float]:
    """Means over folds: models of different folds need not rank alike. NaN where no fold has a value."""
    parts = [measure(kind, true[fold == number], found[fold == number]) for number in np.unique(fold)]
    made = {}
    for name in _FUNCTIONS[kind]:
        seen = [part[name] for part in parts if math.isfinite(part[name])]
        made[name] = float(np.mean(seen)) if seen else math.nan
    return made


def with_intervals(
    kind: Kind, true: Floats, found: Floats, *, seed: int = 1, rounds: int = ROUNDS
) -> dict[Measure, Interval]:
    """All measures with 95 % intervals: percentiles over resampled compounds."""
    luck = np.random.default_rng(seed)
    draws: dict[Measure, list[float]] = {name: [] for name in _FUNCTIONS[kind]}
    for _ in range(rounds):
        at = luck.integers(0, len(true), len(true))
        if kind is Kind.CLASS and np.ptp(true[at]) == 0:
            continue
        for name, value in measure(kind, true[at], found[at]).items():
            draws[name].append(value)
    made = {}
    for name, value in measure(kind, true, found).items():
        seen = [each for each in draws[name] if np.isfinite(each)]
        low, high = np.percentile(seen, [2.5, 97.5]) if seen else (math.nan, np.nan)
        made[name] = Interval(value, float(low), float(high))
    return made
