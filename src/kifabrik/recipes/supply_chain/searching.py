"""Simulations of scaled safety stocks, with one luck."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.comparing import outlay
from kifabrik.recipes.supply_chain.engine import simulate
from kifabrik.recipes.supply_chain.guaranteed_service import Placement
from kifabrik.recipes.supply_chain.network import Network
from kifabrik.recipes.supply_chain.results import Results, Settings
from kifabrik.recipes.supply_chain.safety_stocks import base_stocks
from kifabrik.recipes.supply_chain.scaling import Scaling
from kifabrik.recipes.supply_chain.studies import Estimate

Floats = NDArray[np.float64]
_FRESH = 7919
"""Added to the seed for the check: any other seed gives other luck."""


@dataclass
class Search:
    """Simulations of scaled safety stocks, with one luck, counted; of their results scenarios' figures are kept.

    Attributes:
        network: With the levels of today.
        placement: What is scaled.
        settings: Of each simulation.
        limit: Most simulations.
        progress: Told the number of scenarios just finished.
        workers: Threads; None: one for each core.
        runs: Simulations so far.
        known: Their results, by factors.
    """

    network: Network
    placement: Placement
    settings: Settings
    limit: int
    progress: Callable[[int], None] | None = None
    workers: int | None = None
    runs: int = 0
    known: dict[tuple[float, ...], Results] = field(default_factory=dict)

    @property
    def is_spent(self) -> bool:
        """Whether there are no simulations left."""
        return self.runs >= self.limit

    def at(self, scales: Floats) -> Results:
        """Results with these factors [node]."""
        key = tuple(np.round(scales, 9))
        if key not in self.known:
            self.runs += 1
            self.known[key] = self.simulated(self.plan(scales))
        return self.known[key]

    def simulated(self, network: Network) -> Results:
        """Results of any network, under the same luck; not counted."""
        results = simulate(network, self.settings, progress=self.progress, workers=self.workers)
        return replace(results, network=self.network, nodes={}, nodes_error={}, lanes={}, courses={})

    def scaling(self, shape: Floats) -> Scaling:
        """Fill rates of multiples of these factors [node]."""
        return Scaling(lambda scale: least_beta(self.at(scale * shape)))

    def serves(self, scales: Floats, beta: float) -> bool:
        """Whether the fill rate is met beyond luck."""
        return least_beta(self.at(scales)) >= beta

    def plan(self, scales: Floats) -> Network:
        """The network with safety stocks times these factors [node]."""
        return base_stocks(
            self.network, self.placement, scale=dict(zip(self.placement.stages, scales, strict=True))
        )

    def fresh(self, scenarios: int, check: int, progress: Callable[[int], None] | None) -> "Search":
        """The same on so many scenarios that nothing was sought with."""
        settings = replace(self.settings, seed=self.settings.seed + check * _FRESH, scenarios=scenarios)
        return replace(self, settings=settings, limit=1_000_000, runs=0, known={}, progress=progress)

    def first(self, scenarios: int, progress: Callable[[int], None] | None) -> "Search":
        """The same on the first so many of its scenarios."""
        settings = replace(self.settings, scenarios=min(scenarios, self.settings.scenarios))
        known = {key: first_scenarios(results, scenarios) for key, results in self.known.items()}
        return replace(self, settings=settings, runs=0, known=known, progress=progress)


def first_scenarios(results: Results, scenarios: int) -> Results:
    """Figures of the first so many scenarios; they are those of a study of so many."""
    few = {name: values[:scenarios] for name, values in results.scenarios.items()}
    return replace(results, scenarios=few)


def least_beta(results: Results) -> float:
    """Lower end of the fill rate's interval."""
    return Estimate.of(np.nan_to_num(results.scenarios["beta"], nan=1.0)).low


def mean_beta(results: Results) -> float:
    """The fill rate, mean over scenarios with demand."""
    return float(np.nanmean(results.scenarios["beta"]))


def aim(results: Results) -> Floats:
    """What is made small, [scenario]: cost less revenue; where holding stock costs nothing, its value."""
    has_cost = any(node.holding_cost > 0 for node in results.network.nodes)
    return outlay(results) if has_cost else results.scenarios["stock_value"]
