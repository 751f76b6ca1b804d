"""One connection: the web server's own, with an end to patience and to how many there are.

Invariants:
- a connection on which nothing moves, on which a request's head does not get whole or an answer is not read, ends
  in bounded time;
- strangers' connections, and all together, are bounded in number. When there are too many, whoever has most of
  them (an address, where nobody has signed in; a tenant) loses the oldest, not whoever comes;
- so nobody who has few connections loses one to somebody who has many.
"""

import asyncio
import resource
from collections import Counter
from collections.abc import Collection, Iterable
from typing import Any, Final

from starlette.types import Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from kifabrik.service.auth import network_of
from kifabrik.service.limits import Limits

HANDSHAKE_S: Final = 10.0
_LINGER_S: Final = 1.0
_OTHER_FILES: Final = 256
"""Database, objects, uploads under way, logs."""


class Connection(H11Protocol):
    """What `uvicorn.Config(http=…)` is given."""

    limits = Limits()
    ending = False
    """Set on the class `connection_within` gives once the service is told to end."""

    def __init__(self, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self._inner = self.app
        self.app = self._answer
        self._since = self.loop.time()
        self._over: asyncio.TimerHandle | None = None

    @property
    def since(self) -> float:
        """When it came, by the event loop's clock."""
        return self._since

    @property
    def tenant(self) -> str:
        """Whose caller has signed in with the request that came last; empty for a stranger."""
        principal = (self.scope or {}).get("state", {}).get("principal")
        return principal.tenant if principal else ""

    @property
    def _coding(self) -> str:
        """How the body of the request that came last is sent, if not with its length."""
        return dict(self.headers or ()).get(b"transfer-encoding", b"").decode("latin-1").lower()

    @property
    def address(self) -> str:
        """Where it comes from."""
        return network_of(self.client[0]) if self.client else ""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it in, and let one go if there are too many."""
        super().connection_made(transport)
        self._give(self.limits.head_s)
        if len(self.connections) > min(self.limits.strangers, _most(self.limits)):
            surplus = one_too_many(self.connections, self.limits)
            if surplus is not None:
                surplus.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Take what comes; between requests, and after one that was refused, not for ever."""
        if self._over is None and (self.cycle is None or self.cycle.response_complete):
            self._give(self.limits.head_s)
        super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self._take_back()
        super().connection_lost(exc)

    def timeout_keep_alive_handler(self) -> None:
        """Close it, whether or not the answers on it have been read."""
        super().timeout_keep_alive_handler()
        self._give(self.limits.head_s)

    def send_400_response(self, msg: str) -> None:
        """Say what was wrong, and do not wait for ever until that is read."""
        super().send_400_response(msg)
        self._give(self.limits.head_s)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._take_back()
        if self.ending:
            # uvicorn tells those that are there when it ends; who comes in just then would stay until cut off.
            self.cycle.keep_alive = False
        sent = 0

        async def send_in_time(message: Message) -> None:
            nonlocal sent
            patience = self.limits.head_s + sent / self.limits.slowest_bytes_per_s
            try:
                async with asyncio.timeout(patience):
                    await send(message)
            except TimeoutError:
                self.transport.abort()  # the rest of the answer goes nowhere, as where a caller has hung up
            sent = len(message.get("body", b""))

        await self._inner(scope, receive, send_in_time)
        if self.cycle.more_body and "chunked" in self._coding:
            self._give(_LINGER_S)  # nobody knows how long the rest of it is, and each tiny chunk costs time
        elif self.transport.is_closing():
            self._give(self.limits.head_s + sent / self.limits.slowest_bytes_per_s)

    def _give(self, seconds: float) -> None:
        """Let it end after so many seconds unless something happens."""
        self._take_back()
        self._over = self.loop.call_later(seconds, self.transport.abort)

    def _take_back(self) -> None:
        if self._over is not None:
            self._over.cancel()
            self._over = None


def connection_within(limits: Limits) -> type[Connection]:
    """The class of connections that hold to these limits."""
    return type("Connection", (Connection,), {"limits": limits})


def one_too_many(connections: Collection[Any], limits: Limits) -> Connection | None:
    """Which connection has to go, if any: the oldest of whoever has most."""
    strangers = [one for one in connections if not one.tenant]
    if len(strangers) > limits.strangers:
        return _oldest_of_the_largest((one.address, one) for one in strangers)
    if len(connections) > _most(limits):
        return _oldest_of_the_largest((one.tenant or one.address, one) for one in connections)
    return None


def _oldest_of_the_largest(owned: Iterable[tuple[str, Connection]]) -> Connection:
    found = list(owned)
    largest, _ = Counter(owner for owner, _ in found).most_common(1)[0]
    return min((one for owner, one in found if owner == largest), key=lambda one: one.since)


def _most(limits: Limits) -> int:
    """Most connections: each is an open file, and so are other things."""
    return min(limits.connections, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHER_FILES)


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose TLS servers wait for a handshake for seconds, not for a minute."""

    async def create_server(self, *args: Any, **named: Any) -> Any:
        """Listen."""
        if named.get("ssl"):
            named.setdefault("ssl_handshake_timeout", HANDSHAKE_S)
        return await super().create_server(*args, **named)
