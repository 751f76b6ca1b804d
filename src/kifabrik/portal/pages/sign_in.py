"""Signing in with a code, and out.

Invariants:
- nothing is changed by a GET; a code travels in the body of a POST, never in an address;
- a browser's other sites sign nobody in: their POST says where it comes from, and is refused.
"""

from typing import Final
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from kifabrik.errors import SignInError
from kifabrik.factory.sign_ins import SESSION_S
from kifabrik.portal.door import Anyone, Cookie, PageDoor, secret_of
from kifabrik.portal.pages.visiting import noticed
from kifabrik.portal.premises import Premises
from kifabrik.portal.rendering import Visit, render
from kifabrik.service.auth import TheFactory
from kifabrik.service.doors import takes
from kifabrik.service.streams import RawBody

router = APIRouter(route_class=PageDoor, include_in_schema=False)
_FORM_BYTES: Final = 1024
_FIELDS: Final = 4
_OF_A_FILE: Final = "null"
"""What a browser says of a form in a file, such as the one `kifabrik open` writes (WHATWG Fetch, origin header)."""


@router.get("/sign-in")
def ask(request: Request, factory: TheFactory) -> Response:
    """How to get a code, and where to type it."""
    noticed(request, factory)
    return render(request, "sign_in")


@router.post("/sign-in")
@takes(_FORM_BYTES)
def sign_in(request: Request, body: RawBody, factory: TheFactory) -> Response:
    """Exchange a code for a session.

    The answer is a page that goes on by itself, and no redirect: after one from another site a browser would keep
    a cookie that is for this site only to itself.
    """
    _check_origin(request)
    session = factory.sign_ins.exchange(_code(body))
    onwards = Visit.of(request).link("/operator" if session.operator else "/overview")
    response = render(request, "signed_in", onwards=onwards)
    premises: Premises = request.app.state.premises
    Cookie(premises.secure).set(response, session.secret, SESSION_S)
    return response


@router.post("/sign-out")
def sign_out(request: Request, visitor: Anyone, factory: TheFactory) -> Response:  # noqa: ARG001 - has to have one
    """End the session; the cookie comes from this site's own pages only."""
    factory.sign_ins.end(secret_of(request))
    response = RedirectResponse(Visit.of(request).link("/"), 303)
    premises: Premises = request.app.state.premises
    Cookie(premises.secure).clear(response)
    return response


def _code(form: bytes) -> str:
    """The code a form holds; empty if it is malformed."""
    try:
        fields = parse_qs(form.decode("ascii", errors="replace"), max_num_fields=_FIELDS)
    except ValueError:  # there are more
        return ""
    return next(iter(fields.get("code", [])), "")


def _check_origin(request: Request) -> None:
    """Check that a form stands on this site's own page or in a file of the visitor's.

    Raises:
        SignInError: It is another site's.
    """
    origin = request.headers.get("origin", _OF_A_FILE)
    if origin == _OF_A_FILE or urlsplit(origin).netloc == request.headers.get("host", ""):
        return
    premises: Premises = request.app.state.premises
    if origin != premises.address:
        raise SignInError("another site's form signs nobody in here")
