"""Answers of a service, whole or still arriving, and how it is said that there is none."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from urllib3.exceptions import HTTPError
from urllib3.response import BaseHTTPResponse

from kifabrik.errors import UnavailableError

_AS_IT_COMES_BYTES: Final = 256 * 2**10


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
            UnavailableError: The line broke before its end.
        """
        with translated(self._url):
            return self._response.read(decode_content=False)

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
        raise unreachable(url, _root_of(error)) from error


def unreachable(url: str, detail: str) -> UnavailableError:
    """Return the error that says that the factory at `url` cannot be reached, and why."""
    return UnavailableError(
        f"cannot reach the factory at {url}: {detail}", hint="Is it running, and is the address right?"
    )


def _root_of(error: BaseException) -> str:
    """Say what is at the bottom of an error: urllib3 wraps what a person understands into several others."""
    while error.__cause__ is not None:
        error = error.__cause__
    said = error.strerror if isinstance(error, OSError) else None
    return said or str(error) or type(error).__name__
