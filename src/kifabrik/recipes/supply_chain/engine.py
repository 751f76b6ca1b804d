"""Simulates a network: blocks of scenarios, on all cores, through the kernel.

Invariants:
    - A scenario's figures depend on network, seed, its number and the number of periods; not on workers or blocks.
    - Means of nodes are added up in groups of `GROUP` scenarios, in order, so they do not depend on them either.
"""

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain import kernel as k
from kifabrik.recipes.supply_chain.network import INFINITE, Network, Semantics
from kifabrik.recipes.supply_chain.plan import Compiled, compile_network, whole_lead
from kifabrik.recipes.supply_chain.results import Results, Settings, Tallies

Floats = NDArray[np.float64]
GROUP: Final = 32
"""Scenarios whose figures are added up together; blocks are multiples of it."""
_CACHE_BYTES: Final = 8 * 1024 * 1024
_WIDEST: Final = 1024
_FLUSH: Final = 16
"""Periods summed in single precision before they are added in double."""
_SCRATCH: Final = 9
_NODE_RECORDS: Final = 7
_LANE_RECORDS: Final = 6


@dataclass(frozen=True, slots=True)
class _Block:
    first: int
    width: int
    traced: int


def simulate(
    network: Network,
    settings: Settings,
    *,
    watch: tuple[str, ...] = (),
    workers: int | None = None,
    progress: Callable[[int], None] | None = None,
    precision: Literal["single", "double"] = "single",
) -> Results:
    """Simulate a network under many scenarios.

    Args:
        network: What to simulate.
        settings: How often, how long, with which luck.
        watch: Nodes whose course is kept.
        workers: Threads; None: one for each core.
        progress: Told the number of scenarios just finished.
        precision: Of the state. Sums are always kept in double precision.

    Raises:
        UsageError: If a watched node is not there, or the settings make no sense.
    """
    _check(network, settings, watch)
    begun = time.perf_counter()
    real = np.float32 if precision == "single" else np.float64
    compiled = compile_network(network, seed=settings.seed, real=real)
    width = block_width(compiled, -(-settings.scenarios // (workers or os.cpu_count() or 1)))
    places = {int(place): number for number, place in enumerate(compiled.order)}
    by_name = {node.name: places[place] for place, node in enumerate(network.nodes)}
    watched = np.array([by_name[name] for name in watch], dtype=np.int64)
    blocks = [
        _Block(first, min(width, settings.scenarios - first), max(0, min(width, settings.traced - first)))
        for first in range(0, settings.scenarios, width)
    ]
    books = _Books(network, compiled, settings)
    traces: dict[int, NDArray[Any]] = {}

    def play(block: _Block) -> int:
        state = new_state(compiled, block.width, real)
        courses = np.zeros((3 + 2 * len(watched), settings.periods, min(block.traced, block.width)), dtype=real)
        run(
            compiled,
            state,
            settings,
            block.first,
            real,
            courses=courses,
            watched=watched,
            prices=books.prices,
            stockpyl=network.semantics is Semantics.STOCKPYL,
        )
        books.enter(block.first, state)
        traces[block.first] = courses.astype(np.float32)
        return block.width

    with ThreadPoolExecutor(max_workers=workers or os.cpu_count()) as pool:
        for done in as_completed([pool.submit(play, block) for block in blocks]):
            if progress:
                progress(done.result())
            else:
                done.result()
    return books.close(traces, watch, time.perf_counter() - begun)


def _check(network: Network, settings: Settings, watch: tuple[str, ...]) -> None:
    if settings.scenarios < 1 or settings.periods < 1:
        raise UsageError("At least one scenario and one period are needed.")
    if not 0 <= settings.warm_up < settings.periods:
        raise UsageError(f"The warm-up of {settings.warm_up} periods leaves nothing of {settings.periods}.")
    if settings.first % GROUP:
        raise UsageError(f"The first scenario's number must be a multiple of {GROUP}, not {settings.first}.")
    names = {node.name for node in network.nodes}
    for name in watch:
        if name not in names:
            raise UsageError(f"There is no node {name} to watch.")


def block_width(compiled: Compiled, most: int = _WIDEST) -> int:
    """Scenarios side by side: wide enough for long loops, at most `most`, and a period's state in the cache."""
    plan = compiled.plan
    nodes, lanes = len(plan.node_ints), len(plan.lane_ints)
    each = 4 * (nodes * (6 + 8) + lanes * 4)
    fits = min(_WIDEST, _CACHE_BYTES // each, most)
    return max(GROUP, -(-fits // GROUP) * GROUP)


def new_state(compiled: Compiled, width: int, real: Any) -> k.State:
    """State of `width` scenarios before the first period."""
    plan, starts, rows = compiled.plan, compiled.starts, compiled.rows
    nodes, lanes = len(plan.node_ints), len(plan.lane_ints)

    def zeros(count: int) -> NDArray[Any]:
        return np.zeros((count, width), dtype=real)

    def filled(values: Floats) -> NDArray[Any]:
        return np.repeat(values.astype(real)[:, None], width, axis=1)

    return k.State(
        level=filled(starts.level),
        position=filled(starts.position),
        asked=zeros(nodes),
        outside=zeros(nodes),
        order=zeros(nodes),
        owed_out=zeros(nodes),
        orders=filled(starts.orders),
        ring=filled(starts.ring),
        making=zeros(rows["making"]),
        owed=zeros(lanes),
        raw=zeros(len(plan.group_units)),
        coming=filled(starts.coming),
        aside=zeros(rows["extra"]),
        waiting=zeros(rows["extra"]),
        held=zeros(rows["extra"]),
        moving=filled(starts.moving),
        arrival=zeros(rows["random"]),
        trouble=zeros(len(plan.troubles)),
        happens=zeros(len(plan.troubles)),
        shared=zeros(rows["lucks"]),
        scratch=zeros(_SCRATCH),
        part=zeros(nodes * k.SUMS),
        total=np.zeros((nodes * k.SUMS, width)),
        lane_part=zeros(2 * lanes),
        lane_total=np.zeros((2 * lanes, width)),
    )


def run(
    compiled: Compiled,
    state: k.State,
    settings: Settings,
    first: int,
    real: Any,
    *,
    courses: Any,
    watched: Any,
    prices: Any,
    replay: Any = None,
    replayed: Any = None,
    record: k.Record | None = None,
    stockpyl: bool = False,
) -> None:
    """Run a block through all periods."""
    nothing = np.zeros((0, 0, 0), dtype=real)
    empty = k.Record(nodes=np.zeros((0, 0, 0, 0), dtype=real), lanes=np.zeros((0, 0, 0, 0), dtype=real))
    k.simulate_block(
        compiled.plan,
        state,
        settings.first + first,
        0,
        settings.periods,
        settings.periods,
        settings.warm_up,
        _FLUSH,
        stockpyl,
        compiled.any_transit,
        real(0),
        nothing if replay is None else replay,
        nothing if replayed is None else replayed,
        courses,
        watched,
        prices.astype(real),
        record or empty,
        record is not None,
    )


class _Books:
    """Turns sums of blocks into figures."""

    def __init__(self, network: Network, compiled: Compiled, settings: Settings) -> None:
        self.network, self.compiled, self.settings = network, compiled, settings
        self.nodes = [network.nodes[place] for place in compiled.order]
        self.counted = settings.periods - settings.warm_up
        self.prices = np.array([node.value for node in self.nodes])
        groups = -(-settings.scenarios // GROUP)
        self.sums = np.zeros((2, groups, k.SUMS + 3, len(self.nodes)))
        self.lane_sums = np.zeros((groups, 2, len(network.lanes)))
        self.money: dict[str, Floats] = {}
        names = ("holding", "in_transit", "stockout", "lost_sales", "ordering", "transport", "revenue")
        for name in (*names, "demand", "met", "lost", "alpha", "stock_value", "backlog"):
            self.money[name] = np.zeros(settings.scenarios)
        self.lane_rates = self._lane_rates()
        self.before = self._before()

    def _lane_rates(self) -> tuple[Floats, Floats, Floats]:
        by_name = {node.name: node for node in self.nodes}
        unit, transit, override = [], [], []
        for lane in self.network.lanes:
            source = by_name.get(lane.source)
            usual = 0.0 if source is None else _transit_rate(source)
            unit.append(lane.unit_cost)
            transit.append(usual if lane.in_transit_cost is None else lane.in_transit_cost)
            # a node's shipments are charged at the node's rate; what a lane says otherwise is the difference
            override.append(0.0 if lane.in_transit_cost is None else lane.in_transit_cost - usual)
        return np.array(unit), np.array(transit), np.array(override)

    def _lane_prices(self) -> Floats:
        """What the source of each lane earns for a unit."""
        prices = {node.name: node.price for node in self.nodes}
        return np.array([prices.get(lane.source, 0.0) for lane in self.network.lanes])

    def _before(self) -> tuple[Floats, Floats]:
        """Units under way since before the start, summed over the periods counted: [source node] and [lane]."""
        number = {node.name: place for place, node in enumerate(self.nodes)}
        nodes, lanes = np.zeros(len(self.nodes)), np.zeros(len(self.network.lanes))
        counted = np.arange(self.settings.warm_up, self.settings.periods)
        for e, lane in enumerate(self.network.lanes):
            if self.compiled.plan.lane_ints[e, k.D_TRANSIT] >= 0:
                continue  # counted as it moves
            lead = whole_lead(lane)
            lanes[e] = lane.initial_shipments * np.maximum(0, lead - 1 - counted).sum()
            if lane.source:
                nodes[number[lane.source]] += lanes[e]
            elif self.network.semantics is not Semantics.STOCKPYL:
                for leaves in range(lane.order_time):
                    lanes[e] += lane.initial_orders * ((counted >= leaves) & (counted < leaves + lead)).sum()
        return nodes, lanes

    def enter(self, first: int, state: k.State) -> None:
        """Enter a block."""
        nodes, width = len(self.nodes), state.total.shape[1]
        sums = state.total.reshape(nodes, k.SUMS, width)
        before_nodes, before_lanes = self.before
        sums[:, k.TRANSIT] += before_nodes[:, None]
        here = slice(first, first + width)
        each = self.nodes
        holding = np.array([n.holding_cost for n in each])
        transit = np.array([_transit_rate(n) for n in each])
        backlog = np.array([n.stockout_cost for n in each])
        missed = np.array([n.lost_sale_cost for n in each])
        fixed = np.array([n.order_cost for n in each])
        price = np.array([n.price for n in each])
        unit, _, override = self.lane_rates
        lanes = state.lane_total.reshape(-1, 2, width)
        lanes[:, 1] += before_lanes[:, None]
        outside = np.array([n.demand is not None for n in each])
        money = self.money
        money["holding"][here] = _added(holding, sums[:, k.ON_HAND]) + _added(1.0, sums[:, k.ELSEWHERE])
        money["in_transit"][here] = _added(transit, sums[:, k.TRANSIT]) + _added(override, lanes[:, 1])
        money["stockout"][here] = _added(backlog, sums[:, k.OWED])
        money["lost_sales"][here] = _added(missed, sums[:, k.LOST])
        money["ordering"][here] = _added(fixed, sums[:, k.ORDERS])
        money["transport"][here] = _added(unit, lanes[:, 0])
        money["revenue"][here] = _added(price, sums[:, k.SHIPPED_OUT])
        if self.network.semantics is Semantics.STOCKPYL:
            money["revenue"][here] += _added(self._lane_prices(), lanes[:, 0])
        money["demand"][here] = _added(1.0, sums[:, k.ASKED_OUT])
        money["met"][here] = _added(1.0, sums[:, k.MET_OUT])
        money["lost"][here] = _added(1.0, sums[:, k.LOST])
        asked = int(outside.sum())
        short = _added(1.0, sums[outside, k.SHORT])
        money["alpha"][here] = 1 - short / (asked * self.counted) if asked else np.nan
        money["stock_value"][here] = _added(self.prices, sums[:, k.ON_HAND] + sums[:, k.TRANSIT]) / self.counted
        money["backlog"][here] = _added(1.0, sums[outside, k.OWED]) / self.counted
        cost = holding[:, None] * sums[:, k.ON_HAND] + sums[:, k.ELSEWHERE] + transit[:, None] * sums[:, k.TRANSIT]
        cost += backlog[:, None] * sums[:, k.OWED] + missed[:, None] * sums[:, k.LOST]
        cost += fixed[:, None] * sums[:, k.ORDERS]
        into = np.array([self.compiled.plan.lane_ints[e, k.TARGET] for e in range(len(lanes))])
        np.add.at(cost, into, unit[:, None] * lanes[:, 0] + override[:, None] * lanes[:, 1])
        beta = _ratio(sums[:, k.MET], sums[:, k.ASKED])
        figures = np.concatenate(
            [sums, cost[:, None], beta[:, None], 1 - sums[:, k.SHORT][:, None] / self.counted], axis=1
        )
        for begin in range(0, width, GROUP):
            some = figures[:, :, begin : begin + GROUP]
            place = (first + begin) // GROUP
            self.sums[0, place] = some.sum(axis=2).T
            self.sums[1, place] = np.square(some).sum(axis=2).T
            self.lane_sums[place] = lanes[:, :, begin : begin + GROUP].sum(axis=2).T

    def close(self, traces: dict[int, NDArray[Any]], watch: tuple[str, ...], seconds: float) -> Results:
        """All figures."""
        count, periods = self.settings.scenarios, self.counted
        sums, squares = self.sums.sum(axis=1)
        mean = sums / count
        error = np.sqrt(np.maximum(0, squares / count - mean**2) / max(1, count - 1))
        back = np.argsort(self.compiled.order)
        columns = {
            "on_hand": k.ON_HAND, "backlog": k.OWED, "raw": k.RAW, "in_transit": k.TRANSIT, "demand": k.ASKED,
            "met": k.MET, "lost": k.LOST, "made": k.MADE, "orders": k.ORDERS, "cost": k.SUMS,
        }  # fmt: skip
        nodes = {name: mean[column][back] / periods for name, column in columns.items()}
        errors = {name: error[column][back] / periods for name, column in columns.items()}
        for name, column in (("beta", k.SUMS + 1), ("alpha", k.SUMS + 2)):
            nodes[name], errors[name] = mean[column][back], error[column][back]
        most = np.array([min(n.making_capacity, n.order_capacity) for n in self.network.nodes])
        nodes["use"] = np.where(np.isinf(most) | (most == 0), np.nan, nodes["made"] / np.where(most > 0, most, 1))
        errors["use"] = np.where(np.isinf(most) | (most == 0), np.nan, errors["made"] / np.where(most > 0, most, 1))
        scenarios = dict(self.money)
        scenarios["beta"] = _ratio(scenarios["met"], scenarios["demand"])
        parts = ("holding", "in_transit", "stockout", "lost_sales", "ordering", "transport")
        scenarios["cost"] = np.sum([scenarios[part] for part in parts], axis=0)
        return Results(
            network=self.network,
            settings=self.settings,
            scenarios=scenarios,
            nodes=nodes,
            nodes_error=errors,
            lanes=self._lanes(count * periods),
            courses=_courses(traces, watch),
            seconds=seconds,
            tallies=Tallies(nodes=self.sums, lanes=self.lane_sums),
        )

    def _lanes(self, counted: int) -> dict[str, Floats]:
        shipped, under_way = self.lane_sums.sum(axis=0) / counted
        unit, transit, _ = self.lane_rates
        most = np.array([lane.capacity for lane in self.network.lanes])
        use = np.where(np.isinf(most) | (most == 0), np.nan, shipped / np.where(most > 0, most, 1))
        cost = unit * shipped + transit * under_way
        return {"shipped": shipped, "in_transit": under_way, "cost": cost, "use": use}


def _transit_rate(node: Any) -> float:
    return float(node.holding_cost if node.in_transit_cost is None else node.in_transit_cost)


def _added(rates: Floats | float, rows: Floats) -> Floats:
    """Sum of `rows` [row, scenario], each times its rate, in the order of rows however many scenarios there are.

    A product of matrices is not: BLAS adds in another order for other widths, and NumPy for a single column.
    """
    weighed = rows * (rates if isinstance(rates, float) else rates[:, None])
    width = weighed.shape[1]
    if width == 1:
        weighed = np.repeat(weighed, 2, axis=1)
    return np.asarray(np.add.reduce(weighed, axis=0)[:width])


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.where(whole > 0, part / np.where(whole > 0, whole, 1), 1.0))


def _courses(traces: dict[int, NDArray[Any]], watch: tuple[str, ...]) -> dict[str, NDArray[np.float32]]:
    if not any(course.shape[2] for course in traces.values()):
        return {}
    all_ = np.concatenate([traces[first] for first in sorted(traces)], axis=2)
    courses = {"backlog": all_[0], "stock_value": all_[1], "demand": all_[2]}
    for place, name in enumerate(watch):
        courses[f"on_hand {name}"], courses[f"backlog {name}"] = all_[3 + 2 * place], all_[4 + 2 * place]
    return courses


def conclude(network: Network, settings: Settings, scenarios: Mapping[str, Floats], tallies: Tallies) -> Results:
    """Make results, without courses, from figures of all scenarios and the tallies of all groups.

    Args:
        network: What was simulated.
        settings: Of the whole study.
        scenarios: Figures of all scenarios in order.
        tallies: Of all groups in order.
    """
    books = _Books(network, compile_network(network, seed=settings.seed, real=np.float32), settings)
    for name in books.money:
        books.money[name] = scenarios[name]
    books.sums, books.lane_sums = tallies.nodes, tallies.lanes
    return books.close({}, (), 0.0)


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
        Arrays [period, node], nodes as in `network.nodes`: `inventory_level` (on hand less owed), `order`,
        `demand`, `made`, `met`, `outside_shipped`, `outside_owed`, `shipped`, `raw`, `holding_cost`,
        `stockout_cost`, `in_transit_cost`, `revenue`, `cost`, `fill_rate` (so far); and [period, lane]:
        `lane_shipped`, `lane_backorder`, `lane_aside`, `lane_waiting`, `lane_under_way`.
    """
    chosen = settings or Settings(scenarios=1, periods=periods)
    given = [name for name in demands if demands[name] is not None]
    compiled = compile_network(network, seed=chosen.seed, real=np.float64, replayed=given)
    state = new_state(compiled, 1, np.float64)
    nodes, lanes = len(network.nodes), len(network.lanes)
    record = k.Record(
        nodes=np.zeros((_NODE_RECORDS, periods, nodes, 1)), lanes=np.zeros((_LANE_RECORDS, periods, lanes, 1))
    )
    replay = np.array([demands[name] for name in given], dtype=np.float64).reshape(len(given), periods, 1)
    states = None
    if disrupted:
        states = np.array([disrupted[d.name] for d in network.disruptions], dtype=np.float64)[:, :, None]
    run(
        compiled,
        state,
        Settings(scenarios=1, periods=periods, seed=chosen.seed, first=chosen.first),
        0,
        np.float64,
        courses=np.zeros((3, 0, 0)),
        watched=np.zeros(0, dtype=np.int64),
        prices=np.zeros(nodes),
        replay=replay,
        replayed=states,
        record=record,
        stockpyl=network.semantics is Semantics.STOCKPYL,
    )
    back = np.argsort(compiled.order)
    return _follow(network, record.nodes[:, :, back, 0], record.lanes[:, :, :, 0])


def _follow(network: Network, nodes: Floats, lanes: Floats) -> dict[str, Floats]:
    level, order, demand, made, met, owed, shipped_out = nodes
    shipped, backorder, aside, waiting, raw, under_way = lanes
    number = {node.name: place for place, node in enumerate(network.nodes)}
    out = shipped_out.copy()
    held = np.maximum(level, 0)
    raw_total, raw_cost = np.zeros_like(level), np.zeros_like(level)
    moving_cost = np.zeros_like(level)
    sold = shipped_out.copy()
    for e, lane in enumerate(network.lanes):
        to = number[lane.target]
        raw_total[:, to] += raw[:, e]
        if not lane.source:
            continue
        source = number[lane.source]
        out[:, source] += shipped[:, e]
        if network.semantics is Semantics.STOCKPYL:
            sold[:, source] += shipped[:, e]
        held[:, source] += aside[:, e]
        raw_cost[:, to] += network.nodes[source].holding_cost * (raw[:, e] + waiting[:, e])
        rate = _transit_rate(network.nodes[source]) if lane.in_transit_cost is None else lane.in_transit_cost
        moving_cost[:, source] += rate * under_way[:, e]
    each = network.nodes
    cost = {
        "holding_cost": np.array([n.holding_cost for n in each]) * held + raw_cost,
        "stockout_cost": np.array([n.stockout_cost for n in each]) * np.maximum(-level, 0),
        "in_transit_cost": moving_cost,
        "revenue": np.array([n.price for n in each]) * sold,
    }
    asked = np.cumsum(demand, axis=0)
    return {
        "inventory_level": level,
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
        "fill_rate": _ratio(np.cumsum(met, axis=0), asked),
        "lane_shipped": shipped,
        "lane_backorder": backorder,
        "lane_aside": aside,
        "lane_waiting": waiting,
        "lane_under_way": under_way,
    }


__all__ = ["GROUP", "INFINITE", "simulate", "trajectories"]
