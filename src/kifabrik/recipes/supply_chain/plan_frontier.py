"""Plans for other fill rates beside the proposed one, on scenarios that no plan was sought with.

Of large networks the others are compared with today's plan on fewer scenarios, the first of those of the check.
"""

import math
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.blocks import GROUP
from kifabrik.recipes.supply_chain.comparing import outlay
from kifabrik.recipes.supply_chain.network import Network
from kifabrik.recipes.supply_chain.results import Results, Settings
from kifabrik.recipes.supply_chain.scaling import Scaling
from kifabrik.recipes.supply_chain.searching import Search, first_scenarios
from kifabrik.recipes.supply_chain.studies import TODAY, Estimate, Frontier, FrontierPoint, by_target
from kifabrik.recipes.supply_chain.work_left import Stage, WorkLeft

Floats = NDArray[np.float64]
FRONTIER_TARGETS: Final = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995)
"""Fill rates of the other plans of the frontier."""
TO_FRONTIER: Final = 8
"""Simulations that seek each of them, at most."""
_WITHIN: Final = 0.02
_MOST_WORK: Final = 1e10
"""Periods of nodes and lanes that comparing the others may take: about a minute of two cores."""
_LEAST_COMPARED: Final = 64


def compared_on(network: Network, settings: Settings) -> int:
    """Scenarios of plans for other fill rates: all, or of large networks as many as bounded work allows."""
    each = (len(network.nodes) + len(network.lanes)) * settings.periods * len(FRONTIER_TARGETS)
    return min(settings.scenarios, max(_LEAST_COMPARED, int(_MOST_WORK / each) // GROUP * GROUP))


def checked(
    search: Search, fresh: Search, best: Floats, beta: float, work: WorkLeft
) -> tuple[FrontierPoint, FrontierPoint, Frontier]:
    """Today's plan, the proposed one, and plans for other fill rates.

    Args:
        search: What other fill rates are sought with.
        fresh: The check's scenarios.
        best: Factors of the proposed plan [node].
        beta: The fill rate asked for.
        work: Told what is simulated.
    """
    today = fresh.simulated(fresh.network)
    now = replace(_point(TODAY, today, None), is_current=True)
    proposed = replace(_point(by_target(beta), fresh.at(best), today), target=beta, is_chosen=True)
    search.progress = work.begin(Stage.COMPARING)
    few = fresh.first(compared_on(fresh.network, fresh.settings), search.progress)
    others = _others(search, few, best, beta, today)
    fresh.runs += few.runs
    points = sorted((now, proposed, *others), key=lambda point: (point.stock_value.mean, point.beta.mean))
    compared, scenarios = few.settings.scenarios, fresh.settings.scenarios
    frontier = Frontier(points=tuple(points), scenarios=scenarios, compared=compared)
    return now, proposed, frontier


def _others(search: Search, few: Search, best: Floats, beta: float, today: Results) -> list[FrontierPoint]:
    scaling = search.scaling(best)
    others, today = [], first_scenarios(today, few.settings.scenarios)
    for target in FRONTIER_TARGETS:
        scales = None if math.isclose(target, beta) else _scaled(search, scaling, best, target)
        if scales is not None:
            point = _point(by_target(target), few.at(scales), today)
            others.append(replace(point, target=target))
    return others


def _scaled(search: Search, scaling: Scaling, best: Floats, target: float) -> Floats | None:
    """The proposed safety stocks, all scaled alike to just meet another fill rate.

    None if they cannot, or if it is met without any.
    """
    if scaling.at(0.0) >= target:
        return None
    until = search.runs + TO_FRONTIER
    scale = scaling.least(target, within=_WITHIN, go_on=lambda: search.runs < until)
    return scale * best if scaling.at(scale) >= target else None


def _point(name: str, results: Results, today: Results | None) -> FrontierPoint:
    cost = outlay(results)

    def against(figure: str) -> Estimate | None:
        if today is None:
            return None
        return Estimate.paired(results.scenarios[figure], today.scenarios[figure])

    return FrontierPoint(
        name=name,
        stock_value=Estimate.of(results.scenarios["stock_value"]),
        beta=Estimate.of(results.scenarios["beta"]),
        cost=Estimate.of(cost),
        stock_difference=against("stock_value"),
        beta_difference=against("beta"),
        cost_difference=None if today is None else Estimate.paired(cost, outlay(today)),
    )
