"""Distributions of demand and lead time: moments and quantiles; drawing is the engine's.

Invariants:
    - A distribution draws no negative value: what would be below zero is zero.
    - `quantile` does not decrease, so equal luck means equal rank whatever the distribution.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from statistics import NormalDist
from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kifabrik.errors import UsageError

Floats = NDArray[np.float64]
_HALF: Final = 0.5


class Kind(StrEnum):
    """What a distribution is called in tables."""

    FIXED = "fixed"
    NORMAL = "normal"
    POISSON = "poisson"
    NEGATIVE_BINOMIAL = "negative-binomial"
    GAMMA = "gamma"
    LOGNORMAL = "lognormal"
    UNIFORM = "uniform"
    INTERMITTENT = "intermittent"
    EMPIRICAL = "empirical"


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A distribution of amounts or of periods.

    Attributes:
        kind: The family.
        mean: Mean before what is below zero is cut off; of an `INTERMITTENT` one, mean of a demand that happens.
        sd: Standard deviation; of an `INTERMITTENT` one, that of a demand that happens. Not for `POISSON`, `FIXED`.
        chance: For `INTERMITTENT`: the probability that a period has any demand.
        values: For `EMPIRICAL`: the values that happen, ascending. For `UNIFORM`: lowest and highest.
        weights: For `EMPIRICAL`: their probabilities; they add up to one.

    Raises:
        UsageError: If the numbers cannot be those of such a distribution.
    """

    kind: Kind
    mean: float = 0.0
    sd: float = 0.0
    chance: float = 1.0
    values: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not all(map(math.isfinite, (self.mean, self.sd, self.chance, *self.values, *self.weights))):
            raise UsageError(f"A {self.kind} distribution has a number that is not finite.")
        if self.mean < 0 or self.sd < 0 or any(value < 0 for value in self.values):
            raise UsageError(f"A {self.kind} distribution cannot have a negative mean, deviation or value.")
        if not 0 <= self.chance <= 1:
            raise UsageError(f"The chance {self.chance:g} is not between 0 and 1.")
        if self.kind is Kind.NEGATIVE_BINOMIAL and self.sd**2 <= self.mean:
            raise UsageError("A negative binomial distribution needs a variance above its mean; else use poisson.")
        if self.kind is Kind.UNIFORM and (len(self.values) != 2 or self.values[0] > self.values[1]):  # noqa: PLR2004
            raise UsageError("A uniform distribution needs its lowest and its highest value.")
        if self.kind is Kind.EMPIRICAL:
            self._check_values()

    def _check_values(self) -> None:
        if not self.values or len(self.values) != len(self.weights):
            raise UsageError("An empirical distribution needs values, and a weight for each.")
        if list(self.values) != sorted(set(self.values)):
            raise UsageError("The values of an empirical distribution must ascend.")
        if min(self.weights) < 0 or not math.isclose(sum(self.weights), 1, rel_tol=1e-6):
            raise UsageError("The weights of an empirical distribution must be positive and add up to one.")

    @property
    def is_certain(self) -> bool:
        """Whether it always draws the same."""
        match self.kind:
            case Kind.FIXED:
                return True
            case Kind.POISSON:
                return self.mean == 0
            case Kind.EMPIRICAL | Kind.UNIFORM:
                return self.values[0] == self.values[-1]
            case Kind.INTERMITTENT:
                return self.chance in {0, 1} and self.sd == 0
            case _:
                return self.sd == 0

    def expected(self) -> float:
        """Mean of what is drawn, zero instead of what is below it."""
        match self.kind:
            case Kind.NORMAL if self.sd > 0:
                at = self.mean / self.sd
                usual = NormalDist()
                return self.mean * usual.cdf(at) + self.sd * usual.pdf(at)
            case Kind.UNIFORM:
                return sum(self.values) / 2
            case Kind.EMPIRICAL:
                return float(np.dot(self.values, self.weights))
            case Kind.INTERMITTENT:
                return self.chance * self.mean
            case _:
                return self.mean

    def deviation(self) -> float:
        """Standard deviation of what is drawn (of a normal one: before the cut at zero)."""
        if self.is_certain:
            return 0.0
        match self.kind:
            case Kind.POISSON:
                return math.sqrt(self.mean)
            case Kind.UNIFORM:
                return (self.values[1] - self.values[0]) / math.sqrt(12)
            case Kind.EMPIRICAL:
                squares = np.dot(np.square(self.values), self.weights)
                return math.sqrt(max(0.0, float(squares) - self.expected() ** 2))
            case Kind.INTERMITTENT:
                squares = self.chance * (self.sd**2 + self.mean**2)
                return math.sqrt(max(0.0, squares - (self.chance * self.mean) ** 2))
            case _:
                return self.sd

    def quantile(self, at: ArrayLike) -> Floats:
        """What is drawn at these ranks, each between 0 and 1; same shape."""
        ranks = np.asarray(at, dtype=np.float64)
        return np.maximum(0.0, self._quantile(ranks))

    def cumulative(self, at: ArrayLike) -> Floats:
        """Probability that no more than this is drawn; same shape."""
        values = np.asarray(at, dtype=np.float64)
        return np.where(values < 0, 0.0, self._cumulative(np.maximum(0.0, values)))

    def _cumulative(self, values: Floats) -> Floats:  # noqa: PLR0911 - one line per family
        if self.is_certain:
            return np.asarray(values >= self.quantile(_HALF), dtype=np.float64)
        from scipy import special  # noqa: PLC0415 - slow to import

        match self.kind:
            case Kind.NORMAL:
                return np.asarray(special.ndtr((values - self.mean) / self.sd))
            case Kind.POISSON:
                return np.asarray(special.pdtr(np.floor(values), self.mean))
            case Kind.NEGATIVE_BINOMIAL:
                success = self.mean / self.sd**2
                failures = self.mean * success / (1 - success)
                return np.asarray(special.betainc(failures, np.floor(values) + 1, success))
            case Kind.GAMMA:
                return _below_gamma(values, self.mean, self.sd)
            case Kind.LOGNORMAL:
                spread = math.sqrt(math.log1p((self.sd / self.mean) ** 2))
                with np.errstate(divide="ignore"):
                    return np.asarray(special.ndtr((np.log(values / self.mean) + spread**2 / 2) / spread))
            case Kind.UNIFORM:
                return np.clip((values - self.values[0]) / (self.values[1] - self.values[0]), 0.0, 1.0)
            case Kind.INTERMITTENT:
                if self.sd == 0:
                    return np.where(values >= self.mean, 1.0, 1 - self.chance)
                return 1 - self.chance * (1 - _below_gamma(values, self.mean, self.sd))
            case _:
                return np.concatenate([[0.0], np.cumsum(self.weights)])[
                    np.searchsorted(self.values, values, "right")
                ]

    def _quantile(self, ranks: Floats) -> Floats:  # noqa: PLR0911 - one line per family
        if self.is_certain:
            certain = self.values[0] if self.values else self.chance * self.mean
            return np.full_like(ranks, certain)
        from scipy import stats  # noqa: PLC0415 - slow to import

        match self.kind:
            case Kind.NORMAL:
                return np.asarray(stats.norm.ppf(ranks, self.mean, self.sd))
            case Kind.POISSON:
                return np.asarray(stats.poisson.ppf(ranks, self.mean))
            case Kind.NEGATIVE_BINOMIAL:
                success = self.mean / self.sd**2
                return np.asarray(stats.nbinom.ppf(ranks, self.mean * success / (1 - success), success))
            case Kind.GAMMA:
                return _gamma(ranks, self.mean, self.sd)
            case Kind.LOGNORMAL:
                spread = math.sqrt(math.log1p((self.sd / self.mean) ** 2))
                return np.asarray(self.mean * np.exp(spread * stats.norm.ppf(ranks) - spread**2 / 2))
            case Kind.UNIFORM:
                return self.values[0] + ranks * (self.values[1] - self.values[0])
            case Kind.INTERMITTENT:
                inside = np.clip((ranks - (1 - self.chance)) / self.chance, 0.0, 1.0)
                sizes = _gamma(inside, self.mean, self.sd) if self.sd > 0 else np.full_like(ranks, self.mean)
                return np.where(ranks > 1 - self.chance, sizes, 0.0)
            case _:
                places = np.searchsorted(np.cumsum(self.weights), ranks - 1e-12)
                return np.asarray(self.values)[np.minimum(places, len(self.values) - 1)]


@lru_cache(maxsize=4096)
def fixed(value: float) -> Distribution:
    """The distribution that always draws this value."""
    return Distribution(kind=Kind.FIXED, mean=value)


def _gamma(ranks: Floats, mean: float, sd: float) -> Floats:
    from scipy import stats  # noqa: PLC0415 - slow to import

    shape = (mean / sd) ** 2
    return np.asarray(stats.gamma.ppf(ranks, shape, scale=mean / shape))


def _below_gamma(values: Floats, mean: float, sd: float) -> Floats:
    from scipy import special  # noqa: PLC0415 - slow to import

    shape = (mean / sd) ** 2
    return np.asarray(special.gammainc(shape, values * shape / mean))
