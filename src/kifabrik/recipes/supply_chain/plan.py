"""Turns a network into the arrays the kernel runs on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain import kernel as k
from kifabrik.recipes.supply_chain import luck
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind
from kifabrik.recipes.supply_chain.network import (
    INFINITE,
    Allocation,
    Disruption,
    Effect,
    Lane,
    Network,
    Node,
    Policy,
    Rule,
    Semantics,
)

_RULES: Final = {
    Rule.BASE_STOCK: k.BASE_STOCK,
    Rule.ECHELON_BASE_STOCK: k.ECHELON,
    Rule.MIN_MAX: k.MIN_MAX,
    Rule.FIXED_LOT: k.FIXED_LOT,
    Rule.FIXED_QUANTITY: k.FIXED_QUANTITY,
}
_ALLOCATIONS: Final = {
    Allocation.PRIORITY: k.PRIORITY,
    Allocation.PROPORTIONAL: k.PROPORTIONAL,
    Allocation.FIRST_COME: k.FIRST_COME,
}
_MOST_VALUES: Final = 400
_MOST_STEPS: Final = 16
_MOST_LEAD: Final = 5000
_TAIL: Final = 1e-10


@dataclass(frozen=True, slots=True, kw_only=True)
class Starts:
    """Where everything is before the first period; all in double precision, one value for all scenarios."""

    level: NDArray[np.float64]
    position: NDArray[np.float64]
    orders: NDArray[np.float64]
    ring: NDArray[np.float64]
    coming: NDArray[np.float64]
    moving: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """A network ready to run.

    Attributes:
        plan: Its arrays.
        starts: Its beginning.
        order: Place in `network.nodes` of each node of the plan.
        rows: How many rows of state are needed: making, extra lanes, random lanes, shared lucks.
        any_transit: Whether anything under way can stand still.
        replayed: Nodes whose demand is given, in the order of their rows.
    """

    plan: k.Plan
    starts: Starts
    order: NDArray[np.int64]
    rows: dict[str, int]
    any_transit: bool


def first_order(policy: Policy, cap: float = INFINITE) -> float:
    """What a policy orders when there is nothing: the stock a node has at the start, if none is given."""
    match policy.rule:
        case Rule.BASE_STOCK | Rule.ECHELON_BASE_STOCK:
            amount = policy.level
        case Rule.MIN_MAX:
            amount = policy.level if policy.reorder_point >= 0 else 0.0
        case Rule.FIXED_LOT:
            amount = policy.quantity if policy.reorder_point >= 0 else 0.0
        case Rule.FIXED_QUANTITY:
            amount = policy.quantity
    return max(0.0, min(amount, cap))


def whole_lead(lane: Lane) -> int:
    """A fixed lead time in periods."""
    return round(lane.lead_time.expected())


class _Tables:
    """Tables of quantiles, each kept once."""

    def __init__(self) -> None:
        self.continuous: list[NDArray[np.float64]] = []
        self.begins: list[Any] = []
        self.ends: list[Any] = []
        self.values: list[Any] = []
        self._at = 0
        self._known: dict[Any, tuple[int, int, bool, bool]] = {}

    def demand(self, distribution: Distribution) -> tuple[int, int, bool, bool]:
        """Row, steps, whether discrete, whether to be rounded."""
        if distribution not in self._known:
            self._known[distribution] = self._demand(distribution)
        return self._known[distribution]

    def _demand(self, distribution: Distribution) -> tuple[int, int, bool, bool]:
        whole = distribution.kind in {Kind.POISSON, Kind.NEGATIVE_BINOMIAL}
        found = self._values(distribution)
        if found is not None:
            row, steps = self._add(*found)
            return row, steps, True, False
        self.continuous.append(luck.continuous_table(distribution))
        return len(self.continuous) - 1, 0, False, whole

    def _values(self, distribution: Distribution) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
        if distribution.kind is Kind.EMPIRICAL:
            values, weights = np.asarray(distribution.values), np.asarray(distribution.weights)
        elif distribution.kind in {Kind.POISSON, Kind.NEGATIVE_BINOMIAL}:
            low, high = distribution.quantile([_TAIL, 1 - _TAIL])
            if high - low > _MOST_VALUES:
                return None
            values = np.arange(low, high + 1)
            if distribution.kind is Kind.POISSON:
                weights = stats.poisson.pmf(values, distribution.mean)
            else:
                success = distribution.mean / distribution.sd**2
                weights = stats.nbinom.pmf(values, distribution.mean * success / (1 - success), success)
        else:
            return None
        return (values, weights) if luck.discrete_table(values, weights)[3] <= _MOST_STEPS else None

    def lead(self, distribution: Distribution) -> tuple[int, int, int]:
        """Row, steps and longest of a lead time."""
        key = ("lead", distribution)
        if key not in self._known:
            if distribution.kind is Kind.EMPIRICAL:
                values, weights = np.rint(distribution.values), np.asarray(distribution.weights)
            else:
                values = np.rint(distribution.quantile((np.arange(4096) + 0.5) / 4096))
                weights = np.full(4096, 1 / 4096)
            whole, place = np.unique(values, return_inverse=True)
            row, steps = self._add(whole, np.asarray(np.bincount(place, weights), dtype=np.float64))
            self._known[key] = (row, steps, bool(whole[-1]), False)
            self._known[("longest", distribution)] = (int(whole[-1]), 0, False, False)
        return self._known[key][0], self._known[key][1], self._known[("longest", distribution)][0]

    def _add(self, values: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[int, int]:
        begins, ends, values, steps = luck.discrete_table(values, weights)
        self.begins.append(begins + self._at)
        self.ends.append(ends)
        self.values.append(values)
        self._at += len(values)
        return len(self.begins) - 1, steps


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
        self.tables = _Tables()
        self.node_ints = np.full((len(self.nodes), k.NODE_INTS), -1, dtype=np.int64)
        self.node_reals = np.zeros((len(self.nodes), k.NODE_REALS))
        self.lane_ints = np.full((len(self.lanes), k.LANE_INTS), -1, dtype=np.int64)
        self.lane_reals = np.zeros((len(self.lanes), k.LANE_REALS))
        self.lane_ints[:, k.KEEP] = 0
        self.lane_ints[:, k.CROSSES] = 1
        self.extra = self.random = self.making = 0
        self.groups: list[list[list[int]]] = []
        self.pairs: list[tuple[int, int]] = []

    def compile(self) -> Compiled:
        self._group()
        self._effects()
        echelon = self._echelon()
        for i, node in enumerate(self.nodes):
            self._node(i, node)
        self._rings()
        out_start, out_lane = self._out()
        group_start = np.cumsum([0, *(len(groups) for groups in self.groups)])
        flat = [group for groups in self.groups for group in groups]
        owner = [i for i, groups in enumerate(self.groups) for _ in groups]
        units = np.array(
            [self.lanes[g[0]].quantity / self.nodes[i].yields for i, g in zip(owner, flat, strict=True)]
        )
        rates = [
            next(
                (self.nodes[self.number[self.lanes[e].source]].holding_cost for e in g if self.lanes[e].source), 0.0
            )
            for g in flat
        ]
        lucks = sorted({n.demand.shared_luck for n in self.nodes if n.demand and n.demand.shared_luck})
        for i, node in enumerate(self.nodes):
            if node.demand and node.demand.shared_luck:
                self.node_ints[i, k.LUCK] = lucks.index(node.demand.shared_luck)
        real = self.real
        troubles, trouble_reals = self._troubles()
        plan = k.Plan(
            node_ints=self.node_ints,
            node_reals=self.node_reals.astype(real),
            out_start=out_start,
            out_lane=out_lane,
            group_start=group_start,
            group_lane_start=np.cumsum([0, *(len(group) for group in flat)]),
            group_lane=np.array([e for group in flat for e in group], dtype=np.int64),
            group_units=units.astype(real),
            group_rate=np.array(rates, dtype=real),
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
        starts = self._starts(plan, units)
        rows = {"making": self.making, "extra": self.extra, "random": self.random, "lucks": len(lucks)}
        any_transit = bool((self.lane_ints[:, k.D_TRANSIT] >= 0).any())
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
                self._set(self.lane_ints, e, k.D_LANE, d)
            return bool(hit)
        nodes = [
            i for i, n in enumerate(self.nodes) if target == n.name or (target[:2] == "*@" and target[2:] == n.site)
        ]
        column = {
            Effect.ORDERS_PAUSE: k.D_ORDERS,
            Effect.OUTAGE: k.D_OUT,
            Effect.CAPACITY_LOSS: k.D_CAPACITY,
            Effect.STOCK_LOSS: k.D_STOCK,
        }.get(disruption.effect)
        lanes_column = {
            Effect.SHIPMENTS_PAUSE: k.D_TO,
            Effect.TRANSIT_PAUSE: k.D_TRANSIT,
            Effect.RECEIPTS_PAUSE: k.D_RECEIPTS,
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
            ints.append([k.EITHER, 0, first, second])
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
                    self.lane_ints[e, k.KEEP] |= 2
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
        ints[[k.RULE, k.REVIEW, k.OFFSET]] = _RULES[policy.rule], policy.review, policy.offset
        ints[k.ALLOCATION] = _ALLOCATIONS[node.allocation]
        reals[[k.LEVEL, k.POINT, k.QUANTITY]] = policy.level, policy.reorder_point, policy.quantity
        reals[[k.MINIMUM, k.LOT, k.STORAGE]] = policy.minimum, policy.lot, node.storage
        cap = INFINITE if self.stockpyl and node.order_capacity == 0 else node.order_capacity
        reals[[k.ORDER_CAP, k.MAKE_CAP, k.WAITS]] = cap, node.making_capacity, node.backorder_share
        ints[k.MAKING_LENGTH], ints[k.MAKING_AT] = node.making_time, self.making
        self.making += node.making_time
        lanes = [self.lanes[e] for e in self._lanes_into(i)]
        limited = any(lane.capacity < INFINITE or lane.lot > 0 for lane in lanes)
        ints[k.PLAIN] = not limited and all(len(group) == 1 for group in self.groups[i]) and self._balanced(i)
        ints[k.PLAIN_RULE] = (
            policy.rule is Rule.BASE_STOCK
            and (policy.review, policy.minimum, policy.lot, node.storage, cap) == (1, 0, 0, INFINITE, INFINITE)
            and ints[k.D_ORDERS] < 0
            and node.order_cost == 0
        )
        many = len(self.groups[i]) > 1
        ints[k.MAKES] = many or node.making_capacity < INFINITE or node.making_time > 0 or ints[k.D_OUT] >= 0
        ints[k.DEMAND], ints[k.FACTOR_AT], ints[k.FACTORS], ints[k.WHOLE] = k.NO_DEMAND, 0, 1, 0
        if node.name in self.replayed:
            ints[[k.DEMAND, k.TABLE]] = k.REPLAY, self.replayed[node.name]
        elif node.demand:
            self._draws(ints, reals, node)

    def _draws(self, ints: NDArray[np.int64], reals: NDArray[np.float64], node: Node) -> None:
        demand = node.demand
        assert demand is not None  # noqa: S101
        each = demand.each
        if demand.factors:
            ints[[k.FACTOR_AT, k.FACTORS]] = len(self.factors), len(demand.factors)
            self.factors.extend(demand.factors)
        reals[k.LOADING], reals[k.REST] = demand.loading, np.sqrt(max(0.0, 1 - demand.loading**2))
        if each.is_certain:
            ints[k.DEMAND], reals[k.MEAN] = k.CERTAIN, float(each.quantile(0.5))
        elif each.kind is Kind.NORMAL:
            ints[k.DEMAND], reals[k.MEAN], reals[k.SD] = k.NORMAL, each.mean, each.sd
        else:
            row, steps, discrete, whole = self.tables.demand(each)
            ints[[k.DEMAND, k.TABLE, k.STEPS]] = k.DISCRETE if discrete else k.CONTINUOUS, row, steps
            ints[k.WHOLE] = whole or (each.kind in {Kind.POISSON, Kind.NEGATIVE_BINOMIAL} and bool(demand.factors))

    def _balanced(self, i: int) -> bool:
        coming = [self._ordered(e) / self.lanes[e].quantity for e in self._lanes_into(i)]
        lanes = [self.lanes[e] for e in self._lanes_into(i)]
        same_rows = len({lane.initial_orders / lane.quantity for lane in lanes}) == 1
        return same_rows and len(set(coming)) == 1

    def _ordered(self, e: int) -> float:
        """Ordered on a lane, and not received, before the start."""
        lane = self.lanes[e]
        return lane.initial_shipments * self._lead(lane) + lane.initial_orders * lane.order_time

    def _lead(self, lane: Lane) -> int:
        return whole_lead(lane)

    def _rings(self) -> None:
        ring = orders = 0
        for i in range(len(self.nodes)):
            into = self._lanes_into(i)
            ints = self.node_ints[i]
            if ints[k.PLAIN]:
                ints[k.ORDER_AT], ints[k.ORDER_LENGTH] = orders, max(self.lanes[e].order_time for e in into) + 1
                orders += int(ints[k.ORDER_LENGTH])
            for group in self.groups[i]:
                quotas = sum(self.lanes[e].quota for e in group)
                for e in group:
                    self._lane(e, quotas, alone=len(group) == 1)
                    row = self.lane_ints[e]
                    if ints[k.PLAIN]:
                        row[[k.L_ORDER_AT, k.L_ORDER_LENGTH]] = ints[[k.ORDER_AT, k.ORDER_LENGTH]]
                        self.lane_reals[e, k.UNITS] = self.lanes[e].quantity / self.nodes[i].yields
                    else:
                        row[[k.L_ORDER_AT, k.L_ORDER_LENGTH]] = orders, self.lanes[e].order_time + 1
                        orders += self.lanes[e].order_time + 1
                        self.lane_reals[e, k.UNITS] = 1.0
                    row[k.RING_AT] = ring
                    ring += int(row[k.RING_LENGTH])
        self.ring_rows, self.order_rows = ring, orders

    def _lane(self, e: int, quotas: float, *, alone: bool) -> None:
        lane, ints, reals = self.lanes[e], self.lane_ints[e], self.lane_reals[e]
        ints[k.SOURCE] = self.number[lane.source] if lane.source else -1
        ints[k.TARGET], ints[k.ORDER_TIME] = self.number[lane.target], lane.order_time
        before = 0 if lane.source else lane.order_time
        if lane.lead_time.is_certain:
            ints[k.LEAD] = whole_lead(lane) + before
            longest = int(ints[k.LEAD])
        else:
            row, steps, longest = self.tables.lead(lane.lead_time)
            longest += before
            ints[[k.LEAD, k.LEAD_TABLE, k.LEAD_STEPS, k.ARRIVED]] = longest, row, steps, self.random
            ints[k.CROSSES] = lane.crossing
            self.random += 1
        if longest > _MOST_LEAD:
            raise UsageError(
                f"The lead time of {lane.name} is {longest} periods; at most {_MOST_LEAD} are possible."
            )
        ints[k.RING_LENGTH] = longest + 1
        ints[k.BEFORE_LEAVING] = before
        reals[[k.CAPACITY, k.LANE_LOT]] = lane.capacity, lane.lot
        reals[k.SOURCE_RATE] = self.nodes[ints[k.SOURCE]].holding_cost if lane.source else 0.0
        reals[k.QUOTA] = lane.quota / quotas if quotas > 0 else -1.0
        charged = lane.unit_cost or lane.order_cost or lane.in_transit_cost is not None or lane.capacity < INFINITE
        sold = self.stockpyl and lane.source and self.nodes[ints[k.SOURCE]].price
        moves = ints[k.D_TRANSIT] >= 0
        ints[k.KEEP] |= (1 if charged or sold else 0) | (2 if moves else 0) | (4 if alone else 0)
        special = [ints[column] >= 0 for column in (k.D_TO, k.D_TRANSIT, k.D_RECEIPTS, k.D_LANE)]
        if any(special) or ints[k.KEEP] & 2:
            ints[k.EXTRA] = self.extra
            self.extra += 1

    def _out(self) -> tuple[Any, Any]:
        out: list[list[int]] = [[] for _ in self.nodes]
        for e, lane in enumerate(self.lanes):
            if lane.source:
                out[self.number[lane.source]].append(e)
        for i, lanes in enumerate(out):
            lanes.sort(key=lambda e: self.lanes[e].customer_rank)
            self.node_ints[i, k.SINK] = not lanes
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

    def _starts(self, plan: k.Plan, units: NDArray[np.float64]) -> Starts:
        level = np.array(
            [first_order(n.policy) if n.initial_stock is None else n.initial_stock for n in self.nodes]
        )
        coming = np.zeros(len(units))
        orders, ring = np.zeros(self.order_rows), np.zeros(self.ring_rows)
        moving = np.zeros(max(1, self.extra))
        position = level.copy()
        for i, node in enumerate(self.nodes):
            first = plan.group_start[i]
            for offset, group in enumerate(self.groups[i]):
                coming[first + offset] = sum(self._ordered(e) for e in group)
                for e in group:
                    self._fill(e, node, orders, ring, moving)
            position[i] += min(coming[first : plan.group_start[i + 1]] / units[first : plan.group_start[i + 1]])
        return Starts(level=level, position=position, orders=orders, ring=ring, coming=coming, moving=moving)

    def _fill(self, e: int, node: Node, orders: Any, ring: Any, moving: Any) -> None:
        lane, ints = self.lanes[e], self.lane_ints[e]
        lead = whole_lead(lane)
        length = int(ints[k.RING_LENGTH])
        slots = dict.fromkeys(range(lead), lane.initial_shipments)
        if not lane.source and not self.stockpyl:
            slots |= {lead + slot: lane.initial_orders for slot in range(lane.order_time)}
        for slot, amount in slots.items():
            ring[ints[k.RING_AT] + slot % length] += amount
        if lane.source:
            length = int(ints[k.L_ORDER_LENGTH])
            plain = self.node_ints[ints[k.TARGET], k.PLAIN]
            amount = lane.initial_orders / lane.quantity * node.yields if plain else lane.initial_orders
            for back in range(1, lane.order_time + 1):
                orders[ints[k.L_ORDER_AT] + (length - back) % length] = amount
        if ints[k.EXTRA] >= 0:
            moving[ints[k.EXTRA]] = lane.initial_shipments * lead


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


def _stack(rows: Sequence[Any], kind: Any) -> Any:
    return np.array(rows, dtype=kind) if rows else np.zeros((1, 2 * (luck.PLACES + 1)), dtype=kind)
