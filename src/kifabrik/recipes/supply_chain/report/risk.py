"""How much of a risk each node is, and the colour that says so."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.results import Results
from kifabrik.recipes.supply_chain.studies import CriticalNode, by_cost

UNKNOWN: Final = "#cfd6dc"
"""Colour of a node whose risk is not known."""
NAMED: Final = 10
"""So many of the riskiest nodes are named."""
_STOPS: Final = ((0xF6, 0xEE, 0xDC), (0xF3, 0xC6, 0x84), (0xE0, 0x7A, 0x3F), (0xA9, 0x26, 0x2E))
_TINY: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Risk:
    """A figure of risk for each node.

    Attributes:
        values: At least zero, or NaN where it is not known [node], in the order of the network's nodes.
        periods: Length of the failure whose cost it is; 0: it is the mean wait at the node, in periods.
    """

    values: NDArray[np.float64]
    periods: int = 0

    @property
    def highest(self) -> float:
        """The largest known value; zero if there is none."""
        known = self.values[np.isfinite(self.values)]
        return float(known.max()) if known.size else 0.0

    @property
    def unknown(self) -> int:
        """How many nodes have no known value."""
        return int(np.isnan(self.values).sum())

    def riskiest(self) -> list[int]:
        """Places of the nodes with the largest values above zero, the largest first."""
        order = np.argsort(-np.nan_to_num(self.values), kind="stable")[:NAMED]
        return [int(at) for at in order if self.values[at] > _TINY]

    def colour(self, node: int) -> str:
        """Colour of a node; steps of lightness, so that it can be read in grey too."""
        value = float(self.values[node])
        if not math.isfinite(value):
            return UNKNOWN
        return shade(math.sqrt(value / self.highest) if self.highest > 0 else 0.0)


def shade(share: float) -> str:
    """Colour of a share of the way from no risk (0) to the largest (1)."""
    at = min(max(share, 0.0), 1.0) * (len(_STOPS) - 1)
    low = min(int(at), len(_STOPS) - 2)
    parts = (round(a + (b - a) * (at - low)) for a, b in zip(_STOPS[low], _STOPS[low + 1], strict=True))
    return "#" + "".join(f"{part:02x}" for part in parts)


def risk_of(results: Results, critical: Sequence[CriticalNode]) -> Risk:
    """What a failure costs where that was tested; else how long a unit waits at a node for want of stock.

    The wait is the backlog divided by what leaves the node in a period (Little's law: J. D. C. Little, A proof for
    the queuing formula L = λW, Operations Research 9, 1961).
    """
    places = {node.name: at for at, node in enumerate(results.network.nodes)}
    values = np.full(len(places), np.nan)
    tested = [node for node in by_cost(critical) if node.name in places and math.isfinite(node.cost)]
    if tested:
        for node in tested:
            values[places[node.name]] = max(0.0, node.cost)
        return Risk(values=values, periods=tested[0].periods)
    leaves = np.nan_to_num(results.nodes["met"])
    for lane, shipped in zip(results.network.lanes, results.lanes["shipped"], strict=True):
        if lane.source and math.isfinite(shipped):
            leaves[places[lane.source]] += shipped
    backlog = np.maximum(results.nodes["backlog"], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        waits = np.where(backlog > 0, backlog / leaves, backlog)
    return Risk(values=np.where(np.isfinite(waits), waits, np.nan))
