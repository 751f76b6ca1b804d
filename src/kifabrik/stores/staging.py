"""Unfinished uploads: one file each, appended under a lock that also holds between processes.

Invariants:
- a file holds exactly the bytes whose arrival was acknowledged, or more that nobody relies on;
- a piece is written only where the file ends, so two writers cannot interleave;
- the digest is taken while bytes arrive; after a restart the file is read again.
"""

import fcntl
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from kifabrik.durable import make_folder
from kifabrik.errors import IntegrityError, UnavailableError
from kifabrik.stores.disk import disk_errors

_MOST_HASHES: Final = 256


class FolderStaging:
    """Implements `kifabrik.factory.objects.Staging`.

    Args:
        root: Made if it is missing.
    """

    def __init__(self, root: Path) -> None:
        with disk_errors():
            make_folder(root)
        self._root = root
        self._lock = threading.Lock()
        self._hashes: OrderedDict[Path, tuple[int, Any]] = OrderedDict()

    def length(self, tenant: str, digest: str) -> int:
        """Bytes that have arrived."""
        try:
            return self._file(tenant, digest).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, tenant: str, digest: str, offset: int, data: bytes) -> int:
        """Add bytes if exactly `offset` have arrived; return how many have arrived now.

        Raises:
            CapacityError: The disk is full; what had arrived is still there.
        """
        file = self._file(tenant, digest)
        with disk_errors():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(file) as handle:
                arrived = os.fstat(handle).st_size
                if arrived != offset:
                    return arrived
                try:
                    _write(handle, data)
                except OSError:
                    os.ftruncate(handle, arrived)
                    raise
                self._hash(file, offset, data)
                return offset + len(data)

    def finish(self, tenant: str, digest: str) -> Path:
        """Return the file, durable, once its bytes have this digest.

        Raises:
            IntegrityError: They have another; they are dropped.
            UnavailableError: Somebody else has finished it meanwhile.
        """
        file = self._file(tenant, digest)
        with disk_errors():
            try:
                with _locked(file, os.O_RDWR) as handle:
                    found = self._digest(file, os.fstat(handle).st_size)
                    if found == digest:
                        os.fsync(handle)
                        return file
            except FileNotFoundError:
                raise UnavailableError(
                    f"somebody else has just finished object {digest[:16]}", hint="Ask again whether it is there."
                ) from None
        self.drop(tenant, digest)
        raise IntegrityError(
            f"what arrived is not object {digest[:16]}, but {found[:16]}",
            hint="Upload it again from the start.",
        )

    def drop(self, tenant: str, digest: str) -> None:
        """Forget what has arrived."""
        file = self._file(tenant, digest)
        with self._lock:
            self._hashes.pop(file, None)
        file.unlink(missing_ok=True)

    def _file(self, tenant: str, digest: str) -> Path:
        return self._root / tenant / digest

    def _hash(self, file: Path, offset: int, data: bytes) -> None:
        with self._lock:
            known, digest = self._hashes.pop(file, (0, None))
        if digest is None and offset == 0:
            digest = hashlib.sha256()
        if digest is None or known != offset:
            return  # begun before a restart: `finish` reads the file
        digest.update(data)
        with self._lock:
            self._hashes[file] = offset + len(data), digest
            while len(self._hashes) > _MOST_HASHES:
                self._hashes.popitem(last=False)

    def _digest(self, file: Path, size: int) -> str:
        with self._lock:
            known, digest = self._hashes.pop(file, (0, None))
        if digest is not None and known == size:
            return str(digest.hexdigest())
        with file.open("rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()


@contextmanager
def _locked(file: Path, flags: int = os.O_RDWR | os.O_CREAT | os.O_APPEND) -> Iterator[int]:
    handle = os.open(file, flags, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield handle
    finally:
        os.close(handle)


def _write(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
