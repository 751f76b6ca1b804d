"""Turns sums of blocks into figures.

Invariants:
    - Figures of nodes and lanes are added up in groups of scenarios, one group after the other, whichever block is
      done first. So they depend neither on workers nor on blocks.
"""

from collections.abc import Mapping
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.blocks import GROUP, in_groups
from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.network import Network, Node, Semantics
from kifabrik.recipes.supply_chain.plan import Compiled
from kifabrik.recipes.supply_chain.results import Results, Settings, Tallies
from kifabrik.recipes.supply_chain.starting import whole_lead

Floats = NDArray[np.float64]
Inside = tuple[Floats, Floats]
_COST, _BETA, _ALPHA = range(lay.SUMS, lay.SUMS + 3)
_FIGURES = lay.SUMS + 3
_MONEY = (
    "holding", "in_transit", "stockout", "lost_sales", "ordering", "transport", "revenue",
    "demand", "met", "lost", "alpha", "stock_value", "backlog",
)  # fmt: skip


class Books:
    """Figures of a study, as blocks come in.

    Args:
        network: What is simulated.
        compiled: The same for the kernel.
        settings: How.
        tallied: Whether to keep what each group of scenarios adds.
    """

    def __init__(self, network: Network, compiled: Compiled, settings: Settings, *, tallied: bool = False) -> None:
        self.network, self.compiled, self.settings = network, compiled, settings
        self.nodes = [network.nodes[place] for place in compiled.order]
        self.counted = settings.periods - settings.warm_up
        self.prices = np.array([node.value for node in self.nodes])
        self.scenarios = {name: np.zeros(settings.scenarios) for name in _MONEY}
        self._sums, self._squares = np.zeros((2, _FIGURES, len(self.nodes)))
        self._lane_sums = np.zeros((lay.LANE_SUMS, len(network.lanes)))
        self._waiting: dict[int, tuple[int, Floats, Floats, Floats]] = {}
        self._next = 0
        self._lock = Lock()
        self._tallies: list[tuple[Floats, Floats, Floats]] | None = [] if tallied else None
        self._has_all = np.append(compiled.plan.node_ints[1:, lay.BOOK], compiled.rows["books"])
        self._has_all = np.flatnonzero(self._has_all - compiled.plan.node_ints[:, lay.BOOK] == lay.SUMS)
        books = compiled.plan.lane_ints[:, lay.LANE_BOOK]
        self._booked = np.argsort(books)[np.count_nonzero(books < 0) :]  # in the order of their rows
        self._unit, self._transit, self._difference = self._lane_rates()
        self._order_cost = np.array([lane.order_cost for lane in network.lanes])
        self._node_before, self._lane_before, self._shipped_before = self._before()

    def _of_nodes(self, name: str) -> Floats:
        return np.array([getattr(node, name) for node in self.nodes], dtype=np.float64)

    def _lane_rates(self) -> tuple[Floats, Floats, Floats]:
        """Of each lane: for a unit shipped, for one under way, and by how much that differs from the source's."""
        by_name = {node.name: node for node in self.nodes}
        unit, transit, difference = [], [], []
        for lane in self.network.lanes:
            source = by_name.get(lane.source)
            usual = 0.0 if source is None else transit_rate(source)
            unit.append(lane.unit_cost)
            transit.append(usual if lane.in_transit_cost is None else lane.in_transit_cost)
            # a node's shipments are charged at the node's rate; what a lane says otherwise is the difference
            difference.append(transit[-1] - usual)
        return np.array(unit), np.array(transit), np.array(difference)

    def _before(self) -> tuple[Floats, Floats, Floats]:
        """Of what was shipped or ordered before the start, in the periods counted.

        Returns:
            Units under way, summed over periods: [source node] and [lane]; units shipped on each lane.
        """
        number = {node.name: place for place, node in enumerate(self.nodes)}
        nodes, (lanes, shipped) = np.zeros(len(self.nodes)), np.zeros((2, len(self.network.lanes)))
        ints = self.compiled.plan.lane_ints
        counted = np.arange(self.settings.warm_up, self.settings.periods)
        for e, lane in enumerate(self.network.lanes):
            if ints[e, lay.D_TRANSIT] >= 0:
                continue  # counted as it moves
            if lane.initial_shipments:
                lead = whole_lead(lane)
                lanes[e] = lane.initial_shipments * np.maximum(0, lead - 1 - counted).sum()
            if lane.source:
                nodes[number[lane.source]] += lanes[e]
            elif (
                lane.initial_orders and not ints[e, lay.HEARS] and self.network.semantics is not Semantics.STOCKPYL
            ):
                shipped[e] = lane.initial_orders * (counted < lane.order_time).sum()
                for leaves in range(lane.order_time):
                    there = (counted >= leaves) & (counted < leaves + whole_lead(lane))
                    lanes[e] += lane.initial_orders * there.sum()
        return nodes, lanes, shipped

    def enter(self, first: int, state: lay.State, begin: Inside, end: Inside) -> None:
        """Enter a block; `begin` and `end` are what was inside the lanes before and after the periods counted."""
        width = state.total.shape[1]
        books = _Block(self, state)
        lanes = state.lane_total.reshape(-1, lay.LANE_SUMS, width)
        lanes[:, lay.UNDER_WAY] += self._lane_before[self._booked, None]
        lanes[:, lay.SHIPPED] += self._shipped_before[self._booked, None]
        self._enter_money(slice(first, first + width), books, lanes)
        groups = -(-width // GROUP)
        sums, squares = np.empty((2, _FIGURES, len(self.nodes), groups))
        for column, figure in enumerate(self._figures(books, lanes)):
            sums[column], squares[column] = in_groups(figure), in_groups(np.square(figure))
        of_lanes = self._lane_groups(lanes, sums[lay.MADE], begin, end)
        with self._lock:
            self._waiting[first] = groups * GROUP, sums, squares, of_lanes
            while self._next in self._waiting:
                step, *some = self._waiting.pop(self._next)
                for group in range(some[0].shape[-1]):
                    self._add(*(each[..., group] for each in some))
                self._next += step

    def _add(self, *tally: Floats) -> None:
        """Add what a group adds: sums and sums of squares of nodes, sums of lanes."""
        for kept, each in zip((self._sums, self._squares, self._lane_sums), tally, strict=True):
            np.add(kept, each, out=kept)
        if self._tallies is not None:
            sums, squares, lanes = tally
            self._tallies.append((sums.copy(), squares.copy(), lanes.copy()))

    def resume(self, scenarios: Mapping[str, Floats], tallies: Tallies) -> None:
        """Enter all scenarios of a study that was simulated in parts.

        Args:
            scenarios: Their figures, in order.
            tallies: Of all groups, in order.
        """
        for name in self.scenarios:
            self.scenarios[name] = scenarios[name]
        for (sums, squares), lanes in zip(tallies.nodes, tallies.lanes, strict=True):
            self._add(sums, squares, lanes)

    def _figures(self, books: "_Block", lanes: Floats) -> Any:
        """What is kept of each node, one [node, scenario] after the other."""
        for column in range(lay.SUMS):
            yield books[column]
        cost = self._of_nodes("holding_cost")[:, None] * books[lay.ON_HAND] + books[lay.ELSEWHERE]
        rates = {
            lay.OWED: self._of_nodes("stockout_cost"), lay.LOST: self._of_nodes("lost_sale_cost"),
            lay.ORDERS: self._of_nodes("order_cost"), lay.TRANSIT: np.array([transit_rate(n) for n in self.nodes]),
        }  # fmt: skip
        for column, rate in rates.items():
            if rate.any():
                cost += rate[:, None] * books[column]
        rates_of_lanes = np.array([self._unit, self._difference, self._order_cost])
        dear = np.flatnonzero((rates_of_lanes[:, self._booked] != 0).any(axis=0))
        for place in dear:
            e = self._booked[place]
            paid = self._unit[e] * lanes[place, lay.SHIPPED] + self._difference[e] * lanes[place, lay.UNDER_WAY]
            paid = paid + self._order_cost[e] * lanes[place, lay.ORDERED]
            cost[self.compiled.plan.lane_ints[e, lay.TARGET]] += paid
        yield cost
        yield ratio(books[lay.MET], books[lay.ASKED])
        yield 1 - books[lay.SHORT] / self.counted

    def _enter_money(self, here: slice, books: "_Block", lanes: Floats) -> None:
        booked = self._booked
        outside = np.array([n.demand is not None for n in self.nodes])
        asked = int(outside.sum())
        transit = np.array([transit_rate(n) for n in self.nodes])
        totals = {
            "holding": added(self._of_nodes("holding_cost"), books[lay.ON_HAND]) + added(1.0, books[lay.ELSEWHERE]),
            "in_transit": added(transit, books[lay.TRANSIT])
            + added(self._difference[booked], lanes[:, lay.UNDER_WAY]),
            "stockout": added(self._of_nodes("stockout_cost"), books[lay.OWED]),
            "lost_sales": added(self._of_nodes("lost_sale_cost"), books[lay.LOST]),
            "ordering": added(self._of_nodes("order_cost"), books[lay.ORDERS])
            + added(self._order_cost[booked], lanes[:, lay.ORDERED]),
            "transport": added(self._unit[booked], lanes[:, lay.SHIPPED]),
            "revenue": added(self._of_nodes("price"), books[lay.SHIPPED_OUT]),
            "demand": added(1.0, books[lay.ASKED_OUT]),
            "met": added(1.0, books[lay.MET_OUT]),
            "lost": added(1.0, books[lay.LOST]),
            "alpha": 1 - added(1.0, books[lay.SHORT][outside]) / (asked * self.counted) if asked else np.nan,
            "stock_value": added(self.prices, books[lay.ON_HAND] + books[lay.TRANSIT]) / self.counted,
            "backlog": added(1.0, books[lay.OWED][outside]) / self.counted,
        }
        if self.network.semantics is Semantics.STOCKPYL:
            prices = {node.name: node.price for node in self.nodes}
            sold = np.array([prices.get(self.network.lanes[e].source, 0.0) for e in booked])
            totals["revenue"] = totals["revenue"] + added(sold, lanes[:, lay.SHIPPED])
        for name, values in totals.items():
            self.scenarios[name][here] = values

    def _lane_groups(self, lanes: Floats, made: Floats, begin: Inside, end: Inside) -> Floats:
        """Units shipped, unit-periods under way and orders, [figure, lane, group].

        They are as booked; of other lanes they follow by conservation of material, and orders are not counted.
        """
        plan, ints = self.compiled.plan, self.compiled.plan.lane_ints
        found = np.empty((lay.LANE_SUMS, len(ints), made.shape[1]))
        used = plan.group_units.astype(np.float64)[:, None] * np.repeat(made, np.diff(plan.group_start), axis=0)
        of_lane = np.empty(len(ints), dtype=np.int64)
        of_lane[plan.group_lane] = np.repeat(np.arange(len(used)), np.diff(plan.group_lane_start))
        found[lay.SHIPPED] = used[of_lane] + end[0] - begin[0]
        travels = (ints[:, lay.LEAD] - ints[:, lay.BEFORE_LEAVING])[:, None]
        found[lay.ORDERED] = 0
        found[lay.UNDER_WAY] = found[lay.SHIPPED] * travels + begin[1] - end[1]
        for column in range(lay.LANE_SUMS):
            found[column, self._booked] = in_groups(lanes[:, column])
        return found

    def close(self, traces: dict[int, NDArray[Any]], watch: tuple[str, ...], seconds: float) -> Results:
        """All figures."""
        count, periods = self.settings.scenarios, self.counted
        mean = self._sums / count
        error = np.sqrt(np.maximum(0, self._squares / count - mean**2) / max(1, count - 1))
        back = np.argsort(self.compiled.order)
        columns = {
            "on_hand": lay.ON_HAND, "backlog": lay.OWED, "raw": lay.RAW, "in_transit": lay.TRANSIT,
            "demand": lay.ASKED, "met": lay.MET, "lost": lay.LOST, "made": lay.MADE, "orders": lay.ORDERS,
            "cost": _COST,
        }  # fmt: skip
        nodes = {name: mean[column][back] / periods for name, column in columns.items()}
        errors = {name: error[column][back] / periods for name, column in columns.items()}
        for name, column in (("beta", _BETA), ("alpha", _ALPHA)):
            nodes[name], errors[name] = mean[column][back], error[column][back]
        always = self.compiled.plan.node_ints[back, lay.PLAIN_RULE] > 0
        nodes["orders"][always] = errors["orders"][always] = np.nan
        most = np.array([min(n.making_capacity, n.order_capacity) for n in self.network.nodes])
        nodes["use"], errors["use"] = _use(nodes["made"], most), _use(errors["made"], most)
        scenarios = dict(self.scenarios)
        scenarios["beta"] = ratio(scenarios["met"], scenarios["demand"])
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
            tallies=self._kept_tallies(),
        )

    def _kept_tallies(self) -> Tallies | None:
        if self._tallies is None:
            return None
        return Tallies(
            nodes=np.array([(sums, squares) for sums, squares, _ in self._tallies]),
            lanes=np.array([lanes for *_, lanes in self._tallies]),
        )

    def _lanes(self, counted: int) -> dict[str, Floats]:
        shipped, under_way, ordered = self._lane_sums / counted
        most = np.array([lane.capacity for lane in self.network.lanes])
        cost = self._unit * shipped + self._transit * under_way + self._order_cost * ordered
        return {"shipped": shipped, "in_transit": under_way, "cost": cost, "use": _use(shipped, most)}


class _Block:
    """Sums of a block by column, zero where a node has no row for them; each [node, scenario]."""

    def __init__(self, books: Books, state: lay.State) -> None:
        self._rows = books.compiled.plan.node_ints[:, lay.BOOK]
        self._total, self._has_all = state.total, books._has_all  # noqa: SLF001 - one class in two parts
        self._total[self._rows + lay.TRANSIT] += books._node_before[:, None]  # noqa: SLF001

    def __getitem__(self, column: int) -> Floats:
        if column < lay.USUAL_SUMS:
            return np.asarray(self._total[self._rows + column])
        found = np.zeros((len(self._rows), self._total.shape[1]))
        found[self._has_all] = self._total[self._rows[self._has_all] + column]
        return found


def transit_rate(node: Node) -> float:
    """What a unit of a node costs in a period on its way."""
    return float(node.holding_cost if node.in_transit_cost is None else node.in_transit_cost)


def added(rates: Floats | float, rows: Floats) -> Floats:
    """Sum of `rows` [row, scenario], each times its rate, in the order of rows however many scenarios there are.

    A product of matrices is not: BLAS adds in another order for other widths, and NumPy for a single column.
    """
    weighed = rows * (rates if isinstance(rates, float) else rates[:, None])
    width = weighed.shape[1]
    if width == 1:
        weighed = np.repeat(weighed, 2, axis=1)
    return np.asarray(np.add.reduce(weighed, axis=0)[:width])


def ratio(part: Floats, whole: Floats) -> Floats:
    """A share; 1 of nothing."""
    return np.asarray(np.where(whole > 0, part / np.where(whole > 0, whole, 1), 1.0))


def _use(amount: Floats, most: Floats) -> Floats:
    """Share of a capacity; NaN where there is none."""
    limited = ~np.isinf(most) & (most > 0)
    return np.asarray(np.where(limited, amount / np.where(limited, most, 1), np.nan))


def _courses(traces: dict[int, NDArray[Any]], watch: tuple[str, ...]) -> dict[str, NDArray[np.float32]]:
    if not any(course.shape[2] for course in traces.values()):
        return {}
    all_ = np.concatenate([traces[first] for first in sorted(traces)], axis=2)
    courses = {"backlog": all_[0], "stock_value": all_[1], "demand": all_[2]}
    for place, name in enumerate(watch):
        courses[f"on_hand {name}"], courses[f"backlog {name}"] = all_[3 + 2 * place], all_[4 + 2 * place]
    return courses
