"""The only async module: long polls that hold no thread, quick look-ups, the guard every request passes.

Invariants:
- a waiting request costs a future, not a thread or a database connection;
- news of this process wakes it at once; news of another process within `SWEEP_S`;
- when the service stops, everybody who waits is answered at once with how things stand.
"""

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Final, Generic, ParamSpec, TypeVar

from anyio.to_thread import run_sync
from fastapi import Depends, Query, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kifabrik.errors import UnavailableError
from kifabrik.factory.hints import EVERYTHING, Hints
from kifabrik.service.problems import unforeseen
from kifabrik.service.room import Room

P = ParamSpec("P")
T = TypeVar("T")

SWEEP_S: Final = 2.0
LONGEST_WAIT_S: Final = 60.0
_access = logging.getLogger("kifabrik.access")

WaitSeconds = Annotated[float, Query(alias="wait", ge=0, le=3600, description="Seconds to wait for news.")]


@dataclass(frozen=True)
class Watch(Generic[T]):
    """What a long poll waits for.

    Args:
        topic: Hint that something has changed.
        read: Looks how things stand; runs in a thread.
        ready: Whether that is worth an answer.
        wait_s: Longest wait.
    """

    topic: str
    read: Callable[[], T]
    ready: Callable[[T], bool]
    wait_s: float


class Waiters:
    """Everybody who waits in this process; made within the event loop.

    Args:
        hints: Tells of changes of this process.
        stamp: A number that differs after any change of another process; runs in a thread.
    """

    def __init__(self, hints: Hints, stamp: Callable[[], int]) -> None:
        self._hints = hints
        self._stamp = stamp
        self._loop = asyncio.get_running_loop()
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._stopped = False
        hints.listen(self._hear)
        self._sweep = self._loop.create_task(self._sweep_forever())

    async def wait(self, watch: Watch[T]) -> T:
        """Return what `watch.read` says once it is ready, or how things stand when the wait is over."""
        until = self._loop.time() + min(watch.wait_s, LONGEST_WAIT_S)
        event = asyncio.Event()
        self._waiting[watch.topic].add(event)
        try:
            while True:
                event.clear()
                found = await run_sync(watch.read)
                left = until - self._loop.time()
                if watch.ready(found) or left <= 0 or self._stopped:
                    return found
                try:
                    await asyncio.wait_for(event.wait(), left)
                except TimeoutError:
                    continue
        finally:
            self._forget(watch.topic, event)

    def stop(self) -> None:
        """Answer everybody now and wait no more; callable from any thread."""
        self._stopped = True
        self._hear(EVERYTHING)

    async def close(self) -> None:
        """Stop listening and sweeping."""
        self._stopped = True
        self._hints.leave(self._hear)
        self._sweep.cancel()
        await asyncio.gather(self._sweep, return_exceptions=True)

    def _hear(self, topic: str) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, topic)

    def _wake(self, topic: str) -> None:
        topics = list(self._waiting) if topic == EVERYTHING else [topic]
        for one in topics:
            for event in self._waiting.get(one, ()):
                event.set()

    def _forget(self, topic: str, event: asyncio.Event) -> None:
        self._waiting[topic].discard(event)
        if not self._waiting[topic]:
            del self._waiting[topic]

    async def _sweep_forever(self) -> None:
        before = None
        while True:
            await asyncio.sleep(SWEEP_S)
            try:
                now = await run_sync(self._stamp)
            except UnavailableError as error:
                _access.warning("the sweep could not look at the database: %s", error.message)
                continue
            except Exception:  # noqa: BLE001 - whatever it was, those who wait are to hear of other processes again
                _access.exception("the sweep could not look at the database")
                continue
            if now != before:
                before = now
                self._wake(EVERYTHING)


def in_place(look: Callable[P, T]) -> Callable[P, Awaitable[T]]:
    """Turn a dependency that only looks something up into one that is called where the request is.

    FastAPI calls every other one in a thread, and each change of thread costs a fifth of a millisecond.
    """

    @wraps(look)
    async def looked_up(*args: P.args, **kwargs: P.kwargs) -> T:
        return look(*args, **kwargs)

    return looked_up


@in_place
def the_waiters(request: Request) -> Waiters:
    """Everybody who waits for this app."""
    waiters: Waiters = request.app.state.waiters
    return waiters


TheWaiters = Annotated[Waiters, Depends(the_waiters)]


def long_poll(make: Callable[P, Watch[T]]) -> Callable[P, Awaitable[T]]:
    """Turn a route that returns a `Watch` into one that waits for it.

    The route has a parameter `waiters: TheWaiters`; declare `response_model` on it. It must not block:
    what takes time belongs into `Watch.read`.
    """

    @wraps(make)
    async def endpoint(*args: P.args, **kwargs: P.kwargs) -> T:
        waiters = kwargs["waiters"]
        assert isinstance(waiters, Waiters)  # noqa: S101 - said above
        return await waiters.wait(make(*args, **kwargs))

    return endpoint


async def raw_body(request: Request) -> bytes:
    """The body as it came; the route's door has limited it."""
    return await request.body()


RawBody = Annotated[bytes, Depends(raw_body)]


@in_place
def taken_s(request: Request) -> float:
    """Seconds since the first byte of the request's body was waited for."""
    begun: float = request.state.begun
    return time.monotonic() - begun


TakenSeconds = Annotated[float, Depends(taken_s)]


@in_place
def the_sending_room(request: Request) -> Room:
    """Memory for pieces of objects on their way out."""
    room: Room = request.app.state.sending
    return room


TheSendingRoom = Annotated[Room, Depends(the_sending_room)]


async def in_room(room: Room, owner: str, pieces: Iterator[bytes], size: int) -> AsyncIterator[bytes]:
    """Hand pieces on; room for each is held from before it is fetched until it is on its way.

    Args:
        room: Where.
        owner: Whose.
        pieces: Fetched in a thread.
        size: Bytes of the longest.
    """
    while True:
        async with room.held(owner, size):
            piece = await run_sync(next, pieces, None)
            if piece is None:
                return
            yield piece


class Guard:
    """Outermost: logs each request without its secrets, answers unforeseen errors.

    Args:
        app: What it guards.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.monotonic(), 0

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except Exception as error:
            reply = unforeseen(error)
            if status:
                raise  # the answer has begun: only breaking it off tells the caller
            await reply(scope, receive, noting)
        finally:
            stranger = {"stranger": "principal" not in scope.get("state", {})}
            _access.info("%s %s %d %.0f ms%s", *_facts(scope, status, begun), extra=stranger)


def _facts(scope: Scope, status: int, begun: float) -> tuple[Any, ...]:
    """Method, route, status, duration, tenant: nothing the caller chose freely."""
    route = scope.get("route")
    path = getattr(route, "path", "(no such path)")
    principal = scope.get("state", {}).get("principal")
    tenant = f" {principal.kind.name.lower()} of {principal.tenant}" if principal else ""
    return scope["method"], path, status, (time.monotonic() - begun) * 1000, tenant
