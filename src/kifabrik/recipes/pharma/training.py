"""Training: choose a recipe, learn how far it can be trusted, and grow the final trees.

Everything is decided by inner cross-validation over whole scaffolds; test data is never seen here. The predictions
for left-out compounds serve three times: to compare recipes and simple models, to calibrate, and to make intervals.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma import stacking
from kifabrik.recipes.pharma.baselines import Baseline, baseline_scores
from kifabrik.recipes.pharma.boosting import TREES, Recipe, Table, grow, scores, side_by_side
from kifabrik.recipes.pharma.calibrating import Calibration, bands_of
from kifabrik.recipes.pharma.compounds import Compounds, Values
from kifabrik.recipes.pharma.domain import Domain
from kifabrik.recipes.pharma.endpoints import Endpoint, Kind
from kifabrik.recipes.pharma.features import maplight
from kifabrik.recipes.pharma.fingerprints import morgan
from kifabrik.recipes.pharma.keeping import versions
from kifabrik.recipes.pharma.measures import HEADLINE, SMALL_IS_GOOD, measure_folds
from kifabrik.recipes.pharma.model import Lineage, Model
from kifabrik.recipes.pharma.molecules import Standardiser
from kifabrik.recipes.pharma.neighbours import Packed, nearest
from kifabrik.recipes.pharma.scaling import Scaling
from kifabrik.recipes.pharma.splitting import folds
from kifabrik.recipes.pharma.stacking import Growing, Helper, grow_helpers

LEAST: Final = 30
"""Compounds below which nothing is trained: five folds would have six each."""
LEAST_OF_CLASS: Final = 5
_COMPARED: Final = 2
"""Folds on which recipes are compared; the better one goes on to the others."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What whoever trains wishes.

    Attributes:
        recipe: How to grow trees; None: the better of both by inner cross-validation.
        trees: In a set.
        members: Sets of trees with seeds of their own, whose mean is taken.
        folds: Of the inner cross-validation.
        level: Share that intervals are to cover.
        log: Whether numbers are taken as logarithms; None: if they span two decades.
        seed: Of luck.
        shows_neighbours: Whether the model may keep and show training structures.
        helpers: Other endpoints of the same table, whose predictions are features.
        workers: Models grown at once, and processes for features.
        cache: A folder that keeps features between calls.
    """

    recipe: Recipe | None = None
    trees: int = TREES
    members: int = 1
    folds: int = 5
    level: float = 0.9
    log: bool | None = None
    seed: int = 1
    shows_neighbours: bool = False
    helpers: tuple[Endpoint, ...] = ()
    workers: int = 1
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class _Data:
    """Training data as trees see them."""

    kind: Kind
    features: Table
    packed: Packed
    target: Floats
    fold: NDArray[np.intp]

    def parts(self, number: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        return np.flatnonzero(self.fold != number), np.flatnonzero(self.fold == number)


def train(
    compounds: Compounds,
    endpoint: Endpoint,
    wishes: Training | None = None,
    *,
    standardiser: Standardiser | None = None,
    facts: dict[str, Any] | None = None,
    progress: Callable[[int], None] | None = None,
) -> Model:
    """Train a model of one endpoint.

    Args:
        compounds: Training data, standardised.
        endpoint: What to learn; compounds without a value are left out.
        wishes: How.
        standardiser: How the compounds were cleaned up; those to be predicted will be too.
        facts: What to keep beside the model, such as digests of its data.
        progress: Called with 1 for each model grown; `steps` says how many there are.

    Raises:
        UsageError: If there are too few compounds, or nothing to learn from them.
    """
    wishes = wishes or Training()
    begun = time.perf_counter()
    known = compounds.measured(endpoint.name)
    values = known.endpoints[endpoint.name].value
    _check(endpoint, values, wishes)
    scaling = Scaling() if endpoint.kind is Kind.CLASS else Scaling.of(values, log=wishes.log)
    done = progress or (lambda _one: None)
    rest = _helping(compounds, endpoint, wishes)
    table = _joined(known, rest)
    features = maplight(table.smiles, workers=wishes.workers, cache=wishes.cache).values
    fold = folds(table, wishes.folds, wishes.seed)
    flagged = int(np.isnan(features[: len(known)]).any(axis=1).sum())
    helpers: tuple[Helper, ...] = ()
    if wishes.helpers:
        how = Growing(recipe=Recipe.FAST, trees=wishes.trees, seed=wishes.seed, workers=wishes.workers, done=done)
        helpers, columns = grow_helpers(table, wishes.helpers, features, fold, how)
        features = np.column_stack([features, columns])
    features = features[: len(known)]
    data = _Data(endpoint.kind, features, morgan(known.smiles), scaling.forth(values), fold[: len(known)])
    recipe, compared, left_out = _choose(data, wishes, done)
    simple = _simple(data, wishes, done)
    members = side_by_side(
        [
            partial(grow, recipe, data.kind, data.features, data.target, wishes.seed + at)
            for at in range(wishes.members)
        ],
        wishes.workers,
        lambda: done(1),
    )
    is_class = endpoint.kind is Kind.CLASS
    near = _near(data, wishes.folds)
    inner = {
        name: _plain(measure_folds(data.kind, data.target, found, data.fold))
        for name, found in {"recipe": left_out, **{which.value: found for which, found in simple.items()}}.items()
    }
    return Model(
        endpoint=endpoint,
        recipe=recipe,
        scaling=scaling,
        members=tuple(members),
        helpers=helpers,
        calibration=Calibration.of(left_out, data.target) if is_class else None,
        bands=() if is_class else bands_of(data.target - left_out, near, data.fold, wishes.level),
        level=wishes.level,
        domain=Domain.of(data.packed, data.features),
        fingerprints=data.packed,
        lineage=Lineage(
            id=table.id,
            inchikey=table.inchikey,
            smiles=table.smiles,
            value=(*values.tolist(), *([math.nan] * len(rest))),
        ),
        shows_neighbours=wishes.shows_neighbours,
        standardiser=standardiser or Standardiser(),
        facts={
            **(facts or {}),
            "compounds": len(known),
            "positive": int(values.sum()) if is_class else None,
            "range": [float(values.min()), float(values.max())],
            "seed": wishes.seed,
            "trees": wishes.trees,
            "folds": wishes.folds,
            "compared": compared,
            "inner": inner,
            "flagged": flagged,
            "versions": versions(),
            "seconds": round(time.perf_counter() - begun, 1),
        },
    )


def steps(wishes: Training) -> int:
    """How many models `train` grows, for a bar."""
    trees = wishes.folds + (_COMPARED if wishes.recipe is None else 0)
    return stacking.steps(len(wishes.helpers), wishes.folds) + trees + wishes.members + len(Baseline) * wishes.folds


def _helping(compounds: Compounds, endpoint: Endpoint, wishes: Training) -> Compounds:
    """Compounds that have no value of the endpoint, but of one that helps."""
    names = [one.name for one in wishes.helpers]
    missing = [name for name in names if name not in compounds.endpoints or name == endpoint.name]
    if missing:
        raise UsageError(
            f"{missing[0]} cannot help: it is not another endpoint of the training data.",
            hint=f"Endpoints are: {', '.join(compounds.endpoints)}.",
        )
    has = [np.isfinite(compounds.endpoints[name].value) for name in names]
    helps = np.any(has, axis=0) if has else np.zeros(len(compounds), dtype=bool)
    return compounds[np.flatnonzero(helps & ~np.isfinite(compounds.endpoints[endpoint.name].value))]


def _joined(one: Compounds, other: Compounds) -> Compounds:
    """Two parts of one table, one after the other."""
    return Compounds(
        id=one.id + other.id,
        smiles=one.smiles + other.smiles,
        inchikey=one.inchikey + other.inchikey,
        date=one.date + other.date,
        endpoints={
            name: Values(
                value=np.concatenate([values.value, other.endpoints[name].value]),
                relation=values.relation + other.endpoints[name].relation,
                count=np.concatenate([values.count, other.endpoints[name].count]),
            )
            for name, values in one.endpoints.items()
        },
    )


def _check(endpoint: Endpoint, values: Floats, wishes: Training) -> None:
    name, count = endpoint.name, len(values)
    if count < LEAST:
        raise UsageError(
            f"{count} training compounds have a value of {name}; at least {LEAST} are needed.",
            hint="Nothing learnt from so few can be trusted; measure more, or join tables in prepare.",
        )
    if np.ptp(values) == 0:
        raise UsageError(
            f"All {count} training compounds have {name} = {values[0]:g}: there is nothing to learn.",
            hint="Look whether this is the right column, and whether bounds were all set to one value.",
        )
    if endpoint.kind is Kind.CLASS:
        least = int(min(values.sum(), count - values.sum()))
        if least < LEAST_OF_CLASS:
            raise UsageError(
                f"Only {least} of {count} training compounds are of the smaller class of {name}.",
                hint=f"At least {LEAST_OF_CLASS} are needed, better fifty.",
            )
    elif wishes.log and values.min() <= 0:
        raise UsageError(f"{name} has values of 0 or less, which have no logarithm.", hint="Leave out --log.")


def _grown(data: _Data, wishes: Training, recipe: Recipe, number: int) -> tuple[NDArray[np.intp], Floats]:
    """Places of a fold, and scores for it by trees that have not seen it."""
    seen, left = data.parts(number)
    if np.ptp(data.target[seen]) == 0:
        return left, np.full(len(left), data.target[seen][0])
    model = grow(recipe, data.kind, data.features[seen], data.target[seen], wishes.seed, wishes.trees)
    return left, scores([model], data.kind, data.features[left])


def _choose(data: _Data, wishes: Training, done: Callable[[int], None]) -> tuple[Recipe, dict[str, float], Floats]:
    """The recipe, how recipes compare on the first folds, and the chosen one's scores for left-out compounds."""
    numbers = range(wishes.folds)
    first = [wishes.recipe] if wishes.recipe else list(Recipe)
    tasks = [(recipe, number) for recipe in first for number in numbers[: _COMPARED if len(first) > 1 else None]]
    found = dict(zip(tasks, _run(data, tasks, wishes, done), strict=True))
    compared = {}
    if len(first) > 1:
        for recipe in first:
            parts = [found[recipe, number] for number in numbers[:_COMPARED]]
            left = np.concatenate([part[0] for part in parts])
            guessed = np.concatenate([part[1] for part in parts])
            judged = measure_folds(data.kind, data.target[left], guessed, data.fold[left])
            compared[recipe.value] = judged[HEADLINE[data.kind]]
    recipe = wishes.recipe or _better(data.kind, compared)
    rest = [(recipe, number) for number in numbers if (recipe, number) not in found]
    found.update(zip(rest, _run(data, rest, wishes, done), strict=True))
    left_out = np.zeros(len(data.target))
    for number in numbers:
        places, guessed = found[recipe, number]
        left_out[places] = guessed
    return recipe, compared, left_out


def _run(
    data: _Data, tasks: Sequence[tuple[Recipe, int]], wishes: Training, done: Callable[[int], None]
) -> list[tuple[NDArray[np.intp], Floats]]:
    return side_by_side(
        [partial(_grown, data, wishes, recipe, number) for recipe, number in tasks],
        wishes.workers,
        lambda: done(1),
    )


def _better(kind: Kind, compared: dict[str, float]) -> Recipe:
    """The better recipe; the published one where neither is."""
    sign = -1.0 if HEADLINE[kind] in SMALL_IS_GOOD else 1.0
    known = {name: value for name, value in compared.items() if math.isfinite(value)}
    return Recipe(max(known, key=lambda name: sign * known[name])) if known else Recipe.MAPLIGHT


def _simple(data: _Data, wishes: Training, done: Callable[[int], None]) -> dict[Baseline, Floats]:
    """Scores of simple models for left-out compounds."""
    found = {which: np.zeros(len(data.target)) for which in Baseline}

    def judge(which: Baseline, number: int) -> None:
        seen, left = data.parts(number)
        found[which][left] = baseline_scores(
            which, data.kind, data.packed[seen], data.target[seen], data.packed[left], wishes.seed
        )

    tasks = [(which, number) for which in Baseline for number in range(wishes.folds)]
    side_by_side(
        [partial(judge, which, number) for which, number in tasks],
        wishes.workers,
        lambda: done(1),
    )
    return found


def _near(data: _Data, count: int) -> Floats:
    """Similarity of each compound to the nearest one outside its fold."""
    found = np.zeros(len(data.target))
    for number in range(count):
        seen, left = data.parts(number)
        found[left], _ = nearest(data.packed[left], data.packed[seen])
    return found


def _plain(measures: dict[Any, float]) -> dict[str, float | None]:
    return {name.value: value if math.isfinite(value) else None for name, value in measures.items()}
