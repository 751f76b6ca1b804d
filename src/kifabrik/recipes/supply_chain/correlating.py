"""Demands that go together: which correlation of normal scores gives the wanted correlation of demands.

NORTA, "normal to anything": normal scores with a given correlation are turned into ranks and those into demands
(Cario and Nelson, "Modeling and generating random vectors with arbitrary marginal distributions and correlation
matrix", Northwestern University 1997; the copula is Gaussian). The correlation of demands grows with that of
scores. By Mehler's formula it is the sum of a_k b_k r^k, where a_k and b_k are the coefficients of the two demands,
as functions of their scores, in orthonormal Hermite polynomials. A step at z has the coefficient
phi(z) h_{k-1}(z) / sqrt(k); continuous distributions are taken as fine steps.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize, special

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind
from kifabrik.recipes.supply_chain.network import Correlation, Demand, Node
from kifabrik.recipes.supply_chain.quantiles import values_and_weights

Floats = NDArray[np.float64]
_TERMS: Final = 1024
"""Of the sum; what is left out matters for correlations of scores above 0.99 only, and is then put at its end."""
_POWERS: Final = np.arange(1, _TERMS + 1)
_CELLS: Final = 8192
_REACH: Final = 8.0
"""Continuous distributions are steps of scores between -REACH and REACH."""
_STEP: Final = 1e-5
"""By less than this, fine steps change a correlation."""
_NEARLY: Final = 1e-9
_NAMED: Final = 4
_WEAK: Final = 0.2


@dataclass(frozen=True, slots=True)
class _Steps:
    """A demand as a function of its score: at `ends[j]` it steps from `values[j]` to `values[j + 1]`."""

    ends: Floats
    values: Floats

    @property
    def sd(self) -> float:
        weights = np.diff(special.ndtr(self.ends), prepend=0.0, append=1.0)
        mean = float(weights @ self.values)
        return float(np.sqrt(weights @ (self.values - mean) ** 2))

    def coefficients(self) -> Floats:
        """Of orthonormal Hermite polynomials 1 to TERMS, for a deviation of one."""
        steps = np.diff(self.values) * np.exp(-(self.ends**2) / 2) / np.sqrt(2 * np.pi) / self.sd
        found = np.empty(_TERMS)
        before, now = np.zeros_like(self.ends), np.ones_like(self.ends)
        for k in range(1, _TERMS + 1):
            found[k - 1] = steps @ now / np.sqrt(k)
            before, now = now, (self.ends * now - np.sqrt(k - 1) * before) / np.sqrt(k)
        return found

    def turned(self) -> "_Steps":
        """The same of the score with the other sign."""
        return _Steps(-self.ends[::-1], self.values[::-1])


@lru_cache(maxsize=4096)
def _steps(distribution: Distribution) -> _Steps:
    listed = values_and_weights(distribution)
    if listed is not None:
        values, weights = (array[listed[1] > 0] for array in listed)
        return _Steps(special.ndtri(np.cumsum(weights / weights.sum())[:-1]), values)
    edges = np.linspace(-_REACH, _REACH, _CELLS + 1)
    if distribution.kind is Kind.INTERMITTENT and 0 < distribution.chance < 1:
        edges = np.sort(np.append(edges, special.ndtri(1 - distribution.chance)))
    middles = (edges[1:] + edges[:-1]) / 2
    return _Steps(edges[1:-1], distribution.quantile(special.ndtr(middles)))


@lru_cache(maxsize=4096)
def _coefficients(distribution: Distribution) -> Floats:
    return _steps(distribution).coefficients()


def _together(one: _Steps, other: _Steps) -> float:
    """Correlation of two demands of one and the same score."""
    ends = np.union1d(one.ends, other.ends)
    weights = np.diff(special.ndtr(ends), prepend=0.0, append=1.0)
    values = [
        each.values[np.searchsorted(each.ends, np.append(ends, np.inf), side="left")] for each in (one, other)
    ]
    first, second = (value - weights @ value for value in values)
    return float(weights @ (first * second)) / (one.sd * other.sd)


@dataclass(frozen=True, slots=True)
class _Pair:
    """Correlation of two demands by that of their scores: a series, and its exact ends at -1 and 1."""

    series: Floats
    least: float
    most: float

    def at(self, score: float) -> float:
        """Correlation of the demands."""
        sign = 1.0 if score >= 0 else -1.0
        rest = (self.most if sign > 0 else self.least) - float(self.series @ sign**_POWERS)
        return float(self.series @ score**_POWERS) + rest * abs(score) ** (2 * _TERMS)


@lru_cache(maxsize=4096)
def _pair(one: Distribution, other: Distribution) -> _Pair:
    first, second = _steps(one), _steps(other)
    series = _coefficients(one) * _coefficients(other)
    return _Pair(series, _together(first, second.turned()), _together(first, second))


def demand_correlation(one: Distribution, other: Distribution, score: float) -> float:
    """Correlation of two demands whose normal scores have the correlation `score`."""
    return _pair(one, other).at(score)


@lru_cache(maxsize=4096)
def score_correlation(one: Distribution, other: Distribution, wanted: float) -> float:
    """Correlation of normal scores that gives two demands the wanted correlation.

    Raises:
        UsageError: If no score gives it.
    """
    pair = _pair(one, other)
    if not pair.least - _STEP <= wanted <= pair.most + _STEP:
        raise UsageError(
            f"with their distributions their correlation can be {pair.least:.3f} to {pair.most:.3f}, not {wanted:g}"
        )
    if abs(wanted) < _NEARLY:
        return 0.0
    end = 1.0 if wanted > 0 else -1.0
    if abs(wanted) >= abs(demand_correlation(one, other, end)):
        return end
    return float(
        optimize.brentq(lambda score: demand_correlation(one, other, score) - wanted, 0.0, end, xtol=1e-10)
    )


def score_weights(nodes: Sequence[Node], correlations: Sequence[Correlation]) -> tuple[list[str], Floats]:
    """How nodes' normal scores are made of independent ones.

    Args:
        nodes: All nodes of a network.
        correlations: Those of their demands.

    Returns:
        Names of nodes that are correlated, in the order of `nodes`; and a lower triangular matrix: row i has the
        weights of each node's own score in the score of node i.

    Raises:
        UsageError: If the correlations are of what is not there, contradict each other or a distribution.
    """
    if not correlations:
        return [], np.zeros((0, 0))
    named = {name for each in correlations for name in (each.one, each.other)}
    demands = {node.name: node.demand for node in nodes if node.demand and node.name in named}
    _check(correlations, demands)
    names = tuple(demands)
    return list(names), _weights(names, tuple(demand.each for demand in demands.values()), tuple(correlations))


def _check(correlations: Sequence[Correlation], demands: Mapping[str, Demand]) -> None:
    seen: set[frozenset[str]] = set()
    for each in correlations:
        pair = frozenset((each.one, each.other))
        for name in (each.one, each.other):
            if name not in demands:
                raise UsageError(f"{_of(each)}: {name} is no node with outside demand.")
            if demands[name].each.is_certain:
                raise UsageError(f"{_of(each)}: the demand of {name} is always the same.")
            if demands[name].shared_luck:
                raise UsageError(f"{_of(each)}: {name} has a shared luck already.", hint="Give one or the other.")
        if len(pair) == 1:
            raise UsageError(f"{_of(each)}: these are one and the same.")
        if pair in seen:
            raise UsageError(f"{_of(each)} is given twice.")
        if not -1 <= each.coefficient <= 1:
            raise UsageError(f"{_of(each)} is {each.coefficient:g}; it can be -1 to 1.")
        seen.add(pair)


def _of(each: Correlation) -> str:
    return f"The correlation of {each.one} and {each.other}"


@lru_cache(maxsize=8)
def _weights(
    names: tuple[str, ...], demands: tuple[Distribution, ...], correlations: tuple[Correlation, ...]
) -> Floats:
    scores = np.eye(len(names))
    for each in correlations:
        i, j = names.index(each.one), names.index(each.other)
        try:
            scores[i, j] = scores[j, i] = score_correlation(demands[i], demands[j], each.coefficient)
        except UsageError as error:
            raise UsageError(f"{_of(each)} cannot be had: {error.message}.") from None
    values, vectors = np.linalg.eigh(scores)
    if values[0] < -_NEARLY:
        _refuse(names, float(values[0]), vectors[:, 0])
    # of what is singular, such as two demands that are always alike, there is a factor too
    return np.asarray(linalg.cholesky((scores + 2 * _NEARLY * np.eye(len(names))) / (1 + 2 * _NEARLY), lower=True))


def _refuse(names: tuple[str, ...], least: float, vector: Any) -> None:
    weights = np.abs(vector)
    strong = [names[i] for i in np.argsort(-weights, kind="stable") if weights[i] > _WEAK * weights.max()]
    most = math.floor(100 / (1 - least)) / 100
    listed = ", ".join(strong[:_NAMED]) + (f" and {len(strong) - _NAMED} more" if len(strong) > _NAMED else "")
    raise UsageError(
        f"The correlations contradict each other: no demands can go together so, above all those of {listed} "
        f"(the matrix is not positive semidefinite, least eigenvalue {least:.3f}).",
        hint=f"A pair without a row counts as 0: add what is missing, or multiply all by at most {most:.2f}.",
    )
