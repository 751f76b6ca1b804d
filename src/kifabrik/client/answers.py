"""Answers of a service, whole or still arriving, and how it is said that there is none."""

import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import BadStatusLine, IncompleteRead, RemoteDisconnected
from typing import Final

from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.exceptions import IncompleteRead as ShortRead
from urllib3.response import BaseHTTPResponse

from kifabrik.errors import UnavailableError

_AS_IT_COMES_BYTES: Final = 256 * 2**10
_MOST_BYTES: Final = 256 * 2**20
"""Longest answer that is held in memory: far above the longest list of a factory. Objects are read in pieces."""
_SLOWEST_BYTES_PER_S: Final = 1_000.0
_PACE_AFTER_S: Final = 60.0
"""From when on a whole answer must have come at least as fast as that: a line that drips counts as broken."""


@dataclass(frozen=True)
class Head:
    """The beginning of an answer.

    Args:
        status: HTTP status.
        headers: By their names, in any case.
    """

    status: int
    headers: Mapping[str, str]

    @property
    def is_error(self) -> bool:
        """Whether the status says that it went wrong."""
        return self.status >= HTTPStatus.BAD_REQUEST

    @property
    def is_redirect(self) -> bool:
        """Whether it sends elsewhere."""
        return HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST and "location" in self.headers


@dataclass(frozen=True)
class Answer(Head):
    """A whole answer."""

    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Arriving(Head):
    """An answer whose body is still to be read."""

    _url: str
    _response: BaseHTTPResponse = field(repr=False)

    def read(self) -> bytes:
        """Return the rest of the body.

        Raises:
            UnavailableError: The line broke before its end, the body comes too slowly, or has no end.
        """
        body, began = bytearray(), time.monotonic()
        for piece in self.iter_bytes():
            body += piece
            if len(body) > _MOST_BYTES:
                raise unreachable(self._url, f"its answer is longer than {_MOST_BYTES // 2**20} MiB")
            if len(body) < (time.monotonic() - began - _PACE_AFTER_S) * _SLOWEST_BYTES_PER_S:
                raise unreachable(self._url, "its answer comes too slowly")
        return bytes(body)

    def iter_bytes(self, size: int = 0) -> Iterator[bytes]:
        """Yield the body in pieces of `size` bytes, the last one shorter; as it comes where that is 0.

        Raises:
            UnavailableError: The line broke before its end.
        """
        read = self._response.read if size else self._response.read1
        while True:
            with translated(self._url):
                piece = read(size or _AS_IT_COMES_BYTES, decode_content=False)
            if not piece:
                return
            yield piece


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Turn whatever goes wrong on a line, or with an answer that is none, into our own error."""
    try:
        yield
    except (HTTPError, OSError, ValueError) as error:
        raise unreachable(url, *_said_of(error)) from error


_HINT: Final = "Is it running, and is the address right?"


def unreachable(url: str, detail: str, hint: str = _HINT) -> UnavailableError:
    """Return the error that says that the factory at `url` cannot be reached, and why."""
    return UnavailableError(f"cannot reach the factory at {url}: {detail}", hint=hint)


_WORDS: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (RemoteDisconnected, "it hung up without an answer"),
    (BadStatusLine, "what answers there does not speak HTTP"),
    (IncompleteRead, "the line broke in the middle of its answer"),
    (ShortRead, "the line broke in the middle of its answer"),
    (ReadTimeoutError, "it has not answered in time"),
    (TimeoutError, "it has not answered in time"),
)
"""What a person understands of errors whose own text is for programmers; the first that fits counts."""
_TRUST_HINT: Final = (
    "If it has an authority of its own, have this machine trust that one; `kifabrik tenant create --ca` "
    "writes it into invitations."
)
_WRONG_NAME: Final = "WRONG_VERSION_NUMBER"
"""What OpenSSL says of an answer that is not TLS."""
_MUST_SIGN_IN: Final = "Tunnel connection failed: 407"
"""How http.client says that a proxy wants to know who calls."""
SIGN_IN_HINT: Final = "Put a name and a password into HTTPS_PROXY: http://NAME:PASSWORD@proxy.example:3128"


def _said_of(error: BaseException) -> tuple[str, str]:
    """Say what is at the bottom of an error, and what to do; urllib3 wraps that into several others."""
    error = _root_of(error)
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            f"its certificate is not trusted: {error.verify_message}",
            _TRUST_HINT,
        )
    if isinstance(error, ssl.SSLError) and error.reason == _WRONG_NAME:
        return "it does not speak TLS", "Does its address begin with http:// instead of https://?"
    if str(error).startswith(_MUST_SIGN_IN):
        return "the proxy wants to know who calls (HTTP 407)", SIGN_IN_HINT
    for kind, words in _WORDS:
        if isinstance(error, kind):
            return words, _HINT
    said = error.strerror if isinstance(error, OSError) else None
    return said or str(error) or type(error).__name__, _HINT


def _root_of(error: BaseException) -> BaseException:
    while True:
        inner = next((one for one in error.args if isinstance(one, BaseException)), None)
        within = error.__cause__ or inner
        if within is None:
            return error
        error = within
