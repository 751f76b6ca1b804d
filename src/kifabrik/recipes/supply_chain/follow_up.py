"""What a study asks after its scenarios: what did the dated outages do, and which nodes matter most."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final

from kifabrik.recipes.supply_chain.comparing import stress
from kifabrik.recipes.supply_chain.failing import affordable, failures, look
from kifabrik.recipes.supply_chain.network import Network
from kifabrik.recipes.supply_chain.results import Settings
from kifabrik.recipes.supply_chain.studies import CriticalNode, OutageResult

Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None] | None]]
"""Makes a progress bar, of a title and a number of scenarios; gives what counts those finished."""
_SCENARIOS: Final = 500
"""Differences under the same luck need fewer scenarios than levels do."""
_LEAST: Final = 64
"""So many of them outages of even the largest network are looked at on."""
_FAILURE_DAYS: Final = 14
_ROOM: Final = 0.75
"""Of the periods counted: what a failure of two weeks must fit into, so that the network can recover in sight."""


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What was found.

    Attributes:
        outages: Of each disruption with a date that lies within the periods counted.
        critical: The nodes whose failure for two weeks was tried, the worst first.
    """

    outages: tuple[OutageResult, ...] = ()
    critical: tuple[CriticalNode, ...] = ()


def follow_up(
    network: Network, settings: Settings, most_critical: int, *, bar: Bar, workers: int | None = None
) -> FollowUp:
    """Study dated outages and the most critical nodes, on at most 500 scenarios, fewer of very large networks.

    Args:
        network: As it was simulated.
        settings: Of the study.
        most_critical: Name so many nodes; 0: none.
        bar: Makes progress bars.
        workers: Threads; None: one for each core.
    """
    few = replace(settings, scenarios=min(settings.scenarios, _SCENARIOS))
    events = tuple(
        one
        for one in network.disruptions
        if one.start is not None and settings.warm_up <= one.start and one.start + one.duration < settings.periods
    )
    outages: tuple[OutageResult, ...] = ()
    critical: tuple[CriticalNode, ...] = ()
    if events:
        calm = replace(network, disruptions=tuple(one for one in network.disruptions if one not in events))
        room = max(_LEAST, affordable(network, settings) // (len(events) + 1))
        seen = replace(few, scenarios=min(few.scenarios, room))
        with bar("outages", seen.scenarios * (len(events) + 1)) as progress:
            outages = stress(calm, events, seen, progress=progress, workers=workers)
    days = (settings.periods - settings.warm_up) * _ROOM * network.period_days
    if most_critical and days > _FAILURE_DAYS:
        wanted = look(network, few, most=most_critical)
        with bar("failures", wanted.total) as progress:
            critical = failures(network, few, wanted, progress=progress, workers=workers)
    return FollowUp(outages, critical)


def watched(network: Network) -> tuple[str, ...]:
    """Nodes whose course a study keeps: the first six that customers ask."""
    return tuple(node.name for node in network.nodes if node.demand)[:6]
