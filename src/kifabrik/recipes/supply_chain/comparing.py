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
from kifabrik.recipes.supply_chain.network import Disruption, Network
from kifabrik.recipes.supply_chain.recovering import (
    TOLERANCE,
    recovery_of,
    recovery_times,
    slowest_way,
    window_of,
)
from kifabrik.recipes.supply_chain.results import Results, Settings
from kifabrik.recipes.supply_chain.studies import Estimate, OutageResult

Floats = NDArray[np.float64]
Progress = Callable[[int], None]
COMPARED: Final = ("cost", "revenue", "holding", "stockout", "transport", "beta", "alpha", "stock_value", "backlog")


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
    progress: Progress | None = None,
    workers: int | None = None,
) -> tuple[Comparison, ...]:
    """Compare each further network to the first.

    Args:
        networks: At least two; nodes of the same name share their luck.
        settings: Of all simulations.
        progress: Told the number of scenarios just finished.
        workers: Threads; None: one for each core.

    Raises:
        UsageError: If there are not two networks.
    """
    if len(networks) < 2:  # noqa: PLR2004
        raise UsageError("It takes two networks to compare.", hint="Name another folder or another scenario.")
    if settings.scenarios < 2:  # noqa: PLR2004
        raise UsageError("Differences of one scenario say nothing.", hint="Ask for at least two scenarios.")
    plain = replace(settings, traced=0)
    base, *others = (simulate(network, plain, progress=progress, workers=workers) for network in networks)
    return tuple(
        Comparison(
            name=other.network.name,
            base=base.network.name,
            scenarios=settings.scenarios,
            differences=tuple(
                difference(figure, other.scenarios[figure], base.scenarios[figure]) for figure in COMPARED
            ),
        )
        for other in others
    )


def difference(figure: str, changed: Floats, base: Floats) -> Difference:
    """Difference of one figure, [scenario] each."""
    return Difference(
        figure=figure,
        base=Estimate.of(base),
        changed=Estimate.of(changed),
        difference=Estimate.paired(changed, base),
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
    progress: Progress | None = None,
    workers: int | None = None,
) -> tuple[OutageResult, ...]:
    """Let each event happen, alone, and compare to the same scenarios without it.

    Args:
        network: The network; disruptions it has anyway happen on both sides.
        events: Dated ones.
        settings: Of all simulations.
        progress: Told the number of scenarios just finished.
        workers: Threads; None: one for each core.

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
    base = simulate(network, traced, progress=progress, workers=workers)
    allowed = TOLERANCE * float(base.courses["demand"].mean())
    found = []
    for event in events:
        result = simulate(with_event(network, event), traced, progress=progress, workers=workers)
        found.append(_outage(event, result, base, allowed))
    return tuple(found)


def with_event(network: Network, event: Disruption) -> Network:
    """The network with one more disruption."""
    return replace(network, disruptions=(*network.disruptions, event))


def _outage(event: Disruption, result: Results, base: Results, allowed: float) -> OutageResult:
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
        cost_difference=Estimate.paired(outlay(result), outlay(base)),
        recovery=recovery_of(times),
        backlog_with=with_it.mean(axis=1),
        backlog_without=without.mean(axis=1),
        beta_difference=Estimate.paired(result.scenarios["beta"], base.scenarios["beta"]),
    )
