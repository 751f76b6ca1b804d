"""When a network is over an outage: its backlog against that of the same scenario without it.

Two scenarios that differ by an outage never meet again exactly: where orders come in lots or once a week, their
rhythms stay shifted, and now one, now the other owes a little more. So extra backlog is averaged over four weeks,
and has to stay small for as long only as what the outage did can still be under way.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.network import Network, Rule
from kifabrik.recipes.supply_chain.safety_stocks import demand_means, lane_time, main_level
from kifabrik.recipes.supply_chain.studies import Recovery

Floats = NDArray[np.float64]
TOLERANCE: Final = 0.1
"""Extra backlog, averaged over four weeks, that counts as recovered: this share of a period's outside demand."""
_WINDOW_DAYS: Final = 28.0


def recovery_of(times: Floats) -> Recovery:
    """Sum up the times of scenarios, infinite where one did not recover."""
    back = times[np.isfinite(times)]
    return Recovery(
        median=float(np.median(back)) if back.size else math.nan,
        p95=float(np.quantile(times, 0.95, method="higher")),
        unrecovered=float(np.isinf(times).mean()),
    )


def recovery_times(
    with_it: Floats, without: Floats, *, end: int, allowed: float, window: int = 1, quiet: int | None = None
) -> Floats:
    """Periods after `end` until backlog is back within `allowed` of the undisturbed twin [scenario].

    Args:
        with_it: Backlog [period, scenario].
        without: The same of the undisturbed twins.
        end: First period after the event.
        allowed: Units.
        window: Extra backlog is averaged over so many periods from each one on.
        quiet: For so many periods it must not be above again; None: for good.

    Returns:
        Zero where it is not above after `end`, infinite where it still is in the last whole window.
    """
    sums = np.cumsum(np.concatenate([np.zeros((1, with_it.shape[1])), with_it - without]), axis=0)
    above = (sums[window:] - sums[:-window]) / window > allowed
    last = len(above) - 1
    if end > last:
        return np.where(above[last], np.inf, 0.0)
    places = np.where(above, np.arange(last + 1)[:, None], last + 1)
    following = np.minimum.accumulate(places[::-1], axis=0)[::-1]  # the next period, or this, in which it is above
    until = np.arange(last + 1) + (last + 1 if quiet is None else quiet)
    is_back = following[end:] > np.minimum(until, last)[end:, None]
    return np.where(is_back.any(axis=0), is_back.argmax(axis=0), np.inf)


def window_of(network: Network) -> int:
    """Periods in four weeks, at least one."""
    return max(1, round(_WINDOW_DAYS / network.period_days))


def slowest_way(network: Network) -> int:
    """Periods for which an outage can go on to show, along the slowest way through the network.

    Of each node on it: the time its stock lasts, of orders and goods to it, of making, and between its orders.
    """
    means, nodes = demand_means(network), {node.name: node for node in network.nodes}
    longest: dict[str, float] = {}
    into: dict[str, list[float]] = {name: [0.0] for name in nodes}
    below: dict[str, list[tuple[str, int]]] = {name: [] for name in nodes}
    for lane in network.lanes:
        if lane.source:
            below[lane.source].append((lane.target, lane_time(lane)))
        else:
            into[lane.target].append(lane_time(lane))
    for name in network.in_order():
        node, mean = nodes[name], means[name]
        has_level = node.policy.rule not in {Rule.ECHELON_BASE_STOCK, Rule.FIXED_QUANTITY}
        lasts = max(0.0, main_level(node.policy)) / mean if has_level and mean > 0 else 0.0
        longest[name] = max(into[name]) + node.making_time + node.policy.review + lasts
        for target, time in below[name]:
            into[target].append(longest[name] + time)
    return math.ceil(max(longest.values()))
