"""Plan the shards of a folder, and write each one's plaintext in a single pass and constant memory.

    with plan_shards(Path("press"), previous=[index]) as plan:
        for shard in plan.shards:
            record = shard.reused or shard.record(shard.write_to(sealer.write), stored)

Invariants:
- the size of every shard is known before a byte is read, and is what is written;
- a file that is not, from planning to its last byte read, the same as it was is an error that names it;
- a shard is used again only if each of its files is proved unchanged (`kifabrik.datasets.reuse`).
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from kifabrik.datasets.contents import ShardContents, ShardKind, tree_digest
from kifabrik.datasets.folder import Folder
from kifabrik.datasets.grouping import ShardSizes, group
from kifabrik.datasets.index import Index, ShardRecord, StoredShard, settled_states
from kifabrik.datasets.reuse import Reuse, first_path
from kifabrik.datasets.tar import END_OF_TAR
from kifabrik.datasets.walking import SourceFile, Tree, open_source, walk
from kifabrik.datasets.writing import (
    Sink,
    hash_file,
    merged,
    size_in_tar,
    write_tar,
    write_whole,
)
from kifabrik.errors import UsageError


def _ignore(_: int) -> None: ...


@dataclass(frozen=True)
class PlannedShard:
    """One shard to be: what goes into it, or the sealed one to use again.

    Args:
        kind: Layout.
        plain_size: Bytes `write_to` will write.
        files: Its files, sorted by path.
        directories: Its empty directories, sorted.
        reused: The sealed shard that has the same files already, with their times of now.
    """

    kind: ShardKind
    plain_size: int
    files: tuple[SourceFile, ...]
    directories: tuple[str, ...]
    reused: ShardRecord | None
    _folder: Folder

    def write_to(self, sink: Sink) -> ShardContents:
        """Read the files and write the plaintext; may be called again, and in several threads at once.

        Raises:
            ConflictError: A file changed or vanished since it was planned.
            KifabrikError: A file cannot be read.
        """
        with closing(self._folder.clone()) as folder:
            if self.kind is ShardKind.FILE:
                entry = write_whole(folder, self.files[0], sink)
                return ShardContents(self.kind, entry.sha256, entry.size, (entry,))
            entries, digest = write_tar(folder, merged(self.files, self.directories), sink)
        return ShardContents(self.kind, digest, self.plain_size, tuple(entries), self.directories)

    def record(self, shard: ShardContents, stored: StoredShard) -> ShardRecord:
        """Return what to keep in the index after this shard was written and sealed."""
        return ShardRecord(shard, stored, settled_states(self.files, time.time_ns()))


@dataclass(frozen=True)
class Plan:
    """How a folder becomes shards; a context manager, for it keeps the folder open.

    Args:
        shards: In the order of the manifest.
        files: All files, sorted by path.
        directories: All empty directories, sorted.
    """

    shards: tuple[PlannedShard, ...]
    files: tuple[SourceFile, ...]
    directories: tuple[str, ...]
    _folder: Folder

    @property
    def files_size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def plain_size(self) -> int:
        """Bytes of plaintext of all shards."""
        return sum(shard.plain_size for shard in self.shards)

    @property
    def reused(self) -> tuple[ShardRecord, ...]:
        """Sealed shards that are taken over as they are."""
        return tuple(shard.reused for shard in self.shards if shard.reused is not None)

    def digest(self) -> str:
        """Read all files and return the digest `contents_digest` will give.

        Raises:
            ConflictError: A file changed or vanished since it was planned.
        """
        with closing(self._folder.clone()) as folder:
            rows = [(f.path, f.executable, f.size, hash_file(folder, f)) for f in self.files]
        return tree_digest(rows, self.directories)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.close()


def plan_shards(
    source: Path,
    *,
    within: str = "",
    previous: Sequence[Index] = (),
    sizes: ShardSizes | None = None,
    ignore: tuple[str, ...] = (),
    heeds_own: bool = True,
    on_rehash: Callable[[int], object] = _ignore,
) -> Plan:
    """Walk a folder, or take a single file, and plan its shards.

    Args:
        source: A folder or a file; may be reached through links.
        within: Path beneath `source` of what is meant, reached without following any link: for a folder
            somebody else may be writing to.
        previous: Indexes of the last version, and of a sealing that was interrupted; of the same owner
            and recipient, else their headers do not fit.
        sizes: How large shards become.
        ignore: Patterns to leave out, beside the folder's own `.kifabrikignore`.
        heeds_own: Whether that file counts; not where somebody else wrote the folder.
        on_rehash: Told the bytes of each file that had to be read to see whether it changed.

    Raises:
        UsageError: There is nothing to pack, or something that cannot be packed.
        KifabrikError: The folder cannot be read.
    """
    folder, single = open_source(source, within)
    try:
        tree = walk(folder, single, ignore, heeds_own=heeds_own)
        reuse = Reuse(previous, folder, on_rehash)
        shards = [
            replace(shard, reused=reuse.find(shard.kind, shard.files, shard.directories))
            for shard in _divide(tree, sizes or ShardSizes(), folder)
        ]
    except BaseException:
        folder.close()
        raise
    if not shards:
        folder.close()
        raise UsageError(f"nothing to pack in {within or str(source)!r}", hint="Put files there first.")
    shards.sort(key=lambda shard: first_path(shard.files, shard.directories))
    return Plan(tuple(shards), tree.files, tree.directories, folder)


def _divide(tree: Tree, sizes: ShardSizes, folder: Folder) -> Iterator[PlannedShard]:
    for file in tree.files:
        if file.size > sizes.small_file:
            yield PlannedShard(ShardKind.FILE, file.size, (file,), (), None, folder)
    small = [file for file in tree.files if file.size <= sizes.small_file]
    items = ((path, size_in_tar(path, file), (path, file)) for path, file in merged(small, tree.directories))
    for members in group(items, sizes.target):
        files = tuple(file for _, file in members if file is not None)
        directories = tuple(path for path, file in members if file is None)
        size = sum(size_in_tar(path, file) for path, file in members) + len(END_OF_TAR)
        yield PlannedShard(ShardKind.TAR, size, files, directories, None, folder)
