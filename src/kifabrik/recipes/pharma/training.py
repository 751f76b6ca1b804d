"""Training: choose a recipe, learn how far it can be trusted, and grow the final trees.

Everything is decided by inner cross-validation over whole scaffolds; test data is never seen here. The predictions
for left-out compounds serve three times: to compare recipes and simple models, to calibrate, and to make intervals.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma import networks
from kifabrik.recipes.pharma.boosting import Recipe, grow, side_by_side
from kifabrik.recipes.pharma.bounds import counted, short_of, taken
from kifabrik.recipes.pharma.calibrating import Calibration, bands_of
from kifabrik.recipes.pharma.choosing import Data, Training, choose, similarity_outside, simple_scores, steps
from kifabrik.recipes.pharma.compounds import Compounds, Values
from kifabrik.recipes.pharma.domain import Domain
from kifabrik.recipes.pharma.endpoints import Bounds, Endpoint, Kind
from kifabrik.recipes.pharma.features import maplight
from kifabrik.recipes.pharma.fingerprints import morgan
from kifabrik.recipes.pharma.keeping import versions
from kifabrik.recipes.pharma.measures import measure_folds
from kifabrik.recipes.pharma.model import Lineage, Model
from kifabrik.recipes.pharma.molecules import Standardiser
from kifabrik.recipes.pharma.networks import Graphs
from kifabrik.recipes.pharma.piles import piles_at
from kifabrik.recipes.pharma.scaling import Scaling
from kifabrik.recipes.pharma.splitting import folds
from kifabrik.recipes.pharma.stacking import Growing, Helper, grow_helpers

__all__ = ["Training", "steps", "train"]

LEAST: Final = 30
"""Compounds below which nothing is trained: five folds would have six each."""
LEAST_OF_CLASS: Final = 5

Floats = NDArray[np.float64]


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
        endpoint: What to learn; compounds without a value are left out, bounds are taken as wished.
        wishes: How.
        standardiser: How the compounds were cleaned up; those to be predicted will be too.
        facts: What to keep beside the model, such as digests of its data.
        progress: Called with 1 for each model grown; `steps` says how many there are.

    Raises:
        UsageError: If there are too few compounds, or nothing to learn from them.
    """
    wishes = wishes or Training()
    by_network = wishes.recipe is Recipe.CHEMPROP
    how = Bounds.LEAVE_OUT if by_network and wishes.bounds is Bounds.LEARN else wishes.bounds
    bounds = counted(compounds, endpoint.name)
    compounds = taken(compounds, how)
    known = compounds.measured(endpoint.name)
    values, side = known.endpoints[endpoint.name].value, known.endpoints[endpoint.name].side
    exact = values[side == 0]
    _check(endpoint, values, wishes, exact)
    log = False if wishes.log is None and values.min() <= 0 else wishes.log
    scaling = Scaling() if endpoint.kind is Kind.CLASS else Scaling.of(exact, log=log)
    done = progress or (lambda _one: None)
    rest = _helping(compounds, endpoint, wishes)
    table = _joined(known, rest)
    if by_network:
        networks.check_installed()
    features = maplight(table.smiles, workers=wishes.workers, cache=wishes.cache).values
    fold = folds(table, wishes.folds, wishes.seed)
    flagged = int(np.isnan(features[: len(known)]).any(axis=1).sum())
    helpers: tuple[Helper, ...] = ()
    if wishes.helpers and not by_network:
        quick = Growing(recipe=Recipe.FAST, trees=wishes.trees, seed=wishes.seed, workers=wishes.workers, done=done)
        helpers, columns = grow_helpers(table, wishes.helpers, features, fold, quick)
        features = np.column_stack([features, columns])
    features = features[: len(known)]
    graphs = _graphs(table, endpoint, scaling, wishes.helpers, fold) if by_network else None
    packed, target = morgan(known.smiles), scaling.forth(values)
    data = Data(endpoint.kind, features, packed, target, side, fold[: len(known)], graphs)
    choice = choose(data, wishes, done)
    simple = simple_scores(data, wishes, done)
    members = _members(data, choice.recipe, wishes, done)
    is_class = endpoint.kind is Kind.CLASS
    residuals = short_of(data.target, side, choice.left_out)
    near = similarity_outside(data, wishes.folds)
    return Model(
        endpoint=endpoint,
        recipe=choice.recipe,
        scaling=scaling,
        members=() if graphs else members,
        networks=members if graphs else (),
        helpers=helpers,
        calibration=Calibration.of(choice.left_out, data.target) if is_class else None,
        bands=() if is_class else bands_of(residuals, near, data.fold, wishes.level, side != 0),
        level=wishes.level,
        domain=Domain.of(data.packed, features),
        fingerprints=data.packed,
        lineage=Lineage(
            id=table.id,
            inchikey=table.inchikey,
            smiles=table.smiles,
            value=(*values.tolist(), *([math.nan] * len(rest))),
            relation=(*known.endpoints[endpoint.name].relation, *([""] * len(rest))),
        ),
        shows_neighbours=wishes.shows_neighbours,
        standardiser=standardiser or Standardiser(),
        bounds=how,
        facts={
            **(facts or {}),
            "compounds": len(known),
            "positive": int(values.sum()) if is_class else None,
            "range": [float(exact.min()), float(exact.max())],
            "bounds": bounds,
            "piles": [one.plain() for one in piles_at(known, endpoint)],
            "seed": wishes.seed,
            **({"epochs": wishes.epochs} if graphs else {"trees": wishes.trees}),
            "learnt_together": [one.name for one in wishes.helpers] if graphs else [],
            "folds": wishes.folds,
            "compared": choice.compared,
            "inner": _inner(data, scaling, {"recipe": choice.left_out} | simple),
            "flagged": flagged,
            "versions": versions(networks.PACKAGES if graphs else ()),
        },
    )


def _members(data: Data, recipe: Recipe, wishes: Training, done: Callable[[int], None]) -> tuple[Any, ...]:
    """Sets of trees, or networks where there are graphs, grown on all of the data: one a seed."""
    grown: list[Callable[[], Any]] = []
    for seed in range(wishes.seed, wishes.seed + wishes.members):
        if data.graphs:
            smiles, targets = data.graphs.smiles, data.graphs.targets
            grown.append(partial(networks.grow, data.kind, smiles, targets, seed, wishes.epochs))
        else:
            trees = partial(grow, recipe, data.kind, data.features, data.target, seed, wishes.trees, side=data.side)
            grown.append(trees)
    return tuple(side_by_side(grown, wishes.workers, partial(done, 1)))


def _inner(data: Data, scaling: Scaling, said: dict[str, Floats]) -> dict[str, dict[str, float | None]]:
    """Measures on left-out compounds without bounds by model, in the endpoint's unit or its logarithm."""
    at = data.measured(np.arange(len(data.target)))

    def unscaled(values: Floats) -> Floats:
        return values * scaling.sd + scaling.mean

    return {
        name: _plain(measure_folds(data.kind, unscaled(data.target[at]), unscaled(scores[at]), data.fold[at]))
        for name, scores in said.items()
    }


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


def _graphs(
    table: Compounds, endpoint: Endpoint, scaling: Scaling, others: Sequence[Endpoint], fold: NDArray[np.intp]
) -> Graphs:
    """Compounds as a network learns from them, with all endpoints it is taught."""
    columns = [scaling.forth(table.endpoints[endpoint.name].value)]
    for other in others:
        values = table.endpoints[other.name].value
        known = values[np.isfinite(values)]
        if other.kind is not endpoint.kind:
            raise UsageError(
                f"A network cannot learn {endpoint.name} and {other.name} together: classes and numbers.",
                hint="Leave out that --also, or make classes of both in prepare with --active.",
            )
        if len(known) < LEAST or np.ptp(known) == 0:
            raise UsageError(
                f"{other.name} cannot help: {len(known)} training compounds have it, or all the same value.",
                hint=f"At least {LEAST} compounds with different values are needed; leave out --also.",
            )
        columns.append(values if other.kind is Kind.CLASS else Scaling.of(known).forth(values))
    return Graphs(table.smiles, np.column_stack(columns), fold)


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


def _check(endpoint: Endpoint, values: Floats, wishes: Training, exact: Floats) -> None:
    name, count = endpoint.name, len(exact)
    if count < LEAST:
        beside = f" that is no bound, {len(values) - count} a bound" if len(values) > count else ""
        raise UsageError(
            f"{count} training compounds have a value of {name}{beside}; at least {LEAST} are needed.",
            hint="Nothing learnt from so few can be trusted; measure more, or join tables in prepare.",
        )
    if np.ptp(exact) == 0:
        raise UsageError(
            f"All {count} training compounds have {name} = {exact[0]:g}: there is nothing to learn.",
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


def _plain(measures: dict[Any, float]) -> dict[str, float | None]:
    return {name.value: value if math.isfinite(value) else None for name, value in measures.items()}
