"""Rows of lanes: what the kernel must know of each, and where its orders and shipments lie."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.network import INFINITE
from kifabrik.recipes.supply_chain.quantiles import Tables
from kifabrik.recipes.supply_chain.starting import whole_lead
from kifabrik.recipes.supply_chain.topology import Topology

_MOST_LEAD: Final = 5000


@dataclass(slots=True)
class LaneRows:
    """Rows of state that lanes need: of shipments, orders, lanes with extras, random lanes and their books."""

    ring: int = 0
    orders: int = 0
    extra: int = 0
    random: int = 0
    books: int = 0


def fill_lane_rows(
    of: Topology,
    node_ints: NDArray[np.int64],
    ints: NDArray[np.int64],
    reals: NDArray[np.float64],
    tables: Tables,
) -> LaneRows:
    """Fill the rows of all lanes; what nodes are and what is disrupted must be marked before.

    Args:
        of: The network.
        node_ints: Rows of nodes; where their orders lie is filled in.
        ints: Rows [lane, LANE_INTS]; filled.
        reals: Rows [lane, LANE_REALS]; filled.
        tables: Of quantiles; lead times are added.

    Raises:
        UsageError: If a lead time is too long.
    """
    rows, own_ints, own_reals = LaneRows(), ints.tolist(), reals.tolist()  # lists take single numbers much faster
    for i, row in enumerate(node_ints):
        if row[lay.PLAIN]:
            longest = max(of.lanes[e].order_time for e in of.into(i)) + 1
            row[lay.ORDER_AT], row[lay.ORDER_LENGTH] = rows.orders, longest
            rows.orders += longest
        for group in of.groups[i]:
            quotas = sum(of.lanes[e].quota for e in group)
            for e in group:
                of_lane, numbers = own_ints[e], own_reals[e]
                _fill(of, e, of_lane, numbers, tables, rows)
                numbers[lay.QUOTA] = of.lanes[e].quota / quotas if quotas > 0 else -1.0
                of_lane[lay.ALONE] = len(group) == 1
                _place_orders(of, e, row, of_lane, numbers, rows)
                _add_books(of, e, of_lane, rows)
    ints[:], reals[:] = own_ints, own_reals
    return rows


def _place_orders(of: Topology, e: int, node: Any, ints: Any, reals: Any, rows: LaneRows) -> None:
    """Lanes of plain nodes share the node's orders, which are in its good units."""
    lane = of.lanes[e]
    if node[lay.PLAIN]:
        ints[lay.L_ORDER_AT], ints[lay.L_ORDER_LENGTH] = node[lay.ORDER_AT], node[lay.ORDER_LENGTH]
        reals[lay.UNITS] = lane.quantity / of.nodes[ints[lay.TARGET]].yields
        return
    ints[lay.L_ORDER_AT], ints[lay.L_ORDER_LENGTH] = rows.orders, lane.order_time + 1
    rows.orders += lane.order_time + 1
    reals[lay.UNITS] = 1.0


def _fill(of: Topology, e: int, ints: Any, reals: Any, tables: Tables, rows: LaneRows) -> None:
    lane = of.lanes[e]
    ints[lay.SOURCE] = of.number[lane.source] if lane.source else -1
    ints[lay.TARGET], ints[lay.ORDER_TIME] = of.number[lane.target], lane.order_time
    ints[lay.HEARS] = _hears(of, e, ints)
    # else the time of an order to an outside supplier is simply a part of the way
    before = 0 if lane.source or ints[lay.HEARS] else lane.order_time
    if lane.lead_time.is_certain:
        longest = whole_lead(lane) + before
    else:
        row, steps, longest = tables.lead(lane.lead_time)
        longest += before
        ints[lay.LEAD_TABLE], ints[lay.LEAD_STEPS], ints[lay.ARRIVED] = row, steps, rows.random
        ints[lay.CROSSES] = lane.crossing
        rows.random += 1
    if longest > _MOST_LEAD:
        raise UsageError(f"The lead time of {lane.name} is {longest} periods; at most {_MOST_LEAD} are possible.")
    ints[lay.LEAD], ints[lay.BEFORE_LEAVING] = longest, before
    ints[lay.RING_AT], ints[lay.RING_LENGTH] = rows.ring, longest + 1
    rows.ring += longest + 1
    reals[lay.CAPACITY], reals[lay.LANE_LOT] = lane.capacity, lane.lot
    reals[lay.SOURCE_RATE] = of.nodes[ints[lay.SOURCE]].holding_cost if lane.source else 0.0


def _hears(of: Topology, e: int, ints: Any) -> bool:
    """Whether it matters when an outside supplier hears of an order: what is sent depends on that period."""
    lane = of.lanes[e]
    if lane.source or not lane.order_time or of.stockpyl:
        return False
    return not lane.lead_time.is_certain or any(ints[d] >= 0 for d in (lay.D_TO, lay.D_TRANSIT, lay.D_LANE))


def _add_books(of: Topology, e: int, ints: Any, rows: LaneRows) -> None:
    lane = of.lanes[e]
    ints[lay.MOVES] |= ints[lay.D_TRANSIT] >= 0
    hit = any(ints[column] >= 0 for column in (lay.D_TO, lay.D_TRANSIT, lay.D_RECEIPTS, lay.D_LANE))
    if hit or ints[lay.MOVES]:
        ints[lay.EXTRA] = rows.extra
        rows.extra += 1
    ints[lay.COUNTS_ORDERS] = lane.order_cost > 0
    charged = lane.unit_cost or lane.order_cost or lane.in_transit_cost is not None or lane.capacity < INFINITE
    sold = of.stockpyl and lane.source and of.nodes[ints[lay.SOURCE]].price
    # what the others ship follows from what is made of it: see books.py
    if charged or sold or hit or not ints[lay.ALONE] or not lane.lead_time.is_certain:
        ints[lay.LANE_BOOK] = rows.books * lay.LANE_SUMS
        rows.books += 1
