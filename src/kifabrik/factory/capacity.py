"""What nodes have, what runs hold, and whether a run fits.

Invariants:
- everything here is a pure function of its arguments; times are seconds since the epoch;
- a share names the GPUs it holds, so two shares of a node conflict exactly when they name the same one;
- the nodes of one placement are all different.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from kifabrik.values import Place, Resources


@dataclass(frozen=True)
class Gpu:
    """One GPU of a node.

    Args:
        index: Its number on the node, from 0.
        model: Such as `H200`.
        memory_bytes: Its own memory.
    """

    index: int
    model: str
    memory_bytes: int


@dataclass(frozen=True)
class Node:
    """What one node offers to runs.

    Args:
        node: Node id.
        name: The operator's name for it.
        place: Where it is.
        cpus: Cores that runs may use.
        memory_bytes: Memory that runs may use.
        gpus: Its GPUs.
        pythons: Python versions its environments can have, such as `3.11`.
        streams: Whether data can be opened there while it is read.
    """

    node: str
    name: str
    place: Place
    cpus: int
    memory_bytes: int
    gpus: tuple[Gpu, ...] = ()
    pythons: tuple[str, ...] = ()
    streams: bool = False

    def usable_gpus(self, resources: Resources) -> frozenset[int]:
        """Indices of the GPUs that are of the model and size asked for."""
        return frozenset(
            gpu.index
            for gpu in self.gpus
            if resources.gpu_model.lower() in ("", gpu.model.lower())
            and gpu.memory_bytes >= resources.gpu_memory_bytes
        )

    @cached_property
    def everything(self) -> "Room":
        """The node with nothing on it."""
        return Room(self.cpus, self.memory_bytes, frozenset(gpu.index for gpu in self.gpus))


@dataclass(frozen=True)
class Room:
    """What is free on a node."""

    cpus: int
    memory_bytes: int
    gpus: frozenset[int]

    def without(self, shares: Iterable["Share"]) -> "Room":
        """The room that is left beside these shares."""
        room = self
        for share in shares:
            room = Room(
                room.cpus - share.cpus,
                room.memory_bytes - share.memory_bytes,
                room.gpus - frozenset(share.gpus),
            )
        return room


@dataclass(frozen=True)
class Share:
    """The part of one node that one run holds."""

    node: str
    cpus: int
    memory_bytes: int
    gpus: tuple[int, ...] = ()


Placement = tuple[Share, ...]


@dataclass(frozen=True)
class Demand:
    """What a run needs of nodes.

    Args:
        resources: On each of its nodes.
        place: Where it may run.
        python: Python version of its environment; empty for any.
        staged_bytes: Data that is opened into memory beside what `resources` bound.
        streamed_bytes: Data that is opened while it is read; what is kept of it counts as the job's memory.
    """

    resources: Resources
    place: Place
    python: str = ""
    staged_bytes: int = 0
    streamed_bytes: int = 0

    @property
    def memory_bytes(self) -> int:
        """Main memory it holds on a node: its processes, what they write, and its opened data."""
        return memory_needed(self.resources) + self.staged_bytes

    def suits(self, node: Node) -> bool:
        """Whether a node of this place, with this Python, could ever be used, and streams if it has to."""
        return (
            self.place.admits(node.place)
            and (not self.python or self.python in node.pythons)
            and (not self.streamed_bytes or node.streams)
        )

    def fits_empty(self, node: Node) -> bool:
        """Whether the node could hold the run if nothing else were on it."""
        asked = self.resources  # asked about every node by every order: no share is chosen to say so
        return (
            self.suits(node)
            and node.cpus >= asked.cpus
            and node.memory_bytes >= self.memory_bytes
            and len(node.usable_gpus(asked)) >= asked.gpu_count
        )

    def share_of(self, node: Node, room: Room) -> Share | None:
        """The part of a node's free room the run would take, or None if it does not fit."""
        asked, memory = self.resources, self.memory_bytes
        gpus = sorted(room.gpus & node.usable_gpus(asked), key=lambda index: _gpu_rank(node, index))
        if room.cpus < asked.cpus or room.memory_bytes < memory or len(gpus) < asked.gpu_count:
            return None
        return Share(node.node, asked.cpus, memory, tuple(sorted(gpus[: asked.gpu_count])))


def memory_needed(resources: Resources) -> int:
    """Bytes of main memory a run asks for on a node: what it writes lies in memory too."""
    return resources.memory_bytes + resources.disk_bytes


def _gpu_rank(node: Node, index: int) -> tuple[int, int]:
    """Smaller GPUs first, so that large ones stay free for those who need them."""
    memory = next(gpu.memory_bytes for gpu in node.gpus if gpu.index == index)
    return memory, index


def place_on(demand: Demand, nodes: Sequence[Node], rooms: Mapping[str, Room]) -> Placement | None:
    """Choose nodes that have room for a run, or None.

    The fullest nodes that suffice are taken, GPUs counting before cores, so that large gaps stay whole.
    """
    found = []
    for node in nodes:
        room = rooms[node.node]
        share = demand.share_of(node, room) if demand.suits(node) else None
        if share is not None:
            found.append(((len(room.gpus), room.cpus, room.memory_bytes, node.name), share))
    if len(found) < demand.resources.nodes:
        return None
    found.sort(key=lambda pair: pair[0])
    return tuple(share for _, share in found[: demand.resources.nodes])


@dataclass(frozen=True)
class Occupation:
    """Shares held from one moment until another, seconds since the epoch."""

    placement: Placement
    starts: float
    ends: float


class Timeline:
    """Which shares of which node are taken when.

    Args:
        nodes: All nodes.
        now: The present; nothing is asked about times before it.
    """

    def __init__(self, nodes: Iterable[Node], now: float) -> None:
        self.nodes = tuple(nodes)
        self.now = now
        self._taken: dict[str, list[tuple[float, float, Share]]] = {node.node: [] for node in self.nodes}

    def add(self, occupation: Occupation) -> None:
        """Take the shares of an occupation; those on unknown nodes do not matter."""
        for share in occupation.placement:
            if share.node in self._taken:
                self._taken[share.node].append((occupation.starts, occupation.ends, share))

    def remove(self, occupation: Occupation) -> None:
        """Give back what was added before."""
        for share in occupation.placement:
            if share.node in self._taken:
                self._taken[share.node].remove((occupation.starts, occupation.ends, share))

    def room(self, node: Node, start: float, end: float) -> Room:
        """What is free on a node during the whole of [start, end)."""
        overlapping = [taken for taken in self._taken[node.node] if taken[0] < end and taken[1] > start]
        room = node.everything
        for moment in {start, *(begin for begin, _, _ in overlapping if begin > start)}:
            at = node.everything.without(share for begin, finish, share in overlapping if begin <= moment < finish)
            room = Room(min(room.cpus, at.cpus), min(room.memory_bytes, at.memory_bytes), room.gpus & at.gpus)
        return room

    def fit(self, demand: Demand, start: float, duration_s: float) -> Placement | None:
        """Where a run fits during [start, start + duration_s), or None."""
        rooms = {node.node: self.room(node, start, start + duration_s) for node in self.nodes}
        return place_on(demand, self.nodes, rooms)

    def holds(self, placement: Placement, start: float, duration_s: float) -> bool:
        """Whether exactly these shares are free during [start, start + duration_s)."""
        by_id = {node.node: node for node in self.nodes}
        for share in placement:
            node = by_id.get(share.node)
            if node is None:
                return False
            room = self.room(node, start, start + duration_s)
            if (
                room.cpus < share.cpus
                or room.memory_bytes < share.memory_bytes
                or not room.gpus.issuperset(share.gpus)
            ):
                return False
        return True

    def earliest(self, demand: Demand, duration_s: float) -> Occupation | None:
        """The first moment a run fits for its whole duration; None if it never does.

        Only the present and the ends of what is held can be that moment: between them room only shrinks.
        """
        ends = {end for taken in self._taken.values() for _, end, _ in taken if end > self.now}
        for moment in sorted({self.now, *ends}):
            placement = self.fit(demand, moment, duration_s)
            if placement is not None:
                return Occupation(placement, moment, moment + duration_s)
        return None

    def next_end(self, node: Node) -> float | None:
        """When the first of the shares held on a node now is given back."""
        return min((end for start, end, _ in self._taken[node.node] if start <= self.now < end), default=None)
