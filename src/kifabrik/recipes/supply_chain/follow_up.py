"""What a study asks after its scenarios: what did the dated outages do, and which nodes matter most."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Final

from kifabrik.recipes.supply_chain.comparing import failures, stress
from kifabrik.recipes.supply_chain.network import Network
from kifabrik.recipes.supply_chain.results import Settings
from kifabrik.recipes.supply_chain.studies import CriticalNode, OutageResult

Bar = Callable[[str, int], AbstractContextManager[Callable[[int], None] | None]]
"""Makes a progress bar, of a title and a number of scenarios; gives what counts those finished."""
_SCENARIOS: Final = 500
"""Differences under the same luck need fewer scenarios than levels do."""
_FAILURE_DAYS: Final = 14
_ROOM: Final = 0.75
"""Of the periods counted: what a failure of two weeks must fit into, so that the network can recover in sight."""


@dataclass(frozen=True, slots=True)
class FollowUp:
    """What was found.

    Attributes:
        outages: Of each disruption with a date that lies within the periods counted.
        critical: The nodes whose failure for two weeks costs most, the worst first.
    """

    outages: tuple[OutageResult, ...] = ()
    critical: tuple[CriticalNode, ...] = ()


def follow_up(network: Network, settings: Settings, most_critical: int, *, bar: Bar) -> FollowUp:
    """Study dated outages and the most critical nodes, on at most 500 scenarios.

    Args:
        network: As it was simulated.
        settings: Of the study.
        most_critical: Name so many nodes; 0: none.
        bar: Makes progress bars.
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
        with bar("outages", few.scenarios * (len(events) + 1)) as progress:
            outages = stress(calm, events, few, progress=progress)
    room = (settings.periods - settings.warm_up) * _ROOM * network.period_days
    if most_critical and room > _FAILURE_DAYS:
        with bar("failures", few.scenarios * (len(network.nodes) + 1)) as progress:
            critical = failures(network, few, most=most_critical, progress=progress)
    return FollowUp(outages, critical)


def watched(network: Network) -> tuple[str, ...]:
    """Nodes whose course a study keeps: the first six that customers ask."""
    return tuple(node.name for node in network.nodes if node.demand)[:6]
