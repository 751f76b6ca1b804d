"""Luck that demands share: a node's normal score is a weighed sum of its own and of others."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.topology import Topology


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedLucks:
    """Scores that nodes share.

    Attributes:
        arrays: The plan's arrays of lucks, by name.
        names: Name of each shared score's stream.
    """

    arrays: dict[str, Any]
    names: list[str]


def shared_lucks(of: Topology, reals: NDArray[np.float64], real: Any) -> SharedLucks:
    """Scores that nodes share, and with what weight.

    Args:
        of: The network.
        reals: Rows of nodes; the weight of a node's own score is filled in (REST).
        real: Type of weights.
    """
    names: dict[str, int] = {}
    weighed: list[list[tuple[int, float]]] = [[] for _ in of.nodes]
    for i, node in enumerate(of.nodes):
        reals[i, lay.REST] = 1.0
        if node.demand and node.demand.shared_luck:
            loading = node.demand.loading
            reals[i, lay.REST] = np.sqrt(max(0.0, 1 - loading**2))
            weighed[i] = [(names.setdefault(f"luck {node.demand.shared_luck}", len(names)), loading)]
    arrays = {
        "luck_start": np.cumsum([0, *map(len, weighed)]),
        "luck": np.array([row for each in weighed for row, _ in each], dtype=np.int64),
        "luck_weight": np.array([weight for each in weighed for _, weight in each], dtype=real),
    }
    return SharedLucks(arrays=arrays, names=list(names))
