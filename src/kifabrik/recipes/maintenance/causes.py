"""Which sensors make an alarm one: the fewest without which the rest of the machine would be as usual.

All sets of one sensor are tried, then of two, then of three, among those that stand out; what is named is the first
size at which the others fall below the limit, and of that size the set that leaves them closest to what is usual.
Contributions one by one would blame the sensor that is right when two others are wrong together.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np

from kifabrik.recipes.maintenance.model import Floats, Usual, distances, expected_by, explained

_MOST: Final = 3
"""Sensors named for an alarm, at most."""
_CANDIDATES: Final = 6
"""So many that stand out alone, and so many that stand out beside the others, are tried."""


@dataclass(frozen=True)
class Cause:
    """A sensor that makes an alarm one.

    Attributes:
        sensor: Number of the sensor.
        value: Median of what it showed when the alarm was strongest.
        expected: Median of what the sensors that were as usual let expect then.
        out: Whether it had also left the range it had while learning.
    """

    sensor: int
    value: float
    expected: float
    out: bool


def causes(usual: Usual, rows: Floats, limit: float, given: Sequence[int] = ()) -> tuple[Cause, ...]:
    """The sensors that make some rows an alarm, those farthest from what is expected first.

    Args:
        usual: What is usual.
        rows: When the alarm was strongest, of shape (rows, sensors).
        limit: Distance above which there is an alarm.
        given: Sensors that say what the machine was told to do; they explain others and are never blamed.
    """
    blamed = _fewest(usual, rows, limit, given)
    expected = expected_by(usual, rows, blamed)
    found = []
    for at in blamed:
        there = np.isfinite(rows[:, at])
        value, hoped = float(np.median(rows[there, at])), float(np.median(expected[there, at]))
        found.append(Cause(at, value, hoped, bool(value < usual.low[at] or value > usual.high[at])))
    return tuple(sorted(found, key=lambda one: -abs(one.value - one.expected) / usual.spread[one.sensor]))


def _fewest(usual: Usual, rows: Floats, limit: float, given: Sequence[int]) -> Sequence[int]:
    candidates = [at for at in _candidates(usual, rows) if at not in given]
    best: tuple[int, ...] = ()
    for size in range(1, min(_MOST, len(candidates)) + 1):
        tried = {blamed: _left(usual, rows, blamed) for blamed in combinations(candidates, size)}
        best = min(tried, key=lambda blamed: tried[blamed])
        if tried[best] <= limit:
            break
    return best


def _candidates(usual: Usual, rows: Floats) -> list[int]:
    parts, _ = explained(usual, rows)
    alone = np.nan_to_num(np.abs(usual.scaled(rows)))
    there = np.atleast_1d(np.isfinite(rows).any(axis=0))
    found: list[int] = []
    for each in (np.median(alone, axis=0), np.median(parts, axis=0)):
        found += [int(at) for at in np.argsort(-each, kind="stable")[:_CANDIDATES] if there[at]]
    return sorted(set(found))


def _left(usual: Usual, rows: Floats, blamed: Sequence[int]) -> float:
    """Distance of the other sensors; theirs is divided by all sensors, so that fewer of them do not count more."""
    rest = rows.copy()
    rest[:, list(blamed)] = np.nan
    there = np.isfinite(rest).sum(axis=1)
    return float(np.median(distances(usual, rest) * there) / rows.shape[1])
