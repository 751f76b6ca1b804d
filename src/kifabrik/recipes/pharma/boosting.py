"""Gradient-boosted trees of the published MapLight recipe, and a faster variant.

Source: Notwell and Wood, arXiv:2310.00174, and the code published with it: CatBoost with 1,000 trees and
`random_strength=2`; absolute error on standardised values for numbers, log loss for classes. The faster variant
takes squared errors for numbers. Where some numbers are bounds, both maximise the likelihood of a normal error, to
which a bound gives the probability of what lies beyond it (Tobin, Econometrica 26:24, 1958): CatBoost's accelerated
failure time model with the numbers as logarithms of times.

Invariants:
- one thread a model: the same rows, seed and version give the same trees to the bit;
- models are kept in CatBoost's own format, never pickled.
"""

import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from pathlib import Path
from typing import Any, Final

import numpy as np
from catboost import CatBoost, CatBoostError, Pool
from numpy.typing import NDArray

from kifabrik.errors import IntegrityError
from kifabrik.recipes.pharma.endpoints import Kind

TREES: Final = 1000


class Recipe(Enum):
    """How a model learns: two ways to grow trees, and Chemprop's graph network (`networks`)."""

    MAPLIGHT = "maplight"
    FAST = "fast"
    CHEMPROP = "chemprop"


OF_TREES: Final = (Recipe.MAPLIGHT, Recipe.FAST)
"""Those that `auto` chooses from."""


_SETTINGS: Final[dict[Recipe, dict[str, Any]]] = {
    Recipe.MAPLIGHT: {"random_strength": 2},
    Recipe.FAST: {"random_strength": 2, "rsm": 0.1, "border_count": 32},
}
"""A tenth of the columns at each split and 32 borders a column: a fifth of the time."""
_OF_THIS_RUN: Final = ("train_finish_time", "model_guid")
"""What CatBoost writes beside the trees and is different each time."""
_LOSS: Final = {
    (Recipe.MAPLIGHT, Kind.CLASS): "Logloss",
    (Recipe.MAPLIGHT, Kind.NUMBER): "MAE",
    (Recipe.FAST, Kind.CLASS): "Logloss",
    (Recipe.FAST, Kind.NUMBER): "RMSE",
}
"""For squared errors CatBoost fits its learning rate to the data; for absolute ones it stays at 0.03: then 1,000
trees are few."""
SPREAD: Final = 0.5
"""Standard deviation of that normal error, as a share of the spread of the values. Chosen on seven public endpoints
(`docs/benchmarks.md`, pharma_bounds); half and double of it differ little."""
_LARGEST: Final = 80.0
"""Most of a standardised number that CatBoost still holds as the logarithm of a time (float32)."""
_OPEN: Final = -1.0
"""CatBoost's mark of an interval that has no end there."""

_OF_THE_SYSTEM: Final = re.compile(r"\(Error (\d+): ([^)]*)\)")
"""How CatBoost quotes an error number of the operating system."""

Floats = NDArray[np.float64]
Table = NDArray[np.float32]
Side = NDArray[np.int8]
"""Shape (n,): 1 where the truth lies above the target, -1 where it lies below it, 0 where it was measured."""


def settings(recipe: Recipe, kind: Kind, seed: int, trees: int = TREES) -> dict[str, Any]:
    """Parameters of CatBoost."""
    return {
        **_SETTINGS[recipe],
        "iterations": trees,
        "loss_function": _LOSS[recipe, kind],
        "random_seed": seed,
        "thread_count": 1,
        "allow_writing_files": False,
        "logging_level": "Silent",
    }


def grow(
    recipe: Recipe,
    kind: Kind,
    features: Table,
    target: Floats,
    seed: int,
    trees: int = TREES,
    *,
    side: Side | None = None,
) -> CatBoost:
    """Grow one model.

    Args:
        recipe: How.
        kind: Of the target.
        features: Shape (n, features); NaN is a value of its own for CatBoost, below all others.
        target: Shape (n,): 0 and 1, or standardised numbers; not all the same.
        seed: Of luck.
        trees: How many.
        side: Shape (n,): on which side of the target the truth lies, 0 where it was measured; None: all were.
    """
    if kind is Kind.NUMBER and side is not None and side.any():
        return _grow_with_bounds(settings(recipe, kind, seed, trees), features, target, side)
    model = CatBoost(settings(recipe, kind, seed, trees))
    model.fit(features, target.astype(int) if kind is Kind.CLASS else target)
    return model


def _grow_with_bounds(how: dict[str, Any], features: Table, target: Floats, side: Side) -> CatBoost:
    """The same, with bounds among the targets."""
    time = np.exp(np.clip(target, -_LARGEST, _LARGEST))
    ends = np.column_stack([np.where(side < 0, _OPEN, time), np.where(side > 0, _OPEN, time)])
    rate = _rate(how, len(target))
    model = CatBoost({**how, "loss_function": f"SurvivalAft:dist=Normal;scale={SPREAD}", "learning_rate": rate})
    model.fit(Pool(features, label=ends))
    return model


def _rate(how: dict[str, Any], count: int) -> float:
    """The rate of learning CatBoost takes for the same loss without bounds: it fits none to a model of times."""
    probe = CatBoost({**how, "depth": 1})
    line = np.arange(count, dtype=np.float32)
    probe.fit(line[:, None], line)
    return float(probe.get_all_params()["learning_rate"])


def scores(models: Sequence[CatBoost], kind: Kind, features: Table) -> Floats:
    """Mean over models: probability of class 1, or standardised numbers. Shape (n,), always finite."""
    if not len(features):
        return np.zeros(0)
    found = [
        np.asarray(model.predict(features, prediction_type="RawFormulaVal", thread_count=1)) for model in models
    ]
    if kind is Kind.CLASS:
        found = [1.0 / (1.0 + np.exp(-each)) for each in found]
    return np.asarray(np.mean(found, axis=0), dtype=np.float64)


def side_by_side(tasks: Sequence[Callable[[], Any]], workers: int, done: Callable[[], None]) -> list[Any]:
    """Results of tasks in their order; CatBoost and scikit-learn let go of Python's lock while they work."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        futures = [pool.submit(task) for task in tasks]
        for future in futures:
            future.add_done_callback(lambda _future: done())
        try:
            return [future.result() for future in futures]
        except BaseException:  # whoever waits may be interrupted; what has not begun need not
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def write(model: CatBoost, path: Path) -> None:
    """Keep a model in CatBoost's format: the same trees, the same bytes."""
    facts = model.get_metadata()
    for name in _OF_THIS_RUN:
        facts[name] = ""
    save_trees(model, path)


def save_trees(model: CatBoost, path: Path) -> None:
    """Write a model as it is.

    Raises:
        OSError: If the disk is full or the file cannot be made; CatBoost itself raises an error of its own there.
    """
    try:
        model.save_model(str(path), format="cbm")
    except CatBoostError as error:
        cause = _OF_THE_SYSTEM.search(str(error))
        if cause is None:
            raise
        raise OSError(int(cause[1]), cause[2], str(path)) from error


def read(path: Path) -> CatBoost:
    """A model that `write` kept.

    Raises:
        IntegrityError: If it is not one.
    """
    model = CatBoost()
    try:
        model.load_model(str(path), format="cbm")
    except CatBoostError as error:
        raise IntegrityError(f"{path} is not a model of CatBoost.", hint="Train it again.") from error
    return model
