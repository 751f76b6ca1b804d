"""Blocks of scenarios: how wide they are, their state, and what is in it."""

from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.kernel.block import add_groups, simulate_block
from kifabrik.recipes.supply_chain.plan import Compiled
from kifabrik.recipes.supply_chain.results import Settings

Floats = NDArray[np.float64]
Device = Literal["cpu", "cuda"]
GROUP: Final = 32
"""Scenarios whose figures are added up together; blocks are multiples of it."""
_WIDE: Final = 512
"""Loops must be long to be worth beginning; longer ones are no faster."""
_WIDEST: Final = 4096
"""Of small networks more scenarios go into a block, as long as their state fits into the fast cache of a core:"""
_FAST_BYTES: Final = 2 * 1024 * 1024
_BYTES: Final = 256 * 1024 * 1024
"""Most that the state of a block may take; no cache has room for a large network anyway."""
_GPU_BYTES: Final = 2 * 1024 * 1024 * 1024
"""The same on a GPU, where each scenario is a thread, and tens of thousands are needed."""
_FLUSH: Final = 16
"""Periods summed in single precision before they are added in double."""


def block_width(compiled: Compiled, scenarios: int, threads: int, device: Device = "cpu") -> int:
    """Scenarios side by side: as many as are worth it, a state of bounded size, all threads equally busy."""
    rows = _rows(compiled)
    each = 4 * (sum(rows.values()) + rows["total"] + rows["lane_total"])
    widest = max(GROUP, min(_WIDE, _BYTES // each), min(_WIDEST, _FAST_BYTES // each))
    if device == "cuda":
        widest = max(GROUP, _GPU_BYTES // each)
    rounds = -(-scenarios // (widest * threads))
    return -(-scenarios // (rounds * threads * GROUP)) * GROUP


def _rows(compiled: Compiled) -> dict[str, int]:
    """How many rows each part of the state has."""
    plan, rows = compiled.plan, compiled.rows
    nodes, lanes = len(plan.node_ints), len(plan.lane_ints)
    troubles = len(plan.troubles)
    return {
        "level": nodes, "position": nodes, "asked": nodes, "outside": nodes, "order": nodes, "owed_out": nodes,
        "orders": rows["orders"], "ring": rows["ring"], "making": rows["making"], "owed": lanes,
        "raw": rows["raw"], "coming": len(compiled.starts.coming),
        "aside": rows["extra"], "waiting": rows["extra"], "held": rows["extra"], "moving": max(1, rows["extra"]),
        "arrival": rows["random"], "trouble": troubles, "happens": troubles, "shared": rows["lucks"], "dice": 1,
        "scratch": lay.SCRATCH, "part": rows["books"], "total": rows["books"],
        "lane_part": rows["lane_books"], "lane_total": rows["lane_books"],
    }  # fmt: skip


def new_state(compiled: Compiled, width: int, real: Any) -> lay.State:
    """State of `width` scenarios before the first period."""
    kinds = {"dice": np.uint32, "total": np.float64, "lane_total": np.float64}
    starts = compiled.starts
    begins = {
        "level": starts.level, "position": starts.position, "orders": starts.orders, "ring": starts.ring,
        "coming": starts.coming, "moving": starts.moving,
    }  # fmt: skip
    state = {name: np.zeros((count, width), dtype=kinds.get(name, real)) for name, count in _rows(compiled).items()}
    for name, values in begins.items():
        filled = np.flatnonzero(values)
        state[name][filled] = values[filled, None]
    return lay.State(**state)


def run(
    compiled: Compiled,
    state: lay.State,
    settings: Settings,
    first: int,
    real: Any,
    *,
    periods: tuple[int, int],
    courses: Any,
    watched: Any,
    prices: Any,
    replay: Any = None,
    replayed: Any = None,
    record: lay.Record | None = None,
    stockpyl: bool = False,
    device: Device = "cpu",
) -> None:
    """Run a block through some periods, from one to before the other; on a GPU nothing is replayed or recorded."""
    span = (settings.warm_up, settings.periods)
    if device == "cuda":
        from kifabrik.recipes.supply_chain.kernel.device import simulate_on_gpu  # noqa: PLC0415 - slow to import

        numbers = (settings.first + first, *periods, span, _FLUSH, stockpyl, compiled.any_transit, real(0))
        simulate_on_gpu(compiled.plan, state, courses, *numbers, watched, prices.astype(real))
        return
    simulate_block(
        compiled.plan,
        state,
        settings.first + first,
        *periods,
        span,
        _FLUSH,
        stockpyl,
        compiled.any_transit,
        real(0),
        replay,
        replayed,
        courses,
        watched,
        prices.astype(real),
        record,
    )


def in_groups(values: NDArray[Any]) -> Floats:
    """Sums of groups of scenarios, in double precision; from [row, scenario] to [row, group]."""
    sums = np.zeros((len(values), -(-values.shape[1] // GROUP)))
    add_groups(np.ascontiguousarray(values), GROUP, sums)  # each layout would be compiled for itself
    return sums


def forget(compiled: Compiled, state: lay.State) -> None:
    """Begin to count: nodes' sums become zero; what is under way, and lanes' sums, are of the periods counted."""
    keep = compiled.plan.node_ints[:, lay.BOOK] + lay.TRANSIT
    under_way = state.total[keep]
    state.total[:] = 0
    state.total[keep] = under_way


def inside(compiled: Compiled, state: lay.State, t: int) -> tuple[Floats, Floats]:
    """What is on its way or not yet used up before period t, of lanes that are alone and always the same.

    Returns:
        Units of each lane's component on the lane, raw at its target, and in what is being made there; and units on
        the lane times the periods they will still be under way. Both [lane, group].
    """
    plan = compiled.plan
    ints = plan.lane_ints
    by_ring = np.argsort(ints[:, lay.RING_AT])
    begins, lengths = ints[by_ring, lay.RING_AT], ints[by_ring, lay.RING_LENGTH]
    slots = np.arange(len(state.ring)) - np.repeat(begins, lengths)
    left = (slots - t) % np.repeat(lengths, lengths)
    travels = np.repeat((ints[:, lay.LEAD] - ints[:, lay.BEFORE_LEAVING])[by_ring], lengths)
    there = left < travels  # the rest came in the period before, or has not left
    rings = in_groups(state.ring) * there[:, None]
    units, periods = np.empty((2, len(ints), rings.shape[1]))
    units[by_ring] = np.add.reduceat(rings, begins, axis=0)
    periods[by_ring] = np.add.reduceat(rings * left[:, None], begins, axis=0)
    groups = np.flatnonzero(plan.raw_at >= 0)
    lanes = plan.group_lane[plan.group_lane_start[groups]]
    units[lanes] += in_groups(state.raw)
    making = in_groups(state.making)
    for i in np.flatnonzero(plan.node_ints[:, lay.MAKING_LENGTH] > 0):
        at, length = plan.node_ints[i, [lay.MAKING_AT, lay.MAKING_LENGTH]]
        begun = making[at : at + length].sum(axis=0)
        for g in range(plan.group_start[i], plan.group_start[i + 1]):
            units[plan.group_lane[plan.group_lane_start[g]]] += begun * plan.group_units[g]
    return units, periods
