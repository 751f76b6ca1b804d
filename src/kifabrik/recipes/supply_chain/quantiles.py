"""Quantile tables of a network's demands and lead times, each kept once.

Invariants:
    - A table depends on its distribution only. The last few thousand are remembered: a study compiles a network
      many times, each time with another disruption.
"""

from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kifabrik.recipes.supply_chain import luck
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind

Floats = NDArray[np.float64]
_MOST_VALUES: Final = 400
_MOST_STEPS: Final = 16
_TAIL: Final = 1e-10
_PARTS: Final = 4096
_REMEMBERED: Final = 4096
"""Tables; 50 kB each at most."""


class _Discrete(NamedTuple):
    """Look-up of a discrete distribution; see `luck.discrete_table`."""

    begins: Any
    ends: Any
    values: Any
    steps: int


class Tables:
    """Tables of quantiles, each kept once."""

    def __init__(self) -> None:
        self.continuous: list[Floats] = []
        self.begins: list[Any] = []
        self.ends: list[Any] = []
        self.values: list[Any] = []
        self._at = 0
        self._demands: dict[Distribution, tuple[int, int, bool, bool]] = {}
        self._leads: dict[Distribution, tuple[int, int, int]] = {}

    def demand(self, distribution: Distribution) -> tuple[int, int, bool, bool]:
        """Row, steps, whether discrete, whether to be rounded."""
        if distribution not in self._demands:
            self._demands[distribution] = self._demand(distribution)
        return self._demands[distribution]

    def _demand(self, distribution: Distribution) -> tuple[int, int, bool, bool]:
        found = _of_demand(distribution)
        if isinstance(found, _Discrete):
            return self._add(found), found.steps, True, False
        self.continuous.append(found)
        whole = distribution.kind in {Kind.POISSON, Kind.NEGATIVE_BINOMIAL}
        return len(self.continuous) - 1, 0, False, whole

    def lead(self, distribution: Distribution) -> tuple[int, int, int]:
        """Row, steps and longest of a lead time."""
        if distribution not in self._leads:
            found = _of_lead_time(distribution)
            self._leads[distribution] = self._add(found), found.steps, int(found.values[-1])
        return self._leads[distribution]

    def _add(self, table: _Discrete) -> int:
        self.begins.append(table.begins + self._at)
        self.ends.append(table.ends)
        self.values.append(table.values)
        self._at += len(table.values)
        return len(self.begins) - 1


@lru_cache(maxsize=_REMEMBERED)
def _of_demand(distribution: Distribution) -> _Discrete | Floats:
    """A discrete look-up where that takes few steps, else a table of quantiles."""
    listed = values_and_weights(distribution)
    if listed is not None:
        found = _Discrete(*luck.discrete_table(*listed))
        if found.steps <= _MOST_STEPS:
            return found
    return luck.continuous_table(distribution)


@lru_cache(maxsize=_REMEMBERED)
def _of_lead_time(distribution: Distribution) -> _Discrete:
    return _Discrete(*luck.discrete_table(*whole_values(distribution)))


def values_and_weights(distribution: Distribution) -> tuple[Floats, Floats] | None:
    """Values that happen, ascending, and how often; None of a continuous distribution or too many values."""
    if distribution.kind is Kind.EMPIRICAL:
        return np.asarray(distribution.values), np.asarray(distribution.weights)
    if distribution.kind not in {Kind.POISSON, Kind.NEGATIVE_BINOMIAL}:
        return None
    low, high = distribution.quantile([_TAIL, 1 - _TAIL])
    if high - low > _MOST_VALUES:
        return None
    values = np.arange(low, high + 1)
    if distribution.kind is Kind.POISSON:
        return values, stats.poisson.pmf(values, distribution.mean)
    success = distribution.mean / distribution.sd**2
    return values, stats.nbinom.pmf(values, distribution.mean * success / (1 - success), success)


def whole_values(distribution: Distribution) -> tuple[Floats, Floats]:
    """Whole values that a lead time takes, ascending, and their weights.

    A drawn lead time is rounded. Ranks are taken at the middle of 4,096 equal parts, of which those that round to a
    value are counted, at the borders between values.
    """
    if distribution.kind is Kind.EMPIRICAL:
        whole, place = np.unique(np.rint(distribution.values), return_inverse=True)
        return whole, np.asarray(np.bincount(place, distribution.weights), dtype=np.float64)
    lowest, highest = np.rint(distribution.quantile([0.5 / _PARTS, 1 - 0.5 / _PARTS]))
    if highest - lowest > _PARTS:
        parts = np.rint(distribution.quantile((np.arange(_PARTS) + 0.5) / _PARTS))
        whole, counts = np.unique(parts, return_counts=True)
        return whole, counts / _PARTS
    whole = np.arange(lowest, highest + 1)
    below = np.rint(_PARTS * distribution.cumulative(whole[:-1] + 0.5))
    shares = np.diff(below, prepend=0.0, append=_PARTS) / _PARTS
    return whole[shares > 0], shares[shares > 0]
