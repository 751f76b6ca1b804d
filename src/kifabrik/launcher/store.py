"""Ciphertext as a launcher reaches it: over HTTP, or straight from the factory's folder if it sees it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from kifabrik.client.objects import Objects
from kifabrik.errors import IntegrityError
from kifabrik.transfer.http_store import HttpStore


class FolderStore(HttpStore):
    """Reads objects from a folder; what is not there, and all writing, goes over HTTP.

    Args:
        objects: Client with the attempt's token.
        root: Folder of the tenant's objects, as the factory lays them out: `aa/digest`.
    """

    def __init__(self, objects: Objects, root: Path) -> None:
        super().__init__(objects)
        self._root = root

    def fetch(self, digest: str, limit: int) -> bytes:
        """Read a small object and check its digest."""
        path = self._path(digest)
        if not path.exists():
            return super().fetch(digest, limit)
        with path.open("rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit or hashlib.sha256(data).hexdigest() != digest:
            raise IntegrityError(f"object {digest[:16]} is not what its digest names")
        return data

    @contextmanager
    def open(self, digest: str, size: int) -> Iterator[BinaryIO]:
        """Open an object; its bytes are authenticated as they are opened with their key."""
        path = self._path(digest)
        if path.exists():
            with path.open("rb", buffering=0) as file:
                yield file
        else:
            with super().open(digest, size) as stream:
                yield stream

    def _path(self, digest: str) -> Path:
        return self._root / digest[:2] / digest


def node_store(objects: Objects, folder: Path | None, tenant: str) -> HttpStore:
    """Return the nearest store of a tenant's objects."""
    return HttpStore(objects) if folder is None else FolderStore(objects, folder / tenant)
