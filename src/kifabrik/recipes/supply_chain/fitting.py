"""Fits distributions to what was seen: maximum likelihood or moments, choice by AIC, test of the fit.

Invariants:
    - Whole numbers are compared by probabilities, others by densities; never one against the other.
    - The test's P-value comes from a parametric bootstrap (Stute, Manteiga and Quindimil 1993): the parameters were
      estimated from the same data, so the tables of Kolmogorov do not hold.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind

Floats = NDArray[np.float64]
LEAST_HISTORY: Final = 20
"""Fewer periods tell no family from another: the deviation alone is known to 16 % then."""
_ADI: Final = 1.32
_CV2: Final = 0.49
"""Cut-offs of Syntetos, Boylan and Croston 2005, "On the categorization of demand patterns", JORS 56."""
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
        pattern: Class of the demand.
        adi: Mean periods from a demand to the next.
        cv2: Squared coefficient of variation of demands that happened.
        is_doubtful: Whether no family fits; the empirical distribution is used then.
        seen: Number of values.
    """

    distribution: Distribution
    candidates: tuple[Candidate, ...]
    p_value: float
    distance: float
    pattern: Pattern
    adi: float
    cv2: float
    is_doubtful: bool
    seen: int


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
    adi, cv2, pattern = classify(seen)
    if seen.min() == seen.max():
        only = Distribution(kind=Kind.FIXED, mean=float(seen[0]))
        return Fit(
            distribution=only, candidates=(Candidate(distribution=only, aic=-math.inf),), p_value=1.0, distance=0.0,
            pattern=pattern, adi=adi, cv2=cv2, is_doubtful=False, seen=len(seen),
        )  # fmt: skip
    ranked = _ranked(seen)
    if not ranked:
        return Fit(
            distribution=empirical(seen), candidates=(), p_value=0.0, distance=1.0, pattern=pattern, adi=adi,
            cv2=cv2, is_doubtful=True, seen=len(seen),
        )  # fmt: skip
    best = ranked[0].distribution
    distance = _distance(seen, best)
    p_value = _bootstrap(seen, best, distance, np.random.default_rng(seed), bootstraps)
    doubtful = p_value < _DOUBTFUL
    return Fit(
        distribution=empirical(seen) if doubtful else best,
        candidates=ranked, p_value=p_value, distance=distance, pattern=pattern, adi=adi, cv2=cv2,
        is_doubtful=doubtful, seen=len(seen),
    )  # fmt: skip


def classify(seen: Floats) -> tuple[float, float, Pattern]:
    """ADI, CV² and class of a demand history [period]."""
    sizes = seen[seen > 0]
    adi = len(seen) / len(sizes) if len(sizes) else math.inf
    cv2 = float((sizes.std() / sizes.mean()) ** 2) if len(sizes) else 0.0
    if adi < _ADI:
        return adi, cv2, Pattern.SMOOTH if cv2 < _CV2 else Pattern.ERRATIC
    return adi, cv2, Pattern.INTERMITTENT if cv2 < _CV2 else Pattern.LUMPY


def empirical(seen: Floats, *, most: int = 200) -> Distribution:
    """The distribution of what was seen itself; of more than `most` different values, means of equal shares."""
    values, counts = np.unique(seen, return_counts=True)
    if len(values) > most:
        values, counts = np.unique(
            [part.mean() for part in np.array_split(np.sort(seen), most)], return_counts=True
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
        chances = _below(seen + 0.5, distribution) - np.where(seen > 0, _below(seen - 0.5, distribution), 0.0)
    else:
        chances = np.where(seen > 0, _density(seen, distribution), _below(np.zeros_like(seen), distribution))
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


def _below(at: Floats, distribution: Distribution) -> Floats:
    """Probability of at most `at`."""
    below = np.asarray(_frozen(distribution).cdf(at))
    if distribution.kind is Kind.INTERMITTENT:
        below = (1 - distribution.chance) + distribution.chance * below
    return np.where(at < 0, 0.0, below)


def _density(at: Floats, distribution: Distribution) -> Floats:
    share = distribution.chance if distribution.kind is Kind.INTERMITTENT else 1.0
    return np.asarray(share * _frozen(distribution).pdf(at))


def _distance(seen: Floats, distribution: Distribution) -> float:
    """Kolmogorov's distance, at the values seen, and just below them where the family is smooth."""
    values, counts = np.unique(seen, return_counts=True)
    upto = np.cumsum(counts) / len(seen)
    if bool(np.all(seen == np.round(seen))):
        return float(np.abs(_below(values + 0.5, distribution) - upto).max())
    smooth = _below(values, distribution)
    before = np.concatenate([[0.0], upto[:-1]])
    under = np.where(values > 0, smooth, 0.0)
    return float(max(np.abs(smooth - upto).max(), np.abs(under - before).max()))


def _bootstrap(
    seen: Floats, best: Distribution, distance: float, luck: np.random.Generator, bootstraps: int
) -> float:
    """Share of samples of `best`, fitted again, that lie at least as far from their fit."""
    whole = bool(np.all(seen == np.round(seen)))
    farther = done = 0
    for _ in range(bootstraps):
        sample = best.quantile(luck.random(len(seen)))
        sample = np.round(sample) if whole else sample
        again = _estimated(best.kind, sample) if sample.any() else None
        if again is None:
            continue
        done += 1
        farther += _distance(sample, again) >= distance - 1e-12
    return (1 + farther) / (1 + done)
