"""What the store keeps about nodes, and about the service that drives them, as frozen values."""

from dataclasses import dataclass
from functools import cached_property

from kifabrik.factory.capacity import Gpu, Node
from kifabrik.values import Place


@dataclass(frozen=True)
class NodeRecord:
    """A node the operator has enrolled; `key` is its Ed25519 key in hex, `streams` whether it has FUSE."""

    node: str
    name: str
    key: str
    place: Place
    cpus: int
    memory_bytes: int
    gpus: tuple[Gpu, ...]
    pythons: tuple[str, ...]
    created: str
    enabled: bool = True
    streams: bool = False

    @cached_property
    def capacity(self) -> Node:
        """What it offers."""
        return Node(
            self.node,
            self.name,
            self.place,
            self.cpus,
            self.memory_bytes,
            self.gpus,
            self.pythons,
            self.streams,
        )


@dataclass(frozen=True)
class Leader:
    """The service that drives, and the number its doings are fenced by."""

    holder: str
    token: int
