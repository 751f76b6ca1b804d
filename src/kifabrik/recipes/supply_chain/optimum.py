"""What an optimisation proposes, and how that was checked."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from kifabrik.recipes.supply_chain.guaranteed_service import Placement
from kifabrik.recipes.supply_chain.network import Network
from kifabrik.recipes.supply_chain.results import Settings
from kifabrik.recipes.supply_chain.studies import Frontier, FrontierPoint


class Start(StrEnum):
    """Where the safety stocks lie that were scaled."""

    GUARANTEED_SERVICE = "guaranteed-service"
    EVERYWHERE = "everywhere"
    TODAY = "today"


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
    """

    name: str
    unit: str
    level_now: float
    level: float
    safety_now: float
    safety: float
    service_time: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimum:
    """A plan found, checked on scenarios it was not found with.

    Attributes:
        network: With the proposed levels.
        nodes: What each node does now and should do, in the order of the network.
        placement: Answer of the guaranteed-service model.
        start: Whether its safety stocks were scaled, or others that are cheaper in the simulation.
        target: Fill rate asked for.
        scales: Factor of each of these safety stocks, by node name.
        now: Today's plan, on fresh scenarios.
        proposed: The proposed plan, on the same, with differences to today's.
        frontier: Plans with more and less safety, and both of these.
        is_reached: Whether the fill rate was reached where the plan was sought.
        holds: Whether the fresh scenarios agree: the lower end of the fill rate's interval is not below the target.
        simulations: How many were run.
        searched: Scenarios of each simulation of the search.
        fresh: Settings of the fresh scenarios.
    """

    network: Network
    nodes: tuple[NodePlan, ...]
    placement: Placement
    start: Start
    target: float
    scales: Mapping[str, float]
    now: FrontierPoint
    proposed: FrontierPoint
    frontier: Frontier
    is_reached: bool
    holds: bool
    simulations: int
    searched: int
    fresh: Settings
