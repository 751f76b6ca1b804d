"""One connection to a factory: TLS, token, retries and errors."""

import json
import random
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate
from functools import cache
from http import HTTPStatus
from typing import Any, Final, Protocol, Self, TypeVar
from urllib.parse import urlsplit

import truststore

from kifabrik import __version__
from kifabrik.client.answers import SIGN_IN_HINT, Answer, Arriving, Head
from kifabrik.client.transport import Query, Transport
from kifabrik.errors import BY_CODE, IntegrityError, KifabrikError, UnavailableError
from kifabrik.values import now_utc


class _Sent(Protocol):
    """What a body can do that is sent."""

    def model_dump_json(self) -> str: ...


class _Read(Protocol):
    """What a body can do that is read. Said here, so that who needs no bodies does not wait for pydantic."""

    @classmethod
    def model_validate(cls, obj: Any) -> Self: ...

    @classmethod
    def model_validate_json(cls, json_data: bytes) -> Self: ...


B = TypeVar("B", bound=_Read)
T = TypeVar("T")

_READ_TIMEOUT_S: Final = 60.0
_SPREAD: Final = random.SystemRandom()
"""Keeps callers that failed together from coming back together; forked launchers draw each their own."""
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0
_WITHOUT_WORDS: Final = {
    401: "does not know this token",
    403: "does not allow this to your role; an auditor, for one, may only look",
    404: "has no such thing",
    507: "has no room left for this",
}
"""What a status means where the answer has no body: to HEAD, or from a proxy."""
_NOT_ITS_OWN: Final = "These are not a factory's words. Is the address right? Does a proxy stand between?"
_IN_A_WHILE: Final = "It may be starting, or be busy, or a proxy before it cannot reach it. Try again in a while."
_PASSING: Final = frozenset({502, 503, 504, 429})


class Connection:
    """Speaks to one factory as one token holder; usable from several threads.

    Args:
        url: The service's base URL.
        token: Bearer token, or empty before enrolment.
        ca_pem: A certificate authority to trust besides the system's (PEM text).
        patience_s: How long to go on trying when the factory cannot be reached.
        patience_over_all: Whether that is counted for all calls together, from when the factory was last reached,
            and not for each call anew: who has much to say to a factory that is gone for good then ends.
        silence_s: How long a line may be silent in the middle of an answer before it counts as broken.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        *,
        ca_pem: str = "",
        patience_s: float = 10.0,
        patience_over_all: bool = False,
        silence_s: float = _READ_TIMEOUT_S,
    ) -> None:
        self.url = url.rstrip("/")
        self.patience_s = patience_s
        self._patience_over_all = patience_over_all
        self._away_since: float | None = None
        self.silence_s = silence_s
        headers = {"user-agent": f"kifabrik/{__version__}"}
        if token:
            headers["authorization"] = f"Bearer {token}"
        self._ca_pem = ca_pem
        self._http = Transport(self.url, headers, lambda: _trust(ca_pem))
        self._others: list[Transport] = []

    def close(self) -> None:
        """Close all sockets."""
        for line in (self._http, *self._others):
            line.close()

    def line_to(self, url: str) -> Transport:
        """Open a line to another server that is trusted alike; nothing of ours goes there. Closed with this one."""
        line = Transport(url, {}, lambda: _trust(self._ca_pem))
        self._others.append(line)
        return line

    def get(self, path: str, into: type[B], *, wait_s: float = 0, **query: str | float | Sequence[str]) -> B:
        """GET a body; with `wait_s` the service holds the answer back until there is news."""
        content = self._ask("GET", path, query=query, wait_s=wait_s).content
        with _understood(self.url):
            return into.model_validate_json(content)

    def clock_ahead_s(self, path: str) -> float | None:
        """By how many seconds this machine's clock is ahead of the other side's; None if that tells no time."""
        told = parsedate(self._ask("GET", path).headers.get("date"))
        if told is None:
            return None
        year, month, day, hour, minute, second = told[:6]
        try:
            return (now_utc() - datetime(year, month, day, hour, minute, second, tzinfo=UTC)).total_seconds()
        except (ValueError, OverflowError):  # a day no calendar has
            return None

    def get_list(
        self, path: str, item: type[B], *, wait_s: float = 0, **query: str | float | Sequence[str]
    ) -> list[B]:
        """GET a list of bodies."""
        answer = self._ask("GET", path, query=query, wait_s=wait_s)
        with _understood(self.url):
            return [item.model_validate(one) for one in json.loads(answer.content)]

    def get_json(self, path: str, read: Callable[[Any], T], **query: str | float | Sequence[str]) -> T:
        """GET JSON and hand it to `read`, which raises KeyError, TypeError or ValueError for what it is not."""
        answer = self._ask("GET", path, query=query)
        with _understood(self.url):
            return read(json.loads(answer.content))

    def get_bytes(self, path: str) -> bytes:
        """GET raw bytes."""
        return self._ask("GET", path).content

    def post(self, path: str, body: _Sent | None, into: type[B], **query: str | float | Sequence[str]) -> B:
        """POST a body and read one."""
        content = self._ask("POST", path, content=_json(body), query=query).content
        with _understood(self.url):
            return into.model_validate_json(content)

    def send(self, path: str, body: _Sent | None = None) -> None:
        """POST a body whose answer does not matter."""
        self._ask("POST", path, content=_json(body))

    def head(self, path: str) -> Mapping[str, str] | None:
        """HEAD: the headers, or nothing if there is no such thing."""
        answer = self._ask("HEAD", path, missing_ok=True)
        return None if answer.status == HTTPStatus.NOT_FOUND else answer.headers

    def patch(
        self, path: str, content: bytes, headers: Mapping[str, str], **query: str | float | Sequence[str]
    ) -> Mapping[str, str]:
        """PATCH raw bytes once, without trying again: the caller asks for the offset first."""
        answer = self._http.ask(
            "PATCH", path, query=query, headers=headers, content=content, timeout_s=self.silence_s
        )
        self._raise_problem(answer, answer.content)
        return answer.headers

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[Arriving]:
        """GET a large body piece by piece."""
        with self._http.stream(path, headers or {}, timeout_s=self.silence_s) as answer:
            self._raise_problem(answer, answer.read() if answer.is_error else b"")
            yield answer

    def _ask(
        self,
        method: str,
        path: str,
        *,
        content: bytes | None = None,
        query: Query | None = None,
        wait_s: float = 0,
        missing_ok: bool = False,
    ) -> Answer:
        params = dict(query or {}) | ({"wait": wait_s} if wait_s else {})
        headers = {"content-type": "application/json"} if content is not None else {}
        timeout_s = self.silence_s + wait_s
        began = time.monotonic()
        pause = _FIRST_PAUSE_S
        while True:
            try:
                answer = self._http.ask(
                    method, path, query=params, headers=headers, content=content, timeout_s=timeout_s
                )
                if not (missing_ok and answer.status == HTTPStatus.NOT_FOUND):
                    self._raise_problem(answer, answer.content)
            except UnavailableError:
                if time.monotonic() + pause > self._tries_since(began) + self.patience_s:
                    raise
            else:
                self._away_since = None
                return answer
            time.sleep(pause * _SPREAD.uniform(0.5, 1.0))
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    def _tries_since(self, began: float) -> float:
        """When the patience began that a call has which has just failed."""
        if self._away_since is None:
            self._away_since = began
        return self._away_since if self._patience_over_all else began

    def _raise_problem(self, answer: Head, content: bytes) -> None:
        # The factory sends neither pages nor redirects. What does stands between: it must never pass for a success.
        page = answer.headers.get("content-type", "").startswith("text/html")
        if page and answer.status in _PASSING:
            raise _by_status(_root(self.url), answer.status)  # of a proxy that does not reach it just now
        if page or answer.is_redirect:
            raise UnavailableError(
                f"a web page answered in place of the factory at {_root(self.url)} (HTTP {answer.status})",
                hint="Is it the right address? "
                "Does a proxy or sign-in page stand between? See HTTPS_PROXY, NO_PROXY.",
            )
        if not answer.is_error:
            return
        raise _problem(_root(self.url), answer.status, content)


def _json(body: _Sent | None) -> bytes:
    return b"{}" if body is None else body.model_dump_json().encode()


def prepare_trust() -> None:
    """Load the system's certificate authorities now, which else happens at the first call over TLS."""
    _trust("")


@cache
def _trust(ca_pem: str) -> ssl.SSLContext:
    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if ca_pem:
        context.load_verify_locations(cadata=ca_pem)
    return context


@contextmanager
def _understood(url: str) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
        raise IntegrityError(
            f"the factory at {url} answered something that is not understood",
            hint="Is this the address of a factory, and is it of the same version?",
        ) from None


def _root(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}/"


def _problem(root: str, status: int, content: bytes) -> KifabrikError:
    from kifabrik.wire.body import Problem  # noqa: PLC0415 - only needed on failure

    try:
        said = Problem.model_validate_json(content)
    except ValueError:
        return _by_status(root, status)
    error = BY_CODE.get(said.code, KifabrikError)(said.message, hint=said.hint)
    if status in _PASSING and not isinstance(error, UnavailableError):
        return UnavailableError(f"the factory at {root} is not ready (HTTP {status})", hint=_IN_A_WHILE)
    return error


def _by_status(root: str, status: int) -> KifabrikError:
    """Return the error of an answer without words: of a proxy, or of whatever else is at the address."""
    if status in _PASSING or (status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in _WITHOUT_WORDS):
        # Also of a factory that is told to end: what takes longer then than it may is cut off with a bare 500.
        return UnavailableError(f"the factory at {root} is not ready (HTTP {status})", hint=_IN_A_WHILE)
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        message = f"the proxy before {root} wants to know who calls (HTTP {status})"
        return UnavailableError(message, hint=SIGN_IN_HINT)
    for error in BY_CODE.values():
        if error.http_status == status:
            words = _WITHOUT_WORDS.get(status, "refuses this")
            return error(f"the factory at {root} {words} (HTTP {status})", hint=_NOT_ITS_OWN)
    return KifabrikError(f"the factory at {root} answered HTTP {status}", hint=_NOT_ITS_OWN)
