"""Write the plaintext of one shard: each file read once, hashed, and handed on in blocks.

Invariants:
- memory is constant: two blocks, however large the files;
- a file that is not, from planning to its last byte read, the same as it was is an error that names it.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

from kifabrik.datasets.contents import TAR_BLOCK, FileEntry
from kifabrik.datasets.folder import Folder
from kifabrik.datasets.tar import END_OF_TAR, header_size, member_header, padded
from kifabrik.datasets.walking import SourceFile
from kifabrik.errors import ConflictError, NotFoundError

Sink = Callable[[bytes | memoryview], object]
"""Takes the next bytes of a plaintext, in order, one call at a time but not always from the same thread;
they never change afterwards, so it may keep them."""

BLOCK_BYTES: Final = 2**20
"""What a sink is given at a time (the last piece is shorter): a multiple of age's 64 KiB chunks."""

_DIRECTORY_MTIME: Final = 315_532_800
"""1980-01-01: directories have no time of their own, and `tar` warns about 1970."""
_PADDINGS: Final = tuple(bytes(-used % TAR_BLOCK) for used in range(TAR_BLOCK))

Item = tuple[str, SourceFile | None]
"""Path and file, or path and None for an empty directory."""


def merged(files: Sequence[SourceFile], directories: Sequence[str]) -> list[Item]:
    """Return files and empty directories in the order of their paths: that of a tar's members."""
    items: list[Item] = [(file.path, file) for file in files]
    if directories:
        items += [(path, None) for path in directories]
        items.sort(key=lambda item: item[0])
    return items


def size_in_tar(path: str, file: SourceFile | None) -> int:
    """Return the bytes a member takes, its header and padding included."""
    return header_size(path + "/") if file is None else header_size(path) + padded(file.size)


def write_tar(folder: Folder, items: Sequence[Item], sink: Sink) -> tuple[list[FileEntry], str]:
    """Write a whole tar, its end included; return what `Contents` says of its files, and its SHA-256 in hex.

    Raises:
        ConflictError: A file changed or vanished since it was planned.
    """
    whole = hashlib.sha256()
    entries = []
    with ShardOutput(whole.update, sink) as output:
        for path, file in items:
            if file is None:
                output.write(member_header(path + "/", 0, _DIRECTORY_MTIME, executable=True))
                continue
            size, mtime, executable = file.state.size, file.mtime, file.executable
            output.write(member_header(path, size, mtime, executable=executable))
            offset = output.position
            digest = hashlib.sha256()
            read_file(folder, file, digest.update, output.write)
            output.write(_PADDINGS[size % TAR_BLOCK])
            entries.append(FileEntry(path, offset, size, digest.hexdigest(), executable, mtime))
        output.write(END_OF_TAR)
    return entries, whole.hexdigest()


def write_whole(folder: Folder, file: SourceFile, sink: Sink) -> FileEntry:
    """Write a file as it is: its digest is that of the shard.

    Raises:
        ConflictError: It changed or vanished since it was planned.
    """
    digest = hashlib.sha256()
    with ShardOutput(sink) as output:
        read_file(folder, file, digest.update, output.write)
    return FileEntry(file.path, 0, file.size, digest.hexdigest(), file.executable, file.mtime)


def hash_file(folder: Folder, file: SourceFile) -> str:
    """Read a file and return its SHA-256 in hex.

    Raises:
        ConflictError: It changed or vanished since the folder was walked.
    """
    digest = hashlib.sha256()
    read_file(folder, file, digest.update)
    return digest.hexdigest()


def read_file(folder: Folder, file: SourceFile, *takers: Sink) -> None:
    """Read a file once, in order, and give each piece to every taker.

    Raises:
        ConflictError: It is not, or does not stay, as it was when the folder was walked.
    """
    try:
        descriptor = folder.open_file(file.path)
    except NotFoundError:
        raise _changed(file) from None
    try:
        _check_same(descriptor, file)
        left = file.state.size
        while left:
            piece = os.read(descriptor, min(left, BLOCK_BYTES))
            if not piece:
                raise _changed(file)
            for take in takers:
                take(piece)
            left -= len(piece)
        _check_same(descriptor, file)
    finally:
        os.close(descriptor)


def _check_same(descriptor: int, file: SourceFile) -> None:
    status = os.fstat(descriptor)
    if not file.state.is_of(status) or not stat.S_ISREG(status.st_mode):
        raise _changed(file)


def _changed(file: SourceFile) -> ConflictError:
    return ConflictError(
        f"{file.path!r} changed while it was being packed",
        hint="Let its writer finish, or pack a copy or snapshot; what is sealed already is not sealed again.",
    )


class ShardOutput:
    """Collects pieces into blocks, and hands them on in a thread while the next is being read.

    A context manager: leaving it without an error hands over the rest, and in any case waits for the thread.

    Args:
        takers: Given each block, one after the other.
    """

    def __init__(self, *takers: Sink) -> None:
        self.position = 0
        """Bytes of plaintext so far."""
        self._takers = takers
        self._pieces: list[bytes] = []
        self._held = 0
        self._thread: ThreadPoolExecutor | None = None
        self._handed: Future[None] | None = None

    def write(self, piece: bytes | memoryview) -> None:
        """Take the next piece; it must not change afterwards.

        Raises:
            Exception: What a taker raised about an earlier block.
        """
        self._pieces.append(bytes(piece))
        size = len(piece)
        self.position += size
        self._held += size
        if self._held >= BLOCK_BYTES:
            joined = b"".join(self._pieces)
            self._hand(memoryview(joined)[:BLOCK_BYTES])
            self._held -= BLOCK_BYTES
            self._pieces = [joined[BLOCK_BYTES:]] if self._held else []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self._thread.shutdown()
        if kind is None:
            self._settle()
            if self._held:
                self._deliver(b"".join(self._pieces))

    def _hand(self, block: memoryview) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "kifabrik-pack")
        self._settle()
        self._handed = self._thread.submit(self._deliver, block)

    def _settle(self) -> None:
        """Wait until the block handed over last is done with, or raise what went wrong with it."""
        if self._handed is not None:
            self._handed.result()

    def _deliver(self, block: bytes | memoryview) -> None:
        for take in self._takers:
            take(block)
