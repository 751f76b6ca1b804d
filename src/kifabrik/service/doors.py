"""The door of every route: first who calls, then how much comes, then what it says.

Invariants:
- who is refused is refused by what stands in the headers: no byte of the body is waited for or parsed;
- a route takes as many bytes as the largest thing it is for needs, and one that needs none takes none;
- a body is parsed only if it is made of no more parts than the largest thing it is for: each part of a JSON text
  costs tens of times its own length in memory;
- a body that comes too slowly is not waited for;
- what a tenant's callers send at one time has room in memory, and takes none of another tenant's; large bodies of
  one tenant are parsed one at a time;
- the calls of one tenant never have all threads the service works in.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from inspect import iscoroutinefunction
from typing import Any, Final, TypeVar

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive

from kifabrik.errors import IntegrityError, SignInError, UsageError
from kifabrik.factory.records import Principal, TokenKind
from kifabrik.service.auth import Allowed, Failures, caller_of
from kifabrik.service.limits import KIB, MIB, Limits
from kifabrik.service.problems import TooLargeError, TooSlowError
from kifabrik.service.streams import raw_body

SMALL: Final = 64 * KIB
"""Longest body where a route says nothing else: a few signed statements about one thing."""

SIGNED: Final = 2 * MIB
"""One signed statement that may be long, such as a manifest, in JSON within JSON."""

PARTS: Final = 2_000
"""Most commas in a body where a route says nothing else: some hundred fields, and a list of some hundred things."""

NODES_PARTS: Final = 20_000
"""The same where every node of a large run has a signature, or a header, in it."""

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Measure:
    """What a route takes.

    Args:
        most_bytes: Longest body; 0 where none is read.
        most_parts: Most commas in it, where it is JSON.
        of_attempts: Longest body of a launcher, which speaks for all nodes of a run; 0 if it is no other.
    """

    most_bytes: int = SMALL
    most_parts: int = PARTS
    of_attempts: int = 0

    def most_of(self, caller: Principal | None) -> int:
        """Longest body of this caller."""
        attempt = caller is not None and caller.kind is TokenKind.ATTEMPT
        return self.of_attempts if attempt and self.of_attempts else self.most_bytes


def takes(most_bytes: int, *, parts: int = PARTS, of_attempts: int = 0) -> Callable[[F], F]:
    """Say of a route what it takes, if not what `Measure` says."""

    def mark(endpoint: F) -> F:
        endpoint.measure = Measure(most_bytes, parts, of_attempts)  # type: ignore[attr-defined]
        return endpoint

    return mark


class Door(APIRoute):
    """A route that asks its callers one thing after the other, and only then lets FastAPI parse what they send."""

    @property
    def allowed(self) -> Allowed | None:
        """Who must sign in here; None where nobody can have a token yet."""
        return next((call for call in _calls(self.dependant) if isinstance(call, Allowed)), None)

    @property
    def measure(self) -> Measure:
        """What is taken here."""
        reads = self.body_field is not None or raw_body in _calls(self.dependant)
        measure: Measure = getattr(self.endpoint, "measure", Measure())
        return measure if reads else Measure(0)

    def get_route_handler(self) -> Handler:
        """Return FastAPI's handler behind the door."""
        handle = super().get_route_handler()
        waits = iscoroutinefunction(self.endpoint)
        allowed, measure, is_json = self.allowed, self.measure, self.body_field is not None

        async def parse(request: Request) -> Response:
            if allowed is None or waits:  # who waits for news holds no thread
                return await handle(request)
            async with request.app.state.threads.held(request.state.principal.tenant, 1):
                return await handle(request)

        async def take(request: Request, caller: Principal | None) -> Response:
            request.state.begun = time.monotonic()
            most_bytes = measure.most_of(caller)
            if most_bytes == 0:
                return await parse(request)
            size = min(_announced(request, most_bytes), most_bytes)
            if caller is None or size <= SMALL:
                return await parse(await _whole(request, most_bytes, measure.most_parts if is_json else None))
            state = request.app.state
            async with state.room.held(caller.tenant, size):
                whole = await _whole(request, most_bytes, measure.most_parts if is_json else None)
                if not is_json:
                    return await parse(whole)
                async with state.turns.held(caller.tenant, 1):  # parsing holds up everybody's requests
                    return await parse(whole)

        async def enter(request: Request) -> Response:
            if allowed is None:
                return await _counted(request, lambda: take(request, None))
            return await take(request, await allowed.let_in(request))

        return enter


async def _whole(request: Request, most_bytes: int, most_parts: int | None) -> Request:
    """Return the request with its body in memory; None takes whatever bytes there are.

    Raises:
        TooLargeError: It has more bytes or parts than are taken.
        TooSlowError: It takes too long to come.
        UsageError: The caller has hung up.
    """
    whole = Request(request.scope, _Intake(request, most_bytes).receive)
    try:
        body = await whole.body()
    except ClientDisconnect:
        raise UsageError("the caller hung up in the middle of the body") from None
    # A comma in a text of JSON within JSON may be written by its number.
    if most_parts is not None and body.count(b",") + body.count(b"\\u002") > most_parts:
        raise TooLargeError(f"the body has more than the {most_parts} parts that are taken here")
    return whole


class _Intake:
    """Counts the bytes of one body as they come, and the seconds."""

    def __init__(self, request: Request, most_bytes: int) -> None:
        self._receive: Receive = request.receive
        self._limits: Limits = request.app.state.limits
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
        limits = self._limits
        try:
            until = self._begun + limits.head_s + self._received / limits.slowest_bytes_per_s
            async with asyncio.timeout_at(until):
                message = await self._receive()
        except TimeoutError:
            raise TooSlowError(
                f"only {self._received} bytes of the body came in time",
                hint=f"Send at least {limits.slowest_bytes_per_s // KIB} kB a second.",
            ) from None
        self._received += len(message.get("body", b""))
        self._check_size(self._received)
        return message

    def _check_size(self, size: int) -> None:
        if size > self._most_bytes:
            raise TooLargeError(f"the body is larger than {self._most_bytes} bytes")


async def _counted(request: Request, take: Callable[[], Awaitable[Response]]) -> Response:
    """Let a stranger in who has not failed too often; whose signatures or codes do not fit has failed.

    Raises:
        TooManyError: This one has.
    """
    failures: Failures = request.app.state.failures
    caller = caller_of(request)
    failures.check(caller)
    try:
        return await take()
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
