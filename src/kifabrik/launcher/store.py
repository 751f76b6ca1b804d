"""Ciphertext as a launcher reaches it: over HTTP, or straight from the factory's folder if it sees it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from kifabrik.client.objects import Objects
from kifabrik.errors import IntegrityError
from kifabrik.seals.sources import SourceLike
from kifabrik.transfer.http_store import HttpStore
from kifabrik.transfer.ranges import RangeCache


class NodeStore(HttpStore):
    """Reads and writes objects over HTTP, at any position by way of the node's disk.

    Args:
        objects: Client with the attempt's token.
        ranges: Reads at any position.
    """

    def __init__(self, objects: Objects, ranges: RangeCache) -> None:
        super().__init__(objects)
        self._ranges = ranges

    def at_any_position(self, digest: str, size: int) -> SourceLike:
        """Return an object as something to read from; its bytes are authenticated as they are opened."""
        return partial(self._ranges.read, digest, size)

    def close(self) -> None:
        """Let whoever waits for far-away bytes give up."""
        self._ranges.close()


class FolderStore(NodeStore):
    """Reads objects from a folder; what is not there, and all writing, goes over HTTP.

    Args:
        objects: Client with the attempt's token.
        ranges: Reads at any position what is not in the folder.
        root: Folder of the tenant's objects, as the factory lays them out: `aa/digest`.
    """

    def __init__(self, objects: Objects, ranges: RangeCache, root: Path) -> None:
        super().__init__(objects, ranges)
        self._root = root

    def fetch(self, digest: str, limit: int) -> bytes:
        """Read a small object and check its digest."""
        file = self._opened(digest, buffering=-1)
        if file is None:
            return super().fetch(digest, limit)
        with file:
            data = file.read(limit + 1)
        if len(data) > limit or hashlib.sha256(data).hexdigest() != digest:
            raise IntegrityError(f"object {digest[:16]} is not what its digest names")
        return data

    @contextmanager
    def open(self, digest: str, size: int) -> Iterator[BinaryIO]:
        """Open an object; its bytes are authenticated as they are opened with their key."""
        file = self._opened(digest, buffering=0)
        if file is not None:
            with file:
                yield file
        else:
            with super().open(digest, size) as stream:
                yield stream

    def at_any_position(self, digest: str, size: int) -> SourceLike:
        """Return an object as something to read from; its bytes are authenticated as they are opened."""
        path = self._path(digest)
        return path if path.exists() else super().at_any_position(digest, size)

    def _opened(self, digest: str, *, buffering: int) -> BinaryIO | None:
        """Open an object; nothing if it is not there, perhaps because it was erased a moment ago."""
        try:
            return self._path(digest).open("rb", buffering=buffering)
        except FileNotFoundError:
            return None

    def _path(self, digest: str) -> Path:
        return self._root / digest[:2] / digest


def node_store(objects: Objects, ranges: RangeCache, folder: Path | None, tenant: str) -> NodeStore:
    """Return the nearest store of a tenant's objects.

    Args:
        objects: Client with the attempt's token.
        ranges: Reads at any position over HTTP.
        folder: Of the factory's objects, if this node sees it.
        tenant: Whose objects.
    """
    return NodeStore(objects, ranges) if folder is None else FolderStore(objects, ranges, folder / tenant)
