"""The door of every page: who visits, by a session's cookie; errors as pages; headers that hold browsers back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from anyio.to_thread import run_sync
from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response

from kifabrik.errors import KifabrikError, NotFoundError, SignInError, UsageError
from kifabrik.factory.factory import Factory
from kifabrik.factory.records import Principal, TokenKind
from kifabrik.portal.rendering import error_page
from kifabrik.service.auth import MEMBERS, Allowed, the_factory
from kifabrik.service.doors import Door, Handler

HEADERS: Final[Mapping[str, str]] = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
"""Nothing runs, comes from elsewhere or is kept; nobody frames it, and nobody is told where it was read."""

_LONGEST_COOKIE: Final = 128


def cookie_name(*, secure: bool) -> str:
    """The session's cookie; under HTTPS with the prefix no other host can set (RFC 6265bis)."""
    return "__Host-kifabrik" if secure else "kifabrik"


def secret_of(request: Request) -> str:
    """What the visitor's cookie holds; empty for none."""
    secret = request.cookies.get(cookie_name(secure=request.app.state.premises.secure), "")
    return secret if len(secret) <= _LONGEST_COOKIE else ""


class Visitor(Allowed):
    """A dependency that lets sessions of some kinds and roles pass; to all others the page is missing."""

    async def __call__(self, request: Request) -> Principal:  # type: ignore[override]
        """Return who the door has let in."""
        principal: Principal = request.state.principal
        return principal

    async def let_in(self, request: Request) -> Principal:
        """Look up the session of the cookie.

        Raises:
            SignInError: There is none, or it has ended.
            NotFoundError: The page is not for such visitors.
        """
        factory: Factory = await the_factory(request)
        secret = secret_of(request)
        if not secret:
            raise SignInError("nobody has signed in here")
        principal, request.state.session_ends = await run_sync(factory.sign_ins.who, secret)
        request.state.principal = principal
        if principal.kind not in self.who and principal.role not in self.who:
            raise NotFoundError("there is no such page")
        return principal


TheMember = Annotated[Principal, Depends(Visitor(frozenset(MEMBERS)))]
TheOperator = Annotated[Principal, Depends(Visitor(frozenset({TokenKind.OPERATOR})))]
Anyone = Annotated[Principal, Depends(Visitor(frozenset({*MEMBERS, TokenKind.OPERATOR})))]
"""Whoever has signed in."""


class PageDoor(Door):
    """Answers what the service's door lets through, and its errors, as pages."""

    def get_route_handler(self) -> Handler:
        """Return the handler behind the door."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                response = await handle(request)
            except SignInError as error:
                response = await run_sync(_unknown, request, error)
            except KifabrikError as error:
                response = await run_sync(error_page, request, error)
            except RequestValidationError:
                response = await run_sync(error_page, request, UsageError("the address is not one of a page"))
            return guarded(response)

        return answer


def guarded(response: Response) -> Response:
    """Add the headers every page has, where it has not said otherwise."""
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


@dataclass(frozen=True)
class Cookie:
    """The session's cookie.

    Args:
        secure: Whether it travels by HTTPS only.
    """

    secure: bool

    def set(self, response: Response, secret: str, seconds: int) -> None:
        """Give it to the browser."""
        response.set_cookie(cookie_name(secure=self.secure), secret, max_age=seconds, **self._bounds())

    def clear(self, response: Response) -> None:
        """Take it back."""
        response.delete_cookie(cookie_name(secure=self.secure), **self._bounds())

    def _bounds(self) -> Any:
        return {"path": "/", "secure": self.secure, "httponly": True, "samesite": "strict"}


def _unknown(request: Request, error: SignInError) -> Response:
    """Send somebody without a session to where one begins; tell somebody whose code is wrong that it is."""
    if request.method == "POST" and request.url.path == "/sign-in":
        return error_page(request, error)
    response = RedirectResponse("/sign-in", 303)
    if secret_of(request):
        Cookie(request.app.state.premises.secure).clear(response)
    return response
