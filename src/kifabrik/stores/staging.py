"""Unfinished uploads: one file each, appended under a lock that also holds between processes.

Invariants:
- a file holds exactly the bytes whose arrival was acknowledged, or more that nobody relies on;
- a piece is written only where the file ends, so two writers cannot interleave;
- the digest is taken while bytes arrive; after a restart the file is read again, and so it is where another
  process has written, or has dropped it and begun another under its name;
- a part of the disk is left free: what is uploaded never takes the room database and log of the service need to
  say so, to settle runs and to delete;
- who waited for a file that was moved away or dropped meanwhile does not write into it.
"""

import errno
import fcntl
import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from kifabrik.durable import make_folder
from kifabrik.errors import IntegrityError, UnavailableError
from kifabrik.stores.disk import disk_errors

_MOST_HASHES: Final = 256
_KEPT_FREE_BYTES: Final = 2**30
_KEPT_FREE_SHARE: Final = 20
"""What uploads leave free: this many bytes, or of a small disk the twentieth part."""


@dataclass(frozen=True)
class _Written:
    """A file as this process has left it: with bytes from anybody else, or another file, it is not the same."""

    device: int
    inode: int
    size: int
    modified_ns: int
    changed_ns: int

    @classmethod
    def of(cls, handle: int) -> Self:
        found = os.fstat(handle)
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


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
        self._hashes: OrderedDict[Path, tuple[_Written, Any]] = OrderedDict()

    def length(self, tenant: str, digest: str) -> int:
        """Bytes that have arrived."""
        try:
            return self._file(tenant, digest).stat().st_size
        except FileNotFoundError:
            return 0

    def append(self, tenant: str, digest: str, offset: int, data: bytes) -> int:
        """Add bytes if exactly `offset` have arrived; return how many have arrived now.

        Raises:
            CapacityError: The disk is full, but for what is kept free; what had arrived is still there.
        """
        file = self._file(tenant, digest)
        with disk_errors():
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(file) as handle:
                before = _Written.of(handle)
                arrived = before.size
                if arrived != offset:
                    return arrived
                _require_room(handle, len(data))
                try:
                    _write(handle, data)
                except OSError:
                    os.ftruncate(handle, arrived)
                    raise
                self._hash(file, before, data, handle)
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
                    found = self._digest(file, handle)
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

    def _hash(self, file: Path, before: _Written, data: bytes, handle: int) -> None:
        digest = self._known(file, before) if before.size else hashlib.sha256()
        if digest is None:
            return  # begun before a restart, or by another process: `finish` reads the file
        digest.update(data)
        with self._lock:
            self._hashes[file] = _Written.of(handle), digest
            while len(self._hashes) > _MOST_HASHES:
                self._hashes.popitem(last=False)

    def _digest(self, file: Path, handle: int) -> str:
        digest = self._known(file, _Written.of(handle))
        if digest is not None:
            return str(digest.hexdigest())
        with os.fdopen(os.dup(handle), "rb") as whole:
            whole.seek(0)
            return hashlib.file_digest(whole, "sha256").hexdigest()

    def _known(self, file: Path, state: _Written) -> Any:
        """Take the running hash of a file that is still as this process has left it; None if there is none."""
        with self._lock:
            written, digest = self._hashes.pop(file, (None, None))
        return digest if written == state else None


@contextmanager
def _locked(file: Path, flags: int = os.O_RDWR | os.O_CREAT | os.O_APPEND) -> Iterator[int]:
    while True:
        handle = os.open(file, flags, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if _names(file, handle):
                yield handle
                return
        finally:
            os.close(handle)


def _names(file: Path, handle: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False


def _require_room(handle: int, size: int) -> None:
    disk = os.fstatvfs(handle)
    kept = min(_KEPT_FREE_BYTES, disk.f_blocks * disk.f_frsize // _KEPT_FREE_SHARE)
    if size > disk.f_bavail * disk.f_frsize - kept:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write(handle: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(handle, rest) :]
