"""Turns a network into the arrays the kernel runs on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain import luck
from kifabrik.recipes.supply_chain.distributions import Kind
from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.network import (
    INFINITE,
    Allocation,
    Disruption,
    Effect,
    Network,
    Node,
    Rule,
    Semantics,
)
from kifabrik.recipes.supply_chain.quantiles import Tables
from kifabrik.recipes.supply_chain.starting import (
    Starts,
    component_units,
    ordered_before,
    starting_state,
    whole_lead,
)

_RULES: Final = {
    Rule.BASE_STOCK: lay.BASE_STOCK,
    Rule.ECHELON_BASE_STOCK: lay.ECHELON,
    Rule.MIN_MAX: lay.MIN_MAX,
    Rule.FIXED_LOT: lay.FIXED_LOT,
    Rule.FIXED_QUANTITY: lay.FIXED_QUANTITY,
}
_ALLOCATIONS: Final = {
    Allocation.PRIORITY: lay.PRIORITY,
    Allocation.PROPORTIONAL: lay.PROPORTIONAL,
    Allocation.FIRST_COME: lay.FIRST_COME,
}
_MOST_LEAD: Final = 5000


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
    order: NDArray[np.int64]
    rows: dict[str, int]
    any_transit: bool


class _Compiler:
    def __init__(self, network: Network, seed: int, real: Any, replayed: Sequence[str]) -> None:
        self.network, self.seed, self.real = network, seed, real
        self.stockpyl = network.semantics is Semantics.STOCKPYL
        self.replayed = {name: row for row, name in enumerate(replayed)}
        places = {node.name: place for place, node in enumerate(network.nodes)}
        self.order = np.array([places[name] for name in network.in_order()])
        self.nodes = [network.nodes[place] for place in self.order]
        self.number = {node.name: number for number, node in enumerate(self.nodes)}
        self.lanes = network.lanes
        self.tables = Tables()
        self.node_ints = np.full((len(self.nodes), lay.NODE_INTS), -1, dtype=np.int64)
        self.node_reals = np.zeros((len(self.nodes), lay.NODE_REALS))
        self.lane_ints = np.full((len(self.lanes), lay.LANE_INTS), -1, dtype=np.int64)
        self.lane_reals = np.zeros((len(self.lanes), lay.LANE_REALS))
        self.lane_ints[:, lay.MOVES] = 0
        self.lane_ints[:, lay.CROSSES] = 1
        self.extra = self.random = self.making = self.lane_books = 0
        self.groups: list[list[list[int]]] = []
        self.pairs: list[tuple[int, int]] = []

    def compile(self) -> Compiled:
        self._group()
        self._effects()
        echelon = self._echelon()
        for i, node in enumerate(self.nodes):
            self._node(i, node)
        self._rings()
        self._books()
        out_start, out_lane = self._out()
        group_start = np.cumsum([0, *(len(groups) for groups in self.groups)])
        flat = [group for groups in self.groups for group in groups]
        owner = [i for i, groups in enumerate(self.groups) for _ in groups]
        units = component_units(self.network, self.nodes, self.groups)
        rates = [
            next(
                (self.nodes[self.number[self.lanes[e].source]].holding_cost for e in g if self.lanes[e].source), 0.0
            )
            for g in flat
        ]
        lucks = sorted({n.demand.shared_luck for n in self.nodes if n.demand and n.demand.shared_luck})
        for i, node in enumerate(self.nodes):
            if node.demand and node.demand.shared_luck:
                self.node_ints[i, lay.LUCK] = lucks.index(node.demand.shared_luck)
        real = self.real
        troubles, trouble_reals = self._troubles()
        plan = lay.Plan(
            node_ints=self.node_ints,
            node_reals=self.node_reals.astype(real),
            out_start=out_start,
            out_lane=out_lane,
            group_start=group_start,
            group_lane_start=np.cumsum([0, *(len(group) for group in flat)]),
            group_lane=np.array([e for group in flat for e in group], dtype=np.int64),
            group_units=units.astype(real),
            group_rate=np.array(rates, dtype=real),
            raw_at=_rows_where([self.node_ints[i, lay.MAKES] > 0 for i in owner]),
            coming_at=_rows_where([not self.node_ints[i, lay.PLAIN] for i in owner]),
            lane_ints=self.lane_ints,
            lane_reals=self.lane_reals.astype(real),
            factors=np.array(self.factors, dtype=real),
            tables=_stack(self.tables.continuous, real),
            begins=_stack(self.tables.begins, np.int32),
            ends=np.concatenate([*self.tables.ends, np.zeros(1, np.uint32)]).astype(np.uint32),
            values=np.concatenate([*self.tables.values, np.zeros(1)]).astype(real),
            keys=self._keys(lucks),
            troubles=troubles,
            trouble_reals=trouble_reals,
            scores=luck.score_table(),
            normal=luck.normal_table().astype(real)[None, :],
            **echelon,
        )
        rows = {
            "making": self.making, "extra": self.extra, "random": self.random, "lucks": len(lucks),
            "raw": int(plan.raw_at.max(initial=-1)) + 1, "ring": self.ring_rows, "orders": self.order_rows,
            "books": self.book_rows, "lane_books": self.lane_books * lay.LANE_SUMS,
        }  # fmt: skip
        starts = starting_state(self.network, self.nodes, self.groups, plan, rows)
        any_transit = bool((self.lane_ints[:, lay.D_TRANSIT] >= 0).any())
        return Compiled(plan=plan, starts=starts, order=self.order, rows=rows, any_transit=any_transit)

    def _group(self) -> None:
        into: list[dict[str, list[int]]] = [{} for _ in self.nodes]
        for e, lane in enumerate(self.lanes):
            into[self.number[lane.target]].setdefault(lane.component, []).append(e)
        self.groups = [[sorted(g, key=lambda e: self.lanes[e].rank) for g in groups.values()] for groups in into]

    def _lanes_into(self, i: int) -> list[int]:
        return [e for group in self.groups[i] for e in group]

    def _effects(self) -> None:
        for d, disruption in enumerate(self.network.disruptions):
            found = self._hit(d, disruption)
            if not found:
                raise UsageError(
                    f"The disruption {disruption.name} is to hit {disruption.target}, which is not there.",
                    hint="Name a node (product@site, or *@site), a lane or a supplier.",
                )

    def _hit(self, d: int, disruption: Disruption) -> bool:
        target = disruption.target
        if disruption.effect in {Effect.LANE_OUTAGE, Effect.SUPPLIER_OUTAGE}:
            by_name = disruption.effect is Effect.LANE_OUTAGE
            hit = [e for e, x in enumerate(self.lanes) if target == (x.name if by_name else x.supplier)]
            for e in hit:
                self._set(self.lane_ints, e, lay.D_LANE, d)
            return bool(hit)
        nodes = [
            i for i, n in enumerate(self.nodes) if target == n.name or (target[:2] == "*@" and target[2:] == n.site)
        ]
        column = {
            Effect.ORDERS_PAUSE: lay.D_ORDERS,
            Effect.OUTAGE: lay.D_OUT,
            Effect.CAPACITY_LOSS: lay.D_CAPACITY,
            Effect.STOCK_LOSS: lay.D_STOCK,
        }.get(disruption.effect)
        lanes_column = {
            Effect.SHIPMENTS_PAUSE: lay.D_TO,
            Effect.TRANSIT_PAUSE: lay.D_TRANSIT,
            Effect.RECEIPTS_PAUSE: lay.D_RECEIPTS,
        }
        for i in nodes:
            if column is not None:
                self._set(self.node_ints, i, column, d)
                continue
            for e in self._lanes_into(i):
                self._set(self.lane_ints, e, lanes_column[disruption.effect], d)
        return bool(nodes)

    def _set(self, ints: NDArray[np.int64], row: int, column: int, d: int) -> None:
        if ints[row, column] >= 0:
            d = self._either(int(ints[row, column]), d)
        ints[row, column] = d

    def _either(self, first: int, second: int) -> int:
        """A trouble that is there while one of two is; where shares differ, with the larger."""
        pair = (first, second)
        if pair not in self.pairs:
            self.pairs.append(pair)
        return len(self.network.disruptions) + self.pairs.index(pair)

    def _troubles(self) -> tuple[Any, Any]:
        """Ints and reals of all troubles, those that stand for two last."""
        ints = [[-1 if d.start is None else d.start, d.duration, 0, 0] for d in self.network.disruptions]
        reals = [[d.chance, d.probability, d.recovery, d.share] for d in self.network.disruptions]
        for first, second in self.pairs:
            ints.append([lay.EITHER, 0, first, second])
            reals.append([0.0, 0.0, 0.0, max(reals[first][3], reals[second][3])])
        return np.array(ints, dtype=np.int64).reshape(-1, 4), np.array(reals, dtype=self.real).reshape(-1, 4)

    def _echelon(self) -> dict[str, Any]:
        nodes: list[list[int]] = [[] for _ in self.nodes]
        units: list[list[float]] = [[] for _ in self.nodes]
        lanes: list[list[int]] = [[] for _ in self.nodes]
        lane_units: list[list[float]] = [[] for _ in self.nodes]
        out: list[list[int]] = [[] for _ in self.nodes]
        for e, lane in enumerate(self.lanes):
            if lane.source:
                out[self.number[lane.source]].append(e)
        for i, node in enumerate(self.nodes):
            if node.policy.rule is not Rule.ECHELON_BASE_STOCK:
                continue
            share = {i: 1.0}
            for j in range(i, len(self.nodes)):
                if j not in share:
                    continue
                seen = set()
                for e in out[j]:
                    to = self.number[self.lanes[e].target]
                    lanes[i].append(e)
                    lane_units[i].append(1.0 if self.stockpyl else share[j])
                    self.lane_ints[e, lay.MOVES] = 1
                    if (to, self.lanes[e].component) not in seen:
                        seen.add((to, self.lanes[e].component))
                        share[to] = share.get(to, 0.0) + share[j] * self.lanes[e].quantity / self.nodes[to].yields
            del share[i]
            nodes[i] = list(share)
            units[i] = [1.0 if self.stockpyl else value for value in share.values()]
        return {
            "echelon_start": np.cumsum([0, *map(len, nodes)]),
            "echelon": np.array([j for each in nodes for j in each], dtype=np.int64),
            "echelon_units": np.array([x for each in units for x in each], dtype=self.real),
            "echelon_lane_start": np.cumsum([0, *map(len, lanes)]),
            "echelon_lane": np.array([e for each in lanes for e in each], dtype=np.int64),
            "echelon_lane_units": np.array([x for each in lane_units for x in each], dtype=self.real),
        }

    factors: list[float]

    def _node(self, i: int, node: Node) -> None:
        ints, reals, policy = self.node_ints[i], self.node_reals[i], node.policy
        if i == 0:
            self.factors = [1.0]
        ints[[lay.RULE, lay.REVIEW, lay.OFFSET]] = _RULES[policy.rule], policy.review, policy.offset
        ints[lay.ALLOCATION] = _ALLOCATIONS[node.allocation]
        reals[[lay.LEVEL, lay.POINT, lay.QUANTITY]] = policy.level, policy.reorder_point, policy.quantity
        reals[[lay.MINIMUM, lay.LOT, lay.STORAGE]] = policy.minimum, policy.lot, node.storage
        cap = INFINITE if self.stockpyl and node.order_capacity == 0 else node.order_capacity
        reals[[lay.ORDER_CAP, lay.MAKE_CAP, lay.WAITS]] = cap, node.making_capacity, node.backorder_share
        ints[lay.MAKING_LENGTH], ints[lay.MAKING_AT] = node.making_time, self.making
        self.making += node.making_time
        lanes = [self.lanes[e] for e in self._lanes_into(i)]
        limited = any(lane.capacity < INFINITE or lane.lot > 0 for lane in lanes)
        ints[lay.PLAIN] = not limited and all(len(group) == 1 for group in self.groups[i]) and self._balanced(i)
        ints[lay.PLAIN_RULE] = (
            policy.rule is Rule.BASE_STOCK
            and (policy.review, policy.minimum, policy.lot, node.storage, cap) == (1, 0, 0, INFINITE, INFINITE)
            and ints[lay.D_ORDERS] < 0
            and node.order_cost == 0
        )
        many = len(self.groups[i]) > 1
        ints[lay.MAKES] = many or node.making_capacity < INFINITE or node.making_time > 0 or ints[lay.D_OUT] >= 0
        ints[lay.DEMAND], ints[lay.FACTOR_AT], ints[lay.FACTORS], ints[lay.WHOLE] = lay.NO_DEMAND, 0, 1, 0
        if node.name in self.replayed:
            ints[[lay.DEMAND, lay.TABLE]] = lay.REPLAY, self.replayed[node.name]
        elif node.demand:
            self._draws(ints, reals, node)

    def _draws(self, ints: NDArray[np.int64], reals: NDArray[np.float64], node: Node) -> None:
        demand = node.demand
        assert demand is not None  # noqa: S101
        each = demand.each
        if demand.factors:
            ints[[lay.FACTOR_AT, lay.FACTORS]] = len(self.factors), len(demand.factors)
            self.factors.extend(demand.factors)
        reals[lay.LOADING], reals[lay.REST] = demand.loading, np.sqrt(max(0.0, 1 - demand.loading**2))
        if each.is_certain:
            ints[lay.DEMAND], reals[lay.MEAN] = lay.CERTAIN, float(each.quantile(0.5))
        elif each.kind is Kind.NORMAL:
            ints[lay.DEMAND], reals[lay.MEAN], reals[lay.SD] = lay.NORMAL, each.mean, each.sd
        else:
            row, steps, discrete, whole = self.tables.demand(each)
            ints[[lay.DEMAND, lay.TABLE, lay.STEPS]] = lay.DISCRETE if discrete else lay.CONTINUOUS, row, steps
            ints[lay.WHOLE] = whole or (
                each.kind in {Kind.POISSON, Kind.NEGATIVE_BINOMIAL} and bool(demand.factors)
            )

    def _balanced(self, i: int) -> bool:
        coming = [ordered_before(self.lanes[e]) / self.lanes[e].quantity for e in self._lanes_into(i)]
        lanes = [self.lanes[e] for e in self._lanes_into(i)]
        same_rows = len({lane.initial_orders / lane.quantity for lane in lanes}) == 1
        return same_rows and len(set(coming)) == 1

    def _rings(self) -> None:
        ring = orders = 0
        for i in range(len(self.nodes)):
            into = self._lanes_into(i)
            ints = self.node_ints[i]
            if ints[lay.PLAIN]:
                ints[lay.ORDER_AT], ints[lay.ORDER_LENGTH] = orders, max(self.lanes[e].order_time for e in into) + 1
                orders += int(ints[lay.ORDER_LENGTH])
            for group in self.groups[i]:
                quotas = sum(self.lanes[e].quota for e in group)
                for e in group:
                    self._lane(e, quotas, alone=len(group) == 1)
                    row = self.lane_ints[e]
                    if ints[lay.PLAIN]:
                        row[[lay.L_ORDER_AT, lay.L_ORDER_LENGTH]] = ints[[lay.ORDER_AT, lay.ORDER_LENGTH]]
                        self.lane_reals[e, lay.UNITS] = self.lanes[e].quantity / self.nodes[i].yields
                    else:
                        row[[lay.L_ORDER_AT, lay.L_ORDER_LENGTH]] = orders, self.lanes[e].order_time + 1
                        orders += self.lanes[e].order_time + 1
                        self.lane_reals[e, lay.UNITS] = 1.0
                    row[lay.RING_AT] = ring
                    ring += int(row[lay.RING_LENGTH])
        self.ring_rows, self.order_rows = ring, orders

    def _lane(self, e: int, quotas: float, *, alone: bool) -> None:
        lane, ints, reals = self.lanes[e], self.lane_ints[e], self.lane_reals[e]
        ints[lay.SOURCE] = self.number[lane.source] if lane.source else -1
        ints[lay.TARGET], ints[lay.ORDER_TIME] = self.number[lane.target], lane.order_time
        before = 0 if lane.source else lane.order_time
        if lane.lead_time.is_certain:
            ints[lay.LEAD] = whole_lead(lane) + before
            longest = int(ints[lay.LEAD])
        else:
            row, steps, longest = self.tables.lead(lane.lead_time)
            longest += before
            ints[[lay.LEAD, lay.LEAD_TABLE, lay.LEAD_STEPS, lay.ARRIVED]] = longest, row, steps, self.random
            ints[lay.CROSSES] = lane.crossing
            self.random += 1
        if longest > _MOST_LEAD:
            raise UsageError(
                f"The lead time of {lane.name} is {longest} periods; at most {_MOST_LEAD} are possible."
            )
        ints[lay.RING_LENGTH] = longest + 1
        ints[lay.BEFORE_LEAVING] = before
        reals[[lay.CAPACITY, lay.LANE_LOT]] = lane.capacity, lane.lot
        reals[lay.SOURCE_RATE] = self.nodes[ints[lay.SOURCE]].holding_cost if lane.source else 0.0
        reals[lay.QUOTA] = lane.quota / quotas if quotas > 0 else -1.0
        charged = lane.unit_cost or lane.order_cost or lane.in_transit_cost is not None or lane.capacity < INFINITE
        sold = self.stockpyl and lane.source and self.nodes[ints[lay.SOURCE]].price
        ints[lay.ALONE] = alone
        ints[lay.MOVES] |= ints[lay.D_TRANSIT] >= 0
        hit = any(ints[column] >= 0 for column in (lay.D_TO, lay.D_TRANSIT, lay.D_RECEIPTS, lay.D_LANE))
        if hit or ints[lay.MOVES]:
            ints[lay.EXTRA] = self.extra
            self.extra += 1
        # what the others ship follows from what is made of it: see lane_figures
        if charged or sold or hit or not alone or not lane.lead_time.is_certain:
            ints[lay.LANE_BOOK] = self.lane_books * lay.LANE_SUMS
            self.lane_books += 1

    def _books(self) -> None:
        """Rows of nodes' books; only nodes where the unusual sums can be other than zero have rows for them."""
        aside = {int(self.lane_ints[e, lay.SOURCE]) for e in np.flatnonzero(self.lane_ints[:, lay.D_TO] >= 0)}
        waits = {int(self.lane_ints[e, lay.TARGET]) for e in np.flatnonzero(self.lane_ints[:, lay.D_RECEIPTS] >= 0)}
        self.book_rows = 0
        for i, ints in enumerate(self.node_ints):
            usual = ints[lay.DEMAND] == lay.NO_DEMAND and ints[lay.PLAIN_RULE] and not ints[lay.MAKES]
            ints[lay.BOOK] = self.book_rows
            self.book_rows += lay.USUAL_SUMS if usual and i not in aside | waits else lay.SUMS

    def _out(self) -> tuple[Any, Any]:
        out: list[list[int]] = [[] for _ in self.nodes]
        for e, lane in enumerate(self.lanes):
            if lane.source:
                out[self.number[lane.source]].append(e)
        for i, lanes in enumerate(out):
            lanes.sort(key=lambda e: self.lanes[e].customer_rank)
            self.node_ints[i, lay.SINK] = not lanes
        flat = [e for lanes in out for e in lanes]
        return np.cumsum([0, *map(len, out)]), np.array(flat, dtype=np.int64)

    def _keys(self, lucks: Sequence[str]) -> Any:
        seen: dict[str, int] = {}
        names = [f"demand {node.name}" for node in self.nodes]
        for lane in self.lanes:
            seen[lane.name] = seen.get(lane.name, 0) + 1
            names.append(f"lead {lane.name} {seen[lane.name]}")
        names += [f"trouble {disruption.name}" for disruption in self.network.disruptions]
        names += [f"either {first} {second}" for first, second in self.pairs]
        names += [f"luck {name}" for name in lucks]
        return np.array([luck.stream(self.seed, name) for name in names], dtype=np.uint32).reshape(-1, 2)


def compile_network(network: Network, *, seed: int, real: Any, replayed: Sequence[str] = ()) -> Compiled:
    """Make the arrays of a network.

    Args:
        network: What to simulate.
        seed: Of all luck.
        real: `numpy.float32` or `numpy.float64`.
        replayed: Nodes whose outside demand is given instead of drawn.

    Raises:
        UsageError: If a disruption hits nothing, or a lead time is too long.
    """
    return _Compiler(network, seed, real, replayed).compile()


def _rows_where(needed: Sequence[bool]) -> NDArray[np.int64]:
    """Number of the row of each that needs one, -1 for the others."""
    wanted = np.asarray(needed, dtype=bool)
    return np.where(wanted, np.cumsum(wanted) - 1, -1)


def _stack(rows: Sequence[Any], kind: Any) -> Any:
    return np.array(rows, dtype=kind) if rows else np.zeros((1, 2 * (luck.PLACES + 1)), dtype=kind)
