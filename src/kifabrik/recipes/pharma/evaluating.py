"""How good a model is on compounds it has not seen, beside simple models, and where it is not.

Invariants:
- a test compound that trained the model, or a stereoisomer of one that did, is refused;
- numbers are compared as the model sees them: as logarithms where it takes them;
- bounds among the test data are judged apart, and are in no measure, bin or cliff.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.baselines import Baseline, baseline_scores
from kifabrik.recipes.pharma.bounds import Judged, judge, taken
from kifabrik.recipes.pharma.calibrating import EDGES
from kifabrik.recipes.pharma.compounds import Compounds
from kifabrik.recipes.pharma.endpoints import Kind
from kifabrik.recipes.pharma.fingerprints import morgan
from kifabrik.recipes.pharma.measures import Interval, Measure, measure, with_intervals
from kifabrik.recipes.pharma.model import Model, Predictions
from kifabrik.recipes.pharma.neighbours import similarities
from kifabrik.recipes.pharma.splitting import check_apart, leaks

CLIFF_SIMILARITY: Final = 0.7
"""Least similarity of two compounds that make an activity cliff (Stumpfe and Bajorath, J. Med. Chem. 55, 2012, use
0.55 for ECFP4 with a hundredfold difference; van Tilborg et al., JCIM 62, 2022, use 0.9 of several)."""
CLIFF_STEP: Final = 1.0
"""Least difference: one decade for logarithms, one standard deviation for other numbers; another class."""
FAR: Final = 0.4
"""Similarity to the nearest training compound (ECFP4) below which intervals have been seen to hold less than
promised (`docs/benchmarks.md`, pharma intervals)."""
_HALF: Final = 0.5

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityBin:
    """Test compounds of some similarity to the training data.

    Attributes:
        low: Least similarity.
        high: Most.
        count: Compounds.
        error: Mean absolute error; for classes the share of wrong ones.
        covered: Share whose interval holds what was measured; None for classes.
    """

    low: float
    high: float
    count: int
    error: float
    covered: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Cliffs:
    """Test compounds that differ much from a near training compound.

    Attributes:
        pairs: Pairs of a test and a training compound that are near and differ.
        compounds: Test compounds in them.
        error: Mean absolute error of these; for classes the share of wrong ones. NaN where there are none.
        other_error: The same of all other test compounds.
    """

    pairs: int
    compounds: int
    error: float
    other_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What was found on test data.

    Attributes:
        count: Test compounds that were measured; those with a bound are not among them.
        measures: Of the model, on all of them.
        in_domain: Of the model, on those in its domain; empty where they are too few.
        inside: How many are in the domain.
        baselines: Of the simple models.
        bins: By similarity.
        covered: Share of all whose interval holds what was measured; None for classes.
        cliffs: Activity cliffs.
        bounds: What becomes of test compounds with a bound.
        exact: Which of the predictions are of measured test compounds, shape (predictions,).
        true: Measured values, as compared, shape (count,).
        predicted: Predicted values, as compared.
        low: Lower ends of intervals, as compared; NaN for classes.
        high: Upper ends.
        predictions: All that the model says, of measured test compounds and of those with a bound.
    """

    count: int
    measures: dict[Measure, Interval] = field(hash=False)
    in_domain: dict[Measure, Interval] = field(hash=False)
    inside: int
    baselines: dict[Baseline, dict[Measure, float]] = field(hash=False)
    bins: tuple[SimilarityBin, ...]
    covered: float | None
    cliffs: Cliffs
    bounds: Judged
    exact: NDArray[np.bool_] = field(hash=False)
    true: Floats
    predicted: Floats
    low: Floats
    high: Floats
    predictions: Predictions

    @property
    def similarity(self) -> Floats:
        """Of measured test compounds to the nearest training compound, shape (count,)."""
        return self.predictions.similarity[self.exact]

    @property
    def covered_far(self) -> float | None:
        """Share covered of compounds far from all training compounds; None for classes or where there are none."""
        if self.covered is None or not self.count_far:
            return None
        return coverage_of_far(self.similarity, self.true, self.low, self.high)

    @property
    def count_far(self) -> int:
        """Measured test compounds far from all training compounds."""
        return int((self.similarity < FAR).sum())

    def plain(self) -> dict[str, Any]:
        """As JSON says it: figures only, no compounds."""
        return _finite_of(
            {
                "count": self.count,
                "measures": _named(self.measures),
                "inside": self.inside,
                "in_domain": _named(self.in_domain),
                "baselines": {
                    which.value: {name.value: value for name, value in found.items()}
                    for which, found in self.baselines.items()
                },
                "bins": [asdict(one) for one in self.bins],
                "covered": self.covered,
                "far": {"below": FAR, "count": self.count_far, "covered": self.covered_far},
                "cliffs": asdict(self.cliffs),
                "bounds": asdict(self.bounds),
            }
        )


_ENOUGH: Final = 20
_SLACK: Final = 0.02
_LUCK: Final = 0.05


def coverage_of_far(similarity: Floats, true: Floats, low: Floats, high: Floats) -> float:
    """Share of compounds far from all training compounds whose interval holds what was measured.

    Args:
        similarity: To the nearest training compound, shape (n,); below `FAR` for at least one.
        true: Measured.
        low: Lower ends of intervals.
        high: Upper ends.
    """
    is_far = similarity < FAR
    return float(((true >= low) & (true <= high))[is_far].mean())


def is_short(covered: float, count: int, level: float) -> bool:
    """Whether intervals hold less than they promise, by two points and by more than luck.

    Args:
        covered: Share of the compounds whose interval holds what was measured.
        count: Compounds.
        level: The promise; it is luck where intervals that keep it would hold as few in 5 of 100 cases (binomial).
    """
    from scipy.special import bdtr  # noqa: PLC0415 - slow to import

    return covered < level - _SLACK and bool(bdtr(round(covered * count), count, level) < _LUCK)


def evaluate(
    model: Model,
    train: Compounds,
    test: Compounds,
    *,
    seed: int = 1,
    workers: int = 1,
    cache: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Evaluation:
    """Judge a model on test data.

    Args:
        model: What to judge.
        train: What it was trained with, for the simple models and the cliffs.
        test: What it has not seen.
        seed: Of resampling and of the forest.
        workers: Processes for features.
        cache: A folder that keeps features between calls.
        progress: Called with 1 for the model and for each simple model.

    Raises:
        UsageError: If test data leaks, has no value of the endpoint, or one class only.
    """
    name, kind = model.endpoint.name, model.endpoint.kind
    if name not in test.endpoints or name not in train.endpoints:
        raise UsageError(
            f"The test data has no endpoint {name}.", hint="Name the folder the model was trained from."
        )
    train = taken(train, model.bounds).measured(name)
    test = test.measured(name)
    check_apart(train, test)
    _check_unseen(model, test)
    values, side = test.endpoints[name].value, test.endpoints[name].side
    exact = side == 0
    if not exact.any() or (kind is Kind.CLASS and np.ptp(values) == 0):
        raise UsageError(
            f"{exact.sum()} test compounds have a measured value of {name}, and they are all alike.",
            hint="Split again: with a larger --test, another --seed or --by.",
        )
    if model.scaling.log and values[exact].min() <= 0:
        raise UsageError(
            f"{(values[exact] <= 0).sum()} test compounds have a {name} of 0 or less, which has no logarithm.",
            hint="The model takes logarithms; train it again with --no-log.",
        )
    done = progress or (lambda _one: None)
    said = model.predict(test.smiles, workers=workers, cache=cache)
    done(1)
    forth = model.scaling
    unscaled = (forth.mean, forth.sd)

    def compared(numbers: Floats) -> Floats:
        return np.log10(numbers) if forth.log else numbers

    judged = judge(values, side, said.value, said.low, said.high)
    true, predicted = compared(values[exact]), compared(said.value[exact])
    low, high = compared(said.low[exact]), compared(said.high[exact])
    inside, similarity = said.in_domain[exact], said.similarity[exact]
    return Evaluation(
        count=len(true),
        measures=with_intervals(kind, true, predicted, seed=seed),
        inside=int(inside.sum()),
        in_domain=with_intervals(kind, true[inside], predicted[inside], seed=seed)
        if inside.sum() >= _ENOUGH and np.ptp(true[inside]) > 0
        else {},
        baselines=_baselines(model, train, test.exact(name), unscaled, true, seed, done),
        bins=_bins(kind, similarity, true, predicted, low, high),
        covered=None if kind is Kind.CLASS else float(((true >= low) & (true <= high)).mean()),
        cliffs=_cliffs(kind, train.exact(name), test.exact(name), name, compared, predicted, is_log=forth.log),
        bounds=judged,
        exact=exact,
        true=true,
        predicted=predicted,
        low=low,
        high=high,
        predictions=said,
    )


def _check_unseen(model: Model, test: Compounds) -> None:
    found = leaks(model.lineage.inchikey, test.inchikey)
    if found:
        first = found[0]
        raise UsageError(
            f"{len(found)} of {len(test)} test compounds trained this model, the first is {test.id[first.test]} "
            f"(training compound {model.lineage.id[first.train]}).",
            hint="Judge it on the test data of the split that it was trained from.",
        )


def _baselines(
    model: Model,
    train: Compounds,
    test: Compounds,
    unscaled: tuple[float, float],
    true: Floats,
    seed: int,
    done: Callable[[int], None],
) -> dict[Baseline, dict[Measure, float]]:
    kind = model.endpoint.kind
    target = model.scaling.forth(train.endpoints[model.endpoint.name].value)
    near, far = morgan(train.smiles), morgan(test.smiles)
    mean, sd = unscaled
    found = {}
    for which in Baseline:
        guessed = baseline_scores(which, kind, near, target, far, seed)
        found[which] = measure(kind, true, guessed * sd + mean)
        done(1)
    return found


def _errors(kind: Kind, true: Floats, predicted: Floats) -> Floats:
    if kind is Kind.CLASS:
        return np.asarray((predicted >= _HALF) != (true == 1), dtype=np.float64)
    return np.abs(true - predicted)


def _bins(
    kind: Kind, similarity: Floats, true: Floats, predicted: Floats, low: Floats, high: Floats
) -> tuple[SimilarityBin, ...]:
    errors = _errors(kind, true, predicted)
    held = (true >= low) & (true <= high)
    found = []
    for start, end in pairwise(EDGES):
        inside = (similarity >= start) & ((similarity < end) | (end >= 1.0))
        if inside.any():
            found.append(
                SimilarityBin(
                    low=start,
                    high=end,
                    count=int(inside.sum()),
                    error=float(errors[inside].mean()),
                    covered=None if kind is Kind.CLASS else float(held[inside].mean()),
                )
            )
    return tuple(found)


def _cliffs(
    kind: Kind,
    train: Compounds,
    test: Compounds,
    name: str,
    compared: Callable[[Floats], Floats],
    predicted: Floats,
    *,
    is_log: bool,
) -> Cliffs:
    base, true = (compared(one.endpoints[name].value) for one in (train, test))
    close = similarities(morgan(test.smiles), morgan(train.smiles)) >= CLIFF_SIMILARITY
    step = _HALF if kind is Kind.CLASS else CLIFF_STEP if is_log else CLIFF_STEP * float(base.std())
    differ = close & (np.abs(true[:, None] - base[None, :]) >= step)
    in_cliff = differ.any(axis=1)
    errors = _errors(kind, true, predicted)
    return Cliffs(
        pairs=int(differ.sum()),
        compounds=int(in_cliff.sum()),
        error=float(errors[in_cliff].mean()) if in_cliff.any() else math.nan,
        other_error=float(errors[~in_cliff].mean()) if (~in_cliff).any() else math.nan,
    )


def _named(measures: dict[Measure, Interval]) -> dict[str, Any]:
    return {name.value: asdict(interval) for name, interval in measures.items()}


def _finite_of(figures: dict[str, Any]) -> dict[str, Any]:
    return {name: _finite(one) for name, one in figures.items()}


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return _finite_of(value)
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
