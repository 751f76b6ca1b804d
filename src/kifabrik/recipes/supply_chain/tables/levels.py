"""Base-stock levels to begin with: mean demand of the exposed time, and safety for its scatter.

The usual formula (Silver, Pyke, Thomas: Inventory and Production Management in Supply Chains, 2017, ch. 6):
level = m·T + z·sqrt(s²·T + m²·v), with m and s of a period's demand, T lead time plus review, v variance of the
lead time. Demand is passed upstream as if every node ordered what it was asked for; the optimiser does better.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from statistics import NormalDist

from kifabrik.recipes.supply_chain.distributions import Kind
from kifabrik.recipes.supply_chain.network import Lane, Network, Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """What a level is sized for.

    Attributes:
        service: Cycle service, above 0 and below 1.
        safety_stock: Instead of it: units above the mean demand of the exposed time.
    """

    service: float = 0.95
    safety_stock: float | None = None


def sized(network: Network, sizing: Mapping[str, Sizing]) -> Network:
    """The same network, with base-stock levels for the nodes (by name) that `sizing` holds."""
    if not sizing:
        return network
    inward: dict[str, list[Lane]] = defaultdict(list)
    for lane in network.lanes:
        inward[lane.target].append(lane)
    moments = _moments(network, inward)
    nodes = tuple(
        replace(node, policy=replace(node.policy, level=_level(node, inward[node.name], moments[node.name], want)))
        if (want := sizing.get(node.name))
        else node
        for node in network.nodes
    )
    return replace(network, nodes=nodes)


def _moments(network: Network, inward: Mapping[str, list[Lane]]) -> dict[str, tuple[float, float]]:
    """Mean and variance of what is asked of each node in a period."""
    means: dict[str, float] = defaultdict(float)
    variances: dict[str, float] = defaultdict(float)
    by_name = {node.name: node for node in network.nodes}
    for name in reversed(network.in_order()):
        node = by_name[name]
        if node.demand is not None:
            factors = node.demand.factors
            factor = math.fsum(factors) / len(factors) if factors else 1.0
            each = node.demand.each
            means[name] += factor * (each.mean if each.kind is Kind.NORMAL else each.expected())
            variances[name] += (factor * each.deviation()) ** 2
        for lane, share in _shares(inward[name]):
            if lane.source:
                need = lane.quantity / node.yields * share
                means[lane.source] += need * means[name]
                variances[lane.source] += need**2 * variances[name]
    return {name: (means[name], variances[name]) for name in by_name}


def _shares(inward: list[Lane]) -> Iterator[tuple[Lane, float]]:
    """Each lane with the share of the target's need that comes on it, as far as capacities do not bind."""
    by_component: dict[str, list[Lane]] = defaultdict(list)
    for lane in inward:
        by_component[lane.component].append(lane)
    for alternatives in by_component.values():
        quotas = sum(lane.quota for lane in alternatives)
        first = min(alternatives, key=lambda lane: lane.rank)
        for lane in alternatives:
            yield lane, lane.quota / quotas if quotas > 0 else float(lane is first)


def _level(node: Node, inward: list[Lane], moments: tuple[float, float], want: Sizing) -> float:
    slowest = max(inward, key=lambda lane: lane.order_time + lane.lead_time.expected())
    time = slowest.order_time + slowest.lead_time.expected() + node.making_time + node.policy.review
    centre = moments[0] * time
    if want.safety_stock is not None:
        return centre + want.safety_stock
    score = NormalDist().inv_cdf(min(max(want.service, 1e-6), 1 - 1e-6))
    scatter = math.sqrt(moments[1] * time + moments[0] ** 2 * slowest.lead_time.deviation() ** 2)
    return max(0.0, centre + score * scatter)
