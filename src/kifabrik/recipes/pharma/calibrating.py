"""From scores to probabilities, and from residuals to intervals that hold what they promise.

Invariants:
- both are learnt from predictions for compounds whose scaffold the predicting model had not seen;
- calibrated probabilities keep the order of the scores, apart from ties, and never are 0 or 1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

ISOTONIC_FROM: Final = 1000
"""Fewer compounds are calibrated by Platt's sigmoid: isotonic regression overfits below it (Niculescu-Mizil and
Caruana, ICML 2005)."""
_EDGE: Final = 1e-6
_ROUNDING: Final = 1e-9
EDGES: Final = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0)
"""Edges of the bins of similarity to the nearest training compound (ECFP4)."""
_LEAST_IN_BIN: Final = 50
_SURE: Final = 0.95
"""How sure it must be that a bin keeps its promise before its interval is narrower than that of all compounds, and
how sure it is in the bin of far compounds."""
_FAR: Final = 0.3
_STILL_FAR: Final = 0.4
"""A bin is one of far compounds if it begins below the first and ends no later than the second: by ECFP4 unrelated
drug-like compounds are often as similar as 0.3."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Sizes of residuals, some known only to be exceeded.

    Attributes:
        least: Size, or what it exceeds, shape (n,).
        is_open: Whether it is only known to be exceeded, shape (n,).
    """

    least: Floats
    is_open: NDArray[np.bool_]

    def __getitem__(self, at: NDArray[np.bool_]) -> "_Sizes":
        return _Sizes(self.least[at], self.is_open[at])

    @property
    def known(self) -> int:
        """How many are known."""
        return int((~self.is_open).sum())

    def reached(self, share: float) -> float:
        """The least known size that so many do not exceed, by the product-limit estimate; else the largest.

        Source: Kaplan and Meier, J. Am. Stat. Assoc. 53:457, 1958. Where all are known it is the quantile.
        """
        order = np.lexsort((self.is_open, self.least))
        sizes, known = self.least[order], ~self.is_open[order]
        left = np.arange(len(sizes), 0, -1)
        exceed = np.cumprod(np.where(known, (left - 1) / left, 1.0))
        enough = np.flatnonzero(known & (exceed <= 1 - share + _ROUNDING))
        return float(sizes[enough[0]] if len(enough) else sizes[-1])


_Reach = Callable[[_Sizes, NDArray[np.bool_], float], float]
"""Half width of intervals from sizes of residuals, which of them are in a bin, and the level."""


class Shape(Enum):
    """How scores become probabilities."""

    PLATT = "platt"
    ISOTONIC = "isotonic"


@dataclass(frozen=True, slots=True)
class Calibration:
    """A rising curve from score to probability.

    Attributes:
        shape: How it was fitted.
        x: Scores (isotonic: centres of the steps; Platt: slope and intercept of the log-odds).
        y: Probabilities at them; empty for Platt.
    """

    shape: Shape
    x: tuple[float, ...]
    y: tuple[float, ...] = ()

    @classmethod
    def of(cls, scores: Floats, classes: Floats) -> "Calibration":
        """Fit one to scores between 0 and 1 and classes 0 and 1, shapes (n,)."""
        if len(scores) < ISOTONIC_FROM:
            from sklearn.linear_model import LogisticRegression  # noqa: PLC0415 - only to train; takes a second

            curve = LogisticRegression(C=1e6).fit(_log_odds(scores)[:, None], classes)
            slope = float(curve.coef_[0, 0])
            if slope > 0:
                return cls(Shape.PLATT, (slope, float(curve.intercept_[0])))
            rate = float(classes.mean())  # scores that say nothing
            return cls(Shape.PLATT, (_EDGE, math.log(rate / (1 - rate))))
        from sklearn.isotonic import IsotonicRegression  # noqa: PLC0415 - as above

        steps = IsotonicRegression(out_of_bounds="clip").fit_transform(scores, classes)
        order = np.argsort(scores, kind="stable")
        levels = np.unique(steps)
        x = [float(scores[order][steps[order] == level].mean()) for level in levels]
        least = 1 / (len(scores) + 2)
        return cls(Shape.ISOTONIC, tuple(x), tuple(float(np.clip(level, least, 1 - least)) for level in levels))

    def __call__(self, scores: Floats) -> Floats:
        """Probabilities of class 1, shape (n,)."""
        if self.shape is Shape.ISOTONIC:
            return np.interp(scores, self.x, self.y)
        slope, intercept = self.x
        return np.asarray(1 / (1 + np.exp(-(slope * _log_odds(scores) + intercept))), dtype=np.float64)

    def plain(self) -> dict[str, Any]:
        """As JSON says it."""
        return {"shape": self.shape.value, "x": list(self.x), "y": list(self.y)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """Interval for compounds of some similarity to the training data.

    Attributes:
        low: Least similarity.
        high: Similarity below which it holds; the last holds for 1 too.
        count: Residuals it was made of, without those only known to be exceeded.
        reach: Half its width, as the model sees numbers.
        covered: Share of measured compounds covered when each fold was judged by the residuals of the others; NaN
            if not known.
    """

    low: float
    high: float
    count: int
    reach: float
    covered: float

    def plain(self) -> dict[str, Any]:
        """As JSON says it."""
        covered = None if math.isnan(self.covered) else self.covered
        return {"low": self.low, "high": self.high, "count": self.count, "reach": self.reach, "covered": covered}


def bands_of(
    residuals: Floats,
    similarity: Floats,
    fold: NDArray[np.intp],
    level: float,
    is_bound: NDArray[np.bool_] | None = None,
) -> tuple[Band, ...]:
    """Cross-conformal intervals by similarity (Vovk, Ann. Math. Artif. Intell. 74:9, 2015; Mondrian bins).

    A bin that needs wider intervals than all compounds together gets them. One that seems to need narrower ones
    gets them as far as its own residuals make sure that they hold: a quantile of 60 residuals is as often too low
    as too high, and a similar compound is not always an easy one. The bin of far compounds gets what its residuals
    make sure: a new series is rarely easier than the scaffolds that were left out. Bins with fewer than 50
    residuals are joined with the next more similar one, the last with the one before.

    Of a compound with a bound it is known how far the prediction is short of the bound, and that the residual is
    larger than that: quantiles are product-limit estimates.

    Args:
        residuals: Shape (n,), of models that had not seen the compound's scaffold.
        similarity: Shape (n,), to the nearest compound that model had seen.
        fold: Shape (n,), in which the compound was left out.
        level: Share to be covered.
        is_bound: Shape (n,): whether the residual is only how far the prediction is short of a bound; None: none.
    """
    bounds = np.zeros(len(residuals), dtype=bool) if is_bound is None else is_bound
    says = ~bounds | (residuals != 0)  # a prediction beyond its bound may be off by anything
    size, similarity, fold = _Sizes(np.abs(residuals), bounds)[says], similarity[says], fold[says]
    bands = []
    for low, high in _bins(similarity[~size.is_open]):
        inside = _inside(similarity, low, high)
        reach = _far_reach if low < _FAR and high <= _STILL_FAR else _reach
        bands.append(
            Band(
                low=low,
                high=high,
                count=size[inside].known,
                reach=reach(size, inside, level),
                covered=_crossed(size, inside, fold, level, reach),
            )
        )
    return tuple(bands)


def reach_of(bands: Sequence[Band], similarity: Floats) -> Floats:
    """Half width of the interval of each compound, shape (n,)."""
    lows = np.array([band.low for band in bands[1:]])
    return np.array([band.reach for band in bands])[np.searchsorted(lows, similarity, side="right")]


def _bins(similarity: Floats) -> list[tuple[float, float]]:
    edges = [EDGES[0]]
    for at in range(1, len(EDGES)):
        last = at == len(EDGES) - 1
        if last or _inside(similarity, edges[-1], EDGES[at]).sum() >= _LEAST_IN_BIN:
            edges.append(EDGES[at])
    while len(edges) > 2 and _inside(similarity, edges[-2], edges[-1]).sum() < _LEAST_IN_BIN:  # noqa: PLR2004
        del edges[-2]
    return list(pairwise(edges))


def _inside(similarity: Floats, low: float, high: float) -> NDArray[np.bool_]:
    return (similarity >= low) & ((similarity < high) | (high >= 1.0))


def _quantile(size: _Sizes, level: float) -> float:
    """The conformal quantile; the largest residual where there are too few for the level."""
    count = len(size.least)
    return size.reached(min(count, math.ceil((count + 1) * level)) / count) if count else 0.0


def _reach(size: _Sizes, inside: NDArray[np.bool_], level: float) -> float:
    """Half the width of intervals in a bin: that of all compounds, within what the bin itself says."""
    own = _quantile(size[inside], level)
    return float(np.clip(_quantile(size, level), own, max(own, _sure_quantile(size[inside], level))))


def _far_reach(size: _Sizes, inside: NDArray[np.bool_], level: float) -> float:
    """Half the width of intervals in the bin of far compounds: what its own residuals make sure."""
    return max(_quantile(size[inside], level), _sure_quantile(size[inside], level))


def _sure_quantile(size: _Sizes, level: float) -> float:
    """The residual that covers the level with a probability of `_SURE` (Vovk, Mach. Learn. 92:349, 2013, prop. 2a).

    The k-th smallest of n covers more than the level with the probability that a binomial variable of n and the
    level stays below k. The largest residual where there are too few for that.
    """
    if not size.known:
        return 0.0
    from scipy.stats import binom  # noqa: PLC0415 - only to train

    return size.reached(min(size.known, int(binom.ppf(_SURE, size.known, level)) + 1) / size.known)


def _crossed(size: _Sizes, inside: NDArray[np.bool_], fold: NDArray[np.intp], level: float, reach: _Reach) -> float:
    """Share of a bin's measured compounds that are covered when each fold is judged by the others' residuals."""
    covered, count = 0, 0
    for number in np.unique(fold[inside]):
        seen = fold != number
        if inside[seen].any():
            mine = size.least[inside & ~seen & ~size.is_open]
            covered += int((mine <= reach(size[seen], inside[seen], level)).sum())
            count += len(mine)
    return covered / count if count else math.nan


def _log_odds(scores: Floats) -> Floats:
    held = np.clip(scores, _EDGE, 1 - _EDGE)
    return np.asarray(np.log(held / (1 - held)), dtype=np.float64)
