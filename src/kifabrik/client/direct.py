"""Objects to and from the factory's object store, without the service in between.

Invariants:
- nothing goes to the store but what the factory signed: no token, and no header that is not named below;
- a factory that is spoken to over TLS cannot send anybody to where there is none;
- what a store answers are bytes nobody believes; nothing of it is told to the factory;
- a store that cannot be reached from here is left alone for a while, and everything goes through the service.
"""

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from http import HTTPStatus
from threading import Lock
from typing import BinaryIO, Final
from urllib.parse import urlsplit

from kifabrik.client.answers import Arriving
from kifabrik.client.connection import Connection
from kifabrik.client.transport import Transport
from kifabrik.errors import IntegrityError, KifabrikError, NotFoundError, UnavailableError
from kifabrik.wire.datasets import WayView

LEAST: Final = 64 * 2**10
"""There are no ways for objects up to here."""
_ALONE_S: Final = 15.0
_LONGEST_ALONE_S: Final = 600.0
_SEND: Final = 256 * 2**10
_RECEIVE: Final = 2**20
_KEPT: Final = 4096
_NO_PATH: Final = "there is no such path"
_MARGIN_S: Final = 30
"""A way that is kept is not begun so shortly before its end."""
_NONE: Final = WayView(direct=False)
_HEADERS: Final = frozenset({"x-amz-content-sha256", "content-length", "if-none-match"})
_STORED: Final = frozenset({HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.PRECONDITION_FAILED})


class NoWayError(KifabrikError):
    """There is no direct way, or not at present: it goes through the service.

    Args:
        message: Why.
        worth_another: Whether the same may go well at once.
    """

    def __init__(self, message: str, *, worth_another: bool = False) -> None:
        super().__init__(message)
        self.worth_another = worth_another


class Direct:
    """Sends and fetches objects directly where the factory says how; usable from several threads.

    Args:
        connection: To the factory.
    """

    def __init__(self, connection: Connection) -> None:
        self._factory = connection
        self._secure = urlsplit(connection.url).scheme == "https"
        self._lock = Lock()
        self._lines: dict[str, Transport] = {}
        self._kept: OrderedDict[str, tuple[float, WayView]] = OrderedDict()
        self._alone_until, self._alone_s = 0.0, _ALONE_S

    def send(self, source: BinaryIO, digest: str, size: int, reached: Callable[[int], None]) -> None:
        """Send an object whole.

        Args:
            source: Seekable.
            digest: SHA-256 of it in hex.
            size: Its bytes.
            reached: Told how many bytes have gone out.

        Raises:
            NoWayError: It has to go through the service, or is there already.
            IntegrityError: The source does not have this digest.
        """
        way = self._asked(f"/v1/uploads/{digest}/way", size=size)
        gone_out = _GoneOut(reached)
        try:
            with self._sent("PUT", way, {}, gone_out.pieces(source)) as answer:
                said, status = answer.read(), answer.status
        except UnavailableError as error:
            if not gone_out.size:
                self._leave_alone()
            raise NoWayError(error.message, worth_another=bool(gone_out.size)) from error
        self._alone_s = _ALONE_S
        if status not in _STORED:
            if b"XAmzContentSHA256Mismatch" in said:
                raise IntegrityError(f"what was to be sent is not object {digest[:16]}")
            raise NoWayError(f"the object store answered HTTP {status}", worth_another=True)
        reached(size)
        try:
            self._factory.send(f"/v1/uploads/{digest}/arrived")
        except NotFoundError as error:
            raise NoWayError(error.message) from error

    @contextmanager
    def fetched(self, digest: str, start: int, end: int | None = None) -> Iterator[Iterator[bytes]]:
        """Lend the bytes `[start, end)` of an object, in pieces; nothing is checked.

        Raises:
            NotFoundError: There is no such object.
            NoWayError: They have to be fetched through the service; not raised within the block.
            UnavailableError: The line broke within the block; what came before counts.
        """
        way = self._way_out(digest)
        headers = {"range": f"bytes={start}-{'' if end is None else end - 1}"} if start or end is not None else {}
        with ExitStack() as held:
            try:
                answer = held.enter_context(self._sent("GET", way, headers, None))
            except UnavailableError as error:
                self._leave_alone()
                raise NoWayError(error.message) from error
            self._alone_s = _ALONE_S
            if answer.status != (HTTPStatus.PARTIAL_CONTENT if headers else HTTPStatus.OK):
                with self._lock:
                    self._kept.pop(digest, None)
                raise NoWayError(f"the object store answered HTTP {answer.status}")
            yield answer.iter_bytes(_RECEIVE)

    def _way_out(self, digest: str) -> WayView:
        with self._lock:
            until, way = self._kept.get(digest, (0.0, _NONE))
        if time.monotonic() < until:
            return way
        way = self._asked(f"/v1/objects/{digest}/way")
        with self._lock:
            self._kept[digest] = time.monotonic() + way.lasts_s - _MARGIN_S, way
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return way

    def _asked(self, path: str, **query: int) -> WayView:
        if time.monotonic() < self._alone_until:
            raise NoWayError("the object store cannot be reached from here, or the factory has no ways to it")
        try:
            way = self._factory.post(path, None, WayView, **query)
        except NotFoundError as error:
            if error.message != _NO_PATH:
                raise
            way = _NONE  # an older service
        if not way.direct:
            self._alone_until = math.inf
        if not way.url or not self._may_be_sent(way):
            raise NoWayError("the factory gives no direct way")
        return way

    def _may_be_sent(self, way: WayView) -> bool:
        parts = urlsplit(way.url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and not self._secure)
        plain = all(
            name in _HEADERS and value.isascii() and value.isprintable() for name, value in way.headers.items()
        )
        return safe and plain and bool(parts.hostname) and way.url.isascii() and way.url.isprintable()

    def _sent(
        self, method: str, way: WayView, headers: Mapping[str, str], body: Iterator[bytes] | None
    ) -> AbstractContextManager[Arriving]:
        base, target = _split(way.url)
        with self._lock:
            line = self._lines.get(base)
            if line is None:
                line = self._lines[base] = self._factory.line_to(base)
        sent = {**way.headers, **headers}
        return line.send_signed(method, target, sent, body, timeout_s=self._factory.silence_s)

    def _leave_alone(self) -> None:
        self._alone_until = time.monotonic() + self._alone_s
        self._alone_s = min(2 * self._alone_s, _LONGEST_ALONE_S)


class _GoneOut:
    """Counts what of a source has gone out."""

    def __init__(self, reached: Callable[[int], None]) -> None:
        self._reached = reached
        self.size = 0

    def pieces(self, source: BinaryIO) -> Iterator[bytes]:
        source.seek(0)
        while piece := source.read(_SEND):
            yield piece
            self.size += len(piece)
            self._reached(self.size)


def _split(url: str) -> tuple[str, str]:
    """Cut a URL into its root, and the path with its query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", f"{parts.path}?{parts.query}"
