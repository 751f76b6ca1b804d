"""Echelons: what is downstream of a node, in the node's own units.

A unit of product downstream stands for as many units of the node as went into it, through bills of material and
yields. Of a component with several sources the one that stands for most counts.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.network import Rule
from kifabrik.recipes.supply_chain.topology import Topology

Weighed = list[tuple[int, float]]


def echelons(of: Topology, lane_ints: NDArray[np.int64], raw_at: NDArray[np.int64], real: Any) -> dict[str, Any]:
    """Nodes, lanes and components in store that an echelon position counts, of each node with such a policy.

    Args:
        of: The network.
        lane_ints: Lanes counted are marked there (MOVES).
        raw_at: Row of raw material of each group of lanes, -1 where there is none.
        real: Type of amounts.

    Returns:
        The plan's arrays of echelons, by name.
    """
    first = np.cumsum([0, *(len(groups) for groups in of.groups)])
    nodes: list[Weighed] = [[] for _ in of.nodes]
    lanes: list[Weighed] = [[] for _ in of.nodes]
    raws: list[Weighed] = [[] for _ in of.nodes]
    for i, node in enumerate(of.nodes):
        if node.policy.rule is not Rule.ECHELON_BASE_STOCK:
            continue
        share = _shares(of, i)
        nodes[i] = [(j, units) for j, units in share.items() if j != i]
        lanes[i] = [(e, units) for j, units in share.items() for e in of.out[j]]
        for j in share:
            for g, group in enumerate(of.groups[j] if j != i else ()):
                row = int(raw_at[first[j] + g])
                if row >= 0:
                    raws[i].append((row, _most(of, group, share)))
    counted = sorted({e for each in lanes for e, _ in each})
    lane_ints[counted, lay.MOVES] = 1
    found: dict[str, Any] = {}
    for name, weighed in (("echelon", nodes), ("echelon_lane", lanes), ("echelon_raw", raws)):
        found[f"{name}_start"] = np.cumsum([0, *map(len, weighed)])
        found[name] = np.array([at for each in weighed for at, _ in each], dtype=np.int64)
        units = [1.0 if of.stockpyl else units for each in weighed for _, units in each]
        found[f"{name}_units"] = np.array(units, dtype=real)
    return found


def _shares(of: Topology, i: int) -> dict[int, float]:
    """Units of node i in a unit of each node of its echelon, itself included."""
    share = {i: 1.0}
    for j in range(i + 1, len(of.nodes)):
        units = sum(of.units(j, group) * _most(of, group, share) for group in of.groups[j])
        if units:
            share[j] = units
    return share


def _most(of: Topology, group: Any, share: dict[int, float]) -> float:
    """Units of the node in a unit of a component: those of the source that holds most."""
    return max(share.get(of.number.get(of.lanes[e].source, -1), 0.0) for e in group)
