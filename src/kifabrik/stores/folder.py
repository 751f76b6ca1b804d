"""Objects in a folder of this machine, through `obstore` (the same calls serve S3).

Invariants:
- an object appears under its key by one rename, after its bytes are on the disk;
- the rename itself is made durable before `adopt` returns.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from kifabrik.durable import give_name, make_folder
from kifabrik.errors import NotFoundError, UnavailableError
from kifabrik.stores.damage import cut_off
from kifabrik.stores.disk import disk_errors

_PIECE: Final = 4 * 2**20


class FolderObjects:
    """Implements `kifabrik.factory.ports.ObjectStore`.

    Args:
        root: Made if it is missing; on the same file system as the staging folder.
    """

    def __init__(self, root: Path) -> None:
        with disk_errors():
            make_folder(root)
        self._root = root
        self._store = LocalStore(root)

    trouble: Final = ""
    """A disk that refuses says so to whoever asks."""

    def look(self) -> None:
        """Nothing has to be looked at."""

    def adopt(self, file: Path, key: str) -> None:
        """Move a finished, durable file under a key.

        Raises:
            CapacityError: There is no room.
        """
        target = self._root / key
        with disk_errors():
            make_folder(target.parent)
            give_name(file, target)

    def size(self, key: str) -> int | None:
        """Bytes of an object, or None if there is none."""
        try:
            return int(obstore.head(self._store, key)["size"])
        except FileNotFoundError:
            return None

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes `[start, end)` in pieces of 4 MiB.

        Raises:
            NotFoundError: There is no such object.
            IntegrityError: It ends before `end`: something has cut it off since it was stored.
        """
        size = self.size(key)
        if size is None:
            raise NotFoundError("there is no such object")
        if end is not None and end > size:
            raise cut_off(key, size)
        return self._pieces(key, start, size if end is None else end)

    def _pieces(self, key: str, start: int, end: int) -> Iterator[bytes]:
        for at in range(start, end, _PIECE):
            try:
                yield bytes(obstore.get_range(self._store, key, start=at, end=min(at + _PIECE, end)))
            except (BaseError, OSError) as error:
                raise UnavailableError(f"an object cannot be read: {error}") from error

    def delete(self, key: str) -> None:
        """Delete an object; one that is missing is fine.

        Raises:
            UnavailableError: The disk refuses.
        """
        try:
            obstore.delete(self._store, key)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise UnavailableError(f"an object cannot be deleted: {error}") from error

    def keys(self) -> Iterator[tuple[str, int]]:
        """Yield every key with the object's size."""
        for batch in obstore.list(self._store):
            for one in batch:
                yield str(one["path"]), int(one["size"])
