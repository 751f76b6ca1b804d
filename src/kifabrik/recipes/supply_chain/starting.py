"""Where everything is before the first period."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.network import INFINITE, Lane, Network, Node, Policy, Rule, Semantics


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """Where everything is before the first period; all in double precision, one value for all scenarios."""

    level: NDArray[np.float64]
    position: NDArray[np.float64]
    orders: NDArray[np.float64]
    ring: NDArray[np.float64]
    coming: NDArray[np.float64]
    moving: NDArray[np.float64]


def first_order(policy: Policy, cap: float = INFINITE) -> float:
    """What a policy orders when there is nothing: the stock a node has at the start, if none is given."""
    match policy.rule:
        case Rule.BASE_STOCK | Rule.ECHELON_BASE_STOCK:
            amount = policy.level
        case Rule.MIN_MAX:
            amount = policy.level if policy.reorder_point >= 0 else 0.0
        case Rule.FIXED_LOT:
            amount = policy.quantity if policy.reorder_point >= 0 else 0.0
        case Rule.FIXED_QUANTITY:
            amount = policy.quantity
    return max(0.0, min(amount, cap))


def whole_lead(lane: Lane) -> int:
    """A fixed lead time in periods."""
    return round(lane.lead_time.expected())


def ordered_before(lane: Lane) -> float:
    """Ordered on a lane, and not received, before the start."""
    return lane.initial_shipments * whole_lead(lane) + lane.initial_orders * lane.order_time


def starting_state(
    network: Network,
    nodes: Sequence[Node],
    groups: Sequence[Sequence[Sequence[int]]],
    plan: lay.Plan,
    rows: dict[str, int],
) -> Starts:
    """The beginning.

    Args:
        network: What is simulated.
        nodes: Its nodes in the order of the plan.
        groups: Of each of them: groups of alternative lanes.
        plan: The plan.
        rows: How many rows of state there are.
    """
    level = np.array([first_order(n.policy) if n.initial_stock is None else n.initial_stock for n in nodes])
    coming = np.array([sum(ordered_before(network.lanes[e]) for e in g) for each in groups for g in each])
    begins = plan.group_start[:-1]
    position = level + np.minimum.reduceat(coming / component_units(network, nodes, groups), begins)
    orders, ring, moving = np.zeros(rows["orders"]), np.zeros(rows["ring"]), np.zeros(max(1, rows["extra"]))
    for node, each in zip(nodes, groups, strict=True):
        for e in (e for group in each for e in group):
            _fill(network, e, node, plan, (orders, ring, moving))
    return Starts(
        level=level,
        position=position,
        orders=orders,
        ring=ring,
        coming=coming[plan.coming_at >= 0],
        moving=moving,
    )


def component_units(
    network: Network, nodes: Sequence[Node], groups: Sequence[Sequence[Sequence[int]]]
) -> NDArray[np.float64]:
    """Units of the component in one good unit, of each group."""
    return np.array(
        [network.lanes[g[0]].quantity / node.yields for node, each in zip(nodes, groups, strict=True) for g in each]
    )


def _fill(network: Network, e: int, node: Node, plan: lay.Plan, filled: tuple[Any, Any, Any]) -> None:
    lane, ints = network.lanes[e], plan.lane_ints[e]
    orders, ring, moving = filled
    lead = whole_lead(lane)
    length = int(ints[lay.RING_LENGTH])
    slots = dict.fromkeys(range(lead), lane.initial_shipments)
    if not lane.source and network.semantics is not Semantics.STOCKPYL:
        slots |= {lead + slot: lane.initial_orders for slot in range(lane.order_time)}
    for slot, amount in slots.items():
        ring[ints[lay.RING_AT] + slot % length] += amount
    if lane.source:
        length = int(ints[lay.L_ORDER_LENGTH])
        plain = plan.node_ints[ints[lay.TARGET], lay.PLAIN]
        amount = lane.initial_orders / lane.quantity * node.yields if plain else lane.initial_orders
        for back in range(1, lane.order_time + 1):
            orders[ints[lay.L_ORDER_AT] + (length - back) % length] = amount
    if ints[lay.EXTRA] >= 0:
        moving[ints[lay.EXTRA]] = lane.initial_shipments * lead
