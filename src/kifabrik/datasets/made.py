"""Members of a version that are made in memory one after the other and never stand in a folder.

    plan = Made(kept=records_of_the_version_before, making=parts())
    Sealer(head, store, spool).seal(plan, index)

Invariants:
- a member is asked for only when the one before it is sealed and noted in the index;
- its bytes go to the sink as they are made: nothing here holds or writes plaintext;
- what is kept of an earlier sealing is not made again.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kifabrik.datasets.contents import FileEntry, ShardContents, ShardKind
from kifabrik.datasets.index import ShardRecord, StoredShard
from kifabrik.datasets.writing import ShardOutput, Sink
from kifabrik.errors import ConflictError


@dataclass(frozen=True)
class MadeShard:
    """A shard of one file, whose bytes a function writes.

    Args:
        path: Where the file stands in the dataset.
        write: Given a sink, writes all bytes to it.
        mtime: The file's time, whole seconds since 1970.
    """

    path: str
    write: Callable[[Sink], None]
    mtime: int

    @property
    def plain_size(self) -> int:
        """Nobody knows before it is made."""
        return 0

    @property
    def reused(self) -> ShardRecord | None:
        """It is new."""
        return None

    def write_to(self, sink: Sink) -> ShardContents:
        """Make the bytes, hash them, and hand them on.

        Raises:
            KifabrikError: What making them raised.
        """
        digest = hashlib.sha256()
        with ShardOutput(digest.update, sink) as output:
            self.write(output.write)
            size = output.position
        entry = FileEntry(self.path, 0, size, digest.hexdigest(), executable=False, mtime=self.mtime)
        return ShardContents(ShardKind.FILE, entry.sha256, size, (entry,))

    def record(self, shard: ShardContents, stored: StoredShard) -> ShardRecord:
        """Return what to keep in the index; no state of a file proves anything about it."""
        return ShardRecord(shard, stored, (None,) * len(shard.files))


@dataclass(frozen=True)
class KeptShard:
    """A shard of an earlier sealing."""

    reused: ShardRecord

    @property
    def plain_size(self) -> int:
        """Bytes of plaintext."""
        return self.reused.shard.plain_size

    def write_to(self, sink: Sink) -> ShardContents:
        """There is nothing to make it from.

        Raises:
            ConflictError: Always.
        """
        del sink
        raise ConflictError(
            "the factory no longer has a part of this dataset that was sealed earlier",
            hint="Seal the data again in full.",
        )

    def record(self, shard: ShardContents, stored: StoredShard) -> ShardRecord:
        """As for `MadeShard`."""
        return ShardRecord(shard, stored, (None,) * len(shard.files))


@dataclass(frozen=True)
class Made:
    """A version made of kept shards and of new ones that are asked for one by one.

    Args:
        kept: Shards of earlier sealings that belong to this version too.
        making: The new ones; advanced only when the last one is sealed and noted.
    """

    kept: tuple[ShardRecord, ...]
    making: Iterator[MadeShard]

    @property
    def reused(self) -> tuple[ShardRecord, ...]:
        """Shards taken over as they are."""
        return self.kept

    @property
    def shards(self) -> Iterator[KeptShard | MadeShard]:
        """First the kept ones; can be gone through once."""
        yield from map(KeptShard, self.kept)
        yield from self.making

    @property
    def plain_size(self) -> int:
        """Bytes of plaintext that are known of: those kept."""
        return sum(record.shard.plain_size for record in self.kept)
