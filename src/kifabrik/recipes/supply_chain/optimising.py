"""Finds stock levels: guaranteed-service placement first, then what the simulation says, then a check on new luck.

The placement says where safety stock lies; its sizes rest on bounds and normal demand. So safety stocks are scaled,
all together until the fill rate is met, then group by group where that is cheaper, always on the same scenarios;
differences are paired. A group is a node, or in large networks the nodes equally far from outside customers.

The placement also rests on every promise being kept, which in large networks whose lead times vary no sensible
stock brings about. So the same is done with today's safety stocks, and with such at every node; the cheapest plan
counts, and safety is moved further there with the simulations that are left.

Simulations of large networks are dear, so the search takes bounded work, on fewer scenarios where need be; what it
finds is checked on all that are asked for.

A fill rate counts as met where the lower end of its confidence interval meets it. A plan that does in the scenarios
it was sought with may still miss it in others; then it gets a little more safety and is checked again, on new ones.

Invariants:
    - The number of simulations is bounded by `simulations`, not by luck.
    - What is reported of a plan comes from scenarios that none of its levels was chosen with.
"""

import math
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.blocks import GROUP
from kifabrik.recipes.supply_chain.guaranteed_service import Placement, place_safety_stock, stock_everywhere
from kifabrik.recipes.supply_chain.network import Network, Policy, Rule
from kifabrik.recipes.supply_chain.optimum import NodePlan, Optimum, Start
from kifabrik.recipes.supply_chain.plan_frontier import FRONTIER_TARGETS, TO_FRONTIER, checked, compared_on
from kifabrik.recipes.supply_chain.results import Results, Settings
from kifabrik.recipes.supply_chain.safety_stocks import from_network, main_level, present_placement, present_safety
from kifabrik.recipes.supply_chain.searching import Search, aim, least_beta, mean_beta
from kifabrik.recipes.supply_chain.studies import Estimate
from kifabrik.recipes.supply_chain.work_left import Stage, Told, WorkLeft

Floats = NDArray[np.float64]
GROUPS: Final = 12
_WITHIN: Final = 0.005
"""Half a per cent of the safety stock: so close the fill rate is sought."""
_TO_REACH: Final = 11
"""Simulations that scaling all safety to the fill rate may take, and its price."""
_TO_START: Final = 2 * _TO_REACH
"""Simulations that are worth another start: scaling, as many to move safety, and scaling again."""
_STEPS: Final = (0.75, 1.3)
_FINER: Final = (_STEPS, (0.87, 1.15))
"""Steps of further rounds."""
_MOST_WORK: Final = 6e10
"""Periods of nodes and lanes that a search may take: some six minutes of two cores."""
_LEAST_SEARCHED: Final = 64
_CHECKS: Final = 3
"""So often a plan is checked, and given more safety in between."""
_RAISE: Final = 1.5
"""A raise aims at so many times what was missed: the next check has other luck."""


def optimise(
    network: Network,
    settings: Settings,
    *,
    beta: float = 0.95,
    seconds: float = 60.0,
    simulations: int = 120,
    progress: Told | None = None,
    workers: int | None = None,
) -> Optimum:
    """Find levels that just reach a fill rate, and where safety stock does so cheaply.

    Safety is not raised beyond the fill rate, even where shortages cost so much that more would pay: the frontier
    shows that. Cost, which decides between groups, is what the simulation counts, less revenue; where no node has a
    holding cost, the value of stock. The search is a heuristic: its answer is checked, not proven cheapest.

    Args:
        network: The network, with the levels of today.
        settings: Of the check, with another seed; of the search too, where `searched_on` does not say fewer.
        beta: Fill rate to reach, over all outside demand.
        seconds: For the guaranteed-service model.
        simulations: Most simulations of the search. Up to three checks, and the frontier, take some 30 more.
        progress: Told what is being done, and how many scenarios are done and will be at most.
        workers: Threads; None: one for each core.

    Raises:
        UsageError: If the fill rate is not between 0 and 1, there is no outside demand, or a single scenario.
    """
    if not 0 < beta < 1:
        raise UsageError(f"The fill rate {beta:g} is not between 0 and 1.", hint="Ask for one such as 0.98.")
    if not any(node.demand and node.demand.each.expected() > 0 for node in network.nodes):
        raise UsageError("No node has outside demand: there is nothing to serve.")
    if settings.scenarios < 2:  # noqa: PLR2004
        raise UsageError("One scenario says nothing of luck.", hint="Ask for at least two scenarios.")
    work = WorkLeft(progress)
    work.begin(Stage.PLACING)
    inputs = from_network(network)
    placement = place_safety_stock(inputs.stages, inputs.arcs, seconds=seconds)
    limit = max(3, simulations)
    few = replace(settings, traced=0, scenarios=searched_on(network, settings, limit))
    starts = _starts(network, placement, stock_everywhere(inputs.stages, inputs.arcs), limit // _TO_START)
    work.most = {
        Stage.SEEKING: few.scenarios * (limit // len(starts)) * len(starts),
        Stage.CHECKING: settings.scenarios * 2 * _CHECKS,
        Stage.COMPARING: few.scenarios * TO_FRONTIER * len(FRONTIER_TARGETS)
        + compared_on(network, settings) * len(FRONTIER_TARGETS),
    }
    searches = {name: Search(network, start, few, limit // len(starts)) for name, start in starts.items()}
    found = _found(searches, beta, work, workers or os.cpu_count() or 1)
    start = _best_of(searches, found, beta)
    search, best = searches[start], found[start]
    is_reached = search.serves(best, beta)
    if is_reached:
        search.limit += max(0, limit - sum(one.runs for one in searches.values()))
        best = _polished(search, best, beta)
    count = work.begin(Stage.CHECKING)
    fresh = search.fresh(settings.scenarios, 1, count)
    if is_reached:
        fresh, best = _raised(search, fresh, best, beta)
    now, proposed, frontier = checked(search, fresh, best, beta, work)
    return Optimum(
        network=search.plan(best),
        nodes=_node_plans(network, search.plan(best), search.placement, best),
        placement=placement,
        start=start,
        target=beta,
        scales=dict(zip(placement.stages, best.tolist(), strict=True)),
        now=now,
        proposed=proposed,
        frontier=frontier,
        is_reached=is_reached,
        holds=proposed.beta.low >= beta,
        simulations=sum(one.runs for one in searches.values()) + fresh.runs + 1,
        searched=few.scenarios,
        fresh=fresh.settings,
    )


def _found(searches: dict[Start, Search], beta: float, work: WorkLeft, workers: int) -> dict[Start, Floats]:
    """The best factors of each start; sought side by side, so that few scenarios are not split further."""
    together = min(len(searches), workers)
    count = work.begin(Stage.SEEKING)

    def seek(one: Search) -> Floats:
        one.progress, one.workers = count, workers // together
        best = _sought(one, beta)
        one.workers = workers
        return best

    with ThreadPoolExecutor(max_workers=together) as pool:
        return dict(zip(searches, pool.map(seek, searches.values()), strict=True))


def searched_on(network: Network, settings: Settings, simulations: int) -> int:
    """Scenarios of each simulation of the search: all, or of large networks as many as bounded work allows."""
    each = (len(network.nodes) + len(network.lanes)) * settings.periods * simulations
    return min(settings.scenarios, max(_LEAST_SEARCHED, int(_MOST_WORK / each) // GROUP * GROUP))


def _raised(search: Search, fresh: Search, best: Floats, beta: float) -> tuple[Search, Floats]:
    """The last check, and the plan with as much more safety as checks called for."""
    for check in range(2, _CHECKS + 2):
        missed = beta - least_beta(fresh.at(best))
        if missed <= 0 or check > _CHECKS:
            break
        gained = mean_beta(fresh.at(1.1 * best)) - mean_beta(fresh.at(best))
        best = best * (1 + min(0.25, 0.1 * _RAISE * missed / gained) if gained > 0 else 1.25)
        runs = fresh.runs
        fresh = search.fresh(fresh.settings.scenarios, check, fresh.progress)
        fresh.runs = runs
    return fresh, best


def _starts(network: Network, placement: Placement, everywhere: Placement, most: int) -> dict[Start, Placement]:
    """Safety stocks to scale and move: as many of the three as the simulations allow, and no two alike."""
    starts: dict[Start, Placement] = {Start.GUARANTEED_SERVICE: placement}
    others = {Start.TODAY: present_placement(network, everywhere), Start.EVERYWHERE: everywhere}
    for name, other in others.items():
        if len(starts) < most and not any(other.is_same(one) for one in starts.values()):
            starts[name] = other
    return starts


def _sought(search: Search, beta: float) -> Floats:
    """The best factors found of one placement."""
    first, price = _reach(search, np.ones(len(search.network.nodes)), beta)
    return _refined(search, first, beta, price) if search.serves(first, beta) else first


def _best_of(searches: dict[Start, Search], found: dict[Start, Floats], beta: float) -> Start:
    """The start whose plan meets the fill rate and is cheapest; where none meets it, the one that serves most."""
    results = {start: search.at(found[start]) for start, search in searches.items()}
    serving = [start for start, search in searches.items() if search.serves(found[start], beta)]
    if serving:
        return min(serving, key=lambda start: float(aim(results[start]).mean()))
    return max(results, key=lambda start: mean_beta(results[start]))


def _reach(search: Search, shape: Floats, beta: float) -> tuple[Floats, float]:
    """The least multiple of `shape` that reaches the fill rate, and what one unit of fill rate costs there.

    If none reaches it, the greatest multiple tried.
    """
    scale = search.scaling(shape).least(beta, within=_WITHIN, go_on=lambda: not search.is_spent)
    return scale * shape, _price(search, scale * shape)


def _price(search: Search, scales: Floats) -> float:
    """What one unit of fill rate costs there."""
    near, far = search.at(scales), search.at(0.8 * scales)
    gained = mean_beta(near) - mean_beta(far)
    return max(0.0, float((aim(near) - aim(far)).mean()) / gained) if gained > 0 else 0.0


def _polished(search: Search, best: Floats, beta: float) -> Floats:
    """The best factors after further rounds of moves, with what the other starts left of simulations."""
    for steps in _FINER:
        while search.limit - search.runs > 2 * _TO_REACH:
            before = best
            best = _refined(search, best, beta, _price(search, best), steps)
            if np.array_equal(before, best):
                break
    return best


def _refined(
    search: Search, start: Floats, beta: float, price: float, steps: tuple[float, float] = _STEPS
) -> Floats:
    """Better factors than `start`, if moving safety from group to group pays.

    A move is kept if cost less the price of the fill rate it brings falls in paired scenarios beyond luck; at the
    end all are scaled to the fill rate again, and the result is taken only if it is cheaper.
    """
    best = start
    room = search.limit - _TO_REACH
    for group in _groups(search):
        for step in steps:
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
    again, _ = _reach(search, best, beta)
    is_cheaper = float((aim(search.at(again)) - aim(search.at(start))).mean()) < 0
    return again if is_cheaper and search.serves(again, beta) else start


def _worth(results: Results, price: float) -> Floats:
    return aim(results) - price * np.nan_to_num(results.scenarios["beta"], nan=1.0)


def _groups(search: Search) -> list[NDArray[np.intp]]:
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
        )
        for number, (node, new) in enumerate(zip(network.nodes, plan.nodes, strict=True))
    )


def _level(policy: Policy) -> float:
    return math.nan if policy.rule is Rule.FIXED_QUANTITY else main_level(policy)
