"""Where safety stock should lie: the guaranteed-service model on any network without cycles.

Each stage i promises its customers to deliver after a service time S_i. It is itself delivered after SI_i, the
longest of what its suppliers promise and of the way from them; its own work takes T_i. So it must bridge
tau_i = SI_i + T_i - S_i periods of demand from stock. With demand bounded by mean tau + z sigma sqrt(tau), it holds
z sigma sqrt(tau) units of safety stock. The model finds the promises that make all of that cheapest:

    min  sum_i h_i sqrt((z sigma)_i^2 tau_i + v_i)
    s.t. SI_j >= S_i + lead_ij, SI_j >= inbound_j, tau_i = SI_i + T_i - S_i >= 0, 0 <= S_i <= promise_i

(Graves and Willems 2000, "Optimizing strategic safety stock placement in supply chains", M&SOM 2(1); v_i, for lead
times that vary, is ours.) The cost is concave, so it is bent into pieces: chords between breakpoints lie below it
and give a lower bound, and wherever the answer falls between two of them a breakpoint is added (Magnanti, Shen,
Shu, Simchi-Levi and Teo 2006, "Inventory placement in acyclic supply chain networks", Op. Res. Letters 34).

Invariants:
    - An answer's `cost` is exact for its times, and `bound` is below the cost of every feasible choice of times.
    - Running out of time widens the gap between the two; it never makes either wrong.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.service_time_programme import Programme, solve_programme

Floats = NDArray[np.float64]
_DEMANDS_AT_ONCE: Final = 256
"""Demand stages whose needs are spread upstream in one go: bounds memory on networks of many thousand."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A stage of the network.

    Attributes:
        name: Unique name.
        processing_time: Periods from having all inputs to stock, T.
        holding_cost: Of a unit of safety stock, for a period.
        demand_mean: Mean of outside customers' demand in a period.
        demand_sd: Its standard deviation; that of the whole stage is pooled from all outside demand it serves.
        z: Safety factor of outside demand: the bound over tau periods is mean tau + z sd sqrt(tau).
        promise: Longest service time outside customers accept; infinite for a stage without any.
        inbound: Service time of outside suppliers.
        lead_time_sd: Standard deviation of the replenishment time, periods.
    """

    name: str
    processing_time: int = 0
    holding_cost: float = 0.0
    demand_mean: float = 0.0
    demand_sd: float = 0.0
    z: float = 0.0
    promise: float = math.inf
    inbound: int = 0
    lead_time_sd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arc:
    """A stage that supplies another.

    Attributes:
        source: Name of the supplying stage.
        target: Name of the stage supplied.
        quantity: Units of the source for one unit of the target.
        lead_time: Periods on the way.
    """

    source: str
    target: str
    quantity: float = 1.0
    lead_time: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Service times, and the stock they need, in the order of the stages.

    Attributes:
        stages: Names [stage].
        service_times: What each promises its customers, S [stage].
        net_times: Periods each bridges from stock, tau [stage].
        demand_means: Mean demand it serves in a period, outside and inside [stage].
        safety_stocks: Units held for luck [stage].
        cost: Of all safety stock, a period.
        bound: No choice of service times costs less.
    """

    stages: tuple[str, ...]
    service_times: Floats
    net_times: Floats
    demand_means: Floats
    safety_stocks: Floats
    cost: float
    bound: float

    @property
    def gap(self) -> float:
        """How much dearer than the cheapest it may be, as a share of its cost."""
        return max(0.0, self.cost - self.bound) / self.cost if self.cost > 0 else 0.0

    @property
    def is_proven(self) -> bool:
        """Whether it is the cheapest, up to rounding."""
        return self.gap <= 1e-6  # noqa: PLR2004 - the solver's own tolerance

    def is_same(self, other: "Placement") -> bool:
        """Whether both come to the same levels."""
        return np.array_equal(self.net_times, other.net_times) and np.allclose(
            self.safety_stocks, other.safety_stocks
        )


def place_safety_stock(stages: Sequence[Stage], arcs: Sequence[Arc], *, seconds: float = 60.0) -> Placement:
    """Find the cheapest service times.

    Args:
        stages: The stages; names are unique.
        arcs: What supplies what; without a cycle.
        seconds: When to stop looking for something better; the answer then says its gap.

    Raises:
        UsageError: If a number makes no sense, an arc leads nowhere or there is a cycle.
    """
    programme, means = _programme(stages, arcs)
    found = solve_programme(programme, seconds)
    return Placement(
        stages=tuple(stage.name for stage in stages),
        service_times=found.service_times,
        net_times=found.net_times,
        demand_means=means,
        safety_stocks=programme.stocks(found.net_times),
        cost=found.cost,
        bound=min(found.bound, found.cost),
    )


def stock_everywhere(stages: Sequence[Stage], arcs: Sequence[Arc]) -> Placement:
    """Safety stock at every stage: each delivers at once, or to outside customers as late as they accept.

    A choice of service times like any other, so feasible in the model, and seldom its cheapest.

    Args:
        stages: The stages; names are unique.
        arcs: What supplies what; without a cycle.

    Raises:
        UsageError: If a number makes no sense, an arc leads nowhere or there is a cycle.
    """
    programme, means = _programme(stages, arcs)
    accepted = np.where(np.isinf(programme.promise), 0.0, programme.promise)
    service_times, waits = np.zeros(len(stages)), programme.inbound.copy()
    into: list[list[int]] = [[] for _ in stages]
    for number, target in enumerate(programme.targets):
        into[target].append(number)
    for at in programme.order:
        for number in into[at]:
            waits[at] = max(waits[at], service_times[programme.sources[number]] + programme.leads[number])
        service_times[at] = min(accepted[at], waits[at] + programme.processing[at])
    net_times = waits + programme.processing - service_times
    return Placement(
        stages=tuple(stage.name for stage in stages),
        service_times=service_times,
        net_times=net_times,
        demand_means=means,
        safety_stocks=programme.stocks(net_times),
        cost=float(programme.costs(net_times).sum()),
        bound=0.0,
    )


def _programme(stages: Sequence[Stage], arcs: Sequence[Arc]) -> tuple[Programme, Floats]:
    """The model in arrays, and the mean demand of each stage [stage]."""
    order = _checked_order(stages, arcs)
    place = {stage.name: number for number, stage in enumerate(stages)}
    means, bounds = pooled_demand(stages, arcs)
    programme = Programme(
        processing=np.array([stage.processing_time for stage in stages], dtype=np.float64),
        inbound=np.array([stage.inbound for stage in stages], dtype=np.float64),
        promise=np.array([stage.promise for stage in stages], dtype=np.float64),
        price=np.array([stage.holding_cost for stage in stages], dtype=np.float64),
        slope=bounds**2,
        fixed=np.array([stage.z * stage.lead_time_sd for stage in stages]) ** 2 * means**2,
        sources=np.array([place[arc.source] for arc in arcs], dtype=np.intp),
        targets=np.array([place[arc.target] for arc in arcs], dtype=np.intp),
        leads=np.array([arc.lead_time for arc in arcs], dtype=np.float64),
        order=np.array([place[name] for name in order], dtype=np.intp),
    )
    return programme, means


def pooled_demand(stages: Sequence[Stage], arcs: Sequence[Arc]) -> tuple[Floats, Floats]:
    """Mean demand of each stage, and its bound z sigma over one period, [stage] each.

    Outside demands are independent of each other; what one of them needs of a stage, over all paths, rises and
    falls as one. So a stage's bound is the root of the sum, over outside demands, of (need z sd)^2.
    """
    demands = np.array([n for n, stage in enumerate(stages) if stage.demand_mean or stage.demand_sd], dtype=np.intp)
    means, squares = np.zeros(len(stages)), np.zeros(len(stages))
    mean = np.array([stage.demand_mean for stage in stages])
    bound = np.array([stage.z * stage.demand_sd for stage in stages])
    for start in range(0, len(demands), _DEMANDS_AT_ONCE):
        some = demands[start : start + _DEMANDS_AT_ONCE]
        needs = needed_for(stages, arcs, some)
        means += needs @ mean[some]
        squares += np.square(needs) @ np.square(bound[some])
    return means, np.sqrt(squares)


def needed_for(stages: Sequence[Stage], arcs: Sequence[Arc], some: NDArray[np.intp]) -> Floats:
    """Units of each stage in one unit of each of `some` stages, over all paths; [stage, some]."""
    place = {stage.name: number for number, stage in enumerate(stages)}
    below: list[list[tuple[int, float]]] = [[] for _ in stages]
    for arc in arcs:
        below[place[arc.source]].append((place[arc.target], arc.quantity))
    needs = np.zeros((len(stages), len(some)))
    needs[some, np.arange(len(some))] = 1.0
    for name in reversed(_checked_order(stages, arcs)):
        at = place[name]
        for target, quantity in below[at]:
            needs[at] += quantity * needs[target]
    return needs


def _checked_order(stages: Sequence[Stage], arcs: Sequence[Arc]) -> tuple[str, ...]:
    before: dict[str, list[str]] = {stage.name: [] for stage in stages}
    if not stages or len(before) < len(stages):
        raise UsageError("The guaranteed-service model needs stages with names that differ.")
    for stage in stages:
        numbers = (
            stage.processing_time,
            stage.inbound,
            stage.holding_cost,
            stage.demand_sd,
            stage.z,
            stage.promise,
        )
        if not all(number >= 0 for number in (*numbers, stage.lead_time_sd)):
            raise UsageError(f"The stage {stage.name} has a negative time, cost, deviation or safety factor.")
    for arc in arcs:
        if arc.source not in before or arc.target not in before:
            raise UsageError(f"The arc {arc.source} → {arc.target} leads to or from a stage that is not there.")
        if not (arc.quantity >= 0 and arc.lead_time >= 0):
            raise UsageError(f"The arc {arc.source} → {arc.target} has a negative quantity or lead time.")
        before[arc.target].append(arc.source)
    try:
        return tuple(TopologicalSorter(before).static_order())
    except CycleError as error:
        raise UsageError(f"The stages have a cycle: {' → '.join(error.args[1])}.") from None
