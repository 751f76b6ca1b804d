"""What sealing and opening need of a store of ciphertext, wherever it is."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

Progress = Callable[[int], None]
"""Told the bytes that were added."""


def silent(_size: int) -> None:
    """Progress nobody looks at."""


class ObjectSink(Protocol):
    """Where ciphertext goes."""

    def missing(self, digests: Iterable[str]) -> set[str]:
        """Which of these objects the store lacks."""

    def upload(self, source: BinaryIO, digest: str, size: int, progress: Progress) -> None:
        """Store a seekable source under its digest, going on where an earlier try stopped."""

    def upload_bytes(self, data: bytes) -> str:
        """Store an object; return its digest."""

    def upload_small(self, bodies: Sequence[bytes]) -> None:
        """Store objects of at most `kifabrik.client.objects.SMALL` bytes each, together; at most 64 of them."""


class ObjectSource(Protocol):
    """Where ciphertext comes from."""

    def fetch(self, digest: str, limit: int) -> bytes:
        """Return a small object, whose digest has been checked."""

    def open(self, digest: str, size: int) -> AbstractContextManager[BinaryIO]:
        """Open an object for reading from its first byte; its digest is not checked."""
