"""Receiving and making: what comes to a node, and what moves on towards it."""
# ruff: noqa: C901, PLR0912, PLR0915 - branches for what a node can do; loops must stand in one function

from typing import Any

import numpy as np

from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.kernel.jit import called, inlined, smaller
from kifabrik.recipes.supply_chain.kernel.stock import write_capacity_left


@called
def _receive(plan: Any, st: Any, e: int, t: int, zero: Any) -> None:
    """Write what arrives on lane e into scratch."""
    ints = plan.lane_ints
    ring, scratch = st.ring, st.scratch
    width = st.position.shape[1]
    length, at = ints[e, lay.RING_LENGTH], ints[e, lay.RING_AT]
    if ints[e, lay.D_TRANSIT] >= 0:
        for s in range(width):
            scratch[lay.CAME, s] = ring[at, s]
            ring[at, s] = zero
    elif ints[e, lay.ARRIVED] >= 0:
        row = at + t % length
        for s in range(width):
            scratch[lay.CAME, s] = ring[row, s]
            ring[row, s] = zero
    else:
        row = at + t % length
        for s in range(width):
            scratch[lay.CAME, s] = ring[row, s]
    if ints[e, lay.MOVES]:
        x = ints[e, lay.EXTRA]
        for s in range(width):
            st.moving[x, s] -= scratch[lay.CAME, s]
    d = ints[e, lay.D_RECEIPTS]
    if d >= 0:
        x = ints[e, lay.EXTRA]
        for s in range(width):
            q = st.waiting[x, s] + scratch[lay.CAME, s]
            out = st.trouble[d, s] > 0
            st.waiting[x, s] = q if out else zero
            scratch[lay.CAME, s] = zero if out else q
        book, rate = (
            plan.node_ints[ints[e, lay.TARGET], lay.BOOK] + lay.ELSEWHERE,
            plan.lane_reals[e, lay.SOURCE_RATE],
        )
        for s in range(width):
            st.part[book, s] += st.waiting[x, s] * rate


@inlined
def make(plan: Any, st: Any, i: int, t: int, zero: Any) -> None:
    """Receive components and make what can be made; writes what comes to stock into scratch."""
    ints = plan.node_ints
    width = st.position.shape[1]
    scratch, ring = st.scratch, st.ring
    first, last = plan.group_start[i], plan.group_start[i + 1]
    if not ints[i, lay.MAKES]:
        units = plan.group_units[first]
        begin, end = plan.group_lane_start[first], plan.group_lane_start[first + 1]
        for place in range(begin, end):
            e = plan.group_lane[place]
            if plan.lane_ints[e, lay.EXTRA] < 0 and plan.lane_ints[e, lay.ARRIVED] < 0:
                row = plan.lane_ints[e, lay.RING_AT] + t % plan.lane_ints[e, lay.RING_LENGTH]
                if place == begin:
                    if units == 1:
                        for s in range(width):
                            scratch[lay.MADE_NOW, s] = ring[row, s]
                    else:
                        for s in range(width):
                            scratch[lay.MADE_NOW, s] = ring[row, s] / units
                else:
                    for s in range(width):
                        scratch[lay.MADE_NOW, s] += ring[row, s] / units
            else:
                _receive(plan, st, e, t, zero)
                if place == begin:
                    for s in range(width):
                        scratch[lay.MADE_NOW, s] = scratch[lay.CAME, s] / units
                else:
                    for s in range(width):
                        scratch[lay.MADE_NOW, s] += scratch[lay.CAME, s] / units
        if not ints[i, lay.PLAIN]:
            for s in range(width):
                st.coming[plan.coming_at[first], s] -= scratch[lay.MADE_NOW, s] * units
    else:
        for g in range(first, last):
            units, raw = plan.group_units[g], plan.raw_at[g]
            for place in range(plan.group_lane_start[g], plan.group_lane_start[g + 1]):
                e = plan.group_lane[place]
                if plan.lane_ints[e, lay.EXTRA] < 0 and plan.lane_ints[e, lay.ARRIVED] < 0:
                    row = plan.lane_ints[e, lay.RING_AT] + t % plan.lane_ints[e, lay.RING_LENGTH]
                    for s in range(width):
                        st.raw[raw, s] += ring[row, s]
                else:
                    _receive(plan, st, e, t, zero)
                    for s in range(width):
                        st.raw[raw, s] += scratch[lay.CAME, s]
            if g == first:
                for s in range(width):
                    scratch[lay.MADE_NOW, s] = st.raw[raw, s] / units
            else:
                for s in range(width):
                    here = st.raw[raw, s] / units
                    scratch[lay.MADE_NOW, s] = smaller(here, scratch[lay.MADE_NOW, s])
        cap = plan.node_reals[i, lay.MAKE_CAP]
        if cap < np.inf:
            if plan.capacity_loss_start[i] < plan.capacity_loss_start[i + 1]:
                write_capacity_left(plan, st, i, zero)
                for s in range(width):
                    most = cap * scratch[lay.CAPACITY_LEFT, s]
                    scratch[lay.MADE_NOW, s] = smaller(scratch[lay.MADE_NOW, s], most)
            else:
                for s in range(width):
                    scratch[lay.MADE_NOW, s] = smaller(scratch[lay.MADE_NOW, s], cap)
        d = ints[i, lay.D_OUT]
        if d >= 0:
            for s in range(width):
                scratch[lay.MADE_NOW, s] = zero if st.trouble[d, s] > 0 else scratch[lay.MADE_NOW, s]
        for g in range(first, last):
            units, raw = plan.group_units[g], plan.raw_at[g]
            for s in range(width):
                st.raw[raw, s] -= scratch[lay.MADE_NOW, s] * units
            if not ints[i, lay.PLAIN]:
                for s in range(width):
                    st.coming[plan.coming_at[g], s] -= scratch[lay.MADE_NOW, s] * units
    length = ints[i, lay.MAKING_LENGTH]
    if length:
        row = ints[i, lay.MAKING_AT] + t % length
        for s in range(width):
            begun = scratch[lay.MADE_NOW, s]
            scratch[lay.MADE_NOW, s] = st.making[row, s]
            st.making[row, s] = begun


@called
def advance(plan: Any, st: Any, t: int, span: Any, zero: Any) -> None:
    """Count what is under way on lanes that can stand still, and move it by one period where it does not."""
    for e in range(plan.lane_ints.shape[0]):
        d = plan.lane_ints[e, lay.D_TRANSIT]
        if d < 0:
            continue
        x, source = plan.lane_ints[e, lay.EXTRA], plan.lane_ints[e, lay.SOURCE]
        if t >= span[0]:
            book = plan.lane_ints[e, lay.LANE_BOOK] + lay.UNDER_WAY
            for s in range(st.ring.shape[1]):
                st.lane_part[book, s] += st.moving[x, s]
            if source >= 0:
                book = plan.node_ints[source, lay.BOOK] + lay.TRANSIT
                for s in range(st.ring.shape[1]):
                    st.part[book, s] += st.moving[x, s]
        if plan.lane_ints[e, lay.ARRIVED] >= 0:
            last = plan.lane_ints[e, lay.ARRIVED]
            for s in range(st.ring.shape[1]):
                still = st.trouble[d, s] > 0 and st.arrival[last, s] > t
                st.arrival[last, s] += zero + 1 if still else zero
        at, length = plan.lane_ints[e, lay.RING_AT], plan.lane_ints[e, lay.RING_LENGTH]
        for slot in range(length):
            for s in range(st.ring.shape[1]):
                if st.trouble[d, s] > 0:
                    continue
                after = st.ring[at + slot + 1, s] if slot + 1 < length else zero
                st.ring[at + slot, s] = after + (st.ring[at + slot, s] if slot == 0 else zero)
