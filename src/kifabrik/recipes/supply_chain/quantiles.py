"""Quantile tables of a network's demands and lead times, each kept once."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kifabrik.recipes.supply_chain import luck
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind

_MOST_VALUES: Final = 400
_MOST_STEPS: Final = 16
_TAIL: Final = 1e-10


class Tables:
    """Tables of quantiles, each kept once."""

    def __init__(self) -> None:
        self.continuous: list[NDArray[np.float64]] = []
        self.begins: list[Any] = []
        self.ends: list[Any] = []
        self.values: list[Any] = []
        self._at = 0
        self._known: dict[Any, tuple[int, int, bool, bool]] = {}

    def demand(self, distribution: Distribution) -> tuple[int, int, bool, bool]:
        """Row, steps, whether discrete, whether to be rounded."""
        if distribution not in self._known:
            self._known[distribution] = self._demand(distribution)
        return self._known[distribution]

    def _demand(self, distribution: Distribution) -> tuple[int, int, bool, bool]:
        whole = distribution.kind in {Kind.POISSON, Kind.NEGATIVE_BINOMIAL}
        found = values_and_weights(distribution)
        if found is not None and luck.discrete_table(*found)[3] <= _MOST_STEPS:
            row, steps = self._add(*found)
            return row, steps, True, False
        self.continuous.append(luck.continuous_table(distribution))
        return len(self.continuous) - 1, 0, False, whole

    def lead(self, distribution: Distribution) -> tuple[int, int, int]:
        """Row, steps and longest of a lead time."""
        key = ("lead", distribution)
        if key not in self._known:
            if distribution.kind is Kind.EMPIRICAL:
                values, weights = np.rint(distribution.values), np.asarray(distribution.weights)
            else:
                values = np.rint(distribution.quantile((np.arange(4096) + 0.5) / 4096))
                weights = np.full(4096, 1 / 4096)
            whole, place = np.unique(values, return_inverse=True)
            row, steps = self._add(whole, np.asarray(np.bincount(place, weights), dtype=np.float64))
            self._known[key] = (row, steps, bool(whole[-1]), False)
            self._known[("longest", distribution)] = (int(whole[-1]), 0, False, False)
        return self._known[key][0], self._known[key][1], self._known[("longest", distribution)][0]

    def _add(self, values: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[int, int]:
        begins, ends, values, steps = luck.discrete_table(values, weights)
        self.begins.append(begins + self._at)
        self.ends.append(ends)
        self.values.append(values)
        self._at += len(values)
        return len(self.begins) - 1, steps


def values_and_weights(distribution: Distribution) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
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
        return values, np.asarray(stats.poisson.pmf(values, distribution.mean))
    success = distribution.mean / distribution.sd**2
    return values, np.asarray(stats.nbinom.pmf(values, distribution.mean * success / (1 - success), success))
