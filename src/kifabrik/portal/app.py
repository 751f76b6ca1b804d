"""Adds the pages to the service's app."""

from typing import Final

from fastapi import APIRouter, FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from kifabrik.errors import NotFoundError
from kifabrik.portal.door import PageDoor, guarded
from kifabrik.portal.pages import bill, data, operator, record, run, runs, sign_in, start
from kifabrik.portal.premises import Premises
from kifabrik.portal.rendering import error_page
from kifabrik.portal.style import STYLE, STYLE_PATH

_A_YEAR: Final = {"cache-control": "public, max-age=31536000, immutable"}
_ICON: Final = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">'
    b'<rect width="16" height="16" rx="2" fill="#1b5476"/>'
    b'<path d="M4.5 3.5v9M11.5 3.5L5 8.4l6.5 4.1" fill="none" stroke="#fff" stroke-width="2"/></svg>'
)
_API: Final = "/v1/"
_NOT_FOUND: Final = 404

_files = APIRouter(route_class=PageDoor, include_in_schema=False)
ROUTERS: Final = (
    start.router,
    sign_in.router,
    runs.router,
    run.router,
    data.router,
    record.router,
    bill.router,
    operator.router,
    _files,
)
"""Every page."""


def add_pages(app: FastAPI, premises: Premises) -> None:
    """Let a service's app serve the pages.

    Args:
        app: From `kifabrik.service.app.make_app`.
        premises: What the pages need beside its use cases.
    """
    app.state.premises = premises
    for router in ROUTERS:
        app.include_router(router)
    otherwise = app.exception_handlers[HTTPException]

    def missing(request: Request, error: Exception) -> Response:
        """Answer a browser that asks for what there is not with a page; the API's callers as ever."""
        reads = "text/html" in request.headers.get("accept", "")
        not_found = isinstance(error, HTTPException) and error.status_code == _NOT_FOUND
        if reads and not_found and not request.url.path.startswith(_API):
            return guarded(error_page(request, NotFoundError("there is no such page")))
        answered: Response = otherwise(request, error)  # type: ignore[assignment]
        return answered

    app.add_exception_handler(HTTPException, missing)


@_files.get(STYLE_PATH)
def style() -> Response:
    """The style sheet."""
    return Response(STYLE, media_type="text/css", headers=_A_YEAR)


@_files.get("/icon.svg")
def icon() -> Response:
    """What browsers show in a tab."""
    return Response(_ICON, media_type="image/svg+xml", headers=_A_YEAR)
