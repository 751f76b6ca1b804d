"""Serving: what a node ships to whom, and its books."""
# ruff: noqa: C901, PLR0912, PLR0915 - branches for what a node can do; loops must stand in one function

from typing import Any

import numpy as np

from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.kernel.drawing import draw_lead_times
from kifabrik.recipes.supply_chain.kernel.jit import called, inlined, larger, smaller
from kifabrik.recipes.supply_chain.kernel.sending import book_lane, drawn_periods_under_way, periods_under_way, send
from kifabrik.recipes.supply_chain.kernel.stock import write_on_hand


@inlined
def serve(plan: Any, st: Any, i: int, t: int, first: int, span: Any, zero: Any, stockpyl: bool, rec: Any) -> None:
    """Ship from node i to its customers what it owes and can; keeps its books."""
    ints = plan.node_ints
    width = st.position.shape[1]
    scratch, level, owed, asked = st.scratch, st.level, st.owed, st.asked
    part = st.part
    book = ints[i, lay.BOOK]
    one = zero + np.float32(1)
    near = zero + np.float32(1.00001)
    blocked = ints[i, lay.BLOCKED]
    if blocked:
        write_on_hand(plan, st, i, lay.STOCK, zero)
    for s in range(width):
        scratch[lay.LEFT, s] = larger(level[i, s], zero) + scratch[lay.MADE_NOW, s]
        level[i, s] += scratch[lay.MADE_NOW, s] - asked[i, s]
        part[book + lay.MADE, s] += scratch[lay.MADE_NOW, s]
        scratch[lay.MET_NOW, s] = zero  # met from stock at once
    if rec is not None:
        for s in range(width):
            rec.nodes[lay.N_MADE, t, i, s] = scratch[lay.MADE_NOW, s]
    if blocked:
        for s in range(width):
            scratch[lay.LEFT, s] = scratch[lay.STOCK, s] + scratch[lay.MADE_NOW, s]
    d = ints[i, lay.D_OUT]
    if d >= 0:
        for s in range(width):
            scratch[lay.LEFT, s] = zero if st.trouble[d, s] > 0 else scratch[lay.LEFT, s]
    allocation = ints[i, lay.ALLOCATION]
    if allocation != lay.PRIORITY:
        _shares(plan, st, i, t, zero)
    for place in range(plan.out_start[i], plan.out_start[i + 1]):
        e = plan.out_lane[place]
        length = plan.lane_ints[e, lay.L_ORDER_LENGTH]
        row = plan.lane_ints[e, lay.L_ORDER_AT] + (t - plan.lane_ints[e, lay.ORDER_TIME] + length) % length
        units = plan.lane_reals[e, lay.UNITS]
        if plan.lane_ints[e, lay.EXTRA] < 0 and plan.lane_ints[e, lay.ARRIVED] < 0 and allocation == lay.PRIORITY:
            lead = plan.lane_ints[e, lay.LEAD]
            slot = plan.lane_ints[e, lay.RING_AT] + (t + lead) % plan.lane_ints[e, lay.RING_LENGTH]
            weight = periods_under_way(t, 0, lead, span, zero)
            for s in range(width):
                before = owed[e, s]
                need = before + st.orders[row, s] * units
                here = scratch[lay.LEFT, s]
                out = smaller(here, need)
                scratch[lay.LEFT, s] = here - out
                owed[e, s] = need - out
                st.ring[slot, s] = out
                scratch[lay.MET_NOW, s] += larger(out - before, zero)
                part[book + lay.TRANSIT, s] += out * weight
            if plan.lane_ints[e, lay.LANE_BOOK] >= 0 or rec is not None:
                book_lane(plan, st, e, t, rec, slot, t >= span[0], weight)
        else:
            _serve_lane(plan, st, i, e, row, t, first, span, zero, stockpyl, rec)
    if ints[i, lay.DEMAND] != lay.NO_DEMAND:
        waits = plan.node_reals[i, lay.WAITS]
        out_owed, outside = st.owed_out, st.outside
        for s in range(width):
            before = out_owed[i, s]
            new = outside[i, s]
            here = scratch[lay.LEFT, s]
            out = smaller(here, before + new)
            if allocation != lay.PRIORITY:
                out = smaller(here, scratch[lay.OLD_SHARE, s] * before + scratch[lay.NEW_SHARE, s] * new)
            scratch[lay.LEFT, s] = here - out
            met = larger(out - before, zero)
            scratch[lay.MET_NOW, s] += met
            left = before + new - out
            gone = (_one_less(waits, zero)) * smaller(left, new)
            out_owed[i, s] = left - gone
            level[i, s] += gone
            st.position[i, s] += gone
            part[book + lay.LOST, s] += gone
            part[book + lay.SHIPPED_OUT, s] += out
            part[book + lay.MET_OUT, s] += met
            part[book + lay.ASKED_OUT, s] += new
            if rec is not None:
                rec.nodes[lay.N_SHIPPED_OUT, t, i, s] = out
    if blocked:
        write_on_hand(plan, st, i, lay.STOCK, zero)
        for s in range(width):
            part[book + lay.ON_HAND, s] += scratch[lay.STOCK, s]
            part[book + lay.OWED, s] += scratch[lay.STOCK, s] - level[i, s]
    else:
        for s in range(width):
            here = level[i, s]
            part[book + lay.ON_HAND, s] += larger(here, zero)
            part[book + lay.OWED, s] += larger(-here, zero)
    for s in range(width):
        part[book + lay.ASKED, s] += asked[i, s]
        part[book + lay.MET, s] += scratch[lay.MET_NOW, s]
        part[book + lay.SHORT, s] += one if scratch[lay.MET_NOW, s] * near < asked[i, s] else zero
    if not ints[i, lay.PLAIN_RULE]:
        for s in range(width):
            part[book + lay.ORDERS, s] += one if st.order[i, s] > zero else zero
    if ints[i, lay.MAKES]:
        for g in range(plan.group_start[i], plan.group_start[i + 1]):
            units, rate, raw = plan.group_units[g], plan.group_rate[g], plan.raw_at[g]
            for s in range(width):
                part[book + lay.RAW, s] += st.raw[raw, s] / units
                part[book + lay.ELSEWHERE, s] += st.raw[raw, s] * rate
    if rec is not None:
        _record(plan, st, i, t, zero, rec)


@called
def _record(plan: Any, st: Any, i: int, t: int, zero: Any, rec: Any) -> None:
    """Note how node i ends period t."""
    makes = plan.node_ints[i, lay.MAKES]
    for s in range(st.level.shape[1]):
        rec.nodes[lay.N_LEVEL, t, i, s] = st.level[i, s]
        rec.nodes[lay.N_ORDER, t, i, s] = st.order[i, s]
        rec.nodes[lay.N_DEMAND, t, i, s] = st.asked[i, s]
        rec.nodes[lay.N_MET, t, i, s] = st.scratch[lay.MET_NOW, s]
        rec.nodes[lay.N_OWED_OUT, t, i, s] = st.owed_out[i, s]
    for g in range(plan.group_start[i], plan.group_start[i + 1]):
        first, raw = plan.group_lane_start[g], plan.raw_at[g]
        for place in range(first, plan.group_lane_start[g + 1]):
            e = plan.group_lane[place]
            x = plan.lane_ints[e, lay.EXTRA]
            for s in range(st.level.shape[1]):
                rec.lanes[lay.E_WAITING, t, e, s] = st.waiting[x, s] if x >= 0 else zero
                if place == first:
                    rec.lanes[lay.E_RAW, t, e, s] = st.raw[raw, s] if makes else zero


@inlined
def _one_less(share: Any, zero: Any) -> Any:
    """What is left of one, in the type of `zero`."""
    return (zero + np.float32(1)) - share


@called
def _shares(plan: Any, st: Any, i: int, t: int, zero: Any) -> None:
    """Shares of old and of new orders that can be met, into scratch; who cannot be reached has no part."""
    width = st.position.shape[1]
    scratch = st.scratch
    outside = plan.node_ints[i, lay.DEMAND] != lay.NO_DEMAND
    for s in range(width):
        scratch[lay.OLD_SHARE, s] = st.owed_out[i, s] if outside else zero
        scratch[lay.NEW_SHARE, s] = st.asked[i, s]
    for place in range(plan.out_start[i], plan.out_start[i + 1]):
        e = plan.out_lane[place]
        d = plan.lane_ints[e, lay.D_LANE]
        if d < 0:
            for s in range(width):
                scratch[lay.OLD_SHARE, s] += st.owed[e, s]
            continue
        length = plan.lane_ints[e, lay.L_ORDER_LENGTH]
        row = plan.lane_ints[e, lay.L_ORDER_AT] + (t - plan.lane_ints[e, lay.ORDER_TIME] + length) % length
        units = plan.lane_reals[e, lay.UNITS]
        for s in range(width):
            out = st.trouble[d, s] > 0
            scratch[lay.OLD_SHARE, s] += zero if out else st.owed[e, s]
            scratch[lay.NEW_SHARE, s] -= st.orders[row, s] * units if out else zero
    for s in range(width):
        here, old, new = scratch[lay.LEFT, s], scratch[lay.OLD_SHARE, s], scratch[lay.NEW_SHARE, s]
        if plan.node_ints[i, lay.ALLOCATION] == lay.FIRST_COME:
            served = smaller(here, old)
            scratch[lay.OLD_SHARE, s] = served / old if old > zero else zero
            rest = here - served
            scratch[lay.NEW_SHARE, s] = smaller(rest, new) / new if new > zero else zero
        else:
            both = old + new
            share = smaller(here, both) / both if both > zero else zero
            scratch[lay.OLD_SHARE, s] = share
            scratch[lay.NEW_SHARE, s] = share


@called
def _serve_lane(
    plan: Any,
    st: Any,
    i: int,
    e: int,
    row: int,
    t: int,
    first: int,
    span: Any,
    zero: Any,
    stockpyl: bool,
    rec: Any,
) -> None:
    """Ship on one lane, with all that can happen there."""
    ints = plan.lane_ints
    width = st.position.shape[1]
    scratch, owed = st.scratch, st.owed
    units = plan.lane_reals[e, lay.UNITS]
    lane_out, paused, x = ints[e, lay.D_LANE], ints[e, lay.D_TO], ints[e, lay.EXTRA]
    by_share = plan.node_ints[i, lay.ALLOCATION] != lay.PRIORITY
    for s in range(width):
        before = owed[e, s]
        new = st.orders[row, s] * units
        here = scratch[lay.LEFT, s]
        ready = smaller(here, before + new)
        if by_share:
            ready = smaller(here, scratch[lay.OLD_SHARE, s] * before + scratch[lay.NEW_SHARE, s] * new)
        if lane_out >= 0 and st.trouble[lane_out, s] > 0:
            ready = zero
        scratch[lay.LEFT, s] = here - ready
        owed[e, s] = before + new - ready
        out = ready
        if paused >= 0:
            if st.trouble[paused, s] > 0:
                st.aside[x, s] += ready
                out = zero
            else:
                out = ready + st.aside[x, s]
                st.aside[x, s] = zero
        # set aside is met; stockpyl counts it when it is shipped
        scratch[lay.MET_NOW, s] += larger((out if stockpyl else ready) - before, zero)
        scratch[lay.SENT, s] = out
    random = ints[e, lay.ARRIVED] >= 0
    if random:
        draw_lead_times(plan, st, e, t, first)
    node_book, book = plan.node_ints[i, lay.BOOK], ints[e, lay.LANE_BOOK]
    if paused >= 0:
        rate = plan.lane_reals[e, lay.SOURCE_RATE]
        for s in range(width):
            st.part[node_book + lay.ELSEWHERE, s] += st.aside[x, s] * rate
    if book >= 0 and t >= span[0]:
        for s in range(width):
            st.lane_part[book + lay.SHIPPED, s] += scratch[lay.SENT, s]
    if ints[e, lay.D_TRANSIT] < 0:
        weight = periods_under_way(t, 0, ints[e, lay.LEAD], span, zero)
        for s in range(width):
            scratch[lay.UNIT_PERIODS, s] = scratch[lay.SENT, s] * (
                drawn_periods_under_way(t, 0, scratch[lay.LEADS, s], span, zero) if random else weight
            )
        for s in range(width):
            st.part[node_book + lay.TRANSIT, s] += scratch[lay.UNIT_PERIODS, s]
        if book >= 0:
            for s in range(width):
                st.lane_part[book + lay.UNDER_WAY, s] += scratch[lay.UNIT_PERIODS, s]
    if rec is not None:
        for s in range(width):
            rec.lanes[lay.E_SHIPPED, t, e, s] = scratch[lay.SENT, s]
            rec.lanes[lay.E_OWED, t, e, s] = owed[e, s]
            rec.lanes[lay.E_ASIDE, t, e, s] = st.aside[x, s] if x >= 0 else zero
    send(plan, st, e, t)
