"""The door of every route: first who calls, then how much comes, then what it says.

Invariants:
- who is refused is refused by what stands in the headers: no byte of the body is waited for or parsed;
- a route takes as many bytes as the largest thing it is for needs, and one that needs none takes none;
- a body is parsed only if it is not made of more parts than its length explains: each part of a JSON text costs
  tens of times its own length in memory;
- a body that comes too slowly is not waited for;
- what a tenant's callers send at one time has room in memory, and takes none of another tenant's.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from kifabrik.errors import IntegrityError, SignInError, UsageError
from kifabrik.service.auth import Allowed, Failures, caller_of
from kifabrik.service.problems import TooLargeError, TooSlowError
from kifabrik.service.room import Room
from kifabrik.service.streams import raw_body

KIB: Final = 2**10
MIB: Final = 2**20
SMALL: Final = 64 * KIB
"""Longest body where a route says nothing else: a few signed statements about one thing."""

SIGNED: Final = 2 * MIB
"""One signed statement that may be long, such as a manifest, in JSON within JSON."""

BYTES_PER_PART: Final = 32
"""A route for n bytes takes at most n / 32 commas: twice what a list of digests has, the finest thing sent."""

MOST_PARTS: Final = 400_000
"""Commas in the longest body: more than it holds headers of shards."""

PATIENCE_S: Final = 20.0
"""For a small body as a whole; a longer one has a second more for each `SLOWEST` bytes that have come."""
SLOWEST: Final = 16 * KIB

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
F = TypeVar("F", bound=Callable[..., Any])


def takes(most_bytes: int) -> Callable[[F], F]:
    """Say of a route how long its bodies may be, if not `SMALL`."""

    def mark(endpoint: F) -> F:
        endpoint.most_bytes = most_bytes  # type: ignore[attr-defined]
        return endpoint

    return mark


class Door(APIRoute):
    """A route that asks its callers one thing after the other, and only then lets FastAPI read and parse."""

    @property
    def allowed(self) -> Allowed | None:
        """Who must sign in here; None where nobody can have a token yet."""
        return next((call for call in _calls(self.dependant) if isinstance(call, Allowed)), None)

    @property
    def most_bytes(self) -> int:
        """Longest body; 0 where none is read."""
        reads = self.body_field is not None or raw_body in _calls(self.dependant)
        return int(getattr(self.endpoint, "most_bytes", SMALL)) if reads else 0

    def get_route_handler(self) -> Handler:
        """Return FastAPI's handler behind the door."""
        handle = super().get_route_handler()
        allowed, most_bytes = self.allowed, self.most_bytes
        most_parts = min(most_bytes // BYTES_PER_PART, MOST_PARTS) if self.body_field is not None else most_bytes

        async def take(request: Request) -> Response:
            if most_bytes == 0:
                return await handle(request)
            taken = Request(request.scope, _Intake(request, most_bytes).receive)
            try:
                body = await taken.body()
            except ClientDisconnect:
                raise UsageError("the caller hung up in the middle of the body") from None
            if body.count(b",") > most_parts:
                raise TooLargeError(f"the body has more than the {most_parts} parts that are taken here")
            return await handle(taken)

        async def enter(request: Request) -> Response:
            if allowed is None:
                return await _counted(request, take)
            caller = await allowed.let_in(request)
            size = min(_announced(request, most_bytes), most_bytes)
            if size <= SMALL:
                return await take(request)
            room: Room = request.app.state.room
            async with room.held(caller.tenant, size):
                return await take(request)

        return enter


class _Intake:
    """Counts the bytes of one body as they come, and the seconds."""

    def __init__(self, request: Request, most_bytes: int) -> None:
        self._receive: Receive = request.receive
        self._most_bytes = most_bytes
        self._received = 0
        self._begun = asyncio.get_running_loop().time()
        self._check_size(_announced(request, 0))

    async def receive(self) -> Message:
        """Wait for the next piece.

        Raises:
            TooLargeError: There are more bytes than are taken here.
            TooSlowError: They take too long to come.
        """
        try:
            async with asyncio.timeout_at(self._begun + PATIENCE_S + self._received / SLOWEST):
                message = await self._receive()
        except TimeoutError:
            raise TooSlowError(
                f"only {self._received} bytes of the body came in time",
                hint=f"Send at least {SLOWEST // KIB} kB a second.",
            ) from None
        self._received += len(message.get("body", b""))
        self._check_size(self._received)
        return message

    def _check_size(self, size: int) -> None:
        if size > self._most_bytes:
            raise TooLargeError(f"the body is larger than {self._most_bytes} bytes")


async def _counted(request: Request, take: Handler) -> Response:
    """Let a stranger in who has not failed too often; whose signatures or codes do not fit has failed.

    Raises:
        TooManyError: This one has.
    """
    failures: Failures = request.app.state.failures
    caller = caller_of(request)
    failures.check(caller)
    try:
        return await take(request)
    except (SignInError, IntegrityError):
        failures.add(caller)
        raise


def _announced(request: Request, unknown: int) -> int:
    """The length of the body as its headers say it; `unknown` where they say that it comes in chunks."""
    length = request.headers.get("content-length", "")
    if length.isdecimal():
        return int(length)
    return unknown if "transfer-encoding" in request.headers else 0


def _calls(dependant: Dependant) -> list[Any]:
    found = [one.call for one in dependant.dependencies]
    return found + [call for one in dependant.dependencies for call in _calls(one)]
