"""Find the sealed shard that has exactly the files of a planned one.

Invariant: each file is proved unchanged, by its state in the file system or by its digest.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from kifabrik.datasets.contents import FileEntry, ShardKind
from kifabrik.datasets.folder import Folder
from kifabrik.datasets.index import Index, ShardRecord, settled_states
from kifabrik.datasets.walking import SourceFile
from kifabrik.datasets.writing import hash_file


class Reuse:
    """The sealed shards of earlier versions and interrupted sealings.

    Args:
        previous: Their indexes.
        folder: Where to read a file whose state proves nothing.
        on_rehash: Told the bytes of each file read.
    """

    def __init__(self, previous: Sequence[Index], folder: Folder, on_rehash: Callable[[int], object]) -> None:
        self._folder = folder
        self._on_rehash = on_rehash
        self._by_first: dict[str, list[ShardRecord]] = {}
        for index in previous:
            for record in index.records:
                first = first_path(record.shard.files, record.shard.directories)
                self._by_first.setdefault(first, []).append(record)

    def find(
        self, kind: ShardKind, files: tuple[SourceFile, ...], directories: tuple[str, ...]
    ) -> ShardRecord | None:
        """Return a sealed shard with these files, their times brought up to date, or None."""
        for record in self._by_first.get(first_path(files, directories), ()):
            shard = record.shard
            if (kind, directories) == (shard.kind, shard.directories) and self._unchanged(files, record):
                entries = tuple(map(_with_time_of, shard.files, files))
                states = settled_states(files, time.time_ns())
                return ShardRecord(replace(shard, files=entries), record.stored, states)
        return None

    def _unchanged(self, files: tuple[SourceFile, ...], record: ShardRecord) -> bool:
        entries = record.shard.files
        if [(f.path, f.size, f.executable) for f in files] != [(e.path, e.size, e.executable) for e in entries]:
            return False
        return all(
            file.state == state or self._hashes_to(file, entry.sha256)
            for file, entry, state in zip(files, entries, record.states, strict=True)
        )

    def _hashes_to(self, file: SourceFile, digest: str) -> bool:
        self._on_rehash(file.size)
        return hash_file(self._folder, file) == digest


def first_path(files: Sequence[SourceFile | FileEntry], directories: Sequence[str]) -> str:
    """Return the path that comes first in a shard."""
    return min([file.path for file in files[:1]] + list(directories[:1]))


def _with_time_of(entry: FileEntry, file: SourceFile) -> FileEntry:
    return entry if entry.mtime == file.mtime else replace(entry, mtime=file.mtime)
