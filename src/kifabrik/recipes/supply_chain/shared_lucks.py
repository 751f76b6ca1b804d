"""Luck that demands share: a node's normal score is a weighed sum of its own and of others.

Invariants:
    - The first of several nodes that are correlated has the luck it has alone.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.correlating import score_weights
from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.topology import Topology

_NOTHING: Final = 1e-12


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

    Raises:
        UsageError: If correlations cannot be had.
    """
    names: dict[str, int] = {}
    correlated, matrix = score_weights(of.network.nodes, of.network.correlations)
    rows = {name: row for row, name in enumerate(correlated)}
    weighed: list[list[tuple[int, float]]] = [[] for _ in of.nodes]
    for i, node in enumerate(of.nodes):
        reals[i, lay.REST] = 1.0
        if node.demand and node.demand.shared_luck:
            loading = node.demand.loading
            reals[i, lay.REST] = np.sqrt(max(0.0, 1 - loading**2))
            weighed[i] = [(names.setdefault(f"luck {node.demand.shared_luck}", len(names)), loading)]
        elif node.name in rows:
            row = matrix[rows[node.name]]
            reals[i, lay.REST] = row[rows[node.name]]
            others = [j for j in np.flatnonzero(np.abs(row) > _NOTHING) if j != rows[node.name]]
            weighed[i] = [(names.setdefault(f"demand {correlated[j]}", len(names)), float(row[j])) for j in others]
    arrays = {
        "luck_start": np.cumsum([0, *map(len, weighed)]),
        "luck": np.array([row for each in weighed for row, _ in each], dtype=np.int64),
        "luck_weight": np.array([weight for each in weighed for _, weight in each], dtype=real),
    }
    return SharedLucks(arrays=arrays, names=list(names))
