"""Demand from history: what was calibrated takes the place of what the tables say.

Invariants:
    - A season goes on where the history ends: the first period simulated is the one after its last.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Final

import numpy as np

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.calibrating import WEEK, Calibration
from kifabrik.recipes.supply_chain.network import Demand, Network
from kifabrik.recipes.supply_chain.past import Step

_YEAR_DAYS = 365
_DAYS: Final = {Step.DAY: 1.0, Step.WEEK: 7.0}
"""Length of a network's period that a series with dates takes the place in."""


def with_history(network: Network, calibrations: Sequence[Calibration]) -> Network:
    """Return the network with the fitted demand of every node that has a history.

    Args:
        network: As the tables say; its nodes are called `product@site`, as the series are.
        calibrations: Of demand; those of lead times are left aside.

    Raises:
        UsageError: A series is of no node of the network, or periods of the history are not those of the network.
    """
    fitted = {one.series.name: one for one in calibrations if not one.series.name.startswith("lane ")}
    strange = sorted(set(fitted) - {node.name for node in network.nodes})
    if strange:
        listed = ", ".join(strange[:5]) + (f" and {len(strange) - 5} more" if len(strange) > 5 else "")  # noqa: PLR2004
        raise UsageError(
            f"The history has demand of {listed}: the network has no such product and site.",
            hint="Names in the history are those of the table product_site.",
        )
    for one in fitted.values():
        _check_period(one, network.period_days)
    nodes = tuple(
        replace(node, demand=_demand(node.demand, fitted[node.name])) if node.name in fitted else node
        for node in network.nodes
    )
    return replace(network, nodes=nodes)


def _check_period(found: Calibration, period_days: float) -> None:
    step = found.series.step
    if found.series.first is None or _DAYS.get(step) == period_days:
        return
    if step is Step.MONTH:
        raise UsageError(
            f"The history has the demand of {found.series.name} by months, which are no period of the simulation.",
            hint="Give it by days or weeks; or have `kifabrik supply-chain calibrate --tables` write a table "
            "demand of it, for `per` month.",
        )
    raise UsageError(
        f"The history has the demand of {found.series.name} by {step.value}s, and periods of the network have "
        f"{period_days:g} days.",
        hint=f"Write period_days {_DAYS[step]:g} in the table network.",
    )


def _demand(before: Demand | None, found: Calibration) -> Demand:
    factors = _factors(found)
    if before is None:
        return Demand(each=found.fit.distribution, factors=factors)
    return replace(before, each=found.fit.distribution, factors=factors)


def _factors(found: Calibration) -> tuple[float, ...]:
    """Factors from the first simulated period on."""
    if not found.factors:
        return ()
    first, seen = found.series.first, len(found.series.values)
    if found.season == "month" and first is not None:
        days = np.datetime64(first + timedelta(days=seen)) + np.arange(_YEAR_DAYS)
        months = days.astype("datetime64[M]").astype(int) % 12
        return tuple(np.array(found.factors)[months].tolist())
    start = (first.weekday() if found.season == "weekday" and first is not None else 0) + seen
    return tuple(np.roll(found.factors, -(start % WEEK)).tolist())
