"""The simulator's inner loops: a block of scenarios, side by side, through all periods.

All arrays of state have shape [something, scenario], so each inner loop runs along scenarios in consecutive memory.
Orders go from the last nodes to the first, shipments from the first to the last. What a node does not use is
skipped outside the inner loops and costs nothing.

Invariants:
    - A scenario's numbers do not depend on the other scenarios of its block.
    - The order position of a `plain` node changes only by orders and demand; other nodes count by component.
"""

from typing import Any, NamedTuple

import numba
import numpy as np

from kifabrik.recipes.supply_chain.luck import BINS, OCTAVES, REACH, SCORES, threefry

NO_DEMAND, CERTAIN, NORMAL, CONTINUOUS, DISCRETE, REPLAY = range(6)
BASE_STOCK, ECHELON, MIN_MAX, FIXED_LOT, FIXED_QUANTITY = range(5)
PRIORITY, PROPORTIONAL, FIRST_COME = range(3)
EITHER = -2
"""Start of a trouble that is there while one of two others is."""
SUMS = 14
ON_HAND, OWED, RAW, ELSEWHERE, TRANSIT, ASKED, MET, LOST = range(8)
MADE, ORDERS, SHORT, SHIPPED_OUT, MET_OUT, ASKED_OUT = range(8, SUMS)
"""Of sums: ELSEWHERE is money, the holding cost of raw material, of what is set aside and of what waits outside;
TRANSIT is units under way in the periods counted, whenever they left."""
_PLACES = OCTAVES << BINS
_OFFSET = 127 << BINS
_SHIFT = 23 - BINS
_jit = numba.njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)
_inlined = numba.njit(inline="always", error_model="numpy")
"""For what every node does in every period: handing all arrays to a function takes longer than a short loop."""


class Plan(NamedTuple):
    """A network as arrays; nodes in topological order. Shapes: [node], [lane], [group] unless said otherwise."""

    node_ints: Any  # [node, *]: see the columns below
    node_reals: Any
    out_start: Any  # [node + 1] into out_lane
    out_lane: Any
    group_start: Any  # [node + 1] into groups of alternative lanes
    group_lane_start: Any  # [group + 1] into group_lane
    group_lane: Any
    group_units: Any  # [group]: units of the component in one good unit
    group_rate: Any  # [group]: holding cost of a unit of the component
    lane_ints: Any
    lane_reals: Any
    factors: Any  # demand factors, one after the other
    tables: Any  # [table, 2 * (PLACES + 1)]
    begins: Any  # [discrete table, 2 * (PLACES + 1)]
    ends: Any  # ends of ranks, all discrete tables one after the other
    values: Any
    keys: Any  # [stream, 2]: nodes, then lanes, then disruptions, then shared lucks
    troubles: Any  # [disruption, 4]: start (-1: by chance; EITHER), duration, two others
    trouble_reals: Any  # [disruption, 4]: chance, probability, recovery, share
    echelon_start: Any  # [node + 1] into echelon
    echelon: Any  # nodes downstream
    echelon_units: Any
    echelon_lane_start: Any
    echelon_lane: Any
    echelon_lane_units: Any
    scores: Any  # [SCORES + 1]
    normal: Any  # [2 * (PLACES + 1)]


# columns of node_ints
RULE, REVIEW, OFFSET, ALLOCATION, PLAIN, DEMAND, TABLE, STEPS, FACTOR_AT, FACTORS = range(10)
ORDER_AT, ORDER_LENGTH, MAKING_AT, MAKING_LENGTH, LUCK, WHOLE, D_ORDERS, D_OUT, D_CAPACITY, D_STOCK = range(10, 20)
PLAIN_RULE, SINK, MAKES = range(20, 23)
NODE_INTS = 23
# columns of node_reals
LEVEL, POINT, QUANTITY, MINIMUM, LOT, ORDER_CAP, MAKE_CAP, STORAGE, WAITS, MEAN, SD, LOADING, REST, START = range(
    14
)
NODE_REALS = 14
# columns of lane_ints
SOURCE, TARGET, L_ORDER_AT, L_ORDER_LENGTH, ORDER_TIME, RING_AT, RING_LENGTH, LEAD, LEAD_TABLE, LEAD_STEPS = range(
    10
)
CROSSES, D_TO, D_TRANSIT, D_RECEIPTS, D_LANE, EXTRA, ARRIVED, KEEP, BEFORE_LEAVING = range(10, 19)
LANE_INTS = 19
# columns of lane_reals
UNITS, QUOTA, CAPACITY, LANE_LOT, SOURCE_RATE = range(5)
LANE_REALS = 5


class State(NamedTuple):
    """State of a block; all [something, scenario]."""

    level: Any  # stock on hand less what is owed
    position: Any  # order position
    asked: Any  # all demand of the period
    outside: Any  # outside demand of the period
    order: Any  # what the node ordered, in good units
    owed_out: Any  # owed to outside customers
    orders: Any  # rings of orders
    ring: Any  # rings of shipments
    making: Any  # rings of what is being made
    owed: Any  # [lane]
    raw: Any  # [group]
    coming: Any  # [group]: raw, ordered and under way, for nodes that are not plain
    aside: Any  # [extra lane]: set aside at the source
    waiting: Any  # [extra lane]: arrived and not received
    held: Any  # [extra lane]: ordered at a supplier who is out
    moving: Any  # [extra lane]: under way, for echelon positions and where it can stand still
    arrival: Any  # [random lane]: latest arrival so far
    trouble: Any  # [disruption]
    happens: Any  # [disruption]
    shared: Any  # [luck]: normal score
    scratch: Any  # [8]
    part: Any  # [node * SUMS]: sums of some periods
    total: Any  # float64, sums of all periods
    lane_part: Any  # [2 * lane kept]
    lane_total: Any


class Record(NamedTuple):
    """What is kept of each period, where asked; shape [period, node or lane, scenario], else of length 0."""

    nodes: Any  # [figure, period, node, scenario]
    lanes: Any  # [figure, period, lane, scenario]


@numba.njit(inline="always")
def _place(u: Any) -> tuple[Any, Any, Any]:
    """Side (0 or 1), place and share of the way to the next place of a rank."""
    side = np.int64(u >> np.uint32(31))
    tail = np.uint32(~u) if side else u
    bits = np.float32(np.float32(tail) + np.float32(1)).view(np.int32)
    return (
        side,
        (bits >> _SHIFT) - _OFFSET,
        np.float32(bits & ((1 << _SHIFT) - 1)) * np.float32(1.0 / (1 << _SHIFT)),
    )


@numba.njit(inline="always")
def _continuous(table: Any, row: Any, u: Any) -> Any:
    side, place, share = _place(u)
    at = side * (_PLACES + 1) + place
    low = table[row, at]
    return low + (table[row, at + 1] - low) * share


@numba.njit(inline="always")
def _discrete(plan: Any, row: Any, steps: Any, u: Any) -> Any:
    side, place, _ = _place(u)
    at = plan.begins[row, side * (_PLACES + 1) + place]
    for _step in range(steps):
        at += 1 if u > plan.ends[at] else 0
    return plan.values[at]


@_jit
def _demand(plan: Any, st: Any, i: int, t: int, first: int, replay: Any, zero: Any) -> None:
    """Draw what outside customers ask of node i in period t."""
    kind = plan.node_ints[i, DEMAND]
    out = st.outside
    width = out.shape[1]
    factor = plan.factors[plan.node_ints[i, FACTOR_AT] + t % plan.node_ints[i, FACTORS]]
    mean = plan.node_reals[i, MEAN] * factor
    sd = plan.node_reals[i, SD] * factor
    key0, key1 = plan.keys[i, 0], plan.keys[i, 1]
    period = np.uint32(t)
    row = plan.node_ints[i, TABLE]
    luck = plan.node_ints[i, LUCK]
    if kind == CERTAIN:
        for s in range(width):
            out[i, s] = mean
        return
    if kind == REPLAY:
        for s in range(width):
            out[i, s] = replay[row, t, s]
        return
    if luck >= 0:
        loading, rest = plan.node_reals[i, LOADING], plan.node_reals[i, REST]
        for s in range(width):
            u, _ = threefry(key0, key1, np.uint32(first + s), period)
            score = loading * st.shared[luck, s] + rest * _continuous(plan.normal, 0, u)
            if kind == NORMAL:
                drawn = mean + sd * score
                out[i, s] = drawn if drawn > zero else zero
            else:
                at = (score + REACH) * (SCORES / (2 * REACH))
                at = min(max(at, 0.0), SCORES - 1e-3)
                low = np.int64(at)
                rank = plan.scores[low] + (plan.scores[low + 1] - plan.scores[low]) * (at - low)
                u = np.uint32(rank)
                if kind == CONTINUOUS:
                    out[i, s] = _continuous(plan.tables, row, u) * factor
                else:
                    out[i, s] = _discrete(plan, row, plan.node_ints[i, STEPS], u) * factor
    elif kind == NORMAL:
        for s in range(width):
            u, _ = threefry(key0, key1, np.uint32(first + s), period)
            drawn = mean + sd * _continuous(plan.normal, 0, u)
            out[i, s] = drawn if drawn > zero else zero
    elif kind == CONTINUOUS:
        for s in range(width):
            u, _ = threefry(key0, key1, np.uint32(first + s), period)
            out[i, s] = _continuous(plan.tables, row, u) * factor
    else:
        steps = plan.node_ints[i, STEPS]
        for s in range(width):
            u, _ = threefry(key0, key1, np.uint32(first + s), period)
            out[i, s] = _discrete(plan, row, steps, u) * factor
    if plan.node_ints[i, WHOLE]:
        for s in range(width):
            out[i, s] = np.rint(out[i, s])


@_inlined
def _ask(plan: Any, st: Any, i: int, t: int, zero: Any) -> None:
    """Add up what node i is asked for in period t; takes it off its order position."""
    asked, orders, width = st.asked, st.orders, st.asked.shape[1]
    begun = plan.node_ints[i, DEMAND] != NO_DEMAND
    if begun:
        for s in range(width):
            asked[i, s] = st.outside[i, s]
    for place in range(plan.out_start[i], plan.out_start[i + 1]):
        e = plan.out_lane[place]
        length = plan.lane_ints[e, L_ORDER_LENGTH]
        row = plan.lane_ints[e, L_ORDER_AT] + (t - plan.lane_ints[e, ORDER_TIME] + length) % length
        units = plan.lane_reals[e, UNITS]
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


@_inlined
def _count_position(plan: Any, st: Any, i: int) -> None:
    """Count the order position of a node that is not plain, after demand."""
    width = st.position.shape[1]
    position = st.position
    first = plan.group_start[i]
    for g in range(first, plan.group_start[i + 1]):
        units = plan.group_units[g]
        if g == first:
            for s in range(width):
                position[i, s] = st.coming[g, s] / units
        else:
            for s in range(width):
                here = st.coming[g, s] / units
                position[i, s] = min(here, position[i, s])
    for s in range(width):
        position[i, s] += st.level[i, s] - st.asked[i, s]
    length = plan.node_ints[i, MAKING_LENGTH]
    for slot in range(length):
        row = plan.node_ints[i, MAKING_AT] + slot
        for s in range(width):
            position[i, s] += st.making[row, s]


@_jit
def _echelon(plan: Any, st: Any, i: int, zero: Any, stockpyl: bool) -> None:
    """Write the echelon position of node i into scratch 6: everything downstream, and what is on order."""
    width = st.position.shape[1]
    sum_ = st.scratch
    for s in range(width):
        level = st.level[i, s]
        sum_[6, s] = st.position[i, s] - level + max(level, zero)
    if stockpyl and plan.node_ints[i, SINK]:
        for s in range(width):
            sum_[6, s] -= max(-st.level[i, s], zero)
    elif not stockpyl:
        for s in range(width):
            sum_[6, s] -= st.owed_out[i, s]
    for place in range(plan.echelon_start[i], plan.echelon_start[i + 1]):
        d = plan.echelon[place]
        units = plan.echelon_units[place]
        for s in range(width):
            sum_[6, s] += units * max(st.level[d, s], zero)
        if stockpyl and plan.node_ints[d, SINK]:
            for s in range(width):
                sum_[6, s] -= units * max(-st.level[d, s], zero)
        elif not stockpyl:
            for s in range(width):
                sum_[6, s] -= units * st.owed_out[d, s]
            for slot in range(plan.node_ints[d, MAKING_LENGTH]):
                row = plan.node_ints[d, MAKING_AT] + slot
                for s in range(width):
                    sum_[6, s] += units * st.making[row, s]
    for place in range(plan.echelon_lane_start[i], plan.echelon_lane_start[i + 1]):
        x = plan.lane_ints[plan.echelon_lane[place], EXTRA]
        units = plan.echelon_lane_units[place]
        for s in range(width):
            sum_[6, s] += units * st.moving[x, s]


@_inlined
def _order(plan: Any, st: Any, i: int, t: int, zero: Any, stockpyl: bool) -> None:
    """Let node i decide on its order of period t, in good units."""
    ints, reals = plan.node_ints, plan.node_reals
    width = st.position.shape[1]
    position, order = st.position, st.order
    level = reals[i, LEVEL]
    if ints[i, PLAIN_RULE]:
        for s in range(width):
            q = level - position[i, s]
            order[i, s] = q if q > zero else zero
        return
    if (t - ints[i, OFFSET]) % ints[i, REVIEW] != 0:
        for s in range(width):
            order[i, s] = zero
        return
    rule = ints[i, RULE]
    point, quantity = reals[i, POINT], reals[i, QUANTITY]
    if rule == BASE_STOCK:
        for s in range(width):
            order[i, s] = max(level - position[i, s], zero)
    elif rule == ECHELON:
        _echelon(plan, st, i, zero, stockpyl)
        for s in range(width):
            order[i, s] = max(level - st.scratch[6, s], zero)
    elif rule == MIN_MAX:
        for s in range(width):
            here = position[i, s]
            order[i, s] = level - here if here <= point else zero
    elif rule == FIXED_LOT:
        for s in range(width):
            here = position[i, s]
            lots = zero
            if here <= point:
                lots = zero + 1 if stockpyl else np.floor((point - here) / quantity) + 1
            order[i, s] = lots * quantity
    else:
        for s in range(width):
            order[i, s] = quantity
    lot, minimum, cap, storage = reals[i, LOT], reals[i, MINIMUM], reals[i, ORDER_CAP], reals[i, STORAGE]
    if lot > 0:
        for s in range(width):
            order[i, s] = np.ceil(order[i, s] / lot - 1e-6) * lot
    if minimum > 0:
        for s in range(width):
            q = order[i, s]
            order[i, s] = minimum if zero < q < minimum else q
    if storage < np.inf:
        for s in range(width):
            room = storage - position[i, s] - max(st.asked[i, s] - st.level[i, s], zero)
            order[i, s] = max(zero, min(order[i, s], room))
    if cap < np.inf:
        d = ints[i, D_CAPACITY]
        if d >= 0:
            lost = plan.trouble_reals[d, 3]
            for s in range(width):
                order[i, s] = min(order[i, s], cap * (1 - st.trouble[d, s] * lost))
        else:
            for s in range(width):
                order[i, s] = min(order[i, s], cap)
    d = ints[i, D_ORDERS]
    if d >= 0:
        for s in range(width):
            order[i, s] = zero if st.trouble[d, s] > 0 else order[i, s]


@_inlined
def _place_orders(
    plan: Any, st: Any, i: int, t: int, first: int, span: Any, zero: Any, rec: Any, recording: bool
) -> None:
    """Pass node i's order on to its lanes."""
    ints = plan.node_ints
    width = st.position.shape[1]
    order, position = st.order, st.position
    for s in range(width):
        position[i, s] += order[i, s]
    if ints[i, PLAIN]:
        row = ints[i, ORDER_AT] + t % ints[i, ORDER_LENGTH]
        for s in range(width):
            st.orders[row, s] = order[i, s]
    for g in range(plan.group_start[i], plan.group_start[i + 1]):
        begin, end = plan.group_lane_start[g], plan.group_lane_start[g + 1]
        units = plan.group_units[g]
        if ints[i, PLAIN]:
            e = plan.group_lane[begin]
            if plan.lane_ints[e, SOURCE] < 0:
                lane = plan.lane_ints[e]
                if lane[EXTRA] < 0 and lane[ARRIVED] < 0 and lane[KEEP] & 1 == 0 and not recording:
                    slot = lane[RING_AT] + (t + lane[LEAD]) % lane[RING_LENGTH]
                    for s in range(width):
                        st.ring[slot, s] = order[i, s] * units
                    continue
                for s in range(width):
                    st.scratch[5, s] = order[i, s] * units
                _from_outside(plan, st, e, t, first, span, zero, rec, recording)
            continue
        for s in range(width):
            st.scratch[4, s] = order[i, s] * units
        for place in range(begin, end):
            e = plan.group_lane[place]
            _share_of_lane(plan, st, e, i, units, zero)
            row = plan.lane_ints[e, L_ORDER_AT] + t % plan.lane_ints[e, L_ORDER_LENGTH]
            for s in range(width):
                q = st.scratch[5, s]
                st.orders[row, s] = q
                st.coming[g, s] += q
            if plan.lane_ints[e, SOURCE] < 0:
                _from_outside(plan, st, e, t, first, span, zero, rec, recording)


@_jit
def _share_of_lane(plan: Any, st: Any, e: int, i: int, units: Any, zero: Any) -> None:
    """Write into scratch 5 what of node i's order goes to lane e; by rank, take it off scratch 4."""
    width = st.position.shape[1]
    quota, cap, lot = plan.lane_reals[e, QUOTA], plan.lane_reals[e, CAPACITY], plan.lane_reals[e, LANE_LOT]
    scratch = st.scratch
    if quota >= 0:
        for s in range(width):
            scratch[5, s] = st.order[i, s] * units * quota
    else:
        for s in range(width):
            scratch[5, s] = scratch[4, s]
    d = plan.lane_ints[e, D_LANE]
    if d >= 0 and quota < 0 and plan.lane_ints[e, KEEP] & 4 == 0:
        for s in range(width):
            scratch[5, s] = zero if st.trouble[d, s] > 0 else scratch[5, s]
    if lot > 0:
        for s in range(width):
            scratch[5, s] = np.ceil(scratch[5, s] / lot - 1e-6) * lot
    if cap < np.inf:
        for s in range(width):
            scratch[5, s] = min(scratch[5, s], cap)
    if quota < 0:
        for s in range(width):
            scratch[4, s] = max(zero, scratch[4, s] - scratch[5, s])


@_jit
def _from_outside(
    plan: Any, st: Any, e: int, t: int, first: int, span: Any, zero: Any, rec: Any, recording: bool
) -> None:
    """An outside supplier ships what scratch 5 says, after the order's time."""
    width = st.position.shape[1]
    d = plan.lane_ints[e, D_LANE]
    if d >= 0:
        x = plan.lane_ints[e, EXTRA]
        for s in range(width):
            q = st.held[x, s] + st.scratch[5, s]
            out = st.trouble[d, s] > 0
            st.held[x, s] = q if out else zero
            st.scratch[5, s] = zero if out else q
    _lead_times(plan, st, e, t, first)
    random = plan.lane_ints[e, ARRIVED] >= 0
    moved = plan.lane_ints[e, D_TRANSIT] >= 0
    leaves = plan.lane_ints[e, BEFORE_LEAVING]
    if plan.lane_ints[e, KEEP] & 1:
        for s in range(width):
            lead = st.scratch[3, s] if random else zero + plan.lane_ints[e, LEAD]
            st.lane_part[2 * e, s] += st.scratch[5, s]
            if not moved:
                st.lane_part[2 * e + 1, s] += st.scratch[5, s] * _periods_under_way(t, leaves, lead, span, zero)
    if recording:
        for s in range(width):
            rec.lanes[0, t, e, s] = st.scratch[5, s]
    _ship(plan, st, e, t, zero)


@_inlined
def _periods_under_way(t: int, leaves: int, lead: Any, span: Any, zero: Any) -> Any:
    """At how many ends of counted periods it is under way, if it is sent in t, leaves later and takes `lead`."""
    return max(zero, min(t + lead, zero + span[1]) - max(t + leaves, span[0]))


@_jit
def _ship(plan: Any, st: Any, e: int, t: int, zero: Any) -> None:
    """Put scratch 5 on its way on lane e in period t."""
    ints = plan.lane_ints
    ring, scratch = st.ring, st.scratch
    width = st.position.shape[1]
    length, lead, at = ints[e, RING_LENGTH], ints[e, LEAD], ints[e, RING_AT]
    if ints[e, KEEP] & 2:
        x = ints[e, EXTRA]
        for s in range(width):
            st.moving[x, s] += scratch[5, s]
    if ints[e, ARRIVED] >= 0:
        begin = 0 if ints[e, D_TRANSIT] >= 0 else t  # what can stand still moves by itself
        for s in range(width):
            slot = (begin + np.int64(scratch[3, s])) % length
            ring[at + slot, s] += scratch[5, s]
    elif ints[e, D_TRANSIT] >= 0:
        for s in range(width):
            ring[at + lead, s] += scratch[5, s]
    else:
        row = at + (t + lead) % length
        for s in range(width):
            ring[row, s] = scratch[5, s]


@_jit
def _lead_times(plan: Any, st: Any, e: int, t: int, first: int) -> None:
    """Write the lead times of what leaves on lane e in period t into scratch 3."""
    ints = plan.lane_ints
    x = ints[e, ARRIVED]
    if x < 0:
        return
    key = plan.out_start.shape[0] - 1 + e
    key0, key1 = plan.keys[key, 0], plan.keys[key, 1]
    row, steps = ints[e, LEAD_TABLE], ints[e, LEAD_STEPS]
    extra = ints[e, ORDER_TIME] if ints[e, SOURCE] < 0 else 0
    for s in range(st.position.shape[1]):
        _, u = threefry(key0, key1, np.uint32(first + s), np.uint32(t))
        st.scratch[3, s] = _discrete(plan, row, steps, u) + extra
    if not ints[e, CROSSES]:
        for s in range(st.position.shape[1]):
            arrival = max(st.arrival[x, s], t + st.scratch[3, s])
            st.arrival[x, s] = arrival
            st.scratch[3, s] = arrival - t


@_jit
def _receive(plan: Any, st: Any, e: int, t: int, zero: Any) -> None:
    """Write what arrives on lane e into scratch 2."""
    ints = plan.lane_ints
    ring, scratch = st.ring, st.scratch
    width = st.position.shape[1]
    length, at = ints[e, RING_LENGTH], ints[e, RING_AT]
    if ints[e, D_TRANSIT] >= 0:
        for s in range(width):
            scratch[2, s] = ring[at, s]
            ring[at, s] = zero
    elif ints[e, ARRIVED] >= 0:
        row = at + t % length
        for s in range(width):
            scratch[2, s] = ring[row, s]
            ring[row, s] = zero
    else:
        row = at + t % length
        for s in range(width):
            scratch[2, s] = ring[row, s]
    if ints[e, KEEP] & 2:
        x = ints[e, EXTRA]
        for s in range(width):
            st.moving[x, s] -= scratch[2, s]
    d = ints[e, D_RECEIPTS]
    if d >= 0:
        x = ints[e, EXTRA]
        for s in range(width):
            q = st.waiting[x, s] + scratch[2, s]
            out = st.trouble[d, s] > 0
            st.waiting[x, s] = q if out else zero
            scratch[2, s] = zero if out else q
        book, rate = ints[e, TARGET] * SUMS + ELSEWHERE, plan.lane_reals[e, SOURCE_RATE]
        for s in range(width):
            st.part[book, s] += st.waiting[x, s] * rate


@_inlined
def _make(plan: Any, st: Any, i: int, t: int, zero: Any) -> None:
    """Receive components and make what can be made; writes what comes to stock into scratch 0."""
    ints = plan.node_ints
    width = st.position.shape[1]
    scratch, ring = st.scratch, st.ring
    first, last = plan.group_start[i], plan.group_start[i + 1]
    if not ints[i, MAKES]:
        units = plan.group_units[first]
        begin, end = plan.group_lane_start[first], plan.group_lane_start[first + 1]
        for place in range(begin, end):
            e = plan.group_lane[place]
            if plan.lane_ints[e, EXTRA] < 0 and plan.lane_ints[e, ARRIVED] < 0:
                row = plan.lane_ints[e, RING_AT] + t % plan.lane_ints[e, RING_LENGTH]
                if place == begin:
                    if units == 1:
                        for s in range(width):
                            scratch[0, s] = ring[row, s]
                    else:
                        for s in range(width):
                            scratch[0, s] = ring[row, s] / units
                else:
                    for s in range(width):
                        scratch[0, s] += ring[row, s] / units
            else:
                _receive(plan, st, e, t, zero)
                if place == begin:
                    for s in range(width):
                        scratch[0, s] = scratch[2, s] / units
                else:
                    for s in range(width):
                        scratch[0, s] += scratch[2, s] / units
        if not ints[i, PLAIN]:
            for s in range(width):
                st.coming[first, s] -= scratch[0, s] * units
    else:
        for g in range(first, last):
            units = plan.group_units[g]
            for place in range(plan.group_lane_start[g], plan.group_lane_start[g + 1]):
                e = plan.group_lane[place]
                if plan.lane_ints[e, EXTRA] < 0 and plan.lane_ints[e, ARRIVED] < 0:
                    row = plan.lane_ints[e, RING_AT] + t % plan.lane_ints[e, RING_LENGTH]
                    for s in range(width):
                        st.raw[g, s] += ring[row, s]
                else:
                    _receive(plan, st, e, t, zero)
                    for s in range(width):
                        st.raw[g, s] += scratch[2, s]
            if g == first:
                for s in range(width):
                    scratch[0, s] = st.raw[g, s] / units
            else:
                for s in range(width):
                    here = st.raw[g, s] / units
                    scratch[0, s] = min(here, scratch[0, s])
        cap = plan.node_reals[i, MAKE_CAP]
        if cap < np.inf:
            d = ints[i, D_CAPACITY]
            for s in range(width):
                loss = st.trouble[d, s] * plan.trouble_reals[d, 3] if d >= 0 else zero
                scratch[0, s] = min(scratch[0, s], cap * (1 - loss))
        d = ints[i, D_OUT]
        if d >= 0:
            for s in range(width):
                scratch[0, s] = zero if st.trouble[d, s] > 0 else scratch[0, s]
        for g in range(first, last):
            units = plan.group_units[g]
            for s in range(width):
                st.raw[g, s] -= scratch[0, s] * units
            if not ints[i, PLAIN]:
                for s in range(width):
                    st.coming[g, s] -= scratch[0, s] * units
    length = ints[i, MAKING_LENGTH]
    if length:
        row = ints[i, MAKING_AT] + t % length
        for s in range(width):
            begun = scratch[0, s]
            scratch[0, s] = st.making[row, s]
            st.making[row, s] = begun


@_inlined
def _serve(plan: Any, st: Any, i: int, t: int, first: int, span: Any, zero: Any, rec: Any, recording: bool) -> None:
    """Ship from node i to its customers what it owes and can; keeps its books."""
    ints = plan.node_ints
    width = st.position.shape[1]
    scratch, level, owed, asked = st.scratch, st.level, st.owed, st.asked
    part = st.part
    book = i * SUMS
    one = zero + np.float32(1)
    near = zero + np.float32(1.00001)
    for s in range(width):
        scratch[1, s] = max(level[i, s], zero) + scratch[0, s]
        level[i, s] += scratch[0, s] - asked[i, s]
        part[book + MADE, s] += scratch[0, s]
        scratch[6, s] = zero  # met from stock at once
    if recording:
        for s in range(width):
            rec.nodes[3, t, i, s] = scratch[0, s]
    d = ints[i, D_OUT]
    if d >= 0:
        for s in range(width):
            scratch[1, s] = zero if st.trouble[d, s] > 0 else scratch[1, s]
    allocation = ints[i, ALLOCATION]
    if allocation != PRIORITY:
        _shares(plan, st, i, t, zero)
    for place in range(plan.out_start[i], plan.out_start[i + 1]):
        e = plan.out_lane[place]
        length = plan.lane_ints[e, L_ORDER_LENGTH]
        row = plan.lane_ints[e, L_ORDER_AT] + (t - plan.lane_ints[e, ORDER_TIME] + length) % length
        units = plan.lane_reals[e, UNITS]
        if plan.lane_ints[e, EXTRA] < 0 and plan.lane_ints[e, ARRIVED] < 0 and allocation == PRIORITY:
            lead = plan.lane_ints[e, LEAD]
            slot = plan.lane_ints[e, RING_AT] + (t + lead) % plan.lane_ints[e, RING_LENGTH]
            weight = _periods_under_way(t, 0, lead, span, zero)
            for s in range(width):
                before = owed[e, s]
                need = before + st.orders[row, s] * units
                here = scratch[1, s]
                out = min(here, need)
                scratch[1, s] = here - out
                owed[e, s] = need - out
                st.ring[slot, s] = out
                scratch[6, s] += max(out - before, zero)
                part[book + TRANSIT, s] += out * weight
            if plan.lane_ints[e, KEEP] & 1 or recording:
                _keep_lane(plan, st, e, t, rec, recording, slot, weight)
        else:
            _serve_lane(plan, st, i, e, row, t, first, span, zero, rec, recording)
    if ints[i, DEMAND] != NO_DEMAND:
        waits = plan.node_reals[i, WAITS]
        out_owed, outside = st.owed_out, st.outside
        for s in range(width):
            before = out_owed[i, s]
            new = outside[i, s]
            here = scratch[1, s]
            out = min(here, before + new)
            if allocation != PRIORITY:
                out = min(here, scratch[4, s] * before + scratch[5, s] * new)
            scratch[1, s] = here - out
            met = max(out - before, zero)
            scratch[6, s] += met
            left = before + new - out
            gone = (one_less(waits, zero)) * min(left, new)
            out_owed[i, s] = left - gone
            level[i, s] += gone
            st.position[i, s] += gone
            part[book + LOST, s] += gone
            part[book + SHIPPED_OUT, s] += out
            part[book + MET_OUT, s] += met
            part[book + ASKED_OUT, s] += new
            if recording:
                rec.nodes[6, t, i, s] = out
    d = ints[i, D_STOCK]
    if d >= 0:
        share = plan.trouble_reals[d, 3]
        for s in range(width):
            lost = max(level[i, s], zero) * share if st.trouble[d, s] == 2 else zero  # noqa: PLR2004
            level[i, s] -= lost
            st.position[i, s] -= lost
    for s in range(width):
        here = level[i, s]
        part[book + ON_HAND, s] += max(here, zero)
        part[book + OWED, s] += max(-here, zero)
        part[book + ASKED, s] += asked[i, s]
        part[book + MET, s] += scratch[6, s]
        part[book + SHORT, s] += one if scratch[6, s] * near < asked[i, s] else zero
    if not ints[i, PLAIN_RULE]:
        for s in range(width):
            part[book + ORDERS, s] += one if st.order[i, s] > zero else zero
    if ints[i, MAKES]:
        for g in range(plan.group_start[i], plan.group_start[i + 1]):
            units = plan.group_units[g]
            for s in range(width):
                part[book + RAW, s] += st.raw[g, s] / units
                part[book + ELSEWHERE, s] += st.raw[g, s] * plan.group_rate[g]
    if recording:
        for s in range(width):
            rec.nodes[0, t, i, s] = level[i, s]
            rec.nodes[1, t, i, s] = st.order[i, s]
            rec.nodes[2, t, i, s] = asked[i, s]
            rec.nodes[4, t, i, s] = scratch[6, s]
            rec.nodes[5, t, i, s] = st.owed_out[i, s]
        for g in range(plan.group_start[i], plan.group_start[i + 1]):
            for place in range(plan.group_lane_start[g], plan.group_lane_start[g + 1]):
                e = plan.group_lane[place]
                x = plan.lane_ints[e, EXTRA]
                for s in range(width):
                    rec.lanes[3, t, e, s] = st.waiting[x, s] if x >= 0 else zero
                    if place == plan.group_lane_start[g]:
                        rec.lanes[4, t, e, s] = st.raw[g, s] if ints[i, MAKES] else zero


@numba.njit(inline="always")
def one_less(share: Any, zero: Any) -> Any:
    """What is left of one, in the type of `zero`."""
    return (zero + np.float32(1)) - share


@_jit
def _keep_lane(plan: Any, st: Any, e: int, t: int, rec: Any, recording: bool, slot: int, weight: Any) -> None:
    width = st.position.shape[1]
    for s in range(width):
        st.lane_part[2 * e, s] += st.ring[slot, s]
        st.lane_part[2 * e + 1, s] += st.ring[slot, s] * weight
    if recording:
        for s in range(width):
            rec.lanes[0, t, e, s] = st.ring[slot, s]
            rec.lanes[1, t, e, s] = st.owed[e, s]


@_jit
def _shares(plan: Any, st: Any, i: int, t: int, zero: Any) -> None:
    """Shares of old and of new orders that can be met, into scratch 4 and 5."""
    width = st.position.shape[1]
    scratch = st.scratch
    outside = plan.node_ints[i, DEMAND] != NO_DEMAND
    for s in range(width):
        scratch[4, s] = st.owed_out[i, s] if outside else zero
    for place in range(plan.out_start[i], plan.out_start[i + 1]):
        e = plan.out_lane[place]
        for s in range(width):
            scratch[4, s] += st.owed[e, s]
    for s in range(width):
        here, old, new = scratch[1, s], scratch[4, s], st.asked[i, s]
        if plan.node_ints[i, ALLOCATION] == FIRST_COME:
            served = min(here, old)
            scratch[4, s] = served / old if old > zero else zero
            rest = here - served
            scratch[5, s] = min(rest, new) / new if new > zero else zero
        else:
            both = old + new
            share = min(here, both) / both if both > zero else zero
            scratch[4, s] = share
            scratch[5, s] = share


@_jit
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
    rec: Any,
    recording: bool,
) -> None:
    """Ship on one lane, with all that can happen there."""
    ints = plan.lane_ints
    width = st.position.shape[1]
    scratch, owed = st.scratch, st.owed
    units = plan.lane_reals[e, UNITS]
    lane_out, paused, x = ints[e, D_LANE], ints[e, D_TO], ints[e, EXTRA]
    by_share = plan.node_ints[i, ALLOCATION] != PRIORITY
    _lead_times(plan, st, e, t, first)
    random = ints[e, ARRIVED] >= 0
    for s in range(width):
        before = owed[e, s]
        new = st.orders[row, s] * units
        here = scratch[1, s]
        ready = min(here, before + new)
        if by_share:
            ready = min(here, scratch[4, s] * before + scratch[5, s] * new)
        if lane_out >= 0 and st.trouble[lane_out, s] > 0:
            ready = zero
        scratch[1, s] = here - ready
        owed[e, s] = before + new - ready
        out = ready
        if paused >= 0:
            if st.trouble[paused, s] > 0:
                st.aside[x, s] += ready
                out = zero
            else:
                out = ready + st.aside[x, s]
                st.aside[x, s] = zero
        scratch[6, s] += max(out - before, zero)
        scratch[7, s] = out
    if paused >= 0:
        rate = plan.lane_reals[e, SOURCE_RATE]
        for s in range(width):
            st.part[i * SUMS + ELSEWHERE, s] += st.aside[x, s] * rate
    for s in range(width):
        st.lane_part[2 * e, s] += scratch[7, s]
    if ints[e, D_TRANSIT] < 0:
        for s in range(width):
            lead = scratch[3, s] if random else zero + ints[e, LEAD]
            under_way = scratch[7, s] * _periods_under_way(t, 0, lead, span, zero)
            st.part[i * SUMS + TRANSIT, s] += under_way
            st.lane_part[2 * e + 1, s] += under_way
    if recording:
        for s in range(width):
            rec.lanes[0, t, e, s] = scratch[7, s]
            rec.lanes[1, t, e, s] = owed[e, s]
            rec.lanes[2, t, e, s] = st.aside[x, s] if x >= 0 else zero
    for s in range(width):  # shares of the next lanes stay in scratch 5
        st.scratch[8, s] = scratch[5, s]
        scratch[5, s] = scratch[7, s]
    _ship(plan, st, e, t, zero)
    for s in range(width):
        scratch[5, s] = st.scratch[8, s]


@_jit
def _troubles(plan: Any, st: Any, t: int, first: int, keys: int, replayed: Any) -> None:
    """What is disrupted in period t: 0 no, 1 yes, 2 since this period."""
    width = st.position.shape[1]
    for d in range(plan.troubles.shape[0]):
        key0, key1 = plan.keys[keys + d, 0], plan.keys[keys + d, 1]
        start = plan.troubles[d, 0]
        if start == EITHER:
            one, other = plan.troubles[d, 2], plan.troubles[d, 3]
            for s in range(width):
                st.trouble[d, s] = max(st.trouble[one, s], st.trouble[other, s])
        elif replayed.shape[0] > 0:
            for s in range(width):
                st.trouble[d, s] = replayed[d, t, s]
        elif start >= 0:
            if t == 0:
                for s in range(width):
                    u, _ = threefry(key0, key1, np.uint32(first + s), np.uint32(0))
                    st.happens[d, s] = 1 if u < plan.trouble_reals[d, 0] * 4294967296.0 else 0
            during = 1 if start <= t < start + plan.troubles[d, 1] else 0
            state = 2 * during if t == start else during
            for s in range(width):
                st.trouble[d, s] = state * st.happens[d, s]
        else:
            begins, ends = plan.trouble_reals[d, 1] * 4294967296.0, plan.trouble_reals[d, 2] * 4294967296.0
            for s in range(width):
                u, _ = threefry(key0, key1, np.uint32(first + s), np.uint32(t))
                if st.trouble[d, s] > 0:
                    st.trouble[d, s] = 0 if u < ends else 1
                else:
                    st.trouble[d, s] = 2 if u < begins else 0


@_jit
def _shared_lucks(plan: Any, st: Any, t: int, first: int, keys: int) -> None:
    for k in range(st.shared.shape[0]):
        key0, key1 = plan.keys[keys + k, 0], plan.keys[keys + k, 1]
        for s in range(st.shared.shape[1]):
            u, _ = threefry(key0, key1, np.uint32(first + s), np.uint32(t))
            st.shared[k, s] = _continuous(plan.normal, 0, u)


@_jit
def _advance(plan: Any, st: Any, t: int, span: Any, zero: Any) -> None:
    """Count what is under way on lanes that can stand still, and move it by one period where it does not."""
    for e in range(plan.lane_ints.shape[0]):
        d = plan.lane_ints[e, D_TRANSIT]
        if d < 0:
            continue
        x, source = plan.lane_ints[e, EXTRA], plan.lane_ints[e, SOURCE]
        if t >= span[0]:
            for s in range(st.ring.shape[1]):
                st.lane_part[2 * e + 1, s] += st.moving[x, s]
            if source >= 0:
                for s in range(st.ring.shape[1]):
                    st.part[source * SUMS + TRANSIT, s] += st.moving[x, s]
        if plan.lane_ints[e, ARRIVED] >= 0:
            last = plan.lane_ints[e, ARRIVED]
            for s in range(st.ring.shape[1]):
                still = st.trouble[d, s] > 0 and st.arrival[last, s] > t
                st.arrival[last, s] += zero + 1 if still else zero
        at, length = plan.lane_ints[e, RING_AT], plan.lane_ints[e, RING_LENGTH]
        for slot in range(length):
            for s in range(st.ring.shape[1]):
                if st.trouble[d, s] > 0:
                    continue
                after = st.ring[at + slot + 1, s] if slot + 1 < length else zero
                st.ring[at + slot, s] = after + (st.ring[at + slot, s] if slot == 0 else zero)


@_jit
def _record_under_way(plan: Any, st: Any, t: int, rec: Any) -> None:
    """Note what is on each lane at the end of period t."""
    for e in range(plan.lane_ints.shape[0]):
        at, length = plan.lane_ints[e, RING_AT], plan.lane_ints[e, RING_LENGTH]
        emptied = plan.lane_ints[e, ARRIVED] >= 0 or plan.lane_ints[e, D_TRANSIT] >= 0
        for slot in range(length):
            if emptied or slot != t % length:
                for s in range(st.ring.shape[1]):
                    rec.lanes[5, t, e, s] += st.ring[at + slot, s]


@_jit
def flush(part: Any, total: Any) -> None:
    """Add sums of some periods to those of all, in double precision, and begin anew."""
    for row in range(part.shape[0]):
        for s in range(part.shape[1]):
            total[row, s] += part[row, s]
            part[row, s] = 0


@_jit
def _forget(total: Any, every: int, kept: int) -> None:
    """Set sums to zero, but of each `every` the one in place `kept`."""
    for row in range(total.shape[0]):
        if row % every != kept:
            total[row, :] = 0


@_jit
def simulate_block(
    plan: Any, st: Any, first: int, begin: int, end: int, periods: int, warm_up: int, every: int, stockpyl: bool,
    any_transit: bool, zero: Any, replay: Any, replayed: Any, courses: Any, watched: Any, prices: Any, rec: Any,
    recording: bool,
) -> None:  # fmt: skip
    """Simulate periods `begin` to `end` of a block whose first scenario has the number `first`."""
    nodes = plan.out_start.shape[0] - 1
    keys = nodes + plan.lane_ints.shape[0]
    width = st.position.shape[1]
    span = (warm_up, periods)
    for t in range(begin, end):
        if plan.troubles.shape[0] > 0:
            _troubles(plan, st, t, first, keys, replayed)
        if st.shared.shape[0] > 0:
            _shared_lucks(plan, st, t, first, keys + plan.troubles.shape[0])
        for back in range(nodes):
            i = nodes - 1 - back
            if plan.node_ints[i, DEMAND] != NO_DEMAND:
                _demand(plan, st, i, t, first, replay, zero)
            _ask(plan, st, i, t, zero)
            if not plan.node_ints[i, PLAIN]:
                _count_position(plan, st, i)
            _order(plan, st, i, t, zero, stockpyl)
            _place_orders(plan, st, i, t, first, span, zero, rec, recording)
        for i in range(nodes):
            _make(plan, st, i, t, zero)
            _serve(plan, st, i, t, first, span, zero, rec, recording)
        if any_transit:
            _advance(plan, st, t, span, zero)
        if recording:
            _record_under_way(plan, st, t, rec)
        if t + 1 == warm_up:
            flush(st.part, st.total)
            flush(st.lane_part, st.lane_total)
            _forget(st.total, SUMS, TRANSIT)
            _forget(st.lane_total, 2, 1)
        elif (t + 1) % every == 0 or t + 1 == periods:
            flush(st.part, st.total)
            flush(st.lane_part, st.lane_total)
        kept = courses.shape[2]
        if kept > 0:
            for s in range(min(width, kept)):
                worth, owed, wanted = zero, zero, zero
                for i in range(nodes):
                    here = max(st.level[i, s], zero)
                    worth += here * prices[i]
                    if plan.node_ints[i, DEMAND] != NO_DEMAND:
                        owed += st.owed_out[i, s]
                        wanted += st.outside[i, s]
                courses[0, t, s] = owed
                courses[1, t, s] = worth
                courses[2, t, s] = wanted
            for w in range(watched.shape[0]):
                for s in range(min(width, kept)):
                    here = st.level[watched[w], s]
                    courses[3 + 2 * w, t, s] = max(here, zero)
                    courses[4 + 2 * w, t, s] = max(-here, zero)
