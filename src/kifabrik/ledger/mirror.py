"""The customer's own full copy of the log: what a witness must hold before it cosigns.

Invariants:
- the root is always computed from the mirror's own entries, never taken over;
- a smaller tree (rollback), another tree of the same size or with other early entries (fork), a gap,
  and a head the entries do not give are refused, and a refusal changes nothing;
- when `extend` returns, the entries are durable: cosign after it, never before.
"""

from collections.abc import Sequence

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.ledger.checkpoint import TreeHead
from kifabrik.ledger.merkle import CompactTree, leaf_hash
from kifabrik.ledger.mirror_files import MirrorFiles
from kifabrik.ledger.mirror_store import MemoryStore, MirrorState, MirrorStore
from kifabrik.ledger.notes import Note

__all__ = ["MemoryStore", "Mirror", "MirrorFiles", "MirrorState", "MirrorStore"]


class Mirror:
    """A full copy of one log. One thread at a time.

    Args:
        origin: The log's origin; heads of other logs are refused.
        store: Holds the copy; a new one in memory by default.
        own_disk: Go on from the tree the store kept, without hashing every entry again: for a store that only
            its owner can write. New entries are checked against that tree as against any other.

    Raises:
        IntegrityError: The stored copy is damaged or of another log.
    """

    def __init__(self, origin: str, store: MirrorStore | None = None, *, own_disk: bool = False) -> None:
        self.origin = origin
        self._store = store if store is not None else MemoryStore()
        self._index: dict[bytes, int] | None = None
        state = self._store.state
        kept = CompactTree.from_bytes(state.tree) if state is not None and state.tree else None
        if own_disk and kept is not None:
            self._tree = kept
        else:
            self._tree = CompactTree()
            self._tree.extend(leaf_hash(entry) for entry in self._store.all_entries())
        if kept is not None and kept != self._tree:
            raise IntegrityError(f"the mirror of {origin} is damaged: its entries do not give the tree it kept")
        if state is not None and state.head != TreeHead(origin, self._tree.size, self._tree.root()):
            raise IntegrityError(
                f"the mirror of {origin} is damaged: it holds {self._tree.size} entries, and they do not "
                f"give the head of {state.head.origin} with {state.head.size} that it was checked against",
                hint="Restore it from a backup, or fetch the log anew into an empty folder and compare.",
            )

    @property
    def size(self) -> int:
        """Number of entries."""
        return self._tree.size

    @property
    def head(self) -> TreeHead | None:
        """The newest head the mirror has accepted; None before the first."""
        return self._store.state.head if self._store.state else None

    @property
    def checkpoint(self) -> str:
        """The signed text kept with `keep` for the newest head; empty if there is none."""
        return self._store.state.checkpoint if self._store.state else ""

    def extend(self, new_entries: Sequence[bytes], head: TreeHead, *, checkpoint: str = "") -> None:
        """Take over entries up to a head whose signature the caller has verified.

        Giving entries again that the mirror holds changes nothing, as long as they are the same.

        Args:
            new_entries: The bytes of the entries up to `head.size`; they may begin before the mirror's end.
            head: The verified tree head.
            checkpoint: Its signed text, kept with it in one write; `keep` can add it later.

        Raises:
            IntegrityError: The head is a rollback, a fork, or not what the entries give, or the text is not its.
            UsageError: Entries between the mirror's end and the new ones are missing.
        """
        fresh = self._fresh(new_entries, head)
        if checkpoint and TreeHead.parse(Note.parse(checkpoint).text) != head:
            raise IntegrityError(f"this is not a checkpoint of the tree head of {head.size} entries")
        tree = self._tree.copy()
        leaves = [leaf_hash(entry) for entry in fresh]
        tree.extend(leaves)
        if tree.root() != head.root:
            what = "is a fork of" if not fresh else "does not follow from the entries of"
            raise IntegrityError(
                f"the tree head of {head.size} entries {what} {self.origin}: "
                f"its root is {head.root.hex()}, the mirror's entries give {tree.root().hex()}",
                hint="Keep this head as evidence: the log has been changed, or shows different people "
                "different entries.",
            )
        if head == self.head:
            if checkpoint:
                self.keep(checkpoint)
            return
        self._store.save(fresh, MirrorState(head, checkpoint, tree.to_bytes()))
        if self._index is not None:
            for index, leaf in enumerate(leaves, self._tree.size):
                self._index.setdefault(leaf, index)
        self._tree = tree

    def keep(self, checkpoint: str) -> None:
        """Keep the signed (and cosigned) text of the newest head, for proofs and exports.

        Raises:
            IntegrityError: It is not a checkpoint of the newest head.
        """
        if self.head is None or TreeHead.parse(Note.parse(checkpoint).text) != self.head:
            raise IntegrityError(f"this is not a checkpoint of the mirror's newest head ({self.size} entries)")
        if checkpoint != self.checkpoint:
            self._store.save((), MirrorState(self.head, checkpoint, self._tree.to_bytes()))

    def entries(self, start: int, end: int) -> list[bytes]:
        """Return the bytes of entries `[start, end)`.

        Raises:
            UsageError: The range does not lie in the mirror.
        """
        if not 0 <= start <= end <= self.size:
            raise UsageError(f"entries {start} to {end} do not lie in a mirror of {self.size}")
        return self._store.entries(start, end)

    def holding(self, text: bytes) -> list[bytes]:
        """Return the entries that hold these bytes anywhere, in order; quick in files, whatever their number."""
        search = getattr(self._store, "holding", None)
        found: list[bytes] = search(text) if search else [one for one in self._store.all_entries() if text in one]
        return found

    def index_of(self, leaf: bytes) -> int | None:
        """Return where the entry with this leaf hash stands first; None if it is not in the mirror."""
        if self._index is None:
            self._index = {}
            for index, entry in enumerate(self._store.all_entries()):
                self._index.setdefault(leaf_hash(entry), index)
        return self._index.get(leaf)

    def _fresh(self, entries: Sequence[bytes], head: TreeHead) -> Sequence[bytes]:
        """Return the entries the mirror does not hold yet, after comparing those it holds."""
        if head.origin != self.origin:
            raise IntegrityError(f"the tree head is of {head.origin}, not of {self.origin}")
        if head.size < self.size:
            raise IntegrityError(
                f"the log was rolled back: it had {self.size} entries and now shows {head.size}",
                hint="A log only grows. Keep this head as evidence and ask the factory's operator.",
            )
        start = head.size - len(entries)
        if not 0 <= start <= self.size:
            raise UsageError(
                f"the mirror has {self.size} entries and was given {len(entries)} up to {head.size}",
                hint=f"Fetch the entries from index {self.size} on.",
            )
        known = self.size - start
        for index, (mine, given) in enumerate(zip(self.entries(start, self.size), entries, strict=False), start):
            if mine != given:
                raise IntegrityError(f"the log was forked: entry {index} is not the one the mirror holds")
        return entries[known:]
