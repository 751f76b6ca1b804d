"""HTTP/1.1 to one service: lines that are kept, proxies, limits on waiting.

The standard library parses answers: a request is a third of the work that a general HTTP client makes of it,
and every command starts sooner by its imports.

Invariants:
- a line is used again only if an answer was read to its end on it and the other side has not hung up;
- an answer that ends early is an error, never a short body;
- nothing but what is asked for goes out: paths are quoted, and headers cannot break a line;
- redirects are not followed and cookies not kept.
"""

import base64
import http.client
import os
import select
import socket
import ssl
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, TypeAlias, TypeVar
from urllib.parse import quote, unquote, urlencode, urlsplit

from kifabrik.errors import UnavailableError

T = TypeVar("T")
Query: TypeAlias = Mapping[str, str | float | Sequence[str]]
"""Names and values; a name with several stands there several times."""

_CONNECT_TIMEOUT_S: Final = 10.0
_PORTS: Final = {"http": 80, "https": 443}
_ONE_SEND_BYTES: Final = 64 * 2**10
"""Up to here a body leaves together with its head: two packets would wake the other side twice."""
_AS_IT_COMES_BYTES: Final = 256 * 2**10
_BROKEN: Final = (OSError, http.client.HTTPException, UnicodeError, ValueError)
"""What goes wrong on a line, or with an answer that is none."""


@dataclass(frozen=True)
class Head:
    """The beginning of an answer.

    Args:
        status: HTTP status.
        headers: By lower-case names.
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


class Arriving(Head):
    """An answer whose body is still to be read."""

    def __init__(self, status: int, headers: Mapping[str, str], read: Callable[[int | None, bool], bytes]) -> None:
        super().__init__(status, headers)
        object.__setattr__(self, "_read", read)

    _read: Callable[[int | None, bool], bytes]

    def read(self) -> bytes:
        """Return the rest of the body.

        Raises:
            UnavailableError: The line broke before its end.
        """
        return self._read(None, False)

    def iter_bytes(self, size: int = 0) -> Iterator[bytes]:
        """Yield the body in pieces of `size` bytes, the last one shorter; as it comes where that is 0.

        Raises:
            UnavailableError: The line broke before its end.
        """
        while piece := self._read(size or _AS_IT_COMES_BYTES, not size):
            yield piece


class Transport:
    """Lines to one service; usable from several threads.

    Args:
        url: The service's base URL.
        headers: Sent with every request.
        trust: What certificates are checked against.
    """

    def __init__(self, url: str, headers: Mapping[str, str], trust: Callable[[], ssl.SSLContext]) -> None:
        self._url = url
        self._headers = dict(headers)
        self._trust = trust
        self._found: _Route | None = None
        self._lock = threading.Lock()
        self._idle: list[_Line] = []
        self._lines: set[_Line] = set()

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Query,
        headers: Mapping[str, str],
        content: bytes | None,
        timeout_s: float,
    ) -> Answer:
        """Send a request and read the whole answer.

        Args:
            method: HTTP method.
            path: Not quoted yet, without a query.
            query: Names and values.
            headers: Besides those of every request.
            content: Body.
            timeout_s: How long the line may be silent.

        Raises:
            UnavailableError: There is no answer, or not all of it.
        """
        target = _target(path, query)
        line = self._line()

        def said() -> Answer:
            with line.ask(method, target, {**self._headers, **headers}, content, timeout_s) as response:
                body = response.read()
                return Answer(response.status, _headers_of(response), body)

        try:
            answer = _translated(self._url, said)
        except BaseException:
            self._drop(line)
            raise
        self._keep(line)
        return answer

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str], *, timeout_s: float) -> Iterator[Arriving]:
        """Send a GET and give the answer before its body was read.

        Raises:
            UnavailableError: There is no answer.
        """
        line = self._line()
        target = _target(path, {})
        try:
            with _translated(
                self._url, lambda: line.ask("GET", target, {**self._headers, **headers}, None, timeout_s)
            ) as response:

                def read(size: int | None, as_it_comes: bool) -> bytes:
                    return _translated(self._url, lambda: _piece(response, size, as_it_comes=as_it_comes))

                yield Arriving(response.status, _headers_of(response), read)
                whole = response.isclosed()
        except BaseException:
            self._drop(line)
            raise
        if whole:
            self._keep(line)
        else:
            self._drop(line)

    def close(self) -> None:
        """Hang up; whoever waits for an answer gets an error."""
        with self._lock:
            lines, self._lines = self._lines, set()
            idle, self._idle = self._idle, []
        for line in idle:
            line.close()
        for line in lines.difference(idle):
            line.hang_up()

    def _line(self) -> "_Line":
        """Take a line nobody uses."""
        while True:
            with self._lock:
                line = self._idle.pop() if self._idle else None
            if line is None:
                break
            if line.is_open():
                return line
            self._drop(line)
        if self._found is None:
            self._found = _translated(self._url, lambda: _route(self._url, self._trust))
        line = _Line(self._found)
        with self._lock:
            self._lines.add(line)
        return line

    def _keep(self, line: "_Line") -> None:
        with self._lock:
            if line in self._lines and line.sock is not None:
                self._idle.append(line)
                return
        self._drop(line)

    def _drop(self, line: "_Line") -> None:
        with self._lock:
            self._lines.discard(line)
        line.close()


@dataclass(frozen=True)
class _Proxy:
    """Where a proxy listens, and what it wants to hear."""

    host: str
    port: int
    headers: Mapping[str, str]


@dataclass(frozen=True)
class _Route:
    """How the service is reached.

    Args:
        host: Its name.
        port: Its port.
        prefix: What stands before every path.
        trust: Checks its certificate; None without TLS.
        proxy: In between, if there is one.
    """

    host: str
    port: int
    prefix: str
    trust: ssl.SSLContext | None
    proxy: _Proxy | None


class _Line(http.client.HTTPConnection):
    """One connection, perhaps through a proxy."""

    def __init__(self, route: _Route) -> None:
        near = route.proxy or route
        super().__init__(near.host, near.port)
        self._to = route
        self._held: list[bytes] | None = None
        self._extra: Mapping[str, str] = {}
        if route.proxy and route.trust:
            self.set_tunnel(route.host, route.port, dict(route.proxy.headers))
        elif route.proxy:
            self._extra = route.proxy.headers

    def connect(self) -> None:
        self.timeout = _CONNECT_TIMEOUT_S
        super().connect()
        if self._to.trust is not None:
            self.sock = self._to.trust.wrap_socket(self.sock, server_hostname=self._to.host)

    def ask(
        self, method: str, target: str, headers: Mapping[str, str], content: bytes | None, timeout_s: float
    ) -> http.client.HTTPResponse:
        """Send a request; return the answer's beginning."""
        if self.sock is None:
            self.connect()
        self.sock.settimeout(timeout_s)
        self.putrequest(method, self._absolute(self._to.prefix + target), skip_host=True)
        self.putheader("host", self._authority())
        for name, value in {**headers, **self._extra}.items():
            self.putheader(name, value)
        if content is not None:
            self.putheader("content-length", str(len(content)))
        small = content is not None and len(content) <= _ONE_SEND_BYTES
        self._held = [] if small else None
        self.endheaders(content)
        if self._held is not None:
            together, self._held = b"".join(self._held), None
            self.send(together)
        response = self.getresponse()
        if response.headers.get("content-encoding", "identity") != "identity":
            response.close()
            raise http.client.HTTPException("the answer is encoded in a way that was not asked for")
        return response

    def send(self, data: bytes) -> None:  # type: ignore[override] # bytes are all we send
        if self._held is not None:
            self._held.append(data)
        else:
            super().send(data)

    def is_open(self) -> bool:
        """Whether the other side has neither hung up nor said what it was not asked."""
        if self.sock is None:
            return False
        if hasattr(select, "poll"):  # select() itself knows no file descriptors beyond 1023
            poll = select.poll()
            poll.register(self.sock, select.POLLIN)
            return not poll.poll(0)
        return not select.select([self.sock], [], [], 0)[0]

    def hang_up(self) -> None:
        """End it for the thread that uses it, which closes it then."""
        sock = self.sock
        if sock is not None:
            with suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def _authority(self) -> str:
        host = f"[{self._to.host}]" if ":" in self._to.host else self._to.host
        usual = _PORTS["https" if self._to.trust else "http"]
        return host if self._to.port == usual else f"{host}:{self._to.port}"

    def _absolute(self, target: str) -> str:
        """What a proxy that forwards without TLS is to fetch."""
        return f"http://{self._authority()}{target}" if self._to.proxy and not self._to.trust else target


def _translated(url: str, act: Callable[[], T]) -> T:
    try:
        return act()
    except _BROKEN as error:
        detail = str(error) or type(error).__name__
        raise UnavailableError(
            f"cannot reach the factory at {url}: {detail}", hint="Is it running, and is the address right?"
        ) from error


def _target(path: str, query: Query) -> str:
    quoted = quote(path, safe="/:@!$&'()*+,;=~")
    return f"{quoted}?{urlencode(query, doseq=True)}" if query else quoted


def _headers_of(response: http.client.HTTPResponse) -> dict[str, str]:
    return {name.lower(): value for name, value in response.getheaders()}


def _piece(response: http.client.HTTPResponse, size: int | None, *, as_it_comes: bool) -> bytes:
    if size is None:
        return response.read()
    piece = response.read1(size) if as_it_comes else response.read(size)
    # The standard library lets a body of known length end early without a word.
    if not piece and response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return piece


def _route(url: str, trust: Callable[[], ssl.SSLContext]) -> _Route:
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ValueError("this is no address of a web service")
    port = parts.port or _PORTS[parts.scheme]
    context = trust() if parts.scheme == "https" else None
    return _Route(parts.hostname, port, parts.path.rstrip("/"), context, _proxy(parts.scheme, parts.hostname, port))


def _proxy(scheme: str, host: str, port: int) -> _Proxy | None:
    """Find the proxy the environment, or the settings of the system, name for a service."""
    if sys.platform == "linux" and not any(name.lower().endswith("_proxy") for name in os.environ):
        return None
    from urllib import request  # noqa: PLC0415 - takes time, and only where there is a proxy

    named = request.getproxies()
    text = named.get(scheme) or named.get("all")
    if not text or request.proxy_bypass(host) or request.proxy_bypass(f"{host}:{port}"):
        return None
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"a proxy must be named as http://HOST:PORT, not as {parts.scheme}://…")
    headers = {}
    if parts.username:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return _Proxy(parts.hostname, parts.port or _PORTS["http"], headers)
