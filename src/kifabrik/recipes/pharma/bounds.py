"""Bounds among measurements (`>10`): how training takes them, and how predictions are judged by them.

Invariants:
- a bound never enters a measure of errors: what lies beyond it was not measured;
- a prediction agrees with a bound if it lies beyond it; an interval holds a bound if it reaches beyond it.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from kifabrik.recipes.pharma.boosting import Floats, Side
from kifabrik.recipes.pharma.compounds import Compounds, Values
from kifabrik.recipes.pharma.endpoints import Bounds
from kifabrik.recipes.pharma.numbers import Relation


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What predictions make of bounds.

    Attributes:
        count: Compounds that have a bound as their value.
        agree: Share of them predicted beyond the bound; NaN where there are none.
        covered: Share of them whose interval reaches beyond the bound; NaN where there are none.
        ordered: Share of pairs of compounds, measured or bounded, whose order is known, that are predicted in it
            (Harrell et al., JAMA 247:2543, 1982); NaN where there are no bounds or no such pairs. It alone is fair
            to models that took bounds in different ways: errors of measured compounds flatter one that was never
            told of values beyond the limit.
    """

    count: int
    agree: float
    covered: float
    ordered: float


def taken(compounds: Compounds, how: Bounds) -> Compounds:
    """Compounds with the bounds of all endpoints as training is to take them."""
    if how is Bounds.LEARN:
        return compounds
    change = _as_value if how is Bounds.VALUE else _left_out
    return replace(compounds, endpoints={name: change(values) for name, values in compounds.endpoints.items()})


def counted(compounds: Compounds, endpoint: str) -> dict[str, int]:
    """How many compounds have a lower and an upper bound of an endpoint, by what `relation` says."""
    side = compounds.endpoints[endpoint].side
    return {Relation.ABOVE.value: int((side > 0).sum()), Relation.BELOW.value: int((side < 0).sum())}


def short_of(value: Floats, side: Side, predicted: Floats) -> Floats:
    """How far predictions are from what was measured, or short of what a bound allows: none is below 0.

    Args:
        value: Measured, or the bound, shape (n,).
        side: On which side of it the truth lies.
        predicted: As the value is scaled.
    """
    away = value - predicted
    return np.where(side == 0, np.abs(away), np.maximum(away * side, 0.0))


def judge(value: Floats, side: Side, predicted: Floats, low: Floats, high: Floats) -> Judged:
    """Judge predictions and their intervals by the bounds among values, all of shape (n,)."""
    at = side != 0
    count = int(at.sum())
    if not count:
        return Judged(count=0, agree=math.nan, covered=math.nan, ordered=math.nan)
    beyond = np.where(side > 0, predicted > value, predicted < value)
    reaches = np.where(side > 0, high > value, low < value)
    return Judged(
        count=count,
        agree=float(beyond[at].mean()),
        covered=float(reaches[at].mean()),
        ordered=ordered(value, side, predicted),
    )


def ordered(value: Floats, side: Side, predicted: Floats) -> float:
    """Share of pairs of known order that are predicted in it, a tie as half of one; NaN without such pairs."""
    least, most = np.where(side < 0, -np.inf, value), np.where(side > 0, np.inf, value)
    known = right = 0.0
    for at in range(len(value)):
        is_bound = (side != 0) | (side[at] != 0)
        above = (least > most[at]) | ((least == most[at]) & is_bound & np.isfinite(least))
        known += int(above.sum())
        right += float(((predicted[above] > predicted[at]) + 0.5 * (predicted[above] == predicted[at])).sum())
    return right / known if known else math.nan


def _as_value(values: Values) -> Values:
    return replace(values, relation=tuple(Relation.EQUAL.value if one else "" for one in values.relation))


def _left_out(values: Values) -> Values:
    is_bound = values.side != 0
    return Values(
        value=np.where(is_bound, np.nan, values.value),
        relation=tuple("" if left else one for left, one in zip(is_bound, values.relation, strict=True)),
        count=np.where(is_bound, 0, values.count),
    )
