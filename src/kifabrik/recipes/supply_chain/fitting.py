"""Fits distributions to what was seen: maximum likelihood or moments, choice by AIC, test of the fit.

Invariants:
    - Whole numbers are compared by probabilities, others by densities; never one against the other.
    - The tests' P-values come from a parametric bootstrap (Stute, Manteiga and Quindimil 1993): the parameters were
      estimated from the same data, so the tables of Kolmogorov and of chi-square do not hold.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.chi_square import Agreement, agreement
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind

Floats = NDArray[np.float64]
LEAST_HISTORY: Final = 20
"""Fewer periods tell no family from another: the deviation alone is known to 16 % then."""
_ADI: Final = 1.32
_CV2: Final = 0.49
"""Cut-offs of Syntetos, Boylan and Croston 2005, "On the categorization of demand patterns", JORS 56."""
_MOST_VALUES: Final = 200
_DOUBTFUL: Final = 0.01
_BOOTSTRAPS: Final = 199
_DISCRETE: Final = (Kind.POISSON, Kind.NEGATIVE_BINOMIAL)
_SMOOTH: Final = (Kind.NORMAL, Kind.GAMMA, Kind.LOGNORMAL)


class Pattern(StrEnum):
    """Class of a demand, by mean periods between demands (ADI) and squared variation of their sizes (CV²)."""

    SMOOTH = "smooth"
    ERRATIC = "erratic"
    INTERMITTENT = "intermittent"
    LUMPY = "lumpy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One family tried.

    Attributes:
        distribution: With its parameters.
        aic: Akaike's criterion; lower is better.
    """

    distribution: Distribution
    aic: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """What was fitted.

    Attributes:
        distribution: The one to use.
        candidates: All that were tried, best first.
        p_value: Chance of a worse fit if the best family were true; Kolmogorov's distance, parametric bootstrap.
        distance: Kolmogorov's distance of the best family.
        chi_square: Of whole numbers, how often classes of them were seen and are expected; else None.
        chi_square_p: Chance of a larger chi-square if the best family were true; NaN where there is none.
        pattern: Class of the demand.
        is_doubtful: Whether no family fits; the empirical distribution is used then.
        seen: Number of values.
    """

    distribution: Distribution
    candidates: tuple[Candidate, ...]
    p_value: float
    distance: float
    pattern: Pattern
    is_doubtful: bool
    seen: int
    chi_square: Agreement | None = None
    chi_square_p: float = math.nan


def fit(values: ArrayLike, *, what: str = "this history", seed: int = 1, bootstraps: int = _BOOTSTRAPS) -> Fit:
    """Fit a distribution to values, none of them negative.

    Args:
        values: What was seen, periods without demand as zeros.
        what: What they are, for errors.
        seed: Of the bootstrap.
        bootstraps: Samples of the bootstrap.

    Raises:
        UsageError: If there are fewer than 20 values, or one is negative or not a number.
    """
    seen = np.asarray(values, dtype=np.float64).ravel()
    if len(seen) < LEAST_HISTORY:
        raise UsageError(
            f"{what}: {len(seen)} values are too few to fit a distribution; {LEAST_HISTORY} are the least.",
            hint="Give a longer history, or state mean and deviation yourself.",
        )
    if not np.isfinite(seen).all() or seen.min() < 0:
        raise UsageError(f"{what}: a value is negative or not a number.", hint="Clean the history first.")
    pattern = _pattern(seen)
    if seen.min() == seen.max():
        only = Distribution(kind=Kind.FIXED, mean=float(seen[0]))
        return Fit(
            distribution=only, candidates=(Candidate(distribution=only, aic=-math.inf),), p_value=1.0, distance=0.0,
            pattern=pattern, is_doubtful=False, seen=len(seen),
        )  # fmt: skip
    ranked = _ranked(seen)
    if not ranked:
        return Fit(
            distribution=empirical(seen), candidates=(), p_value=0.0, distance=1.0, pattern=pattern,
            is_doubtful=True, seen=len(seen),
        )  # fmt: skip
    best = ranked[0].distribution
    distance, counts = _distance(seen, best), _counts(seen, best)
    p_value, chi_square_p = _bootstrap(seen, best, np.random.default_rng(seed), bootstraps)
    doubtful = p_value < _DOUBTFUL or chi_square_p < _DOUBTFUL
    return Fit(
        distribution=empirical(seen) if doubtful else best,
        candidates=ranked, p_value=p_value, distance=distance, pattern=pattern,
        is_doubtful=doubtful, seen=len(seen), chi_square=counts, chi_square_p=chi_square_p,
    )  # fmt: skip


def _pattern(seen: Floats) -> Pattern:
    """Class of a demand history [period], by the mean interval between demands and their CV²."""
    sizes = seen[seen > 0]
    adi = len(seen) / len(sizes) if len(sizes) else math.inf
    cv2 = float((sizes.std() / sizes.mean()) ** 2) if len(sizes) else 0.0
    if adi < _ADI:
        return Pattern.SMOOTH if cv2 < _CV2 else Pattern.ERRATIC
    return Pattern.INTERMITTENT if cv2 < _CV2 else Pattern.LUMPY


def empirical(seen: Floats) -> Distribution:
    """The distribution of what was seen itself; of more than 200 different values, means of equal shares."""
    values, counts = np.unique(seen, return_counts=True)
    if len(values) > _MOST_VALUES:
        values, counts = np.unique(
            [part.mean() for part in np.array_split(np.sort(seen), _MOST_VALUES)], return_counts=True
        )
    weights = counts / counts.sum()
    return Distribution(kind=Kind.EMPIRICAL, values=tuple(values.tolist()), weights=tuple(weights.tolist()))


def _ranked(seen: Floats) -> tuple[Candidate, ...]:
    """Families that can have drawn this, best first."""
    whole = bool(np.all(seen == np.round(seen)))
    kinds: tuple[Kind, ...] = _DISCRETE if whole and seen.max() > 1 else ()
    kinds = (*kinds, *(kind for kind in _SMOOTH if seen.min() > 0 or kind is Kind.NORMAL))
    if seen.min() == 0:
        kinds = (*kinds, Kind.INTERMITTENT)
    found = []
    for kind in kinds:
        distribution = _estimated(kind, seen)
        if distribution is not None:
            likelihood = _log_likelihood(seen, distribution, whole=whole)
            if math.isfinite(likelihood):
                parameters = {Kind.POISSON: 1, Kind.INTERMITTENT: 3}.get(kind, 2)
                found.append(Candidate(distribution=distribution, aic=2 * parameters - 2 * likelihood))
    return tuple(sorted(found, key=lambda candidate: candidate.aic))


def _estimated(kind: Kind, seen: Floats) -> Distribution | None:  # noqa: PLR0911 - one return a family
    """The family's member that fits best, None where there is none."""
    from scipy import stats  # noqa: PLC0415 - slow to import

    mean, sd = float(seen.mean()), float(seen.std(ddof=1))
    if mean == 0:
        return None
    above = np.where(seen > 0, seen, 0.5)  # rounded samples of smooth families can be zero
    match kind:
        case Kind.NEGATIVE_BINOMIAL:
            return Distribution(kind=kind, mean=mean, sd=sd) if sd**2 > mean * (1 + 1e-9) else None
        case Kind.POISSON:
            return Distribution(kind=kind, mean=mean)
        case Kind.GAMMA:
            shape, _, scale = stats.gamma.fit(above, floc=0)
            return Distribution(kind=kind, mean=float(shape * scale), sd=float(math.sqrt(shape) * scale))
        case Kind.LOGNORMAL:
            logs = np.log(above)
            spread = float(logs.var())
            mean = math.exp(float(logs.mean()) + spread / 2)
            return Distribution(kind=kind, mean=mean, sd=mean * math.sqrt(math.expm1(spread)))
        case Kind.INTERMITTENT:
            sizes = seen[seen > 0]
            chance = len(sizes) / len(seen)
            if len(sizes) < 2 or sizes.min() == sizes.max():  # noqa: PLR2004
                return Distribution(kind=kind, mean=float(sizes.mean()), chance=chance)
            shape, _, scale = stats.gamma.fit(sizes, floc=0)
            return Distribution(
                kind=kind, mean=float(shape * scale), sd=float(math.sqrt(shape) * scale), chance=chance
            )
        case _:
            return Distribution(kind=kind, mean=mean, sd=sd)


def _log_likelihood(seen: Floats, distribution: Distribution, *, whole: bool) -> float:
    """Log of the probability of what was seen; smooth families count for whole numbers by the unit around each.

    Zeros of a normal distribution are what it has at or below zero (below a half, for whole numbers).
    """
    if whole:
        chances = distribution.cumulative(seen + 0.5) - np.where(seen > 0, distribution.cumulative(seen - 0.5), 0.0)
    else:
        chances = np.where(seen > 0, _density(seen, distribution), distribution.cumulative(np.zeros_like(seen)))
    return float(np.log(np.maximum(chances, 1e-300)).sum())


def _frozen(distribution: Distribution) -> Any:
    from scipy import stats  # noqa: PLC0415 - slow to import

    mean, sd = distribution.mean, distribution.sd
    match distribution.kind:
        case Kind.NORMAL:
            return stats.norm(mean, sd)
        case Kind.POISSON:
            return stats.poisson(mean)
        case Kind.NEGATIVE_BINOMIAL:
            success = mean / sd**2
            return stats.nbinom(mean * success / (1 - success), success)
        case Kind.LOGNORMAL:
            spread = math.sqrt(math.log1p((sd / mean) ** 2))
            return stats.lognorm(spread, scale=mean * math.exp(-(spread**2) / 2))
        case _:
            return stats.gamma((mean / sd) ** 2, scale=sd**2 / mean) if sd > 0 else stats.uniform(mean - 1e-9, 2e-9)


def _density(at: Floats, distribution: Distribution) -> Floats:
    share = distribution.chance if distribution.kind is Kind.INTERMITTENT else 1.0
    return np.asarray(share * _frozen(distribution).pdf(at))


def _distance(seen: Floats, distribution: Distribution) -> float:
    """Kolmogorov's distance, at the values seen, and just below them where the family is smooth."""
    values, counts = np.unique(seen, return_counts=True)
    upto = np.cumsum(counts) / len(seen)
    if bool(np.all(seen == np.round(seen))):
        return float(np.abs(distribution.cumulative(values + 0.5) - upto).max())
    smooth = distribution.cumulative(values)
    before = np.concatenate([[0.0], upto[:-1]])
    under = np.where(values > 0, smooth, 0.0)
    return float(max(np.abs(smooth - upto).max(), np.abs(under - before).max()))


def _counts(seen: Floats, distribution: Distribution) -> Agreement | None:
    return agreement(seen, distribution) if bool(np.all(seen == np.round(seen))) else None


def _bootstrap(seen: Floats, best: Distribution, luck: np.random.Generator, bootstraps: int) -> tuple[float, float]:
    """Share of samples of `best`, fitted again, that are at least as far from their fit.

    Returns:
        By Kolmogorov's distance; and by chi-square, NaN where there is none.
    """
    whole = bool(np.all(seen == np.round(seen)))
    distance, counts = _distance(seen, best), _counts(seen, best)
    distances, statistics = [], []
    for _ in range(bootstraps):
        sample = best.quantile(luck.random(len(seen)))
        sample = np.round(sample) if whole else sample
        again = _estimated(best.kind, sample) if sample.any() else None
        if again is None:
            continue
        distances.append(_distance(sample, again))
        of_sample = agreement(sample, again) if counts else None
        if of_sample:
            statistics.append(of_sample.statistic)
    p_value = _share_at_least(distances, distance)
    return p_value, _share_at_least(statistics, counts.statistic) if counts else math.nan


def _share_at_least(found: list[float], seen: float) -> float:
    return (1 + sum(one >= seen - 1e-12 for one in found)) / (1 + len(found))
