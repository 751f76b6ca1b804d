"""What the trees of a model use."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from kifabrik.recipes.pharma.features import AVALON_COUNTS, ERG_VALUES, MORGAN_COUNTS, NAMES
from kifabrik.recipes.pharma.model import Model

_BLOCKS: Final = {
    "Morgan counts": MORGAN_COUNTS,
    "Avalon counts": AVALON_COUNTS,
    "reduced graph": ERG_VALUES,
    "RDKit descriptors": len(NAMES) - MORGAN_COUNTS - AVALON_COUNTS - ERG_VALUES,
}


@dataclass(frozen=True, slots=True)
class Importance:
    """Shares of what the trees use; those of all features sum to 1.

    Attributes:
        blocks: By kind of feature.
        descriptors: RDKit descriptors, the most used first.
    """

    blocks: dict[str, float] = field(hash=False)
    descriptors: tuple[tuple[str, float], ...]


def importance(model: Model) -> Importance:
    """Mean over members of CatBoost's PredictionValuesChange: how much predictions move with each feature.

    A network has no features: of it nothing is said.
    """
    if not model.members:
        return Importance({}, ())
    found = np.mean([member.get_feature_importance(thread_count=1) for member in model.members], axis=0)
    shares = found / found.sum() if found.sum() else found
    blocks, at = {}, 0
    for name, width in _BLOCKS.items():
        blocks[name] = float(shares[at : at + width].sum())
        at += width
    first = len(NAMES) - _BLOCKS["RDKit descriptors"]
    if model.helpers:
        blocks["other endpoints"] = float(shares[at:].sum())
    order = first + np.argsort(-shares[first : len(NAMES)], kind="stable")
    return Importance(blocks, tuple((NAMES[at], float(shares[at])) for at in order if shares[at] > 0))
