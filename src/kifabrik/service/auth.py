"""Who calls: bearer tokens, and which kinds and roles a route is for."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from kifabrik.errors import RefusedError, SignInError
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
            raise TooManyError("too many failed sign-ins", hint="Wait a minute.")


@in_place
def the_factory(request: Request) -> Factory:
    """The use cases this app serves."""
    factory: Factory = request.app.state.factory
    return factory


TheFactory = Annotated[Factory, Depends(the_factory)]


def counted(request: Request, call: Callable[[], Any]) -> Any:
    """Make a call whose `SignInError` counts as a failed sign-in of this caller."""
    try:
        return call()
    except SignInError:
        request.app.state.failures.add(request.client.host if request.client else "")
        raise


_bearer = HTTPBearer(auto_error=False, description="A token such as kfd_…; never in a URL.")


async def signed_in(
    request: Request, factory: Factory, credentials: HTTPAuthorizationCredentials | None
) -> Principal:
    """Return who the bearer token belongs to; in a thread only where that may take a while.

    Raises:
        SignInError: There is none, it is not valid, or it stands in the URL.
    """
    if looks_like_token(str(request.url)):
        raise SignInError(
            "a token in a URL ends up in logs",
            hint="Send it as 'Authorization: Bearer …', and ask for a new one.",
        )
    if credentials is None or not credentials.credentials:
        raise SignInError("this needs a token", hint="Sign in first.")
    token = credentials.credentials

    def ask() -> Principal:
        principal: Principal = counted(request, lambda: factory.accounts.sign_in(token))
        return principal

    principal = factory.accounts.glance(token)
    if principal is None:
        principal = await run_sync(ask)
    request.state.principal = principal
    return principal


def allow(*who: Who) -> Any:
    """Return a dependency that lets these token kinds and member roles pass and returns the `Principal`."""
    allowed = frozenset(who)

    async def check(
        request: Request,
        factory: TheFactory,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    ) -> Principal:
        principal = await signed_in(request, factory, credentials)
        if principal.kind not in allowed and (principal.role is None or principal.role not in allowed):
            raise RefusedError(f"this is not for {principal.role or _NAMES[principal.kind]}s")
        return principal

    return Depends(check)


_NAMES: Final = {
    TokenKind.KEYHOLDER: "keyholder",
    TokenKind.DEVICE: "member",
    TokenKind.ATTEMPT: "launcher",
    TokenKind.OPERATOR: "operator",
}
