"""A sealed version as a folder that is opened while it is read.

    version = contents and keys        tree = names and numbers of its files, in memory
    streamed = FUSE mount of the tree, whose reads open chunks of the shards (`kifabrik.transfer.streaming`)

Invariants:
- the folder shows exactly what `unpack` would make: the same names, bytes, modes and times of files;
- what cannot be verified is never given: its reader gets EIO, the first such error is kept, and the run ends.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kifabrik.datasets.contents import Contents, FileEntry
from kifabrik.errors import KifabrikError
from kifabrik.sandbox.memory import PrivateMounts
from kifabrik.sandbox.streamed import ROOT, Attributes, StreamedFolder
from kifabrik.sandbox.uids import RunUid
from kifabrik.transfer.opening import OpenedVersion
from kifabrik.transfer.streaming import OPEN_BODIES, RangeSource, SealedPlaintext, Workplaces

_MORE_THAN_CORES: Final = 2
"""Threads beyond the cores: some wait for the disk or the network while others open."""


class Faults:
    """Remembers the first thing that went wrong while data was read, and tells somebody.

    Args:
        on_first: Called once, in the thread that found it, before the reader learns of it.
    """

    def __init__(self, on_first: Callable[[KifabrikError], None]) -> None:
        self._on_first = on_first
        self._lock = threading.Lock()
        self.first: KifabrikError | None = None

    def __call__(self, error: Exception) -> None:
        """Take note of an error."""
        found = error if isinstance(error, KifabrikError) else KifabrikError(f"reading failed: {error!r}")
        with self._lock:
            if self.first is not None:
                return
            self.first = found
        self._on_first(found)


class Tree:
    """Names, sizes and places of a version's files by inode number; implements `sandbox.streamed.Files`.

    Args:
        contents: What is there.
        plaintext: What files are read from.
    """

    def __init__(self, contents: Contents, plaintext: SealedPlaintext) -> None:
        self._plaintext = plaintext
        self._places: list[tuple[int, FileEntry] | None] = [None] * (ROOT + 1)
        """By inode: number of the shard and entry of a file; None for a folder."""
        self._names: dict[int, dict[bytes, int]] = {ROOT: {}}
        self._listed: dict[int, Sequence[tuple[bytes, int]]] = {}
        self._bytes = 0
        folders = {"": ROOT}
        for number, shard in enumerate(contents.shards):
            for entry in shard.files:
                self._add(folders, entry.path, (number, entry))
                self._bytes += entry.size
            for path in shard.directories:
                self._folder(folders, path)

    def attributes(self, inode: int) -> Attributes:
        """See `Files.attributes`."""
        place = self._places[inode]
        if place is None:
            return Attributes(inode, folder=True)
        entry = place[1]
        return Attributes(inode, folder=False, size=entry.size, executable=entry.executable, mtime=entry.mtime)

    def find(self, folder: int, name: bytes) -> int | None:
        """See `Files.find`."""
        return self._names[folder].get(name)

    def children(self, folder: int) -> Sequence[tuple[bytes, int]]:
        """See `Files.children`."""
        listed = self._listed.get(folder)
        if listed is None:
            listed = self._listed[folder] = tuple(self._names[folder].items())
        return listed

    @contextmanager
    def read(self, inode: int, offset: int, size: int) -> Iterator[Sequence[memoryview]]:
        """See `Files.read`."""
        place = self._places[inode]
        if place is None:
            raise KifabrikError("a folder was read like a file")
        shard, entry = place
        size = min(size, entry.size - offset)
        if size <= 0:
            yield ()
            return
        with self._plaintext.read(shard, entry.offset + offset, size) as pieces:
            yield pieces

    def totals(self) -> tuple[int, int]:
        """See `Files.totals`."""
        return self._bytes, len(self._places)

    def _folder(self, folders: dict[str, int], path: str) -> int:
        known = folders.get(path)
        if known is None:
            known = folders[path] = self._add(folders, path, None)
            self._names[known] = {}
        return known

    def _add(self, folders: dict[str, int], path: str, place: tuple[int, FileEntry] | None) -> int:
        above, _, name = path.rpartition("/")
        folder = self._folder(folders, above)
        inode = len(self._places)
        self._places.append(place)
        self._names[folder][os.fsencode(name)] = inode
        return inode


class Streamer:
    """Streams the versions of one run, in memory that is bounded for all of them together.

    Args:
        mounts: This process's own mounts.
        owner: The run's user, who alone may look.
        store: Where the ciphertext is.
        faults: Told of what goes wrong.
        inputs: How many versions there will be.
    """

    def __init__(
        self, mounts: PrivateMounts, owner: RunUid, store: RangeSource, faults: Faults, *, inputs: int = 1
    ) -> None:
        self._mounts = mounts
        self._owner = owner
        self._store = store
        self._faults = faults
        self._threads = len(os.sched_getaffinity(0)) + _MORE_THAN_CORES
        self._workplaces = Workplaces(self._threads)
        self._bodies = max(1, OPEN_BODIES // max(1, inputs))

    def stream(self, version: OpenedVersion, folder: Path) -> StreamedFolder:
        """Mount a version on an existing, empty folder.

        Raises:
            UnavailableError: This machine cannot stream.
        """
        plaintext = SealedPlaintext(version, self._store, self._workplaces, bodies=self._bodies)
        tree = Tree(version.contents, plaintext)
        return StreamedFolder(folder, tree, self._mounts, self._owner, threads=self._threads, watcher=self._faults)
