"""Which nodes matter most: each fails for a while, and what that costs is compared to the same scenarios without.

Invariants:
    - A look at failures takes bounded work, whatever the size of the network: of a large one those nodes are tried
      that have most at risk, on fewer scenarios. Intervals are as wide as that makes them.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.comparing import outlay, with_event
from kifabrik.recipes.supply_chain.engine import GROUP, simulate
from kifabrik.recipes.supply_chain.guaranteed_service import needed_for
from kifabrik.recipes.supply_chain.network import Disruption, Effect, Network, Policy, Rule
from kifabrik.recipes.supply_chain.results import Settings
from kifabrik.recipes.supply_chain.safety_stocks import demand_means, from_network, main_level
from kifabrik.recipes.supply_chain.studies import CriticalNode, by_cost

Floats = NDArray[np.float64]
Progress = Callable[[int], None]
_ALL_TRIED: Final = 40
"""Up to so many nodes each one is tried."""
_MOST_WORK: Final = 2e10
"""Periods of nodes and lanes that a look may take: about three minutes of two cores."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """Which failures are tried, and how closely.

    Attributes:
        names: Nodes that fail, one after the other; those with most at risk first.
        scenarios: Of each.
        again: So many of the dearest are tried again; 0: none.
        scenarios_again: Of each of these.
    """

    names: tuple[str, ...]
    scenarios: int
    again: int = 0
    scenarios_again: int = 0

    @property
    def total(self) -> int:
        """Scenarios simulated in all, those without a failure with them."""
        again = (self.again + 1) * self.scenarios_again if self.again else 0
        return (len(self.names) + 1) * self.scenarios + again


def look(network: Network, settings: Settings, *, weeks: float = 2, most: int = 10) -> Look:
    """Decide which failures to try.

    Of up to 40 nodes each one. Of more, up to `4 x most` that have most at risk (see `exposure`), on 32 scenarios
    for a first look; the dearer half of them again, on more. Of very large networks as many as bounded work allows,
    but at least `2 x most`, and only once.

    Args:
        network: The network.
        settings: Of all simulations.
        weeks: How long a node fails.
        most: How many nodes are to be known well.
    """
    names = [node.name for node in network.nodes]
    room = affordable(network, settings)
    if len(names) <= max(_ALL_TRIED, 4 * most):
        return Look(names=tuple(names), scenarios=_at_most(settings.scenarios, room, len(names)))
    tried = min(4 * most, max(2 * most, room // GROUP))
    risk = exposure(network, _periods(network, weeks))
    dear = tuple(names[number] for number in np.argsort(-risk, kind="stable")[:tried])
    first = min(settings.scenarios, GROUP)
    left = room - (tried + 1) * first
    again = _at_most(settings.scenarios, left, 2 * most)
    if tried <= 2 * most or again <= first or left < (2 * most + 1) * again:
        return Look(names=dear, scenarios=first)
    return Look(names=dear, scenarios=first, again=2 * most, scenarios_again=again)


def affordable(network: Network, settings: Settings) -> int:
    """Scenarios that a further look at a network may take in all."""
    return int(_MOST_WORK / ((len(network.nodes) + len(network.lanes)) * settings.periods))


def _at_most(wanted: int, room: int, failures: int) -> int:
    """Scenarios of each of some failures, in whole groups, at least one."""
    return min(wanted, max(GROUP, room // (failures + 1) // GROUP * GROUP))


def failures(
    network: Network,
    settings: Settings,
    wanted: Look,
    weeks: float = 2,
    progress: Progress | None = None,
    *,
    workers: int | None = None,
) -> tuple[CriticalNode, ...]:
    """What the failure of each node tried costs, dearest first.

    Args:
        network: The network.
        settings: Of all simulations. The failure begins after a quarter of the periods counted.
        wanted: Which failures, see `look`.
        weeks: How long a node fails.
        progress: Told the number of scenarios just finished.
        workers: Threads; None: one for each core.

    Raises:
        UsageError: If the failure does not fit into the periods.
    """
    periods = _periods(network, weeks)
    start = settings.warm_up + (settings.periods - settings.warm_up) // 4
    if start + periods >= settings.periods:
        raise UsageError(
            f"A failure of {periods} periods does not fit into {settings.periods} periods.",
            hint="Simulate more periods.",
        )
    events = {
        name: Disruption(name=name, effect=Effect.OUTAGE, target=name, start=start, duration=periods)
        for name in wanted.names
    }
    first = replace(settings, traced=0, scenarios=wanted.scenarios)
    looked = by_cost(tuple(_failures(network, tuple(events.values()), first, progress, workers)))
    if not wanted.again:
        return looked
    dear = tuple(events[node.name] for node in looked[: wanted.again])
    closer = replace(first, scenarios=wanted.scenarios_again)
    return by_cost((*_failures(network, dear, closer, progress, workers), *looked[wanted.again :]))


def _periods(network: Network, weeks: float) -> int:
    return max(1, round(weeks * 7 / network.period_days))


def _failures(
    network: Network,
    events: Sequence[Disruption],
    settings: Settings,
    progress: Progress | None,
    workers: int | None,
) -> Iterator[CriticalNode]:
    """Failures side by side, each on one core: few scenarios would leave the others idle."""
    base = outlay(simulate(network, settings, progress=progress, workers=workers))

    def fail(event: Disruption) -> CriticalNode:
        extra = outlay(simulate(with_event(network, event), settings, workers=1)) - base
        error = float(extra.std(ddof=1)) / math.sqrt(len(extra)) if len(extra) > 1 else math.inf
        return CriticalNode(name=event.name, cost=float(extra.mean()), error=error, periods=event.duration)

    with ThreadPoolExecutor(max_workers=workers or os.cpu_count() or 1) as pool:
        for done in as_completed([pool.submit(fail, event) for event in events]):
            if progress:
                progress(settings.scenarios)
            yield done.result()


def exposure(network: Network, periods: int) -> Floats:
    """Money a period that a failure of each node puts at risk [node].

    Of each outside demand that needs the node, over whatever path, its mean times price and stockout cost (one,
    where nobody has either); times the share of the failure that the node's own stock does not cover.
    """
    inputs = from_network(network)
    means = demand_means(network)
    worth = np.array([node.price + max(node.stockout_cost, node.lost_sale_cost) for node in network.nodes])
    if not worth.any():
        worth[:] = 1.0
    outside = np.array([stage.demand_mean for stage in inputs.stages])
    demanded = np.flatnonzero(outside)
    risk = np.zeros(len(outside))
    for some in np.array_split(demanded, max(1, len(demanded) // 256)):
        risk += np.minimum(1.0, needed_for(inputs.stages, inputs.arcs, some)) @ (outside * worth)[some]
    flow = np.array([means[node.name] for node in network.nodes])
    levels = np.array([_cover(node.policy) for node in network.nodes])
    covered = np.divide(levels, flow * periods, out=np.zeros_like(flow), where=flow > 0)
    return np.asarray(risk * (1 - 0.9 * np.clip(covered, 0, 1)))


def _cover(policy: Policy) -> float:
    return 0.0 if policy.rule in {Rule.ECHELON_BASE_STOCK, Rule.FIXED_QUANTITY} else main_level(policy)
