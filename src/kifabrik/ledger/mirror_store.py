"""Where a mirror keeps its copy: the port, and the store in memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from kifabrik.ledger.checkpoint import TreeHead


@dataclass(frozen=True)
class MirrorState:
    """What a mirror knows beside the entries.

    Args:
        head: The newest head the entries were checked against.
        checkpoint: That head with signatures; empty until it is kept.
        tree: The compact tree of the head (`CompactTree.to_bytes`), to go on from without hashing every entry
            again; empty where a store does not keep it.
    """

    head: TreeHead
    checkpoint: str = ""
    tree: bytes = b""


class MirrorStore(Protocol):
    """Keeps entries and state; a state is visible only together with all entries it counts."""

    @property
    def state(self) -> MirrorState | None:
        """The last saved state; None in a new store."""

    def entries(self, start: int, end: int) -> list[bytes]:
        """Return entries `[start, end)`, which the state counts."""

    def all_entries(self) -> Iterator[bytes]:
        """Yield every entry the state counts, in order."""

    def save(self, new_entries: Sequence[bytes], state: MirrorState) -> None:
        """Append entries and replace the state; durable when this returns."""


class MemoryStore:
    """A store that ends with the process."""

    def __init__(self) -> None:
        self._entries: list[bytes] = []
        self._state: MirrorState | None = None

    @property
    def state(self) -> MirrorState | None:
        """The last saved state."""
        return self._state

    def entries(self, start: int, end: int) -> list[bytes]:
        """Return entries `[start, end)`."""
        return self._entries[start:end]

    def all_entries(self) -> Iterator[bytes]:
        """Yield every entry."""
        return iter(self._entries)

    def save(self, new_entries: Sequence[bytes], state: MirrorState) -> None:
        """Append entries and replace the state."""
        self._entries += new_entries
        self._state = state
