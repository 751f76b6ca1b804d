"""Turns a network into the arrays the kernel runs on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain import luck
from kifabrik.recipes.supply_chain.disrupting import mark_troubles
from kifabrik.recipes.supply_chain.echelons import echelons
from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.lane_rows import LaneRows, fill_lane_rows
from kifabrik.recipes.supply_chain.network import Network
from kifabrik.recipes.supply_chain.node_rows import NodeRows, fill_node_rows
from kifabrik.recipes.supply_chain.quantiles import Tables
from kifabrik.recipes.supply_chain.shared_lucks import shared_lucks
from kifabrik.recipes.supply_chain.starting import Starts, starting_state
from kifabrik.recipes.supply_chain.topology import Topology, topology

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A network ready to run.

    Attributes:
        plan: Its arrays.
        starts: Its beginning.
        order: Place in `network.nodes` of each node of the plan.
        rows: How many rows of state are needed, by name.
        any_transit: Whether anything under way can stand still.
    """

    plan: lay.Plan
    starts: Starts
    order: Ints
    rows: dict[str, int]
    any_transit: bool


def compile_network(network: Network, *, seed: int, real: Any, replayed: Sequence[str] = ()) -> Compiled:
    """Make the arrays of a network.

    Args:
        network: What to simulate.
        seed: Of all luck.
        real: `numpy.float32` or `numpy.float64`.
        replayed: Nodes whose outside demand is given instead of drawn.

    Raises:
        UsageError: If a disruption hits nothing, a lead time is too long, or correlations cannot be had.
    """
    of, tables = topology(network), Tables()
    node_ints, node_reals = _empty(len(of.nodes), lay.NODE_INTS, lay.NODE_REALS)
    lane_ints, lane_reals = _empty(len(of.lanes), lay.LANE_INTS, lay.LANE_REALS)
    lane_ints[:, [lay.MOVES, lay.CROSSES]] = 0, 1
    troubles = mark_troubles(of, node_ints, lane_ints, real)
    given = {name: row for row, name in enumerate(replayed)}
    of_nodes = fill_node_rows(of, node_ints, node_reals, lane_ints, tables, given, real)
    groups = _groups(of, node_ints, real)
    downstream = echelons(of, lane_ints, groups["raw_at"], real)
    of_lanes = fill_lane_rows(of, node_ints, lane_ints, lane_reals, tables)
    lucks = shared_lucks(of, node_reals, real)
    streams = _streams(of) + troubles.names + lucks.names
    plan = lay.Plan(
        node_ints=node_ints,
        node_reals=node_reals.astype(real),
        out_start=np.cumsum([0, *map(len, of.out)]),
        out_lane=np.array([e for lanes in of.out for e in lanes], dtype=np.int64),
        lane_ints=lane_ints,
        lane_reals=lane_reals.astype(real),
        factors=np.array(of_nodes.factors, dtype=real),
        tables=_stack(tables.continuous, real),
        begins=_stack(tables.begins, np.int32),
        ends=np.concatenate([*tables.ends, np.zeros(1, np.uint32)]).astype(np.uint32),
        values=np.concatenate([*tables.values, np.zeros(1)]).astype(real),
        keys=np.array([luck.stream(seed, name) for name in streams], dtype=np.uint32).reshape(-1, 2),
        scores=luck.score_table(),
        normal=luck.normal_table().astype(real)[None, :],
        **groups,
        **troubles.arrays,
        **downstream,
        **lucks.arrays,
    )
    rows = _rows(plan, of_nodes, of_lanes, _book_rows(node_ints, lane_ints), len(lucks.names))
    return Compiled(
        plan=plan,
        starts=starting_state(of, plan, rows),
        order=of.order,
        rows=rows,
        any_transit=bool((lane_ints[:, lay.D_TRANSIT] >= 0).any()),
    )


def _empty(count: int, ints: int, reals: int) -> tuple[Ints, NDArray[np.float64]]:
    return np.full((count, ints), -1, dtype=np.int64), np.zeros((count, reals))


def _rows(plan: lay.Plan, nodes: NodeRows, lanes: LaneRows, books: int, lucks: int) -> dict[str, int]:
    return {
        "making": nodes.making, "extra": lanes.extra, "random": lanes.random, "lucks": lucks,
        "raw": int(plan.raw_at.max(initial=-1)) + 1, "ring": lanes.ring, "orders": lanes.orders,
        "books": books, "lane_books": lanes.books * lay.LANE_SUMS,
    }  # fmt: skip


def _groups(of: Topology, node_ints: Ints, real: Any) -> dict[str, Any]:
    """The plan's arrays of groups of alternative lanes, by name."""
    flat = [group for groups in of.groups for group in groups]
    owner = [i for i, groups in enumerate(of.groups) for _ in groups]
    suppliers = [[of.number[of.lanes[e].source] for e in group if of.lanes[e].source] for group in flat]
    rates = [of.nodes[sources[0]].holding_cost if sources else 0.0 for sources in suppliers]
    return {
        "group_start": np.cumsum([0, *map(len, of.groups)]),
        "group_lane_start": np.cumsum([0, *map(len, flat)]),
        "group_lane": np.array([e for group in flat for e in group], dtype=np.int64),
        "group_units": np.array([of.units(i, group) for i, group in zip(owner, flat, strict=True)], dtype=real),
        "group_rate": np.array(rates, dtype=real),
        "raw_at": _rows_where(node_ints[owner, lay.MAKES] > 0),
        "coming_at": _rows_where(node_ints[owner, lay.PLAIN] == 0),
    }


def _book_rows(node_ints: Ints, lane_ints: Ints) -> int:
    """Say where books of nodes are; only nodes where the unusual sums can be other than zero have rows for them."""
    aside = {int(lane_ints[e, lay.SOURCE]) for e in np.flatnonzero(lane_ints[:, lay.D_TO] >= 0)}
    waits = {int(lane_ints[e, lay.TARGET]) for e in np.flatnonzero(lane_ints[:, lay.D_RECEIPTS] >= 0)}
    rows = 0
    for i, ints in enumerate(node_ints):
        usual = ints[lay.DEMAND] == lay.NO_DEMAND and ints[lay.PLAIN_RULE] and not ints[lay.MAKES]
        ints[lay.BOOK] = rows
        rows += lay.USUAL_SUMS if usual and i not in aside | waits else lay.SUMS
    return rows


def _streams(of: Topology) -> list[str]:
    """Names of the luck of nodes and lanes; lanes of one name are numbered."""
    seen: dict[str, int] = {}
    names = [f"demand {node.name}" for node in of.nodes]
    for lane in of.lanes:
        seen[lane.name] = seen.get(lane.name, 0) + 1
        names.append(f"lead {lane.name} {seen[lane.name]}")
    return names


def _rows_where(needed: NDArray[np.bool_]) -> Ints:
    """Number of the row of each that needs one, -1 for the others."""
    return np.where(needed, np.cumsum(needed) - 1, -1)


def _stack(rows: Sequence[Any], kind: Any) -> Any:
    return np.array(rows, dtype=kind) if rows else np.zeros((1, 2 * (luck.PLACES + 1)), dtype=kind)
