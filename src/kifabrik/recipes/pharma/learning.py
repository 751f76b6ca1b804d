"""Learning curves: how a model gets better with more training data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from kifabrik.recipes.pharma import networks
from kifabrik.recipes.pharma.boosting import grow, scores
from kifabrik.recipes.pharma.bounds import taken
from kifabrik.recipes.pharma.compounds import Compounds
from kifabrik.recipes.pharma.endpoints import Kind
from kifabrik.recipes.pharma.features import maplight
from kifabrik.recipes.pharma.measures import HEADLINE, measure
from kifabrik.recipes.pharma.model import Model
from kifabrik.recipes.pharma.splitting import folds

PARTS: Final = (1, 2, 4, 8)
"""Eighths of the training data."""
_LEAST: Final = 10


@dataclass(frozen=True, slots=True)
class Step:
    """A point of the curve.

    Attributes:
        compounds: Training compounds.
        value: The headline measure on the test data.
    """

    compounds: int
    value: float


def learning_curve(
    model: Model,
    train: Compounds,
    test: Compounds,
    *,
    seed: int = 1,
    workers: int = 1,
    cache: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Sequence[Step]:
    """Train with an eighth, a quarter, half and all of the training data, whole scaffolds at a time.

    Helpers are left out: what they say of training compounds is not kept.

    Args:
        model: Gives endpoint, recipe and scaling.
        train: Training data.
        test: Test data; bounds in it are left out.
        seed: Of luck.
        workers: Processes for features.
        cache: A folder that keeps features between calls.
        progress: Called with 1 for each part.
    """
    name, kind = model.endpoint.name, model.endpoint.kind
    train = taken(train, model.bounds).measured(name)
    test = test.exact(name)
    target, side = model.scaling.forth(train.endpoints[name].value), train.endpoints[name].side
    true = test.endpoints[name].value
    true = np.log10(true) if model.scaling.log else true
    seen = maplight(train.smiles, workers=workers, cache=cache).values
    unseen = maplight(test.smiles, workers=workers, cache=cache).values
    eighth = folds(train, PARTS[-1], seed)
    steps = []
    for part in PARTS:
        at = np.flatnonzero(eighth < part)
        if len(at) >= _LEAST and np.ptp(target[at]) > 0:
            if model.networks:
                smiles = [train.smiles[each] for each in at.tolist()]
                network = networks.grow(kind, smiles, target[at, None], seed, int(model.facts["epochs"]))
                found, _ = networks.scores([network], test.smiles)
            else:
                count = int(model.facts["trees"])
                trees = grow(model.recipe, kind, seen[at], target[at], seed, count, side=side[at])
                found = scores([trees], kind, unseen)
            found = found if kind is Kind.CLASS else found * model.scaling.sd + model.scaling.mean
            steps.append(Step(len(at), measure(kind, true, found)[HEADLINE[kind]]))
        if progress:
            progress(1)
    return steps
