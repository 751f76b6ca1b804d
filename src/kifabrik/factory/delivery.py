"""How a run gets its data: opened into memory before it starts, or streamed while it is read.

Invariants:
- data is opened into memory if a node could ever hold it there beside what the run asks for; else it is
  streamed, if a node can do that; both follow from the order and the nodes alone;
- it is decided once, when the run is admitted: every attempt gets its data the same way.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from kifabrik.factory.capacity import Demand, Node
from kifabrik.factory.feasibility import what_lacks
from kifabrik.values import format_size

_COULD: Final = (
    "Its data could be streamed, but no node with room for the rest can do that: it needs /dev/fuse; "
    "`kifabrik doctor --node` there says what to do."
)


@dataclass(frozen=True)
class Delivery:
    """What a run needs of nodes, its data included.

    Args:
        demand: What it needs; where it is not feasible, what it would need to have its data in memory.
        lacks: Why it can never start, as a sentence; empty if it can.
    """

    demand: Demand
    lacks: str

    @property
    def sentence(self) -> str:
        """How the data comes, where that is not the usual way."""
        size = self.demand.streamed_bytes
        return f"Its data ({format_size(size)}) is streamed: no node has memory for it." if size else ""


def deliver(demand: Demand, data_bytes: int, nodes: Sequence[Node]) -> Delivery:
    """Decide how a run gets its data.

    Args:
        demand: What it needs without its data.
        data_bytes: Sealed size of its inputs, about what they take opened.
        nodes: Those there are.
    """
    in_memory = replace(demand, staged_bytes=demand.staged_bytes + data_bytes)
    lacks = what_lacks(in_memory, nodes)
    if not lacks or not data_bytes:
        return Delivery(in_memory, lacks)
    streamed = replace(demand, streamed_bytes=data_bytes)
    if not what_lacks(streamed, nodes):
        return Delivery(streamed, "")
    if not what_lacks(streamed, [replace(node, streams=True) for node in nodes]):
        lacks = f"{lacks} {_COULD}"
    return Delivery(in_memory, lacks)
