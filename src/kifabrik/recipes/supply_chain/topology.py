"""A network in the order of the plan: nodes, the lanes into each and out of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.supply_chain.network import Lane, Network, Node, Semantics

Groups = Sequence[Sequence[Sequence[int]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """Nodes in topological order; lanes by their place in `network.lanes`.

    Attributes:
        network: Whose it is.
        order: Place in `network.nodes` of each node.
        nodes: The nodes, sources before what they supply.
        number: Place in `nodes`, by name.
        groups: Of each node: lanes in that are alternatives of each other, lower ranks first.
        out: Of each node: lanes out, in the order in which customers are served.
    """

    network: Network
    order: NDArray[np.int64]
    nodes: Sequence[Node]
    number: dict[str, int]
    groups: Groups
    out: Sequence[Sequence[int]]

    @property
    def lanes(self) -> Sequence[Lane]:
        """All lanes."""
        return self.network.lanes

    @property
    def stockpyl(self) -> bool:
        """Whether the model is read as stockpyl reads it."""
        return self.network.semantics is Semantics.STOCKPYL

    def into(self, i: int) -> list[int]:
        """Lanes into node i, group by group."""
        return [e for group in self.groups[i] for e in group]

    def units(self, i: int, group: Sequence[int]) -> float:
        """Units of the component of a group in one good unit of node i."""
        return self.lanes[group[0]].quantity / self.nodes[i].yields


def topology(network: Network) -> Topology:
    """Put a network in order."""
    places = {node.name: place for place, node in enumerate(network.nodes)}
    order = np.array([places[name] for name in network.in_order()])
    nodes = [network.nodes[place] for place in order]
    number = {node.name: i for i, node in enumerate(nodes)}
    into: list[dict[str, list[int]]] = [{} for _ in nodes]
    out: list[list[int]] = [[] for _ in nodes]
    for e, lane in enumerate(network.lanes):
        into[number[lane.target]].setdefault(lane.component, []).append(e)
        if lane.source:
            out[number[lane.source]].append(e)
    ranks, customers = ([getattr(x, name) for x in network.lanes] for name in ("rank", "customer_rank"))
    return Topology(
        network=network,
        order=order,
        nodes=nodes,
        number=number,
        groups=[[sorted(group, key=ranks.__getitem__) for group in groups.values()] for groups in into],
        out=[sorted(lanes, key=customers.__getitem__) for lanes in out],
    )
