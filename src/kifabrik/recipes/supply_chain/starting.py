"""Where everything is before the first period."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.network import Lane, Policy, Rule
from kifabrik.recipes.supply_chain.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """Where everything is before the first period; all in double precision, one value for all scenarios."""

    level: NDArray[np.float64]
    position: NDArray[np.float64]
    orders: NDArray[np.float64]
    ring: NDArray[np.float64]
    coming: NDArray[np.float64]
    moving: NDArray[np.float64]


def first_order(policy: Policy, *, one_lot: bool = False) -> float:
    """What a rule asks for when there is nothing: the stock a node has at the start, if none is given.

    Args:
        policy: The policy; its minimum, lot and review do not count.
        one_lot: Whether a fixed lot is ordered once only, as stockpyl does.
    """
    match policy.rule:
        case Rule.BASE_STOCK | Rule.ECHELON_BASE_STOCK:
            amount = policy.level
        case Rule.MIN_MAX:
            amount = policy.level if policy.reorder_point >= 0 else 0.0
        case Rule.FIXED_LOT:
            amount = policy.quantity if policy.reorder_point >= 0 else 0.0
            if policy.quantity > 0 and not one_lot:
                amount *= math.floor(policy.reorder_point / policy.quantity) + 1
        case Rule.FIXED_QUANTITY:
            amount = policy.quantity
    return max(0.0, amount)


def whole_lead(lane: Lane) -> int:
    """A fixed lead time in periods."""
    return round(lane.lead_time.expected())


def ordered_before(lane: Lane) -> float:
    """Ordered on a lane, and not received, before the start."""
    shipped = lane.initial_shipments * whole_lead(lane) if lane.initial_shipments else 0.0
    return shipped + lane.initial_orders * lane.order_time


def starting_state(of: Topology, plan: lay.Plan, rows: dict[str, int]) -> Starts:
    """The beginning.

    Args:
        of: What is simulated.
        plan: The plan.
        rows: How many rows of state there are.
    """
    level = np.array(
        [
            first_order(n.policy, one_lot=of.stockpyl) if n.initial_stock is None else n.initial_stock
            for n in of.nodes
        ]
    )
    flat = [(i, group) for i, groups in enumerate(of.groups) for group in groups]
    coming = np.array([sum(ordered_before(of.lanes[e]) for e in group) for _, group in flat])
    units = np.array([of.units(i, group) for i, group in flat])
    position = level + np.minimum.reduceat(coming / units, plan.group_start[:-1])
    orders, ring, moving = np.zeros(rows["orders"]), np.zeros(rows["ring"]), np.zeros(max(1, rows["extra"]))
    for e, lane in enumerate(of.lanes):
        if lane.initial_orders or lane.initial_shipments:
            _fill(of, e, plan, (orders, ring, moving))
    return Starts(
        level=level,
        position=position,
        orders=orders,
        ring=ring,
        coming=coming[plan.coming_at >= 0],
        moving=moving,
    )


def _fill(of: Topology, e: int, plan: lay.Plan, filled: tuple[Any, Any, Any]) -> None:
    lane, ints = of.lanes[e], plan.lane_ints[e]
    orders, ring, moving = filled
    lead = whole_lead(lane)
    heard = bool(lane.source) or ints[lay.HEARS] > 0
    slots = dict.fromkeys(range(lead), lane.initial_shipments)
    if not heard and not of.stockpyl:
        slots |= {lead + slot: lane.initial_orders for slot in range(lane.order_time)}
    for slot, amount in slots.items():
        ring[ints[lay.RING_AT] + slot % int(ints[lay.RING_LENGTH])] += amount
    if heard:
        length = int(ints[lay.L_ORDER_LENGTH])
        # orders of plain nodes are in good units
        amount = lane.initial_orders / plan.lane_reals[e, lay.UNITS]
        for back in range(1, lane.order_time + 1):
            orders[ints[lay.L_ORDER_AT] + (length - back) % length] = amount
    if ints[lay.EXTRA] >= 0:
        moving[ints[lay.EXTRA]] = lane.initial_shipments * lead
