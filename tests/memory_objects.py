"""A store of ciphertext in a dictionary: a sink for what is sealed, and a source of what is opened."""

import hashlib
import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import BinaryIO


class MemoryObjects:
    """Takes and gives back objects as a factory does, under their digests."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def missing(self, digests: Iterable[str]) -> set[str]:
        """Those of `digests` that are not there."""
        return set(digests) - self.objects.keys()

    def upload(self, source: BinaryIO, digest: str, size: int, progress: Callable[[int], None]) -> None:
        """Take an object that is what it says it is."""
        data = source.read()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (digest, size)
        self.objects[digest] = data
        progress(size)

    def upload_bytes(self, data: bytes) -> str:
        """Take an object; return its digest."""
        digest = hashlib.sha256(data).hexdigest()
        self.upload(io.BytesIO(data), digest, len(data), lambda _size: None)
        return digest

    def upload_small(self, bodies: Iterable[bytes]) -> None:
        """Take several objects."""
        for data in bodies:
            self.upload_bytes(data)

    def fetch(self, digest: str, limit: int) -> bytes:
        """Give an object, or what shows that it is larger than `limit`."""
        return self.objects[digest][: limit + 1]

    @contextmanager
    def open(self, digest: str, _size: int) -> Iterator[io.BytesIO]:
        """Give an object as a stream."""
        yield io.BytesIO(self.objects[digest])
