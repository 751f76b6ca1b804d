"""Orders: what a node is asked for, what it orders, and where."""
# ruff: noqa: C901, PLR0912, PLR0915 - branches for what a node can do; loops must stand in one function

import math
from typing import Any

import numpy as np

from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.kernel.jit import called, inlined, larger, smaller
from kifabrik.recipes.supply_chain.kernel.sending import send_from_outside
from kifabrik.recipes.supply_chain.kernel.stock import write_capacity_left, write_on_hand


@inlined
def ask(plan: Any, st: Any, i: int, t: int, zero: Any) -> None:
    """Add up what node i is asked for in period t; takes it off its order position."""
    asked, orders, width = st.asked, st.orders, st.asked.shape[1]
    begun = plan.node_ints[i, lay.DEMAND] != lay.NO_DEMAND
    if begun:
        for s in range(width):
            asked[i, s] = st.outside[i, s]
    for place in range(plan.out_start[i], plan.out_start[i + 1]):
        e = plan.out_lane[place]
        length = plan.lane_ints[e, lay.L_ORDER_LENGTH]
        row = plan.lane_ints[e, lay.L_ORDER_AT] + (t - plan.lane_ints[e, lay.ORDER_TIME] + length) % length
        units = plan.lane_reals[e, lay.UNITS]
        if begun:
            for s in range(width):
                asked[i, s] += orders[row, s] * units
        else:
            for s in range(width):
                asked[i, s] = orders[row, s] * units
            begun = True
    if not begun:
        for s in range(width):
            asked[i, s] = zero
    position = st.position
    for s in range(width):
        position[i, s] -= asked[i, s]


@inlined
def count_position(plan: Any, st: Any, i: int) -> None:
    """Count the order position of a node that is not plain, after demand."""
    width = st.position.shape[1]
    position = st.position
    first = plan.group_start[i]
    for g in range(first, plan.group_start[i + 1]):
        units = plan.group_units[g]
        if g == first:
            for s in range(width):
                position[i, s] = st.coming[plan.coming_at[g], s] / units
        else:
            for s in range(width):
                here = st.coming[plan.coming_at[g], s] / units
                position[i, s] = smaller(here, position[i, s])
    for s in range(width):
        position[i, s] += st.level[i, s] - st.asked[i, s]
    length = plan.node_ints[i, lay.MAKING_LENGTH]
    for slot in range(length):
        row = plan.node_ints[i, lay.MAKING_AT] + slot
        for s in range(width):
            position[i, s] += st.making[row, s]


@called
def _echelon(plan: Any, st: Any, i: int, zero: Any) -> None:
    """Write the echelon position of node i into scratch: all downstream and on order, less what customers wait for.

    Today's outside demand counts; orders between nodes of the echelon cancel out.
    """
    width = st.position.shape[1]
    scratch = st.scratch
    write_on_hand(plan, st, i, lay.POSITION, zero)
    for s in range(width):
        inside = st.asked[i, s] - st.outside[i, s] - st.level[i, s] - st.owed_out[i, s]
        scratch[lay.POSITION, s] += st.position[i, s] + inside
    for place in range(plan.echelon_start[i], plan.echelon_start[i + 1]):
        d, units = plan.echelon[place], plan.echelon_units[place]
        write_on_hand(plan, st, d, lay.STOCK, zero)
        for s in range(width):
            here = scratch[lay.STOCK, s] - st.owed_out[d, s] - st.outside[d, s]
            scratch[lay.POSITION, s] += units * here
        for slot in range(plan.node_ints[d, lay.MAKING_LENGTH]):
            row = plan.node_ints[d, lay.MAKING_AT] + slot
            for s in range(width):
                scratch[lay.POSITION, s] += units * st.making[row, s]
    for place in range(plan.echelon_lane_start[i], plan.echelon_lane_start[i + 1]):
        e, units = plan.echelon_lane[place], plan.echelon_lane_units[place]
        x = plan.lane_ints[e, lay.EXTRA]
        for s in range(width):
            scratch[lay.POSITION, s] += units * (st.moving[x, s] + st.aside[x, s] + st.waiting[x, s])
    for place in range(plan.echelon_raw_start[i], plan.echelon_raw_start[i + 1]):
        row, units = plan.echelon_raw[place], plan.echelon_raw_units[place]
        for s in range(width):
            scratch[lay.POSITION, s] += units * st.raw[row, s]


@called
def _echelon_of_stockpyl(plan: Any, st: Any, i: int, zero: Any) -> None:
    """The same as stockpyl has it: units as they are, backlog of last nodes, before today's demand downstream."""
    width = st.position.shape[1]
    sum_ = st.scratch
    for s in range(width):
        level = st.level[i, s]
        sum_[lay.POSITION, s] = st.position[i, s] - level + larger(level, zero)
    if plan.node_ints[i, lay.SINK]:
        for s in range(width):
            sum_[lay.POSITION, s] -= larger(-st.level[i, s], zero)
    for place in range(plan.echelon_start[i], plan.echelon_start[i + 1]):
        d, units = plan.echelon[place], plan.echelon_units[place]
        for s in range(width):
            sum_[lay.POSITION, s] += units * larger(st.level[d, s], zero)
        if plan.node_ints[d, lay.SINK]:
            for s in range(width):
                sum_[lay.POSITION, s] -= units * larger(-st.level[d, s], zero)
    for place in range(plan.echelon_lane_start[i], plan.echelon_lane_start[i + 1]):
        x = plan.lane_ints[plan.echelon_lane[place], lay.EXTRA]
        units = plan.echelon_lane_units[place]
        for s in range(width):
            sum_[lay.POSITION, s] += units * st.moving[x, s]


@inlined
def order(plan: Any, st: Any, i: int, t: int, zero: Any, stockpyl: bool) -> None:
    """Let node i decide on its order of period t, in good units."""
    ints, reals = plan.node_ints, plan.node_reals
    width = st.position.shape[1]
    position, order = st.position, st.order
    level = reals[i, lay.LEVEL]
    if ints[i, lay.PLAIN_RULE]:
        for s in range(width):
            q = level - position[i, s]
            order[i, s] = larger(zero, q)
        return
    if (t - ints[i, lay.OFFSET]) % ints[i, lay.REVIEW] != 0:
        for s in range(width):
            order[i, s] = zero
        return
    rule = ints[i, lay.RULE]
    point, quantity, rounding = reals[i, lay.POINT], reals[i, lay.QUANTITY], reals[i, lay.ROUNDING]
    if rule == lay.BASE_STOCK:
        for s in range(width):
            q = level - position[i, s]
            order[i, s] = q if q > rounding else zero
    elif rule == lay.ECHELON:
        if stockpyl:
            _echelon_of_stockpyl(plan, st, i, zero)
        else:
            _echelon(plan, st, i, zero)
        for s in range(width):
            q = level - st.scratch[lay.POSITION, s]
            order[i, s] = q if q > rounding else zero
    elif rule == lay.MIN_MAX:
        for s in range(width):
            here = position[i, s]
            order[i, s] = level - here if here <= point and level - here > rounding else zero
    elif rule == lay.FIXED_LOT:
        for s in range(width):
            here = position[i, s]
            lots = zero
            if here <= point:
                lots = zero + 1 if stockpyl else math.floor((point - here) / quantity) + 1
            order[i, s] = lots * quantity
    else:
        for s in range(width):
            order[i, s] = quantity
    lot, minimum, cap, storage = (
        reals[i, lay.LOT],
        reals[i, lay.MINIMUM],
        reals[i, lay.ORDER_CAP],
        reals[i, lay.STORAGE],
    )
    if minimum > 0:
        for s in range(width):
            q = order[i, s]
            order[i, s] = minimum if zero < q < minimum else q
    if lot > 0:
        for s in range(width):
            order[i, s] = math.ceil(order[i, s] / lot - 1e-6) * lot
    if storage < np.inf:
        for s in range(width):
            room = storage - position[i, s] - larger(st.asked[i, s] - st.level[i, s], zero)
            q = smaller(order[i, s], room)
            order[i, s] = q if q > rounding else zero
    if cap < np.inf:
        if plan.capacity_loss_start[i] < plan.capacity_loss_start[i + 1]:
            write_capacity_left(plan, st, i, zero)
            for s in range(width):
                order[i, s] = smaller(order[i, s], cap * st.scratch[lay.CAPACITY_LEFT, s])
        else:
            for s in range(width):
                order[i, s] = smaller(order[i, s], cap)
    d = ints[i, lay.D_ORDERS]
    if d >= 0:
        for s in range(width):
            order[i, s] = zero if st.trouble[d, s] > 0 else order[i, s]


@inlined
def place_orders(plan: Any, st: Any, i: int, t: int, first: int, span: Any, zero: Any, rec: Any) -> None:
    """Pass node i's order on to its lanes."""
    ints = plan.node_ints
    width = st.position.shape[1]
    order, position = st.order, st.position
    for s in range(width):
        position[i, s] += order[i, s]
    if ints[i, lay.PLAIN]:
        row = ints[i, lay.ORDER_AT] + t % ints[i, lay.ORDER_LENGTH]
        for s in range(width):
            st.orders[row, s] = order[i, s]
    for g in range(plan.group_start[i], plan.group_start[i + 1]):
        begin, end = plan.group_lane_start[g], plan.group_lane_start[g + 1]
        units = plan.group_units[g]
        if ints[i, lay.PLAIN]:
            e = plan.group_lane[begin]
            if plan.lane_ints[e, lay.COUNTS_ORDERS] and t >= span[0]:
                book = plan.lane_ints[e, lay.LANE_BOOK] + lay.ORDERED
                for s in range(width):
                    st.lane_part[book, s] += zero + np.float32(1) if order[i, s] > zero else zero
            if plan.lane_ints[e, lay.SOURCE] < 0:
                lane = plan.lane_ints[e]
                if lane[lay.EXTRA] < 0 and lane[lay.ARRIVED] < 0 and lane[lay.LANE_BOOK] < 0 and rec is None:
                    slot = lane[lay.RING_AT] + (t + lane[lay.LEAD]) % lane[lay.RING_LENGTH]
                    for s in range(width):
                        st.ring[slot, s] = order[i, s] * units
                    continue
                for s in range(width):
                    st.scratch[lay.SENT, s] = order[i, s] * units
                send_from_outside(plan, st, e, t, first, span, zero, rec)
            continue
        for s in range(width):
            st.scratch[lay.UNPLACED, s] = order[i, s] * units
        for place in range(begin, end):
            e = plan.group_lane[place]
            _share_of_lane(plan, st, e, i, units, zero)
            row = plan.lane_ints[e, lay.L_ORDER_AT] + t % plan.lane_ints[e, lay.L_ORDER_LENGTH]
            for s in range(width):
                q = st.scratch[lay.SENT, s]
                st.orders[row, s] = q
                st.coming[plan.coming_at[g], s] += q
            if plan.lane_ints[e, lay.COUNTS_ORDERS] and t >= span[0]:
                book = plan.lane_ints[e, lay.LANE_BOOK] + lay.ORDERED
                for s in range(width):
                    st.lane_part[book, s] += zero + np.float32(1) if st.scratch[lay.SENT, s] > zero else zero
            if plan.lane_ints[e, lay.SOURCE] < 0:
                send_from_outside(plan, st, e, t, first, span, zero, rec)


@called
def _share_of_lane(plan: Any, st: Any, e: int, i: int, units: Any, zero: Any) -> None:
    """Write into scratch (SENT) what of node i's order goes to lane e; by rank, take it off what is unplaced."""
    width = st.position.shape[1]
    quota, cap, lot = (
        plan.lane_reals[e, lay.QUOTA],
        plan.lane_reals[e, lay.CAPACITY],
        plan.lane_reals[e, lay.LANE_LOT],
    )
    scratch = st.scratch
    if quota >= 0:
        for s in range(width):
            scratch[lay.SENT, s] = st.order[i, s] * units * quota
    else:
        for s in range(width):
            scratch[lay.SENT, s] = scratch[lay.UNPLACED, s]
    d = plan.lane_ints[e, lay.D_LANE]
    if d >= 0 and quota < 0 and not plan.lane_ints[e, lay.ALONE]:
        for s in range(width):
            scratch[lay.SENT, s] = zero if st.trouble[d, s] > 0 else scratch[lay.SENT, s]
    if lot > 0:
        for s in range(width):
            scratch[lay.SENT, s] = math.ceil(scratch[lay.SENT, s] / lot - 1e-6) * lot
    if cap < np.inf:
        for s in range(width):
            scratch[lay.SENT, s] = smaller(scratch[lay.SENT, s], cap)
    if quota < 0:
        rounding = plan.node_reals[i, lay.ROUNDING] * units
        for s in range(width):
            left = scratch[lay.UNPLACED, s] - scratch[lay.SENT, s]
            scratch[lay.UNPLACED, s] = left if left > rounding else zero
