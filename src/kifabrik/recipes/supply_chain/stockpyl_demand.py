"""Demand of stockpyl's nodes as distributions.

Invariants:
    - Continuous uniform demand is between `lo` and `hi`; stockpyl 1.0.2 draws it between `lo` and `hi - lo`.
    - Continuous demand that is rounded becomes the list of whole numbers with their exact probabilities.
"""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.network import Demand
from kifabrik.recipes.supply_chain.stockpyl_fields import Fields

_MOST_VALUES: Final = 100_000
_TAIL: Final = 9.0
"""Deviations beyond which a normal demand is not listed; beyond it lies 1e-19 of it."""
_KINDS: Final = ("N", "P", "UC", "UD", "NB", "CD", "D")


def demand_of(source: Fields) -> Demand | None:
    """Demand of a node; None if it has none.

    Raises:
        UsageError: If there is no such demand.
    """
    kind = source.get("type")
    if kind is None:
        return None
    if kind not in _KINDS:
        raise UsageError(
            f"{source.owner}: demand of the type {kind!r:.20} cannot be read.",
            hint=f"Known are {', '.join(_KINDS)}.",
        )
    rounded = bool(source.get("round_to_int"))
    if kind == "D":
        return _listed(source, rounded=rounded)
    try:
        return Demand(each=_distribution(kind, source, rounded=rounded))
    except UsageError as error:
        if error.message.startswith(source.owner):
            raise
        raise UsageError(f"{source.owner}: {error.message}") from None


def _listed(source: Fields, *, rounded: bool) -> Demand:
    if not isinstance(source.get("demand_list"), list | tuple):
        always = source.amount("demand_list", None)
        return Demand(each=fixed(float(np.rint(always)) if rounded else always))
    values = source.listed("demand_list")
    return Demand(each=fixed(1), factors=tuple(float(np.rint(v)) if rounded else v for v in values))


def _distribution(kind: str, source: Fields, *, rounded: bool) -> Distribution:
    match kind:
        case "N":
            each = Distribution(
                kind=Kind.NORMAL,
                mean=source.amount("mean", None),
                sd=source.amount("standard_deviation", None),
            )
            return _rounded(source, each) if rounded else each
        case "UC":
            each = Distribution(kind=Kind.UNIFORM, values=_ends(source))
            return _rounded(source, each) if rounded else each
        case "P":
            return Distribution(kind=Kind.POISSON, mean=source.amount("mean", None))
        case "UD":
            low, high = (int(end) for end in _ends(source))
            _check_count(source, high - low + 1)
            return _weighted((value, 1 / (high - low + 1)) for value in range(low, high + 1))
        case "NB":
            return _negative_binomial(source)
        case _:
            return _custom(source, rounded=rounded)


def _ends(source: Fields) -> tuple[float, float]:
    low, high = source.amount("lo", None), source.amount("hi", None)
    if low > high:
        raise source.wrong("lo", f"is above the hi {high:g}")
    return low, high


def _negative_binomial(source: Fields) -> Distribution:
    n, p = source.amount("n", None), source.chance("p")
    if n == 0 or p == 0:
        raise source.wrong("n" if n == 0 else "p", "must be above zero")
    if p == 1:
        return fixed(0)
    mean = n * (1 - p) / p
    return Distribution(kind=Kind.NEGATIVE_BINOMIAL, mean=mean, sd=math.sqrt(mean / p))


def _custom(source: Fields, *, rounded: bool) -> Distribution:
    values, chances = source.listed("demand_list"), source.listed("probabilities")
    if len(values) != len(chances):
        raise UsageError(
            f"{source.owner}: the demand list has {len(values)} entries and the probabilities have {len(chances)}."
        )
    if not math.isclose(sum(chances), 1, rel_tol=1e-6):
        raise UsageError(f"{source.owner}: the probabilities add up to {sum(chances):g}, not to 1.")
    ends = [float(np.rint(value)) if rounded else value for value in values]
    return _weighted(zip(ends, chances, strict=True))


def _rounded(source: Fields, each: Distribution) -> Distribution:
    """The distribution of the nearest whole number."""
    from scipy import stats  # noqa: PLC0415 - slow to import

    if each.is_certain:
        return fixed(float(np.rint(each.quantile(0.5))))
    if each.kind is Kind.NORMAL:
        law = stats.norm(each.mean, each.sd)
        low, high = each.mean - _TAIL * each.sd, each.mean + _TAIL * each.sd
    else:
        low, high = each.values
        law = stats.uniform(low, high - low)
    first, last = max(0, round(low)), max(0, round(high))
    _check_count(source, last - first + 1)
    edges = np.arange(first, last) + 0.5
    chances = np.diff(law.cdf(edges), prepend=0.0, append=1.0)
    return _weighted(
        (value, chance) for value, chance in zip(range(first, last + 1), chances, strict=True) if chance
    )


def _check_count(source: Fields, count: int) -> None:
    if count > _MOST_VALUES:
        raise UsageError(
            f"{source.owner}: the demand takes {count} whole numbers; at most {_MOST_VALUES} can be read.",
            hint="Let it be continuous.",
        )


def _weighted(pairs: Iterable[tuple[float, float]]) -> Distribution:
    sums: dict[float, float] = {}
    for value, chance in pairs:
        sums[float(value)] = sums.get(float(value), 0.0) + float(chance)
    kept = sorted(sums)
    total = math.fsum(sums.values())
    weights = tuple(sums[value] / total for value in kept)
    return Distribution(kind=Kind.EMPIRICAL, values=tuple(kept), weights=weights)
