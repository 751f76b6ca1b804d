"""HTTP to one service, through urllib3: lines that are kept, proxies, limits on waiting.

Invariants:
- an answer that ends early is an error, never a short body; one that was not read to its end ends its line;
- nothing but what is asked for goes out: paths are quoted, and headers cannot break a line;
- redirects are not followed, cookies not kept, and nothing is tried again here.
"""

import base64
import os
import ssl
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any, Final, TypeAlias
from urllib.parse import quote, unquote, urlencode, urlsplit

from urllib3 import PoolManager, ProxyManager, Timeout

from kifabrik.client.answers import Answer, Arriving, translated, unreachable

Query: TypeAlias = Mapping[str, str | float | Sequence[str]]
"""Names and values; a name with several stands there several times."""

_CONNECT_TIMEOUT_S: Final = 10.0
_PORTS: Final = {"http": 80, "https": 443}
_MOST_LINES: Final = 32
"""Lines that are kept; more threads than these make new ones."""
_ONE_SEND_BYTES: Final = 64 * 2**10
"""The limit on waiting is for each of these and not for a whole body, whose way up a slow line takes long."""
_AS_IT_IS: Final[Mapping[str, Any]] = {"retries": False, "redirect": False, "preload_content": False}


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
        target = f"{_quoted(path)}?{urlencode(query, doseq=True)}" if query else _quoted(path)
        if content is not None:
            headers = {**headers, "content-length": str(len(content))}
        with self._asked(method, target, headers, _cut(content), timeout_s) as answer:
            return Answer(answer.status, answer.headers, answer.read())

    def send_signed(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: Iterable[bytes] | None,
        *,
        timeout_s: float,
    ) -> AbstractContextManager[Arriving]:
        """Send a request whose target is quoted and signed already, and give the answer before its body was read.

        Args:
            method: HTTP method.
            target: Path and query as they are.
            headers: Those of the body's length among them, if it has one.
            body: Pieces that are sent as they come.
            timeout_s: How long the line may be silent.

        Raises:
            UnavailableError: There is no answer.
        """
        return self._asked(method, target, headers, body, timeout_s)

    @contextmanager
    def stream(self, path: str, headers: Mapping[str, str], *, timeout_s: float) -> Iterator[Arriving]:
        """Send a GET and give the answer before its body was read.

        Raises:
            UnavailableError: There is no answer.
        """
        with self._asked("GET", _quoted(path), headers, None, timeout_s) as answer:
            yield answer

    def close(self) -> None:
        """Hang up; a line that is in use ends with its answer."""
        if "_lines" in self.__dict__:
            self._lines.clear()

    @property
    def _where(self) -> str:
        """What an error names: the service, and the proxy before it without its password."""
        try:
            named = urlsplit(self._proxy)
        except ValueError:
            return self._url
        proxy = f"{named.scheme}://{named.netloc.rpartition('@')[2]}"
        return f"{self._url} through the proxy {proxy}" if self._proxy else self._url

    @cached_property
    def _proxy(self) -> str:
        parts = urlsplit(self._url)
        if parts.scheme not in _PORTS or not parts.hostname:
            raise ValueError("this is no address of a web service")
        return _proxy(parts.scheme, parts.hostname, parts.port or _PORTS[parts.scheme])

    @cached_property
    def _lines(self) -> PoolManager:
        parts, proxy = urlsplit(self._url), self._proxy
        named = urlsplit(proxy)
        trust = self._trust() if "https" in (parts.scheme, named.scheme) else None
        if not proxy:
            return PoolManager(maxsize=_MOST_LINES, ssl_context=trust)
        pair = f"{unquote(named.username or '')}:{unquote(named.password or '')}".encode()
        said = {"proxy-authorization": f"Basic {base64.b64encode(pair).decode()}"} if named.username else None
        return ProxyManager(
            proxy, proxy_headers=said, proxy_ssl_context=trust, maxsize=_MOST_LINES, ssl_context=trust
        )

    @contextmanager
    def _asked(
        self, method: str, target: str, headers: Mapping[str, str], body: Iterable[bytes] | None, timeout_s: float
    ) -> Iterator[Arriving]:
        with translated(self._where):
            response = self._lines.urlopen(
                method,
                self._url + target,
                body=body,
                headers={**self._headers, **headers},
                timeout=Timeout(connect=_CONNECT_TIMEOUT_S, read=timeout_s),
                **_AS_IT_IS,
            )
        try:
            if response.headers.get("content-encoding", "identity") != "identity":
                raise unreachable(self._where, "the answer is encoded in a way that was not asked for")
            yield Arriving(response.status, response.headers, self._where, response)
        finally:
            response.close()  # a line whose answer was read to its end has gone back to the others before


def _cut(content: bytes | None) -> Iterable[bytes] | None:
    if content is None:
        return None
    return [content[at : at + _ONE_SEND_BYTES] for at in range(0, len(content), _ONE_SEND_BYTES)]


def _quoted(path: str) -> str:
    return quote(path, safe="/:@!$&'()*+,;=~")


def _proxy(scheme: str, host: str, port: int) -> str:
    """Name the proxy of the environment, or of the system's settings, for a service; empty if there is none."""
    if sys.platform == "linux" and not any(name.lower().endswith("_proxy") for name in os.environ):
        return ""
    from urllib import request  # noqa: PLC0415 - takes time, and only where there is a proxy

    named = request.getproxies()
    found = named.get(scheme) or named.get("all") or ""
    if not found or request.proxy_bypass(host) or request.proxy_bypass(f"{host}:{port}"):
        return ""
    return found if "://" in found else f"http://{found}"
