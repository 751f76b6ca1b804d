"""Rows of nodes: what the kernel must know of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.distributions import Kind
from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.network import INFINITE, Allocation, Demand, Node, Rule
from kifabrik.recipes.supply_chain.quantiles import Tables
from kifabrik.recipes.supply_chain.starting import ordered_before
from kifabrik.recipes.supply_chain.topology import Topology

_RULES: Final = {
    Rule.BASE_STOCK: lay.BASE_STOCK,
    Rule.ECHELON_BASE_STOCK: lay.ECHELON,
    Rule.MIN_MAX: lay.MIN_MAX,
    Rule.FIXED_LOT: lay.FIXED_LOT,
    Rule.FIXED_QUANTITY: lay.FIXED_QUANTITY,
}
_ALLOCATIONS: Final = {
    Allocation.PRIORITY: lay.PRIORITY,
    Allocation.PROPORTIONAL: lay.PROPORTIONAL,
    Allocation.FIRST_COME: lay.FIRST_COME,
}
_ROUNDINGS: Final = 256
"""How many roundings of a node's largest usual number its position may be off."""
_WHOLE: Final = {Kind.POISSON, Kind.NEGATIVE_BINOMIAL}


@dataclass(frozen=True, slots=True)
class NodeRows:
    """What rows of nodes need beside them.

    Attributes:
        factors: Seasonal factors, one after the other.
        making: Rows of state for what is being made.
    """

    factors: list[float]
    making: int


def fill_node_rows(
    of: Topology,
    ints: NDArray[np.int64],
    reals: NDArray[np.float64],
    lane_ints: NDArray[np.int64],
    tables: Tables,
    replayed: Mapping[str, int],
    real: Any,
) -> NodeRows:
    """Fill the rows of all nodes; disruptions must be marked there before.

    Args:
        of: The network.
        ints: Rows [node, NODE_INTS]; filled.
        reals: Rows [node, NODE_REALS]; filled.
        lane_ints: Rows of lanes, with disruptions marked.
        tables: Of quantiles; demands are added.
        replayed: Nodes whose demand is given, and where.
        real: Type of amounts in the kernel.
    """
    factors, making = [1.0], 0
    busy = _throughput(of)
    for i, node in enumerate(of.nodes):
        _fill_policy(of, i, ints[i], reals[i])
        policy = node.policy
        numbers = (policy.level, policy.reorder_point, policy.quantity, policy.minimum, policy.lot, busy[i])
        reals[i, lay.ROUNDING] = _ROUNDINGS * np.finfo(real).eps * max(map(abs, numbers))
        ints[i, lay.MAKING_LENGTH], ints[i, lay.MAKING_AT] = node.making_time, making
        making += node.making_time
        ints[i, lay.SINK] = not of.out[i]
        out_of_reach = any(lane_ints[e, lay.D_LANE] >= 0 for e in of.out[i])
        ints[i, lay.BLOCKED] = ints[i, lay.D_OUT] >= 0 or out_of_reach
        ints[i, [lay.DEMAND, lay.FACTOR_AT, lay.FACTORS, lay.WHOLE]] = lay.NO_DEMAND, 0, 1, 0
        if node.name in replayed:
            ints[i, [lay.DEMAND, lay.TABLE]] = lay.REPLAY, replayed[node.name]
        elif node.demand:
            _fill_demand(ints[i], reals[i], node.demand, tables, factors)
    return NodeRows(factors, making)


def _throughput(of: Topology) -> list[float]:
    """Mean demand of each node in the busiest season, outside and inside; of alternatives each has all."""
    found = [0.0] * len(of.nodes)
    for i in reversed(range(len(of.nodes))):
        demand = of.nodes[i].demand
        if demand:
            found[i] += demand.each.expected() * max(demand.factors, default=1.0)
        for group in of.groups[i]:
            for e in group:
                if of.lanes[e].source:
                    found[of.number[of.lanes[e].source]] += of.units(i, group) * found[i]
    return found


def _fill_policy(of: Topology, i: int, ints: Any, reals: Any) -> None:
    node = of.nodes[i]
    policy = node.policy
    ints[[lay.RULE, lay.REVIEW, lay.OFFSET]] = _RULES[policy.rule], policy.review, policy.offset
    ints[lay.ALLOCATION] = _ALLOCATIONS[node.allocation]
    reals[[lay.LEVEL, lay.POINT, lay.QUANTITY]] = policy.level, policy.reorder_point, policy.quantity
    reals[[lay.MINIMUM, lay.LOT, lay.STORAGE]] = policy.minimum, policy.lot, node.storage
    cap = INFINITE if of.stockpyl and node.order_capacity == 0 else node.order_capacity
    reals[[lay.ORDER_CAP, lay.MAKE_CAP, lay.WAITS]] = cap, node.making_capacity, node.backorder_share
    ints[lay.PLAIN] = _is_plain(of, i)
    ints[lay.PLAIN_RULE] = (
        policy.rule is Rule.BASE_STOCK
        and (policy.review, policy.minimum, policy.lot, node.storage, cap) == (1, 0, 0, INFINITE, INFINITE)
        and ints[lay.D_ORDERS] < 0
        and node.order_cost == 0
        and not any(of.lanes[e].order_cost for e in of.into(i))
    )
    ints[lay.MAKES] = _makes(node) or len(of.groups[i]) > 1 or ints[lay.D_OUT] >= 0


def _makes(node: Node) -> bool:
    return node.making_capacity < INFINITE or node.making_time > 0


def _is_plain(of: Topology, i: int) -> bool:
    """Whether all lanes in take and have taken the same orders, so that the node's position is that of each."""
    lanes = [of.lanes[e] for e in of.into(i)]
    limited = any(lane.capacity < INFINITE or lane.lot > 0 for lane in lanes)
    alone = all(len(group) == 1 for group in of.groups[i])
    each_period = {lane.initial_orders / lane.quantity for lane in lanes}
    before = {ordered_before(lane) / lane.quantity for lane in lanes}
    return not limited and alone and len(each_period) == len(before) == 1


def _fill_demand(ints: Any, reals: Any, demand: Demand, tables: Tables, factors: list[float]) -> None:
    each = demand.each
    if demand.factors:
        ints[[lay.FACTOR_AT, lay.FACTORS]] = len(factors), len(demand.factors)
        factors.extend(demand.factors)
    if each.is_certain:
        ints[lay.DEMAND], reals[lay.MEAN] = lay.CERTAIN, float(each.quantile(0.5))
    elif each.kind is Kind.NORMAL:
        ints[lay.DEMAND], reals[lay.MEAN], reals[lay.SD] = lay.NORMAL, each.mean, each.sd
    else:
        row, steps, discrete, whole = tables.demand(each)
        ints[[lay.DEMAND, lay.TABLE, lay.STEPS]] = lay.DISCRETE if discrete else lay.CONTINUOUS, row, steps
        ints[lay.WHOLE] = whole or (each.kind in _WHOLE and bool(demand.factors))
