"""Demand from history: what was calibrated takes the place of what the tables say.

Invariants:
    - A season goes on where the history ends: the first period simulated is the one after its last.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.calibrating import WEEK, Calibration
from kifabrik.recipes.supply_chain.network import Demand, Network

_YEAR_DAYS = 365


def with_history(network: Network, calibrations: Sequence[Calibration]) -> Network:
    """Return the network with the fitted demand of every node that has a history.

    Args:
        network: As the tables say; its nodes are called `product@site`, as the series are.
        calibrations: Of demand; those of lead times are left aside.

    Raises:
        UsageError: A series is of no node of the network, or a season of months meets periods that are not days.
    """
    fitted = {one.series.name: one for one in calibrations if not one.series.name.startswith("lane ")}
    strange = sorted(set(fitted) - {node.name for node in network.nodes})
    if strange:
        listed = ", ".join(strange[:5]) + (f" and {len(strange) - 5} more" if len(strange) > 5 else "")  # noqa: PLR2004
        raise UsageError(
            f"The history has demand of {listed}: the network has no such product and site.",
            hint="Names in the history are those of the table product_site.",
        )
    nodes = tuple(
        replace(node, demand=_demand(node.demand, fitted[node.name], network)) if node.name in fitted else node
        for node in network.nodes
    )
    return replace(network, nodes=nodes)


def _demand(before: Demand | None, found: Calibration, network: Network) -> Demand:
    factors = _factors(found, network.period_days)
    if before is None:
        return Demand(each=found.fit.distribution, factors=factors)
    return replace(before, each=found.fit.distribution, factors=factors)


def _factors(found: Calibration, period_days: float) -> tuple[float, ...]:
    """Factors from the first simulated period on."""
    if not found.factors:
        return ()
    first, seen = found.series.first, len(found.series.values)
    if found.season == "month" and first is not None:
        if period_days != 1:
            raise UsageError(
                f"The demand of {found.series.name} has a season of months, and periods have {period_days:g} days.",
                hint="Give periods of one day in the table network, or history without dates.",
            )
        days = np.datetime64(first + timedelta(days=seen)) + np.arange(_YEAR_DAYS)
        months = days.astype("datetime64[M]").astype(int) % 12
        return tuple(np.array(found.factors)[months].tolist())
    start = (first.weekday() if found.season == "weekday" and first is not None else 0) + seen
    return tuple(np.roll(found.factors, -(start % WEEK)).tolist())
