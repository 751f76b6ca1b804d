"""Compares networks, and a network with trouble to the same network without, scenario by scenario.

Invariants:
    - Both sides of a difference are simulated with one seed: the luck of a node hangs on seed, scenario, period and
      its name, so what differs is what was changed.
    - What a scenario costs here is its cost less its revenue: a lost sale counts as what it would have earned.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.engine import simulate
from kifabrik.recipes.supply_chain.guaranteed_service import needed_for
from kifabrik.recipes.supply_chain.network import Disruption, Effect, Network, Policy, Rule
from kifabrik.recipes.supply_chain.recovering import (
    TOLERANCE,
    recovery_of,
    recovery_times,
    slowest_way,
    window_of,
)
from kifabrik.recipes.supply_chain.results import Results, Settings
from kifabrik.recipes.supply_chain.safety_stocks import demand_means, from_network, main_level
from kifabrik.recipes.supply_chain.studies import CriticalNode, Estimate, OutageResult, by_cost

Floats = NDArray[np.float64]
Progress = Callable[[int], None]
COMPARED: Final = ("cost", "revenue", "holding", "stockout", "transport", "beta", "alpha", "stock_value", "backlog")
_SCREENED: Final = 32
"""Scenarios of the first look at candidates."""
ALL_TRIED: Final = 40
"""Up to so many nodes each one is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One figure of a network and of the one it is compared to.

    Attributes:
        figure: Name, one of `SCENARIO_FIGURES`.
        base: Of the first network.
        changed: Of the other.
        difference: Other less first, paired.
        p_value: Chance of a mean difference at least as large if there were none (paired t test, two-sided).
    """

    figure: str
    base: Estimate
    changed: Estimate
    difference: Estimate
    p_value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A network compared to the first one.

    Attributes:
        name: Of the network.
        base: Name of the first.
        scenarios: Pairs of scenarios.
        differences: Of each figure.
    """

    name: str
    base: str
    scenarios: int
    differences: tuple[Difference, ...]


def compare(
    networks: Sequence[Network],
    settings: Settings,
    *,
    figures: Sequence[str] = COMPARED,
    confidence: float = 0.95,
    progress: Progress | None = None,
) -> tuple[Comparison, ...]:
    """Compare each further network to the first.

    Args:
        networks: At least two; nodes of the same name share their luck.
        settings: Of all simulations.
        figures: Which figures of scenarios.
        confidence: Of intervals.
        progress: Told the number of scenarios just finished.

    Raises:
        UsageError: If there are not two networks.
    """
    if len(networks) < 2:  # noqa: PLR2004
        raise UsageError("It takes two networks to compare.", hint="Name another folder or another scenario.")
    if settings.scenarios < 2:  # noqa: PLR2004
        raise UsageError("Differences of one scenario say nothing.", hint="Ask for at least two scenarios.")
    base, *others = (simulate(network, replace(settings, traced=0), progress=progress) for network in networks)
    return tuple(
        Comparison(
            name=other.network.name,
            base=base.network.name,
            scenarios=settings.scenarios,
            differences=tuple(
                difference(figure, other.scenarios[figure], base.scenarios[figure], confidence)
                for figure in figures
            ),
        )
        for other in others
    )


def difference(figure: str, changed: Floats, base: Floats, confidence: float = 0.95) -> Difference:
    """Difference of one figure, [scenario] each."""
    return Difference(
        figure=figure,
        base=Estimate.of(base, confidence),
        changed=Estimate.of(changed, confidence),
        difference=Estimate.paired(changed, base, confidence),
        p_value=_p_value(changed - base),
    )


def _p_value(differences: Floats) -> float:
    from scipy import stats  # noqa: PLC0415 - slow to import

    error = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    mean = abs(float(differences.mean()))
    if error <= 1e-12 * mean or error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(mean / error, len(differences) - 1))


def outlay(results: Results) -> Floats:
    """Cost less revenue of each scenario."""
    return results.scenarios["cost"] - results.scenarios["revenue"]


def stress(
    network: Network,
    events: Sequence[Disruption],
    settings: Settings,
    *,
    tolerance: float = TOLERANCE,
    confidence: float = 0.95,
    progress: Progress | None = None,
) -> tuple[OutageResult, ...]:
    """Let each event happen, alone, and compare to the same scenarios without it.

    Args:
        network: The network; disruptions it has anyway happen on both sides.
        events: Dated ones.
        settings: Of all simulations.
        tolerance: Extra backlog, averaged over four weeks, that counts as recovered: share of a mean period's
            outside demand.
        confidence: Of intervals.
        progress: Told the number of scenarios just finished.

    Raises:
        UsageError: If an event has no date, or is over only after the last period.
    """
    for event in events:
        if event.start is None:
            raise UsageError(f"The event {event.name} has no start.", hint="Give it a first period and a duration.")
        if event.start + event.duration >= settings.periods:
            raise UsageError(
                f"The event {event.name} ends in period {event.start + event.duration} of {settings.periods}.",
                hint="Simulate more periods, so that recovery can be seen.",
            )
    traced = replace(settings, traced=settings.scenarios)
    base = simulate(network, traced, progress=progress)
    allowed = tolerance * float(base.courses["demand"].mean())
    found = []
    for event in events:
        result = simulate(with_event(network, event), traced, progress=progress)
        found.append(_outage(event, result, base, allowed, confidence))
    return tuple(found)


def with_event(network: Network, event: Disruption) -> Network:
    """The network with one more disruption."""
    return replace(network, disruptions=(*network.disruptions, event))


def _outage(event: Disruption, result: Results, base: Results, allowed: float, confidence: float) -> OutageResult:
    with_it, without = result.courses["backlog"].astype(np.float64), base.courses["backlog"].astype(np.float64)
    start = event.start or 0
    times = recovery_times(
        with_it,
        without,
        end=start + event.duration,
        allowed=allowed,
        window=window_of(base.network),
        quiet=slowest_way(base.network),
    )
    return OutageResult(
        name=event.name,
        start=start,
        periods=event.duration,
        cost_difference=Estimate.paired(outlay(result), outlay(base), confidence),
        recovery=recovery_of(times),
        backlog_with=with_it.mean(axis=1),
        backlog_without=without.mean(axis=1),
        beta_difference=Estimate.paired(result.scenarios["beta"], base.scenarios["beta"], confidence),
    )


def critical_nodes(
    network: Network,
    settings: Settings,
    *,
    weeks: float = 2,
    most: int = 10,
    progress: Progress | None = None,
) -> tuple[CriticalNode, ...]:
    """The nodes whose failure costs most, dearest first; see `failures`.

    Raises:
        UsageError: If the failure does not fit into the periods.
    """
    return failures(network, settings, weeks=weeks, most=most, progress=progress)[:most]


def failures(
    network: Network,
    settings: Settings,
    *,
    weeks: float = 2,
    most: int = 10,
    progress: Progress | None = None,
) -> tuple[CriticalNode, ...]:
    """What the failure of each node tried costs, dearest first.

    Of up to 40 nodes each one is tried. Of more, those `4 x most` are tried that have most at risk (see `exposure`)
    for a first look on 32 scenarios; the dearer half of them on all.

    Args:
        network: The network.
        settings: Of all simulations. The failure begins after a quarter of the periods counted.
        weeks: How long a node fails.
        most: How many nodes are to be known well.
        progress: Told the number of scenarios just finished.

    Raises:
        UsageError: If the failure does not fit into the periods.
    """
    periods = max(1, round(weeks * 7 / network.period_days))
    start = settings.warm_up + (settings.periods - settings.warm_up) // 4
    if start + periods >= settings.periods:
        raise UsageError(
            f"A failure of {periods} periods does not fit into {settings.periods} periods.",
            hint="Simulate more periods.",
        )
    names = candidates(network, periods, most=most)
    full = replace(settings, traced=0)
    if len(names) <= 2 * most or settings.scenarios <= _SCREENED or len(names) == len(network.nodes):
        return _failures(network, names, start, periods, full, progress)
    looked = _failures(network, names, start, periods, replace(full, scenarios=_SCREENED), progress)
    again = tuple(node.name for node in looked[: 2 * most])
    return by_cost((*_failures(network, again, start, periods, full, progress), *looked[2 * most :]))


def _failures(
    network: Network, names: Sequence[str], start: int, periods: int, settings: Settings, progress: Progress | None
) -> tuple[CriticalNode, ...]:
    base = outlay(simulate(network, settings, progress=progress))
    found = []
    for name in names:
        event = Disruption(name=name, effect=Effect.OUTAGE, target=name, start=start, duration=periods)
        extra = outlay(simulate(with_event(network, event), settings, progress=progress)) - base
        error = float(extra.std(ddof=1)) / math.sqrt(len(extra)) if len(extra) > 1 else math.inf
        found.append(CriticalNode(name=name, cost=float(extra.mean()), error=error, periods=periods))
    return by_cost(found)


def candidates(network: Network, periods: int, *, most: int = 10) -> tuple[str, ...]:
    """Nodes worth trying: all of a small network, else the `4 x most` with most at risk."""
    names = [node.name for node in network.nodes]
    if len(names) <= max(ALL_TRIED, 4 * most):
        return tuple(names)
    risk = exposure(network, periods)
    return tuple(names[number] for number in np.argsort(-risk, kind="stable")[: 4 * most])


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
