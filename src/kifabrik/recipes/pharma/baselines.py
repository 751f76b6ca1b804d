"""Simple models every other is shown beside: the mean, the nearest neighbour, a forest on fingerprints.

A model that does not beat them has learnt nothing that a chemist does not see at once.
"""

from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

from kifabrik.recipes.pharma.endpoints import Kind
from kifabrik.recipes.pharma.fingerprints import unpack
from kifabrik.recipes.pharma.neighbours import Packed, nearest

TREES: Final = 100
_LEAF: Final = 2

Floats = NDArray[np.float64]


class Baseline(Enum):
    """A simple model."""

    MEAN = "mean"
    NEAREST = "nearest neighbour"
    FOREST = "random forest on Morgan"


def baseline_scores(which: Baseline, kind: Kind, train: Packed, target: Floats, test: Packed, seed: int) -> Floats:
    """Scores of a simple model, shape (test,).

    Args:
        which: The model.
        kind: Of the target.
        train: Fingerprints of training compounds.
        target: Their values: 0 and 1, or standardised numbers.
        test: Fingerprints of the others.
        seed: Of luck.
    """
    if which is Baseline.MEAN:
        return np.full(len(test), target.mean() if kind is Kind.CLASS else np.median(target))
    if which is Baseline.NEAREST:
        _, place = nearest(test, train)
        return np.asarray(target[place])
    if kind is Kind.CLASS:
        forest = RandomForestClassifier(TREES, min_samples_leaf=_LEAF, random_state=seed, n_jobs=1)
        found = forest.fit(unpack(train), target.astype(int)).predict_proba(unpack(test))
        at = np.flatnonzero(forest.classes_ == 1)
        return np.asarray(found[:, at[0]]) if len(at) else np.zeros(len(test))
    numbers = RandomForestRegressor(TREES, min_samples_leaf=_LEAF, max_features=0.1, random_state=seed, n_jobs=1)
    return np.asarray(numbers.fit(unpack(train), target).predict(unpack(test)))
