"""Which disruption hits what: marks in the plan's rows, and the troubles the kernel draws."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.kernel import layout as lay
from kifabrik.recipes.supply_chain.network import Disruption, Effect
from kifabrik.recipes.supply_chain.topology import Topology

Ints = NDArray[np.int64]
_OF_NODES: Final = {Effect.ORDERS_PAUSE: lay.D_ORDERS, Effect.OUTAGE: lay.D_OUT}
_OF_LANES_IN: Final = {
    Effect.SHIPMENTS_PAUSE: lay.D_TO,
    Effect.TRANSIT_PAUSE: lay.D_TRANSIT,
    Effect.RECEIPTS_PAUSE: lay.D_RECEIPTS,
}
_OF_LANES: Final = {Effect.LANE_OUTAGE, Effect.SUPPLIER_OUTAGE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Troubles:
    """What can go wrong, as arrays.

    Attributes:
        arrays: The plan's arrays of troubles and losses, by name.
        names: Name of the luck of each trouble.
    """

    arrays: dict[str, Any]
    names: list[str]


def mark_troubles(of: Topology, node_ints: Ints, lane_ints: Ints, real: Any) -> Troubles:
    """Mark in the rows of nodes and lanes what hits them.

    Raises:
        UsageError: If a disruption hits nothing.
    """
    found = _Marks(of, node_ints, lane_ints)
    for d, disruption in enumerate(of.network.disruptions):
        if not found.mark(d, disruption):
            raise UsageError(
                f"The disruption {disruption.name} is to hit {disruption.target}, which is not there.",
                hint="Name a node (product@site, or *@site), a lane or a supplier.",
            )
    return found.troubles(real)


class _Marks:
    def __init__(self, of: Topology, node_ints: Ints, lane_ints: Ints) -> None:
        self.of, self.node_ints, self.lane_ints = of, node_ints, lane_ints
        self.pairs: list[tuple[int, int]] = []
        self.losses: dict[Effect, list[list[int]]] = {
            effect: [[] for _ in of.nodes] for effect in (Effect.CAPACITY_LOSS, Effect.STOCK_LOSS)
        }

    def mark(self, d: int, disruption: Disruption) -> bool:
        """Mark what a disruption hits; says whether that is anything."""
        target, effect = disruption.target, disruption.effect
        if effect in _OF_LANES:
            by_name = effect is Effect.LANE_OUTAGE
            hit = [e for e, x in enumerate(self.of.lanes) if target == (x.name if by_name else x.supplier)]
            for e in hit:
                self._set(self.lane_ints, e, lay.D_LANE, d)
            return bool(hit)
        nodes = [
            i
            for i, n in enumerate(self.of.nodes)
            if target == n.name or (target[:2] == "*@" and target[2:] == n.site)
        ]
        for i in nodes:
            if effect in self.losses:
                self.losses[effect][i].append(d)
            elif effect in _OF_NODES:
                self._set(self.node_ints, i, _OF_NODES[effect], d)
            else:
                self._mark_lanes_in(i, effect, d)
        return bool(nodes)

    def _mark_lanes_in(self, i: int, effect: Effect, d: int) -> None:
        for e in self.of.into(i):
            # stockpyl's outside suppliers ship to a node that is paused
            if self.of.lanes[e].source or not (self.of.stockpyl and effect is Effect.SHIPMENTS_PAUSE):
                self._set(self.lane_ints, e, _OF_LANES_IN[effect], d)

    def _set(self, ints: Ints, row: int, column: int, d: int) -> None:
        if ints[row, column] >= 0:
            d = self._either(int(ints[row, column]), d)
        ints[row, column] = d

    def _either(self, first: int, second: int) -> int:
        """A trouble that is there while one of two is."""
        pair = (first, second)
        if pair not in self.pairs:
            self.pairs.append(pair)
        return len(self.of.network.disruptions) + self.pairs.index(pair)

    def troubles(self, real: Any) -> Troubles:
        """All troubles, those that stand for two last; and the losses of each node."""
        all_ = self.of.network.disruptions
        ints = [[-1 if d.start is None else d.start, d.duration, 0, 0] for d in all_]
        ints += [[lay.EITHER, 0, first, second] for first, second in self.pairs]
        reals = [[d.chance, d.probability, d.recovery, d.share] for d in all_] + [[0.0] * 4] * len(self.pairs)
        arrays: dict[str, Any] = {
            "troubles": np.array(ints, dtype=np.int64).reshape(-1, 4),
            "trouble_reals": np.array(reals, dtype=real).reshape(-1, 4),
        }
        for effect, name in ((Effect.CAPACITY_LOSS, "capacity_loss"), (Effect.STOCK_LOSS, "stock_loss")):
            hits = self.losses[effect]
            arrays[f"{name}_start"] = np.cumsum([0, *map(len, hits)])
            arrays[name] = np.array([d for each in hits for d in each], dtype=np.int64)
        names = [f"trouble {disruption.name}" for disruption in all_]
        return Troubles(arrays=arrays, names=names + [f"either {one} {other}" for one, other in self.pairs])
