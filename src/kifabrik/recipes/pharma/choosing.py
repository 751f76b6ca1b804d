"""Inner cross-validation: which recipe is better, and what models say of compounds they have not seen."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.pharma import networks, stacking
from kifabrik.recipes.pharma.baselines import Baseline, baseline_scores
from kifabrik.recipes.pharma.boosting import OF_TREES, TREES, Recipe, Side, Table, grow, scores, side_by_side
from kifabrik.recipes.pharma.endpoints import Bounds, Endpoint, Kind
from kifabrik.recipes.pharma.measures import HEADLINE, SMALL_IS_GOOD, measure_folds
from kifabrik.recipes.pharma.neighbours import Packed, nearest
from kifabrik.recipes.pharma.networks import Graphs

COMPARED: Final = 2
"""Folds on which recipes are compared; the better one goes on to the others."""

Floats = NDArray[np.float64]
Done = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What whoever trains wishes.

    Attributes:
        recipe: How to learn; None: the better way to grow trees by inner cross-validation.
        trees: In a set.
        epochs: Passes of a network over its training compounds.
        members: Sets of trees, or networks, with seeds of their own, whose mean is taken.
        folds: Of the inner cross-validation.
        level: Share that intervals are to cover.
        log: Whether numbers are taken as logarithms; None: if they span two decades.
        seed: Of luck.
        shows_neighbours: Whether the model may keep and show training structures.
        helpers: Other endpoints of the same table: their predictions are features of trees, and a network learns
            them together with the endpoint.
        bounds: How bounds are taken; networks leave them out where they are to be learnt from.
        workers: Models grown at once, and processes for features.
        cache: A folder that keeps features between calls.
    """

    recipe: Recipe | None = None
    trees: int = TREES
    epochs: int = networks.EPOCHS
    members: int = 1
    folds: int = 5
    level: float = 0.9
    log: bool | None = None
    seed: int = 1
    shows_neighbours: bool = False
    helpers: tuple[Endpoint, ...] = ()
    bounds: Bounds = Bounds.LEARN
    workers: int = 1
    cache: Path | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """Training data as trees see them.

    Attributes:
        kind: Of the endpoint.
        features: Shape (n, features).
        packed: Fingerprints.
        target: Shape (n,): 0 and 1, or standardised numbers.
        side: Shape (n,): on which side of the target the truth lies; 0 where it was measured.
        fold: Shape (n,), the fold each compound is left out in.
        graphs: What networks learn from, beginning with these compounds; None where only trees are grown.
    """

    kind: Kind
    features: Table
    packed: Packed
    target: Floats
    side: Side
    fold: NDArray[np.intp]
    graphs: Graphs | None = None

    def parts(self, number: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Places outside a fold, and in it."""
        return np.flatnonzero(self.fold != number), np.flatnonzero(self.fold == number)

    def measured(self, places: NDArray[np.intp]) -> NDArray[np.intp]:
        """Those of some places whose target is no bound: only they have an error."""
        return np.asarray(places[self.side[places] == 0], dtype=np.intp)


@dataclass(frozen=True, slots=True)
class Choice:
    """What inner cross-validation found.

    Attributes:
        recipe: The better one.
        compared: Headline measure of each recipe on the first folds; empty if there was no choice.
        left_out: Shape (n,): scores of the chosen recipe by trees that had not seen the compound's scaffold.
    """

    recipe: Recipe
    compared: dict[str, float]
    left_out: Floats


def steps(wishes: Training) -> int:
    """How many models `train` grows, for a bar."""
    trees = wishes.folds + (COMPARED if wishes.recipe is None else 0)
    stacked = 0 if wishes.recipe is Recipe.CHEMPROP else len(wishes.helpers)
    return stacking.steps(stacked, wishes.folds) + trees + wishes.members + len(Baseline) * wishes.folds


def _grown(data: Data, wishes: Training, recipe: Recipe, number: int) -> tuple[NDArray[np.intp], Floats]:
    """Places of a fold, and scores for it by trees or a network that have not seen it."""
    seen, left = data.parts(number)
    if np.ptp(data.target[seen]) == 0:
        return left, np.full(len(left), data.target[seen][0])
    if data.graphs is not None:
        return left, networks.left_out(data.graphs, data.kind, number, left, wishes.seed, wishes.epochs)
    side = data.side[seen]
    model = grow(recipe, data.kind, data.features[seen], data.target[seen], wishes.seed, wishes.trees, side=side)
    return left, scores([model], data.kind, data.features[left])


def choose(data: Data, wishes: Training, done: Done) -> Choice:
    """Compare recipes on the first folds, and go on to the others with the better one."""
    numbers = range(wishes.folds)
    first = [wishes.recipe] if wishes.recipe else list(OF_TREES)
    tasks = [(recipe, number) for recipe in first for number in numbers[: COMPARED if len(first) > 1 else None]]
    found = dict(zip(tasks, _run(data, tasks, wishes, done), strict=True))
    compared = {}
    if len(first) > 1:
        for recipe in first:
            parts = [found[recipe, number] for number in numbers[:COMPARED]]
            said = np.full(len(data.target), np.nan)
            for places, guessed in parts:
                said[places] = guessed
            left = data.measured(np.concatenate([part[0] for part in parts]))
            judged = measure_folds(data.kind, data.target[left], said[left], data.fold[left])
            compared[recipe.value] = judged[HEADLINE[data.kind]]
    recipe = wishes.recipe or _better(data.kind, compared)
    rest = [(recipe, number) for number in numbers if (recipe, number) not in found]
    found.update(zip(rest, _run(data, rest, wishes, done), strict=True))
    left_out = np.zeros(len(data.target))
    for number in numbers:
        places, guessed = found[recipe, number]
        left_out[places] = guessed
    return Choice(recipe, compared, left_out)


def _run(
    data: Data, tasks: Sequence[tuple[Recipe, int]], wishes: Training, done: Done
) -> list[tuple[NDArray[np.intp], Floats]]:
    return side_by_side(
        [partial(_grown, data, wishes, recipe, number) for recipe, number in tasks],
        wishes.workers,
        partial(done, 1),
    )


def _better(kind: Kind, compared: dict[str, float]) -> Recipe:
    """The better recipe; the published one where neither is."""
    sign = -1.0 if HEADLINE[kind] in SMALL_IS_GOOD else 1.0
    known = {name: value for name, value in compared.items() if math.isfinite(value)}
    return Recipe(max(known, key=lambda name: sign * known[name])) if known else Recipe.MAPLIGHT


def simple_scores(data: Data, wishes: Training, done: Done) -> dict[str, Floats]:
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
        partial(done, 1),
    )
    return {which.value: said for which, said in found.items()}


def similarity_outside(data: Data, count: int) -> Floats:
    """Similarity of each compound to the nearest one outside its fold."""
    found = np.zeros(len(data.target))
    for number in range(count):
        seen, left = data.parts(number)
        found[left], _ = nearest(data.packed[left], data.packed[seen])
    return found
