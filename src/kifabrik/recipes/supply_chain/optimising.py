"""Finds stock levels: guaranteed-service placement first, then what the simulation says, then a check on new luck.

The placement says where safety stock lies; its sizes rest on bounds and normal demand. So safety stocks are scaled,
all together until the fill rate is met, then group by group where that is cheaper, always on the same scenarios;
differences are paired. A group is a node, or in large networks the nodes equally far from outside customers.

Invariants:
    - The number of simulations is bounded by `simulations`, not by luck.
    - What is reported of today's and the proposed plan comes from scenarios that no choice was made with.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.comparing import outlay
from kifabrik.recipes.supply_chain.engine import simulate
from kifabrik.recipes.supply_chain.guaranteed_service import Placement, place_safety_stock
from kifabrik.recipes.supply_chain.network import Network, Policy, Rule
from kifabrik.recipes.supply_chain.results import Results, Settings
from kifabrik.recipes.supply_chain.safety_stocks import base_stocks, from_network, main_level, present_safety
from kifabrik.recipes.supply_chain.studies import Estimate, Frontier, FrontierPoint

Floats = NDArray[np.float64]
Progress = Callable[[int], None]
GROUPS: Final = 12
_FRESH: Final = 7919
"""Added to the seed for the check: any other seed gives other luck."""
_MOST_SCALE: Final = 16.0
_HALVINGS: Final = 9
_STEPS: Final = (0.75, 1.3)
FRONTIER_SCALES: Final = (0.0, 0.5, 0.75, 1.25, 1.5, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlan:
    """What one node does now and should do, units.

    Attributes:
        name: Of the node.
        unit: Of amounts.
        level_now: Its level, or reorder point.
        level: What it should be.
        safety_now: Level less mean demand over the time it bridges; NaN where the rule has no local level.
        safety: What the safety stock should be.
        service_time: What it promises its customers, periods.
        net_time: Periods it bridges from stock.
    """

    name: str
    unit: str
    level_now: float
    level: float
    safety_now: float
    safety: float
    service_time: float
    net_time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """A plan found, checked on scenarios it was not found with.

    Attributes:
        network: With the proposed levels.
        nodes: What each node does now and should do, in the order of the network.
        placement: Answer of the guaranteed-service model.
        target: Fill rate asked for.
        scales: Factor of each safety stock of the placement, by node name.
        now: Today's plan, on fresh scenarios.
        proposed: The proposed plan, on the same, with differences to today's.
        frontier: Plans with more and less safety, and both of these.
        is_reached: Whether the fill rate was reached where the plan was sought.
        holds: Whether the fresh scenarios agree: the interval of the fill rate does not lie below the target.
        simulations: How many were run.
    """

    network: Network
    nodes: tuple[NodePlan, ...]
    placement: Placement
    target: float
    scales: Mapping[str, float]
    now: FrontierPoint
    proposed: FrontierPoint
    frontier: Frontier
    is_reached: bool
    holds: bool
    simulations: int


@dataclass
class _Search:
    """Simulations of scaled safety stocks, with one luck, counted."""

    network: Network
    placement: Placement
    settings: Settings
    limit: int
    progress: Progress | None = None
    runs: int = 0
    known: dict[tuple[float, ...], Results] = field(default_factory=dict)

    @property
    def is_spent(self) -> bool:
        return self.runs >= self.limit

    def at(self, scales: Floats) -> Results:
        """Results with these factors [node]."""
        key = tuple(np.round(scales, 9))
        if key not in self.known:
            self.runs += 1
            self.known[key] = simulate(self.plan(scales), self.settings, progress=self.progress)
        return self.known[key]

    def plan(self, scales: Floats) -> Network:
        return base_stocks(
            self.network, self.placement, scale=dict(zip(self.placement.stages, scales, strict=True))
        )


def optimise(
    network: Network,
    settings: Settings,
    *,
    beta: float = 0.95,
    seconds: float = 60.0,
    simulations: int = 60,
    confidence: float = 0.95,
    progress: Progress | None = None,
) -> Optimum:
    """Find levels that just reach a fill rate, and where safety stock does so cheaply.

    Safety is not raised beyond the fill rate, even where shortages cost so much that more would pay: the frontier
    shows that. Cost, which decides between groups, is what the simulation counts, less revenue; where no node has a
    holding cost, the value of stock. The search is a heuristic: its answer is checked, not proven cheapest.

    Args:
        network: The network, with the levels of today.
        settings: Of all simulations; the check uses another seed.
        beta: Fill rate to reach, over all outside demand.
        seconds: For the guaranteed-service model.
        simulations: Most simulations of the search; the check and the frontier take eight more.
        confidence: Of intervals.
        progress: Told the number of scenarios just finished.

    Raises:
        UsageError: If the fill rate is not between 0 and 1 or there is no outside demand.
    """
    if not 0 < beta < 1:
        raise UsageError(f"The fill rate {beta:g} is not between 0 and 1.", hint="Ask for one such as 0.98.")
    if not any(node.demand and node.demand.each.expected() > 0 for node in network.nodes):
        raise UsageError("No node has outside demand: there is nothing to serve.")
    inputs = from_network(network)
    placement = place_safety_stock(inputs.stages, inputs.arcs, seconds=seconds)
    plain = replace(settings, traced=0)
    search = _Search(network, placement, plain, max(3, simulations), progress)
    ones = np.ones(len(network.nodes))
    first, price = _reach(search, ones, beta, _HALVINGS)
    best = _refined(search, first, beta, price) if _beta(search.at(first)) >= beta else first
    fresh = _Search(network, placement, replace(plain, seed=settings.seed + _FRESH), 1_000_000, progress)
    now, proposed, frontier = _checked(fresh, best, beta, confidence)
    return Optimum(
        network=search.plan(best),
        nodes=_node_plans(network, search.plan(best), placement, best),
        placement=placement,
        target=beta,
        scales=dict(zip(placement.stages, best.tolist(), strict=True)),
        now=now,
        proposed=proposed,
        frontier=frontier,
        is_reached=_beta(search.at(best)) >= beta,
        holds=proposed.beta.high >= beta,
        simulations=search.runs + fresh.runs + 1,
    )


def _beta(results: Results) -> float:
    return float(np.nanmean(results.scenarios["beta"]))


def _aim(results: Results) -> Floats:
    """What is made small, [scenario]."""
    has_cost = any(node.holding_cost > 0 for node in results.network.nodes)
    return outlay(results) if has_cost else results.scenarios["stock_value"]


def _reach(search: _Search, shape: Floats, beta: float, halvings: int) -> tuple[Floats, float]:
    """The least multiple of `shape` that reaches the fill rate, and what one unit of fill rate costs there.

    If none reaches it, the greatest multiple tried.
    """
    low, high = 0.0, 1.0
    while _beta(search.at(high * shape)) < beta and high < _MOST_SCALE and not search.is_spent:
        low, high = high, high * 2
    for _ in range(halvings):
        middle = (low + high) / 2
        if search.is_spent or high - low < 0.005:  # noqa: PLR2004 - half a percent of the safety stock
            break
        low, high = (low, middle) if _beta(search.at(middle * shape)) >= beta else (middle, high)
    near, far = search.at(high * shape), search.at(high * 0.8 * shape)
    gained = _beta(near) - _beta(far)
    price = float((_aim(near) - _aim(far)).mean()) / gained if gained > 0 else 0.0
    return high * shape, max(0.0, price)


def _refined(search: _Search, start: Floats, beta: float, price: float) -> Floats:
    """Better factors than `start`, if moving safety from group to group pays.

    A move is kept if cost less the price of the fill rate it brings falls in paired scenarios beyond luck; at the
    end all are scaled to the fill rate again, and the result is taken only if it is cheaper.
    """
    best = start
    room = search.limit - _HALVINGS - 2
    for group in _groups(search):
        for step in _STEPS:
            if search.runs >= room:
                break
            trial = best.copy()
            trial[group] *= step
            before, after = search.at(best), search.at(trial)
            gain = Estimate.paired(_worth(after, price), _worth(before, price))
            if gain.high < 0:
                best = trial
                break
    if np.array_equal(best, start):
        return start
    again, _ = _reach(search, best, beta, _HALVINGS)
    is_cheaper = float((_aim(search.at(again)) - _aim(search.at(start))).mean()) < 0
    return again if is_cheaper and _beta(search.at(again)) >= beta else start


def _worth(results: Results, price: float) -> Floats:
    return _aim(results) - price * np.nan_to_num(results.scenarios["beta"], nan=1.0)


def _groups(search: _Search) -> list[NDArray[np.intp]]:
    """Nodes with safety stock, scaled together: the dearest groups first."""
    placement, network = search.placement, search.network
    prices = np.array([stage.holding_cost for stage in from_network(network).stages])
    costs = prices * placement.safety_stocks
    holders = np.flatnonzero(costs > 0)
    if len(holders) <= GROUPS:
        return [np.array([place]) for place in holders[np.argsort(-costs[holders])]]
    depth = _depths(network)
    groups = [holders[depth[holders] == level] for level in np.unique(depth[holders])]
    return sorted(groups, key=lambda group: -float(costs[group].sum()))[:GROUPS]


def _depths(network: Network) -> NDArray[np.intp]:
    """Most steps from each node down to a last one [node]."""
    place = {node.name: number for number, node in enumerate(network.nodes)}
    below: dict[str, list[str]] = {}
    for lane in network.lanes:
        if lane.source:
            below.setdefault(lane.source, []).append(lane.target)
    depth = np.zeros(len(place), dtype=np.intp)
    for name in reversed(network.in_order()):
        depth[place[name]] = max((depth[place[target]] + 1 for target in below.get(name, ())), default=0)
    return depth


def _checked(
    fresh: _Search, best: Floats, beta: float, confidence: float
) -> tuple[FrontierPoint, FrontierPoint, Frontier]:
    """Today's plan, the proposed one, and plans with more and less safety, on luck not seen before."""
    today = simulate(fresh.network, fresh.settings, progress=fresh.progress)
    now = replace(_point("today", today, None, confidence), is_current=True)
    proposed = replace(_point(f"beta {beta:g}", fresh.at(best), today, confidence), target=beta, is_chosen=True)
    others = [_point(f"{scale:g} x safety", fresh.at(scale * best), today, confidence) for scale in FRONTIER_SCALES]
    points = sorted((now, proposed, *others), key=lambda point: (point.stock_value.mean, point.beta.mean))
    return now, proposed, Frontier(points=tuple(points), scenarios=fresh.settings.scenarios, confidence=confidence)


def _point(name: str, results: Results, today: Results | None, confidence: float) -> FrontierPoint:
    cost = outlay(results)

    def against(figure: str) -> Estimate | None:
        if today is None:
            return None
        return Estimate.paired(results.scenarios[figure], today.scenarios[figure], confidence)

    return FrontierPoint(
        name=name,
        stock_value=Estimate.of(results.scenarios["stock_value"], confidence),
        beta=Estimate.of(results.scenarios["beta"], confidence),
        cost=Estimate.of(cost, confidence),
        stock_difference=against("stock_value"),
        beta_difference=against("beta"),
        cost_difference=None if today is None else Estimate.paired(cost, outlay(today), confidence),
    )


def _node_plans(network: Network, plan: Network, placement: Placement, scales: Floats) -> tuple[NodePlan, ...]:
    safety_now = present_safety(network, placement)
    safety = placement.safety_stocks * scales
    return tuple(
        NodePlan(
            name=node.name,
            unit=node.unit,
            level_now=_level(node.policy),
            level=_level(new.policy),
            safety_now=float(safety_now[number]),
            safety=float(safety[number]),
            service_time=float(placement.service_times[number]),
            net_time=float(placement.net_times[number]),
        )
        for number, (node, new) in enumerate(zip(network.nodes, plan.nodes, strict=True))
    )


def _level(policy: Policy) -> float:
    return math.nan if policy.rule is Rule.FIXED_QUANTITY else main_level(policy)
