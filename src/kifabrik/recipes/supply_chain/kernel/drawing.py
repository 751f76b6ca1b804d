"""Luck in the kernel: demand, lead times, troubles.

Random words are drawn into `dice` first and looked up then: the first loop is all integers and runs in vectors,
which together with the look-up it does not.
"""
# ruff: noqa: C901, PLR0912 - a branch for each kind of demand and of trouble

from typing import Any

import numpy as np

from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.kernel.jit import called, inlined, larger, smaller
from kifabrik.recipes.supply_chain.luck import BINS, OCTAVES, REACH, SCORES, threefry

_PLACES = OCTAVES << BINS
_OFFSET = 127 << BINS
_SHIFT = 23 - BINS
_WORDS = 4294967296.0
_SOMETHING = 1e-6
"""A shipment of less is what rounding leaves, and holds nothing up."""


@inlined
def _throw(st: Any, key0: Any, key1: Any, first: int, t: int) -> None:
    """Write a random word for each scenario into dice."""
    for s in range(st.dice.shape[1]):
        st.dice[0, s], _ = threefry(key0, key1, np.uint32(first + s), np.uint32(t))


@inlined
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


@inlined
def _continuous(table: Any, row: Any, u: Any) -> Any:
    side, place, share = _place(u)
    at = side * (_PLACES + 1) + place
    low = table[row, at]
    return low + (table[row, at + 1] - low) * share


@inlined
def _discrete(plan: Any, row: Any, steps: Any, u: Any) -> Any:
    """The value of a rank; the first step, mostly the only one, stands apart, as loops of their own are slow."""
    side, place, _ = _place(u)
    at = plan.begins[row, side * (_PLACES + 1) + place]
    at += 1 if u > plan.ends[at] else 0
    for _step in range(1, steps):
        at += 1 if u > plan.ends[at] else 0
    return plan.values[at]


@called
def draw_demand(plan: Any, st: Any, i: int, t: int, first: int, replay: Any, zero: Any) -> None:
    """Draw what outside customers ask of node i in period t."""
    kind = plan.node_ints[i, lay.DEMAND]
    out = st.outside
    width = out.shape[1]
    factor = plan.factors[plan.node_ints[i, lay.FACTOR_AT] + t % plan.node_ints[i, lay.FACTORS]]
    mean = plan.node_reals[i, lay.MEAN] * factor
    row = plan.node_ints[i, lay.TABLE]
    if kind == lay.CERTAIN:
        for s in range(width):
            out[i, s] = mean
        return
    if replay is not None and kind == lay.REPLAY:
        for s in range(width):
            out[i, s] = replay[row, t, s]
        return
    _throw(st, plan.keys[i, 0], plan.keys[i, 1], first, t)
    dice = st.dice
    if plan.luck_start[i] < plan.luck_start[i + 1]:
        _draw_with_shared_luck(plan, st, i, factor, zero)
    elif kind == lay.NORMAL:
        sd = plan.node_reals[i, lay.SD] * factor
        for s in range(width):
            drawn = mean + sd * _continuous(plan.normal, 0, dice[0, s])
            out[i, s] = larger(zero, drawn)
    elif kind == lay.CONTINUOUS:
        for s in range(width):
            out[i, s] = _continuous(plan.tables, row, dice[0, s]) * factor
    else:
        steps = plan.node_ints[i, lay.STEPS]
        for s in range(width):
            out[i, s] = _discrete(plan, row, steps, dice[0, s]) * factor
    if plan.node_ints[i, lay.WHOLE]:
        for s in range(width):
            out[i, s] = round(out[i, s])


@called
def _draw_with_shared_luck(plan: Any, st: Any, i: int, factor: Any, zero: Any) -> None:
    kind, row, rest = plan.node_ints[i, lay.DEMAND], plan.node_ints[i, lay.TABLE], plan.node_reals[i, lay.REST]
    mean, sd = plan.node_reals[i, lay.MEAN] * factor, plan.node_reals[i, lay.SD] * factor
    out, scores = st.outside, st.scratch
    for s in range(out.shape[1]):
        scores[lay.SENT, s] = rest * _continuous(plan.normal, 0, st.dice[0, s])
    for place in range(plan.luck_start[i], plan.luck_start[i + 1]):
        luck, weight = plan.luck[place], plan.luck_weight[place]
        for s in range(out.shape[1]):
            scores[lay.SENT, s] += weight * st.shared[luck, s]
    for s in range(out.shape[1]):
        score = scores[lay.SENT, s]
        if kind == lay.NORMAL:
            drawn = mean + sd * score
            out[i, s] = larger(zero, drawn)
        else:
            at = (score + REACH) * (SCORES / (2 * REACH))
            at = smaller(larger(at, 0.0), SCORES - 1e-3)
            low = np.int64(at)
            rank = plan.scores[low] + (plan.scores[low + 1] - plan.scores[low]) * (at - low)
            u = np.uint32(rank)
            if kind == lay.CONTINUOUS:
                out[i, s] = _continuous(plan.tables, row, u) * factor
            else:
                out[i, s] = _discrete(plan, row, plan.node_ints[i, lay.STEPS], u) * factor


@called
def draw_shared_lucks(plan: Any, st: Any, t: int, first: int, keys: int) -> None:
    """Draw the normal scores that several nodes share."""
    for k in range(st.shared.shape[0]):
        _throw(st, plan.keys[keys + k, 0], plan.keys[keys + k, 1], first, t)
        for s in range(st.shared.shape[1]):
            st.shared[k, s] = _continuous(plan.normal, 0, st.dice[0, s])


@called
def draw_lead_times(plan: Any, st: Any, e: int, t: int, first: int) -> None:
    """Write the lead times of what leaves on lane e in period t, scratch (SENT), into scratch.

    Where nothing may be overtaken, they end no earlier than those of what has left before.
    """
    ints = plan.lane_ints
    x = ints[e, lay.ARRIVED]
    key = plan.out_start.shape[0] - 1 + e
    key0, key1 = plan.keys[key, 0], plan.keys[key, 1]
    row, steps = ints[e, lay.LEAD_TABLE], ints[e, lay.LEAD_STEPS]
    extra = np.float32(ints[e, lay.BEFORE_LEAVING])
    leads, width = st.scratch, st.scratch.shape[1]
    for s in range(width):
        _, st.dice[0, s] = threefry(key0, key1, np.uint32(first + s), np.uint32(t))
    for s in range(width):
        leads[lay.LEADS, s] = _discrete(plan, row, steps, st.dice[0, s]) + extra
    if not ints[e, lay.CROSSES]:
        for s in range(width):
            if leads[lay.SENT, s] > _SOMETHING:
                arrival = larger(st.arrival[x, s], np.float32(t) + leads[lay.LEADS, s])
                st.arrival[x, s] = arrival
                leads[lay.LEADS, s] = arrival - np.float32(t)


@called
def draw_troubles(plan: Any, st: Any, t: int, first: int, keys: int, replayed: Any) -> None:
    """What is disrupted in period t: 0 no, 1 yes, 2 since this period."""
    width = st.position.shape[1]
    for d in range(plan.troubles.shape[0]):
        key0, key1 = plan.keys[keys + d, 0], plan.keys[keys + d, 1]
        start = plan.troubles[d, 0]
        if start == lay.EITHER:
            one, other = plan.troubles[d, 2], plan.troubles[d, 3]
            for s in range(width):
                st.trouble[d, s] = larger(st.trouble[one, s], st.trouble[other, s])
        elif replayed is not None and replayed.shape[0] > 0:
            for s in range(width):
                now = replayed[d, t, s]
                st.trouble[d, s] = 2 if now > 0 and (t == 0 or replayed[d, t - 1, s] <= 0) else now
        elif start >= 0:
            if t == 0:
                _throw(st, key0, key1, first, 0)
                for s in range(width):
                    st.happens[d, s] = 1 if st.dice[0, s] < plan.trouble_reals[d, 0] * _WORDS else 0
            during = 1 if start <= t < start + plan.troubles[d, 1] else 0
            state = 2 * during if t == start else during
            for s in range(width):
                st.trouble[d, s] = state * st.happens[d, s]
        else:
            begins, ends = plan.trouble_reals[d, 1] * _WORDS, plan.trouble_reals[d, 2] * _WORDS
            _throw(st, key0, key1, first, t)
            for s in range(width):
                if st.trouble[d, s] > 0:
                    st.trouble[d, s] = 0 if st.dice[0, s] < ends else 1
                else:
                    st.trouble[d, s] = 2 if st.dice[0, s] < begins else 0
