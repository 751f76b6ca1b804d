"""Who calls: bearer tokens, and which kinds and roles a route is for."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Network
from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from kifabrik.errors import NotFoundError, RefusedError, SignInError
from kifabrik.factory.factory import Factory
from kifabrik.factory.records import Principal, TokenKind
from kifabrik.factory.tokens import looks_like_token
from kifabrik.service.problems import TooManyError
from kifabrik.service.streams import in_place
from kifabrik.tenants.statements import Role

_FAILURES: Final = 20
_WINDOW_S: Final = 60.0
_MOST_CALLERS: Final = 10_000

Who = TokenKind | Role
KEYHOLDER: Final = (TokenKind.KEYHOLDER,)
ATTEMPT: Final = (TokenKind.ATTEMPT,)
STEWARDS: Final = (Role.OWNER, Role.STEWARD)
WRITERS: Final = (*STEWARDS, Role.ENGINEER)
MEMBERS: Final = (*WRITERS, Role.AUDITOR)
TENANT: Final = (*MEMBERS, TokenKind.KEYHOLDER)
"""Everybody of a tenant but its attempts."""


class Failures:
    """Counts failed sign-ins by caller within a minute; right tokens are never held up.

    It is not what protects a token (256 random bits do): it keeps guessing from costing the rest.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def check(self, caller: str) -> None:
        """Count nothing.

        Raises:
            TooManyError: There were too many.
        """
        now = time.monotonic()
        with self._lock:
            since, count = self._seen.get(caller, (now, 0))
        if count >= _FAILURES and now - since <= _WINDOW_S:
            raise _too_many()

    def add(self, caller: str) -> None:
        """Count a failure.

        Raises:
            TooManyError: There were too many.
        """
        now = time.monotonic()
        with self._lock:
            since, count = self._seen.pop(caller, (now, 0))
            if now - since > _WINDOW_S:
                since, count = now, 0
            self._seen[caller] = (since, count + 1)
            while len(self._seen) > _MOST_CALLERS:
                self._seen.popitem(last=False)
        if count >= _FAILURES:
            raise _too_many()


def _too_many() -> TooManyError:
    return TooManyError("too many failed sign-ins", hint="Wait a minute.")


@in_place
def the_factory(request: Request) -> Factory:
    """The use cases this app serves."""
    factory: Factory = request.app.state.factory
    return factory


TheFactory = Annotated[Factory, Depends(the_factory)]


def caller_of(request: Request) -> str:
    """What failures are counted by: the address; of IPv6 the network, for one caller has all addresses of it."""
    return network_of(request.client.host) if request.client else ""


def network_of(host: str) -> str:
    """An IPv4 address as it is, and the /64 network of one of IPv6."""
    if ":" not in host:
        return host
    try:
        return str(IPv6Network((host.partition("%")[0], 64), strict=False))
    except ValueError:
        return host


_bearer = HTTPBearer(auto_error=False, description="A token such as kfd_…; never in a URL.")


async def signed_in(request: Request) -> Principal:
    """Return who the bearer token belongs to; in a thread only where that may take a while.

    Raises:
        SignInError: There is none, it is not valid, or it stands in the URL.
    """
    if looks_like_token(str(request.url)):
        raise SignInError(
            "a token in a URL ends up in logs",
            hint="Send it as 'Authorization: Bearer …', and ask for a new one.",
        )
    credentials = await _bearer(request)
    if credentials is None or not credentials.credentials:
        raise SignInError("this needs a token", hint="Sign in first.")
    token, accounts = credentials.credentials, (await the_factory(request)).accounts
    principal = accounts.glance(token)
    if principal is None:
        try:
            principal = await run_sync(accounts.sign_in, token)
        except SignInError:
            request.app.state.failures.add(caller_of(request))
            raise
    request.state.principal = principal
    return principal


@dataclass(frozen=True)
class Allowed:
    """A dependency that lets some token kinds and member roles pass and returns the `Principal`.

    Args:
        who: Those.
        own: Whether an attempt's token is for the attempt in the path only; every other one is missing to it.
    """

    who: frozenset[Who]
    own: bool = False

    async def __call__(
        self,
        request: Request,
        _credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],  # for the schema
    ) -> Principal:
        """Return who the door has let in."""
        principal: Principal = request.state.principal
        return principal

    async def let_in(self, request: Request) -> Principal:
        """Sign the caller in by the request's headers alone.

        Raises:
            SignInError: It is nobody.
            RefusedError: This is not for such callers.
            NotFoundError: It is about another attempt.
        """
        principal = await signed_in(request)
        if principal.kind not in self.who and (principal.role is None or principal.role not in self.who):
            raise RefusedError(f"this is not for {principal.role or _NAMES[principal.kind]}s")
        if self.own and principal.attempt != request.path_params["attempt"]:
            raise NotFoundError(f"there is no attempt {request.path_params['attempt']}")
        return principal


def allow(*who: Who, own: bool = False) -> Any:
    """Return `Allowed` as FastAPI wants a dependency."""
    return Depends(Allowed(frozenset(who), own))


_NAMES: Final = {
    TokenKind.KEYHOLDER: "keyholder",
    TokenKind.DEVICE: "member",
    TokenKind.ATTEMPT: "launcher",
    TokenKind.OPERATOR: "operator",
}
