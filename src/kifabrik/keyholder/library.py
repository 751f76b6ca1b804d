"""Statements and header objects fetched from the factory, each kept as long as there is room.

Invariants:
- everything is known by its digest, so nothing here can be exchanged; nothing here is verified either.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final

from kifabrik.datasets.manifest import Manifest
from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.keyholder.connecting import Factory
from kifabrik.runs.statements import LogStream
from kifabrik.seals.header import HEADER_LIMIT
from kifabrik.signatures.dsse import Envelope
from kifabrik.values import sha256_hex

_MOST_BYTES: Final = 64 * 2**20
_BEYOND_ALL_SEGMENTS: Final = 2**53
_MOST_HEADERS: Final = 256 * 2**20
"""A headers object may be larger than what is kept; about 1.5 million shards."""


class Library:
    """Fetches by digest and remembers, least recently used out first.

    Args:
        factory: Where everything comes from.
    """

    def __init__(self, factory: Factory) -> None:
        self._factory = factory
        self._kept: OrderedDict[str, bytes] = OrderedDict()
        self._size = 0
        self._lock = threading.Lock()

    def statement(self, digest: str) -> Envelope:
        """Return a statement by its digest, not verified.

        Raises:
            NotFoundError: The factory does not have it.
            IntegrityError: The factory returned something else.
        """
        found = self._find("s" + digest)
        if found is not None:
            return Envelope.from_json(found)
        envelope = self._factory.datasets.statement(digest)
        # The digest is of the payload: keep an envelope only if its signatures came with it.
        self._keep("s" + digest, envelope.to_json().encode())
        return envelope

    def statements(self, digests: Iterable[str]) -> dict[str, Envelope]:
        """Return those of several statements that the factory has and that are well formed."""
        found: dict[str, Envelope] = {}
        for digest in digests:
            try:
                found[digest] = self.statement(digest)
            except (NotFoundError, IntegrityError):
                continue
        return found

    def forget(self, digest: str) -> None:
        """Forget a statement whose signatures turned out wrong, so that it is fetched again."""
        with self._lock:
            gone = self._kept.pop("s" + digest, None)
            self._size -= len(gone or b"")

    def headers(self, said: Manifest | LogStream) -> bytes:
        """Return the headers object a manifest or log stream names, in full and of the right digest.

        Raises:
            NotFoundError: The factory does not have it.
            IntegrityError: It is something else, or larger than stated.
        """
        if isinstance(said, Manifest):
            return self.body(said.headers, min(said.headers_size, _MOST_HEADERS))
        return self._bytes(said.header, HEADER_LIMIT, lambda: self._header_of_log(said))

    def body(self, digest: str, limit: int) -> bytes:
        """Return a small object.

        Raises:
            NotFoundError: The factory does not have it.
            IntegrityError: It is something else, or larger than `limit`.
        """
        return self._bytes(digest, limit, lambda: self._factory.objects.fetch(digest, limit))

    def _header_of_log(self, said: LogStream) -> bytes:
        return self._factory.runs.log(said.attempt, after=_BEYOND_ALL_SEGMENTS, rank=said.rank).header

    def _bytes(self, digest: str, limit: int, fetch: Callable[[], bytes]) -> bytes:
        kept = self._find("o" + digest)
        found = fetch() if kept is None else kept
        if len(found) > limit or sha256_hex(found) != digest:
            raise IntegrityError(f"object {digest[:16]} is not what the statement about it says")
        if kept is None:
            self._keep("o" + digest, found)
        return found

    def _find(self, key: str) -> bytes | None:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: str, data: bytes) -> None:
        with self._lock:
            before = self._kept.pop(key, b"")
            self._kept[key] = data
            self._size += len(data) - len(before)
            while self._size > _MOST_BYTES and len(self._kept) > 1:
                self._size -= len(self._kept.popitem(last=False)[1])
