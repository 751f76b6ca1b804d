"""A supply network as stages of the guaranteed-service model, and its answer as new levels of the network.

Invariants:
    - Times are whole periods; a mean lead time is rounded up.
    - Of alternative lanes, those that get orders count: by quota, or where there is none the first by rank.
    - A node's local base stock bridges its net time: mean demand x net time + safety stock. An echelon level is the
      sum of local levels of what the node feeds, by units needed.
"""

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.guaranteed_service import Arc, Placement, Stage, needed_for, pooled_demand
from kifabrik.recipes.supply_chain.network import Demand, Lane, Network, Node, Policy, Rule

Floats = NDArray[np.float64]
USUAL_SERVICE: Final = 0.95
"""Cycle service aimed at where a node says nothing."""
_MOST_SERVICE: Final = 0.9999
_ECHELONS_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the guaranteed-service model is given.

    Attributes:
        stages: One for each node, in the order of the network's nodes.
        arcs: One for each pair of nodes with a lane that gets orders.
    """

    stages: tuple[Stage, ...]
    arcs: tuple[Arc, ...]


def from_network(network: Network, *, service: float = USUAL_SERVICE) -> Inputs:
    """Describe a network to the guaranteed-service model.

    Stock is priced by its holding cost; where no node has one by its value, and where none has that by one.

    Args:
        network: The network.
        service: Cycle service where a node with demand has no `service_target`.
    """
    shares = order_shares(network)
    used = [(lane, share) for lane, share in zip(network.lanes, shares, strict=True) if share > 0]
    into: defaultdict[str, list[Lane]] = defaultdict(list)
    for lane, _ in used:
        into[lane.target].append(lane)
    has_cost, has_value = (
        any(getattr(node, what) > 0 for node in network.nodes) for what in ("holding_cost", "value")
    )
    stages = []
    for node in network.nodes:
        price = node.holding_cost if has_cost else node.value if has_value else 1.0
        stages.append(_stage(node, into[node.name], price, service))
    yields = {node.name: node.yields for node in network.nodes}
    quantities: defaultdict[tuple[str, str], float] = defaultdict(float)
    leads: dict[tuple[str, str], int] = {}
    for lane, share in used:
        if lane.source:
            pair = (lane.source, lane.target)
            quantities[pair] += lane.quantity * share / yields[lane.target]
            leads[pair] = max(leads.get(pair, 0), lane_time(lane))
    arcs = tuple(
        Arc(source=source, target=target, quantity=quantity, lead_time=leads[source, target])
        for (source, target), quantity in quantities.items()
    )
    return Inputs(tuple(stages), arcs)


def _stage(node: Node, lanes: list[Lane], price: float, service: float) -> Stage:
    from scipy import stats  # noqa: PLC0415 - slow to import

    outside = [lane_time(lane) for lane in lanes if not lane.source]
    varying = max((lane.lead_time.deviation() for lane in lanes), default=0.0)
    aim = min(node.service_target or service, _MOST_SERVICE)
    mean, sd = per_period(node.demand) if node.demand else (0.0, 0.0)
    return Stage(
        name=node.name,
        processing_time=node.making_time + max(0, node.policy.review - 1),
        holding_cost=price,
        demand_mean=mean,
        demand_sd=sd,
        z=max(0.0, float(stats.norm.ppf(aim))),
        promise=node.promised_time if node.demand else math.inf,
        inbound=max(outside, default=0),
        lead_time_sd=varying,
    )


def lane_time(lane: Lane) -> int:
    """Whole periods from an order to its arrival, if the source has the goods."""
    return lane.order_time + math.ceil(lane.lead_time.expected() - 1e-9)


def per_period(demand: Demand) -> tuple[float, float]:
    """Mean and standard deviation of a period's demand, over a whole season."""
    factors = np.array(demand.factors or (1.0,))
    mean, sd = demand.each.expected(), demand.each.deviation()
    return mean * float(factors.mean()), sd * math.sqrt(float(np.square(factors).mean()))


def order_shares(network: Network) -> list[float]:
    """Share of its target's orders that goes over each lane, in plenty [lane]."""
    groups: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for number, lane in enumerate(network.lanes):
        groups[lane.target, lane.component].append(number)
    shares = [0.0] * len(network.lanes)
    for numbers in groups.values():
        total = sum(network.lanes[number].quota for number in numbers)
        if total > 0:
            for number in numbers:
                shares[number] = network.lanes[number].quota / total
        else:
            shares[min(numbers, key=lambda number: (network.lanes[number].rank, number))] = 1.0
    return shares


def local_levels(placement: Placement) -> dict[str, float]:
    """Base stock of each stage: demand over its net time, and safety stock."""
    levels = placement.demand_means * placement.net_times + placement.safety_stocks
    return {name: float(level) for name, level in zip(placement.stages, levels, strict=True)}


def base_stocks(network: Network, answer: Placement, *, scale: Mapping[str, float] | None = None) -> Network:
    """The network with the levels of an answer.

    A base stock gets the local base stock; an echelon base stock the echelon's; a reorder point the local base
    stock, and its order-up-to level keeps its distance; who orders a fixed quantity keeps it.

    Args:
        network: The network the answer is of.
        answer: Service times and safety stocks.
        scale: Factors of safety stocks, by node name; 1 where there is none.
    """
    factors = np.array([(scale or {}).get(name, 1.0) for name in answer.stages])
    scaled = replace(answer, safety_stocks=answer.safety_stocks * factors)
    local = local_levels(scaled)
    echelon = _echelon_levels(network, local)
    nodes = [
        replace(node, policy=_with_level(node.policy, local[node.name], echelon.get(node.name, 0.0)))
        for node in network.nodes
    ]
    return replace(network, nodes=tuple(nodes))


def _echelon_levels(network: Network, local: dict[str, float]) -> dict[str, float]:
    at_echelon = [n for n, node in enumerate(network.nodes) if node.policy.rule is Rule.ECHELON_BASE_STOCK]
    if not at_echelon:
        return {}
    inputs = from_network(network)
    levels = np.array([local[node.name] for node in network.nodes])
    sums = np.zeros(len(levels))
    for start in range(0, len(levels), _ECHELONS_AT_ONCE):
        some = np.arange(start, min(start + _ECHELONS_AT_ONCE, len(levels)), dtype=np.intp)
        sums += needed_for(inputs.stages, inputs.arcs, some) @ levels[some]
    return {network.nodes[n].name: float(sums[n]) for n in at_echelon}


def _with_level(policy: Policy, local: float, echelon: float) -> Policy:
    match policy.rule:
        case Rule.BASE_STOCK:
            return replace(policy, level=local)
        case Rule.ECHELON_BASE_STOCK:
            return replace(policy, level=echelon)
        case Rule.MIN_MAX:
            return replace(policy, reorder_point=local, level=local + max(0.0, policy.level - policy.reorder_point))
        case Rule.FIXED_LOT:
            return replace(policy, reorder_point=local)
        case Rule.FIXED_QUANTITY:
            return policy


def main_level(policy: Policy) -> float:
    """The number of a policy that decides how much safety there is."""
    is_point = policy.rule in {Rule.MIN_MAX, Rule.FIXED_LOT}
    return policy.reorder_point if is_point else policy.level


def present_safety(network: Network, answer: Placement) -> Floats:
    """Safety stock each node has now: its level, less demand over the net time of the answer [node].

    NaN for nodes that order a fixed quantity, which has none, and for echelon levels, which are not one node's.
    """
    safety = np.full(len(network.nodes), np.nan)
    for number, node in enumerate(network.nodes):
        if node.policy.rule in {Rule.BASE_STOCK, Rule.MIN_MAX, Rule.FIXED_LOT}:
            mean = answer.demand_means[number] * answer.net_times[number]
            safety[number] = main_level(node.policy) - mean
    return safety


def present_placement(network: Network, everywhere: Placement) -> Placement:
    """Today's levels as an answer: the safety each node has beyond demand over its time, or less time.

    Nodes without a level of their own get what they would hold everywhere.

    Args:
        network: With the levels of today.
        everywhere: Times that each node bridges by itself, and safety for them.
    """
    safety = present_safety(network, everywhere)
    is_known, is_short = ~np.isnan(safety), safety < 0
    bridged = everywhere.demand_means * everywhere.net_times + np.where(is_short, safety, 0.0)
    shorter = np.divide(
        np.maximum(0.0, bridged),
        everywhere.demand_means,
        out=np.zeros_like(bridged),
        where=everywhere.demand_means > 0,
    )
    return replace(
        everywhere,
        net_times=np.where(is_short, shorter, everywhere.net_times),
        safety_stocks=np.where(is_known, np.maximum(0.0, safety), everywhere.safety_stocks),
    )


def demand_means(network: Network) -> dict[str, float]:
    """Units of each node that outside demand needs in a period, over all paths."""
    inputs = from_network(network)
    means, _ = pooled_demand(inputs.stages, inputs.arcs)
    return {node.name: float(mean) for node, mean in zip(network.nodes, means, strict=True)}
