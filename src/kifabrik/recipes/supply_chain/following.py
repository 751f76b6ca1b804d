"""Follows one scenario period by period."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.blocks import new_state, run
from kifabrik.recipes.supply_chain.books import ratio, transit_rate
from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.network import Network, Semantics
from kifabrik.recipes.supply_chain.plan import compile_network
from kifabrik.recipes.supply_chain.results import Settings

Floats = NDArray[np.float64]


def trajectories(
    network: Network,
    periods: int,
    demands: Mapping[str, Floats],
    disrupted: Mapping[str, NDArray[np.bool_]],
    *,
    settings: Settings | None = None,
) -> dict[str, Floats]:
    """Follow one scenario period by period, in double precision, with given demand and disruptions.

    Args:
        network: What to simulate.
        periods: How many.
        demands: Outside demand of nodes, each [period]; others are drawn.
        disrupted: Whether each disruption is there, by name, each [period]; all of them, or none.
        settings: For what is drawn.

    Returns:
        Arrays [period, node], nodes as in `network.nodes`: `inventory_level` (on hand less owed), `on_hand`,
        `order`, `demand`, `made`, `met`, `outside_shipped`, `outside_owed`, `shipped`, `raw`, `holding_cost`,
        `stockout_cost`, `in_transit_cost`, `revenue`, `cost`, `fill_rate` (so far); and [period, lane]:
        `lane_shipped`, `lane_backorder`, `lane_aside`, `lane_waiting`, `lane_under_way`.
    """
    chosen = settings or Settings(scenarios=1, periods=periods)
    given = [name for name in demands if demands[name] is not None]
    compiled = compile_network(network, seed=chosen.seed, real=np.float64, replayed=given)
    state = new_state(compiled, 1, np.float64)
    nodes, lanes = len(network.nodes), len(network.lanes)
    record = lay.Record(
        nodes=np.zeros((lay.NODE_RECORDS, periods, nodes, 1)), lanes=np.zeros((lay.LANE_RECORDS, periods, lanes, 1))
    )
    replay = np.array([demands[name] for name in given], dtype=np.float64).reshape(len(given), periods, 1)
    states = np.zeros((0, periods, 1))  # an array in any case: for None it would be compiled once more
    if disrupted:
        told = [disrupted[each.name] for each in network.disruptions]
        states = np.array(told, dtype=np.float64).reshape(len(told), periods, 1)
    run(
        compiled,
        state,
        Settings(scenarios=1, periods=periods, seed=chosen.seed, first=chosen.first),
        0,
        np.float64,
        periods=(0, periods),
        courses=np.zeros((3, 0, 0)),
        watched=np.zeros(0, dtype=np.int64),
        prices=np.zeros(nodes),
        replay=replay,
        replayed=states,
        record=record,
        stockpyl=network.semantics is Semantics.STOCKPYL,
    )
    back = np.argsort(compiled.order)
    hears = compiled.plan.lane_ints[:, lay.HEARS] > 0
    return _follow(network, record.nodes[:, :, back, 0], record.lanes[:, :, :, 0], hears)


def _follow(network: Network, nodes: Floats, lanes: Floats, hears: NDArray[np.bool_]) -> dict[str, Floats]:
    level, order, demand, made, met, owed, shipped_out = nodes
    shipped, backorder, aside, waiting, raw, under_way = lanes
    number = {node.name: place for place, node in enumerate(network.nodes)}
    out = shipped_out.copy()
    owes = owed.copy()
    asides, raw_total, raw_cost = np.zeros_like(level), np.zeros_like(level), np.zeros_like(level)
    moving_cost = np.zeros_like(level)
    sold = shipped_out.copy()
    for e, lane in enumerate(network.lanes):
        to = number[lane.target]
        raw_total[:, to] += raw[:, e]
        if not lane.source:
            if network.semantics is not Semantics.STOCKPYL and not hears[e]:
                shipped[: lane.order_time, e] += lane.initial_orders
            continue
        source = number[lane.source]
        out[:, source] += shipped[:, e]
        owes[:, source] += backorder[:, e]
        if network.semantics is Semantics.STOCKPYL:
            sold[:, source] += shipped[:, e]
        asides[:, source] += aside[:, e]
        raw_cost[:, to] += network.nodes[source].holding_cost * (raw[:, e] + waiting[:, e])
        rate = transit_rate(network.nodes[source]) if lane.in_transit_cost is None else lane.in_transit_cost
        moving_cost[:, source] += rate * under_way[:, e]
    each, on_hand = network.nodes, level + owes
    cost = {
        "holding_cost": np.array([n.holding_cost for n in each]) * (on_hand + asides) + raw_cost,
        "stockout_cost": np.array([n.stockout_cost for n in each]) * owes,
        "in_transit_cost": moving_cost,
        "revenue": np.array([n.price for n in each]) * sold,
    }
    asked = np.cumsum(demand, axis=0)
    return {
        "inventory_level": level,
        "on_hand": on_hand,
        "order": order,
        "demand": demand,
        "made": made,
        "met": met,
        "outside_owed": owed,
        "outside_shipped": shipped_out,
        "shipped": out,
        "raw": raw_total,
        **cost,
        "cost": cost["holding_cost"] + cost["stockout_cost"] + cost["in_transit_cost"] - cost["revenue"],
        "fill_rate": ratio(np.cumsum(met, axis=0), asked),
        "lane_shipped": shipped,
        "lane_backorder": backorder,
        "lane_aside": aside,
        "lane_waiting": waiting,
        "lane_under_way": under_way,
    }
