"""Other endpoints as helpers: what is predicted of them is one more feature each.

Related assays share compounds only in part; a helper learns from all that its own assay measured. For training
compounds the feature is a prediction by trees that had not seen the compound's scaffold, as it will be for new
ones: a prediction in-sample would look far too good, and the model would lean on it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import numpy as np
from catboost import CatBoost
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.boosting import Floats, Recipe, Side, Table, grow, scores, side_by_side
from kifabrik.recipes.pharma.compounds import Compounds
from kifabrik.recipes.pharma.endpoints import Endpoint, Kind
from kifabrik.recipes.pharma.scaling import Scaling

LEAST: Final = 30
"""Compounds below which an endpoint cannot help."""


@dataclass(frozen=True, slots=True)
class Helper:
    """Trees of another endpoint.

    Attributes:
        endpoint: What they predict.
        trees: Grown on all compounds that have it.
    """

    endpoint: Endpoint
    trees: CatBoost = field(hash=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Growing:
    """How helpers are grown.

    Attributes:
        recipe: Of the trees.
        trees: How many.
        seed: Of luck.
        workers: Trees grown at once.
        done: Called with 1 for each.
    """

    recipe: Recipe
    trees: int
    seed: int
    workers: int
    done: Callable[[int], None] = field(hash=False)


def with_helpers(features: Table, helpers: Sequence[Helper]) -> Table:
    """Features and what helpers say: shape (n, features + helpers)."""
    said = [scores([one.trees], one.endpoint.kind, features).astype(np.float32) for one in helpers]
    return np.column_stack([features, *said]) if said else features


def grow_helpers(
    compounds: Compounds, endpoints: Sequence[Endpoint], features: Table, fold: NDArray[np.intp], how: Growing
) -> tuple[tuple[Helper, ...], Table]:
    """Grow helpers, and say of each compound what trees say that have not seen its fold.

    Args:
        compounds: All training compounds, also those without the endpoint that is helped.
        endpoints: Those that help.
        features: Of the compounds, shape (n, features).
        fold: Of each compound, shape (n,).
        how: To grow them.

    Returns:
        The helpers, and their columns, float32 (n, helpers).

    Raises:
        UsageError: If an endpoint has too few values, or one value only.
    """
    columns, helpers = [], []
    for endpoint in endpoints:
        values, side = compounds.endpoints[endpoint.name].value, compounds.endpoints[endpoint.name].side
        known = np.flatnonzero(np.isfinite(values))
        if len(known) < LEAST or np.ptp(values[known]) == 0:
            raise UsageError(
                f"{endpoint.name} cannot help: {len(known)} training compounds have it, or all the same value.",
                hint=f"At least {LEAST} compounds with different values are needed; leave out --also.",
            )
        scaling = Scaling() if endpoint.kind is Kind.CLASS else Scaling.of(values[known])
        target = np.full(len(values), np.nan)
        target[known] = scaling.forth(values[known])
        grown = partial(_grown, endpoint, features, target, side, how)
        seen = [known[fold[known] != number] for number in np.unique(fold)]
        found = side_by_side([partial(grown, at) for at in (*seen, known)], how.workers, partial(how.done, 1))
        column = np.empty(len(values), np.float32)
        for number, trees in zip(np.unique(fold), found, strict=False):
            left = np.flatnonzero(fold == number)
            column[left] = scores([trees], endpoint.kind, features[left])
        columns.append(column)
        helpers.append(Helper(endpoint, found[-1]))
    return tuple(helpers), np.column_stack(columns)


def steps(helpers: int, folds: int) -> int:
    """How many sets of trees are grown for helpers."""
    return helpers * (folds + 1)


def _grown(
    endpoint: Endpoint, features: Table, target: Floats, side: Side, how: Growing, at: NDArray[np.intp]
) -> CatBoost:
    if np.ptp(target[at]) == 0:
        raise UsageError(
            f"{endpoint.name} cannot help: without one of the folds all its values are the same.",
            hint="Leave out --also, or take fewer --folds.",
        )
    return grow(how.recipe, endpoint.kind, features[at], target[at], how.seed, how.trees, side=side[at])
