"""The factory's objects over HTTP, as sealing and opening want them."""

import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import BinaryIO, cast

from kifabrik.client.objects import SMALL, Objects
from kifabrik.transfer.objects import Progress


class HttpStore:
    """Object sink and source over the client."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def missing(self, digests: Iterable[str]) -> set[str]:
        """Which of these objects the factory lacks."""
        wanted = list(digests)
        return self._objects.missing(wanted) if wanted else set()

    def upload(self, source: BinaryIO, digest: str, size: int, progress: Progress) -> None:
        """Upload, going on where an earlier try stopped; what is there already is not sent."""
        if size <= SMALL or self._objects.missing([digest]):
            self._objects.upload(source, digest, size, progress)
        else:
            progress(size)

    def upload_bytes(self, data: bytes) -> str:
        """Upload a small object; return its digest."""
        return self._objects.upload_bytes(data)

    def upload_small(self, bodies: Sequence[bytes]) -> None:
        """Upload small objects in one call."""
        self._objects.upload_small(bodies)

    def fetch(self, digest: str, limit: int) -> bytes:
        """Fetch a small object and check its digest."""
        return self._objects.fetch(digest, limit)

    @contextmanager
    def open(self, digest: str, _size: int) -> Iterator[BinaryIO]:
        """Open an object as a stream."""
        with closing(_Stream(self._objects.pieces(digest))) as stream:
            yield cast("BinaryIO", io.BufferedReader(stream, 2**20))


class _Stream(io.RawIOBase):
    """Pieces as a readable stream."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, into: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(into), len(self._rest))
        into[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
