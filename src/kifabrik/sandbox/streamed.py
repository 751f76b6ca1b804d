"""A folder whose bytes are made when they are read: a FUSE mount served by threads of the launcher.

It is spoken straight to the kernel, without libfuse: the launcher may mount, and the few requests of a
read-only folder are in `fuse_protocol`. ADR 13 says why.

Invariants:
- it is mounted for one user, and the kernel lets nobody else in, root included; it lies in mounts of the
  launcher's own and ends with the launcher, however that ends;
- nothing is written through it: the mount is read-only, and no request that changes anything is served;
- every request gets an answer: one that fails gets EIO, and whoever watches is told why first;
- `abort` ends every request at once, so that a reader can be killed while its bytes are on their way.
"""

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final, Protocol

from kifabrik.errors import UnavailableError
from kifabrik.sandbox import fuse_protocol as fuse
from kifabrik.sandbox import kernel
from kifabrik.sandbox.fuse_protocol import ROOT, Attributes, Opcode, Request
from kifabrik.sandbox.kernel import Mount
from kifabrik.sandbox.memory import PrivateMounts
from kifabrik.sandbox.proc_files import mounts_of
from kifabrik.sandbox.uids import RunUid

DEVICE: Final = Path("/dev/fuse")
WITHOUT: Final = "Load it with `modprobe fuse`; in a container, let it have the device /dev/fuse."
_READAHEAD: Final = fuse.MOST_READ
"""Bytes read ahead of a reader for each thread: a request each. With less, the kernel has one request under way
at a time, and one thread opens while the reader and all others wait."""
_GONE: Final = frozenset({errno.ENODEV, errno.ECONNABORTED, errno.EBADF})
_PASSING: Final = frozenset({errno.EINTR, errno.EAGAIN, errno.ENOENT})
"""A request that was taken back before it was read or answered."""
_ENDING_S: Final = 2.0

Watcher = Callable[[Exception], None]
"""Told what went wrong before the reader is."""


class _DeviceError(Exception):
    """The kernel did not take an answer: the mount is gone, or something is wrong with it."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class Files(Protocol):
    """A tree that never changes; called from several threads at once."""

    def attributes(self, inode: int) -> Attributes:
        """What a file or folder is."""

    def find(self, folder: int, name: bytes) -> int | None:
        """Inode of a name in a folder, if it is there."""

    def children(self, folder: int) -> Sequence[tuple[bytes, int]]:
        """Names in a folder with their inodes, always in the same order."""

    def read(self, inode: int, offset: int, size: int) -> AbstractContextManager[Sequence[memoryview]]:
        """Bytes of a file, in pieces that count as long as the block; fewer only at its end."""

    def totals(self) -> tuple[int, int]:
        """Bytes and number of all files."""


def cannot_stream() -> str:
    """Why no folder can be streamed here, as a sentence; empty if one can."""
    try:
        if not stat.S_ISCHR(DEVICE.stat().st_mode):
            return f"{DEVICE} is not a device."
        os.close(os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return f"There is no {DEVICE}: the kernel has no FUSE, or has not loaded it."
    except OSError as error:
        return f"{DEVICE} cannot be opened: {error.strerror}."
    return ""


class StreamedFolder:
    """A mounted folder and the threads that serve it.

    Args:
        path: An existing folder, hidden by the mount.
        files: What is in it.
        mounts: From `enter_private_mounts`.
        owner: The only user who may look into it.
        threads: How many requests are answered at once.
        watcher: Told about every request that failed.

    Raises:
        UnavailableError: This machine has no FUSE, or refuses the mount.
    """

    def __init__(
        self,
        path: Path,
        files: Files,
        mounts: PrivateMounts,
        owner: RunUid,
        *,
        threads: int,
        watcher: Watcher,
    ) -> None:
        self.path = path
        self._files = files
        self._owner = owner
        self._watcher = watcher
        self._ended = False
        self._device = _open_device()
        try:
            _mount(path, self._device, owner)
            self._agree()
        except BaseException:
            self.abort()
            os.close(self._device)
            raise
        if mounts.as_root:
            _read_ahead(path, min(threads * _READAHEAD, fuse.MOST_READAHEAD))
        self._threads = [
            threading.Thread(target=self._serve, name=f"stream-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def abort(self) -> None:
        """End the mount and every request now; whoever reads gets an error, whatever it waits for."""
        self._ended = True
        with contextlib.suppress(OSError):
            kernel.unmount(self.path, detach=False, force=True)
        with contextlib.suppress(OSError):
            kernel.unmount(self.path, detach=True)

    def unmount(self) -> None:
        """End it, and wait a little for its threads; one that waits for far-away bytes ends when they come."""
        if self._device < 0:
            return
        self.abort()
        for thread in self._threads:
            thread.join(_ENDING_S)
        if not any(thread.is_alive() for thread in self._threads):
            os.close(self._device)
        self._device = -1

    def _agree(self) -> None:
        """Answer the kernel's first request."""
        request = Request.from_bytes(memoryview(os.read(self._device, fuse.REQUEST_ROOM)))
        if request.opcode != Opcode.INIT:
            raise UnavailableError("the kernel's FUSE began with something else than INIT")
        self._answer(request.unique, fuse.init_answer(request.body))

    def _serve(self) -> None:
        device, room = self._device, bytearray(fuse.REQUEST_ROOM)
        view = memoryview(room)
        while True:
            try:
                size = os.readv(device, [room])
            except OSError as error:
                if error.errno in _PASSING:
                    continue
                self._give_up(error)
                return
            try:
                self._handle(Request.from_bytes(view[:size]))
            except _DeviceError as failed:
                self._give_up(failed.error)
                return

    def _give_up(self, error: OSError) -> None:
        """End the mount if the kernel has not done so already."""
        if error.errno not in _GONE and not self._ended:
            self._watcher(error)
            self.abort()

    def _handle(self, request: Request) -> None:
        if request.opcode in (Opcode.FORGET, Opcode.BATCH_FORGET):
            return  # inodes stay as long as the mount, and the kernel wants no answer
        try:
            if request.opcode == Opcode.READ:
                offset, size = request.extent
                with self._files.read(request.inode, offset, size) as pieces:
                    self._answer(request.unique, *pieces)
                return
            answer = self._find_answer(request)
        except _DeviceError:
            raise
        except Exception as error:  # noqa: BLE001 - a request without an answer would hang its reader for ever
            if not self._ended:
                self._watcher(error)
            self._refuse(request.unique, errno.EIO)
            return
        if isinstance(answer, int):
            self._refuse(request.unique, answer)
        else:
            self._answer(request.unique, answer)

    def _find_answer(self, request: Request) -> bytes | int:
        """The answer to anything but a READ, or an error number."""
        files, inode = self._files, request.inode
        match request.opcode:
            case Opcode.LOOKUP:
                found = files.find(inode, request.name)
                return errno.ENOENT if found is None else fuse.entry_answer(found, self._attributes(found))
            case Opcode.GETATTR:
                return fuse.attributes_answer(self._attributes(inode))
            case Opcode.READDIR | Opcode.READDIRPLUS:
                return self._listing(inode, *request.extent, plus=request.opcode == Opcode.READDIRPLUS)
            case Opcode.STATFS:
                return fuse.statfs_answer(*files.totals())
            case Opcode.DESTROY:
                return b""
        return errno.ENOSYS

    def _attributes(self, inode: int) -> bytes:
        return self._files.attributes(inode).to_bytes(self._owner.uid, self._owner.gid)

    def _listing(self, inode: int, offset: int, size: int, *, plus: bool) -> bytes:
        """Names from number `offset` on, as many as fit; the folder itself and the one above come first."""
        listed, room = [], size
        children = self._files.children(inode)
        for number in range(offset, len(children) + 2):
            name, child = children[number - 2] if number > 1 else ((b".", b"..")[number], inode)
            attributes = self._files.attributes(child)
            entry = fuse.listed_name(name, attributes, number + 1)
            if plus:  # inode 0: the kernel is to learn nothing new of the dots
                known = child if number > 1 else 0
                entry = fuse.entry_answer(known, attributes.to_bytes(self._owner.uid, self._owner.gid)) + entry
            room -= len(entry)
            if room < 0:
                break
            listed.append(entry)
        return b"".join(listed)

    def _answer(self, unique: int, *parts: bytes | memoryview) -> None:
        self._write(fuse.answer_head(unique, sum(map(len, parts))), *parts)

    def _refuse(self, unique: int, error: int) -> None:
        self._write(fuse.answer_head(unique, 0, error))

    def _write(self, *parts: bytes | memoryview) -> None:
        try:
            os.writev(self._device, parts)
        except OSError as error:
            if error.errno not in _PASSING:
                raise _DeviceError(error) from None


def _open_device() -> int:
    try:
        return os.open(DEVICE, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise UnavailableError(f"{DEVICE} cannot be opened: {error.strerror}", hint=WITHOUT) from None


def _mount(path: Path, device: int, owner: RunUid) -> None:
    """Mount for the owner alone: without `allow_other` the kernel refuses every other user, and root."""
    options = (
        f"fd={device},rootmode=40000,user_id={owner.uid},group_id={owner.gid},"
        f"default_permissions,max_read={fuse.MOST_READ}"
    )
    try:
        kernel.mount("kifabrik", path, "fuse", Mount.READ_ONLY | Mount.NOSUID | Mount.NODEV, options)
    except OSError as error:
        raise UnavailableError(
            f"data cannot be streamed: the kernel refuses the mount: {error.strerror}",
            hint="`kifabrik doctor --node` checks what is missing.",
        ) from None


def _read_ahead(path: Path, size: int) -> None:
    """Let the kernel read so many bytes ahead; one that does not let us is only slower."""
    number = next(
        (mount.device for mount in reversed(tuple(mounts_of(Path("/proc/self")))) if mount.point == path), ""
    )
    with contextlib.suppress(OSError):
        Path(f"/sys/class/bdi/{number}/read_ahead_kb").write_text(str(size // 1024), encoding="ascii")


__all__ = ["ROOT", "Attributes", "Files", "StreamedFolder", "cannot_stream"]
