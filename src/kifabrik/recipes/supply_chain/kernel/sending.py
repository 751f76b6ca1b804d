"""Lanes: what is sent on them, and when it will have come."""
# ruff: noqa: C901, PLR0912 - branches for what a lane can do

from typing import Any

import numpy as np

from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.kernel.drawing import draw_lead_times
from kifabrik.recipes.supply_chain.kernel.jit import called, inlined, larger, smaller


@inlined
def periods_under_way(t: int, leaves: int, lead: int, span: Any, zero: Any) -> Any:
    """At how many ends of counted periods it is under way, if it is sent in t, leaves later and takes `lead`."""
    return zero + np.float32(larger(0, smaller(t + lead, span[1]) - larger(t + leaves, span[0])))


@inlined
def drawn_periods_under_way(t: int, leaves: int, lead: Any, span: Any, zero: Any) -> Any:
    """The same for a lead time in the type of `zero`."""
    return larger(
        zero, smaller(np.float32(t) + lead, zero + np.float32(span[1])) - np.float32(larger(t + leaves, span[0]))
    )


@called
def send(plan: Any, st: Any, e: int, t: int) -> None:
    """Put scratch (SENT) on its way on lane e in period t."""
    ints = plan.lane_ints
    ring, scratch = st.ring, st.scratch
    width = st.position.shape[1]
    length, lead, at = ints[e, lay.RING_LENGTH], ints[e, lay.LEAD], ints[e, lay.RING_AT]
    if ints[e, lay.MOVES]:
        x = ints[e, lay.EXTRA]
        for s in range(width):
            st.moving[x, s] += scratch[lay.SENT, s]
    if ints[e, lay.ARRIVED] >= 0:
        begin = 0 if ints[e, lay.D_TRANSIT] >= 0 else t % length  # what can stand still moves by itself
        for s in range(width):
            slot = begin + np.int64(scratch[lay.LEADS, s])
            ring[at + (slot if slot < length else slot - length), s] += scratch[lay.SENT, s]
    elif ints[e, lay.D_TRANSIT] >= 0:
        for s in range(width):
            ring[at + lead, s] += scratch[lay.SENT, s]
    else:
        row = at + (t + lead) % length
        for s in range(width):
            ring[row, s] = scratch[lay.SENT, s]


@called
def send_from_outside(plan: Any, st: Any, e: int, t: int, first: int, span: Any, zero: Any, rec: Any) -> None:
    """An outside supplier ships what scratch (SENT) says, after the order's time."""
    width = st.position.shape[1]
    if plan.lane_ints[e, lay.HEARS]:
        length = plan.lane_ints[e, lay.L_ORDER_LENGTH]
        row = plan.lane_ints[e, lay.L_ORDER_AT] + (t - plan.lane_ints[e, lay.ORDER_TIME] + length) % length
        units = plan.lane_reals[e, lay.UNITS]
        for s in range(width):
            st.scratch[lay.SENT, s] = st.orders[row, s] * units
    lane_out, paused, x = plan.lane_ints[e, lay.D_LANE], plan.lane_ints[e, lay.D_TO], plan.lane_ints[e, lay.EXTRA]
    if lane_out >= 0 or paused >= 0:
        for s in range(width):
            q = st.held[x, s] + st.scratch[lay.SENT, s]
            out = (lane_out >= 0 and st.trouble[lane_out, s] > 0) or (paused >= 0 and st.trouble[paused, s] > 0)
            st.held[x, s] = q if out else zero
            st.scratch[lay.SENT, s] = zero if out else q
    random = plan.lane_ints[e, lay.ARRIVED] >= 0
    if random:
        draw_lead_times(plan, st, e, t, first)
    moved = plan.lane_ints[e, lay.D_TRANSIT] >= 0
    leaves = plan.lane_ints[e, lay.BEFORE_LEAVING]
    book = plan.lane_ints[e, lay.LANE_BOOK]
    if book >= 0:
        if span[0] <= t + leaves < span[1]:
            for s in range(width):
                st.lane_part[book + lay.SHIPPED, s] += st.scratch[lay.SENT, s]
        if random and not moved:
            for s in range(width):
                periods = drawn_periods_under_way(t, leaves, st.scratch[lay.LEADS, s], span, zero)
                st.lane_part[book + lay.UNDER_WAY, s] += st.scratch[lay.SENT, s] * periods
        elif not moved:
            weight = periods_under_way(t, leaves, plan.lane_ints[e, lay.LEAD], span, zero)
            for s in range(width):
                st.lane_part[book + lay.UNDER_WAY, s] += st.scratch[lay.SENT, s] * weight
    if rec is not None and t + leaves < rec.lanes.shape[1]:
        for s in range(width):
            rec.lanes[lay.E_SHIPPED, t + leaves, e, s] = st.scratch[lay.SENT, s]
    send(plan, st, e, t)


@called
def book_lane(plan: Any, st: Any, e: int, t: int, rec: Any, slot: int, counted: bool, weight: Any) -> None:
    """Book what a lane without peculiarities took."""
    width = st.position.shape[1]
    book = plan.lane_ints[e, lay.LANE_BOOK]
    if book >= 0 and counted:
        for s in range(width):
            st.lane_part[book + lay.SHIPPED, s] += st.ring[slot, s]
            st.lane_part[book + lay.UNDER_WAY, s] += st.ring[slot, s] * weight
    elif book >= 0:
        for s in range(width):
            st.lane_part[book + lay.UNDER_WAY, s] += st.ring[slot, s] * weight
    if rec is not None:
        for s in range(width):
            rec.lanes[lay.E_SHIPPED, t, e, s] = st.ring[slot, s]
            rec.lanes[lay.E_OWED, t, e, s] = st.owed[e, s]
