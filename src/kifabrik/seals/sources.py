"""Where the bytes of a body come from: memory, a file, a stream or a function, at any position.

Invariants:
- `fetch` returns exactly as many bytes as asked for or raises; it is safe in several threads at once;
- files are read, not mapped: a file cut off under the reader is an error, never a SIGBUS.
"""

import os
from collections.abc import Callable
from mmap import mmap
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Final, Protocol, TypeAlias

from kifabrik.errors import IntegrityError, NotFoundError, UnavailableError, UsageError

Buffer: TypeAlias = bytes | bytearray | memoryview | mmap
WritableBuffer: TypeAlias = bytearray | memoryview | mmap
PositionedRead: TypeAlias = Callable[[int, int], bytes | bytearray | memoryview]
"""`read(offset, size)` returns the bytes there; fewer only at the end."""
BLOCKING: Final = "Open it so that reading and writing wait, as they do by default."
SourceLike: TypeAlias = str | Path | Buffer | BinaryIO | PositionedRead


class Source(Protocol):
    """Bytes that can be read at any position."""

    def size(self) -> int | None:
        """Number of bytes, or None if only the caller knows."""

    def fetch(self, offset: int, scratch: memoryview) -> memoryview:
        """Return the `len(scratch)` bytes at `offset`, in `scratch` or wherever they lie already.

        Raises:
            IntegrityError: The source ends before that.
            UnavailableError: The source cannot be read.
        """

    def close(self) -> None:
        """Let go of what was opened here; what the caller opened stays open."""


def source_of(source: SourceLike) -> Source:
    """Wrap whatever holds a body.

    Raises:
        NotFoundError: There is no such file.
        UnavailableError: The file cannot be opened.
        UsageError: The stream cannot seek.
    """
    if isinstance(source, str | Path):
        return FileSource(Path(source)) if hasattr(os, "preadv") else _opened_stream(Path(source))
    if isinstance(source, bytes | bytearray | memoryview | mmap):
        return BufferSource(source)
    return FunctionSource(source) if callable(source) else StreamSource(source)


class BufferSource:
    """Bytes in memory: never copied."""

    def __init__(self, data: Buffer) -> None:
        self._view = memoryview(data).cast("B")

    def size(self) -> int:
        """See `Source.size`."""
        return len(self._view)

    def fetch(self, offset: int, scratch: memoryview) -> memoryview:
        """See `Source.fetch`."""
        return _complete(self._view[offset : offset + len(scratch)], offset, len(scratch))

    def close(self) -> None:
        """See `Source.close`."""
        self._view.release()


class FileSource:
    """A file read with `preadv`, which needs no common position and so no lock."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = _opened(path)

    def size(self) -> int:
        """See `Source.size`."""
        return os.fstat(self._file.fileno()).st_size

    def fetch(self, offset: int, scratch: memoryview) -> memoryview:
        """See `Source.fetch`."""
        filled = 0
        try:
            while filled < len(scratch):
                count = os.preadv(self._file.fileno(), [scratch[filled:]], offset + filled)
                if not count:
                    break
                filled += count
        except OSError as error:
            raise UnavailableError(f"cannot read {self._path}: {error.strerror}") from None
        return _complete(scratch[:filled], offset, len(scratch))

    def close(self) -> None:
        """See `Source.close`."""
        self._file.close()


class StreamSource:
    """A seekable binary stream; its one position is guarded by a lock."""

    def __init__(self, stream: BinaryIO, *, owned: bool = False) -> None:
        if not stream.seekable():
            raise UsageError("this stream cannot seek", hint="copy_opened reads a body in one go.")
        self._stream = stream
        self._owned = owned
        self._lock = Lock()

    def size(self) -> int:
        """See `Source.size`."""
        with self._lock:
            return self._stream.seek(0, os.SEEK_END)

    def fetch(self, offset: int, scratch: memoryview) -> memoryview:
        """See `Source.fetch`."""
        try:
            with self._lock:
                self._stream.seek(offset)
                filled = fill(self._stream, scratch)
        except OSError as error:
            raise UnavailableError(f"cannot read the sealed bytes: {error}") from None
        return _complete(scratch[:filled], offset, len(scratch))

    def close(self) -> None:
        """See `Source.close`."""
        if self._owned:
            self._stream.close()


class FunctionSource:
    """A function that reads at a position, such as a ranged request to an object store."""

    def __init__(self, read: PositionedRead) -> None:
        self._read = read

    def size(self) -> None:
        """See `Source.size`."""

    def fetch(self, offset: int, scratch: memoryview) -> memoryview:
        """See `Source.fetch`."""
        return _complete(memoryview(self._read(offset, len(scratch))), offset, len(scratch))

    def close(self) -> None:
        """See `Source.close`."""


def fill(stream: BinaryIO, view: memoryview) -> int:
    """Read until `view` is full or the stream ends; return the number of bytes read.

    Raises:
        UnavailableError: The stream does not block and has nothing now, which is not its end.
    """
    filled = 0
    while filled < len(view):
        count: int | None = stream.readinto(view[filled:])  # type: ignore[attr-defined]
        if count is None:
            raise UnavailableError("this file does not block, and has nothing to read now", hint=BLOCKING)
        if not count:
            break
        filled += count
    return filled


def _complete(data: memoryview, offset: int, wanted: int) -> memoryview:
    if len(data) != wanted:
        raise IntegrityError(f"sealed bytes end at {offset + len(data)}, {wanted - len(data)} are missing")
    return data


def _opened(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        raise NotFoundError(f"no such file: {path}") from None
    except OSError as error:
        raise UnavailableError(f"cannot open {path}: {error.strerror}") from None


def _opened_stream(path: Path) -> StreamSource:
    return StreamSource(_opened(path), owned=True)
