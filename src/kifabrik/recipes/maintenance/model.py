"""What is usual: how the sensors of a machine go together, and how far a row is from that.

Rows are taken as distances from the median in units of the usual spread; a row's distance is the square of its
Mahalanobis distance per sensor. What a sensor adds to it, and what the others let expect, is the conditional term
of Mason, Tracy and Young (Journal of Quality Technology 27, 1995): with P the inverse of the covariance and x the
row, sensor j is (P x)_j / P_jj away from what the others let expect, and adds (P x)_j² / P_jj.

Invariants:
    - An empty cell says nothing: distance and expectation go by the sensors that are there.
    - No sensor is expected more closely than a tenth of its usual spread: sensors that copy each other do no harm.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_MOST_SPREADS: Final = 6.0
"""Extremes count no more than this while learning."""
_FLOOR: Final = 0.01
"""Variance added to each sensor, in units of its usual one."""
_TO_DEVIATION: Final = 1.4826
"""From the median of absolute deviations to a standard deviation, for a normal distribution."""
_STILL: Final = 0.01
"""Spread of a sensor that never moved, as a share of its value."""


@dataclass(frozen=True)
class Usual:
    """What is usual.

    Attributes:
        middle: Median of each sensor.
        spread: Usual spread of each, above 0.
        covariance: Of the scaled sensors, of shape (sensors, sensors), positive definite.
        low: Of each sensor, the value that one row in a thousand was below.
        high: And above.
    """

    middle: Floats
    spread: Floats
    covariance: Floats
    low: Floats
    high: Floats

    def scaled(self, values: Floats) -> Floats:
        """Rows as distances from the middle in spreads."""
        return (values - self.middle) / self.spread


def learn(values: Floats) -> Usual:
    """Learn what is usual of rows of shape (rows, sensors), each sensor with some values."""
    middle = np.nanmedian(values, axis=0)
    spread = _TO_DEVIATION * np.nanmedian(np.abs(values - middle), axis=0)
    spread = np.where(spread > 0, spread, np.nanstd(values, axis=0))
    spread = np.where(spread > 0, spread, np.maximum(_STILL * np.abs(middle), 1e-6))
    rows = np.clip(np.nan_to_num((values - middle) / spread), -_MOST_SPREADS, _MOST_SPREADS)
    covariance = rows.T @ rows / len(rows)
    covariance += np.diag(_FLOOR * np.maximum(np.diag(covariance), _FLOOR))
    low, high = np.nanquantile(values, (0.001, 0.999), axis=0)
    return Usual(middle, spread, covariance, low, high)


def distances(usual: Usual, values: Floats) -> Floats:
    """How far each row is from what is usual, per sensor; 0 where a row is empty. Of shape (rows,)."""
    found = np.zeros(len(values))
    for rows, there, precision in _patterns(usual, values):
        scaled = usual.scaled(values[rows])[:, there]
        found[rows] = np.einsum("ij,jk,ik->i", scaled, precision, scaled) / there.sum()
    return found


def explained(usual: Usual, values: Floats) -> tuple[Floats, Floats]:
    """What each sensor adds to the distance, and the value that the others let expect; both (rows, sensors)."""
    parts, expected = np.zeros(values.shape), np.full(values.shape, np.nan)
    for rows, there, precision in _patterns(usual, values):
        away = usual.scaled(values[rows])[:, there] @ precision
        own = np.diag(precision)
        parts[np.ix_(rows, there)] = away**2 / own
        expected[np.ix_(rows, there)] = values[np.ix_(rows, there)] - away / own * usual.spread[there]
    return parts, expected


def expected_by(usual: Usual, values: Floats, blamed: Sequence[int]) -> Floats:
    """What the other sensors let expect of some, of shape (rows, sensors); NaN for the others."""
    expected = np.full(values.shape, np.nan)
    asked = np.array(blamed, dtype=int)
    rest = values.copy()
    rest[:, asked] = np.nan
    expected[:, asked] = usual.middle[asked]
    for rows, there, precision in _patterns(usual, rest):
        weights = usual.covariance[np.ix_(asked, there)] @ precision
        scaled = usual.scaled(rest[rows])[:, there] @ weights.T
        expected[np.ix_(rows, asked)] = usual.middle[asked] + scaled * usual.spread[asked]
    return expected


def _patterns(usual: Usual, values: Floats) -> Iterator[tuple[NDArray[np.intp], NDArray[np.bool_], Floats]]:
    """Rows that have values of the same sensors, with these and their precision."""
    there = np.isfinite(values)
    if there.all():
        everything = np.ones(values.shape[1], dtype=bool)
        yield np.arange(len(values), dtype=np.intp), everything, _inverse(usual.covariance)
        return
    kinds, of_row = np.unique(there, axis=0, return_inverse=True)
    order = np.argsort(of_row.ravel(), kind="stable")
    ends = np.cumsum(np.bincount(of_row.ravel(), minlength=len(kinds)))
    for kind, rows in zip(kinds, np.split(order, ends[:-1]), strict=True):
        if kind.any():
            yield rows, np.asarray(kind, dtype=bool), _inverse(usual.covariance[np.ix_(kind, kind)])


def _inverse(covariance: Floats) -> Floats:
    return np.asarray(np.linalg.inv(covariance), dtype=float)
