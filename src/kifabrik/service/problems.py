"""Every error as a `Problem` body with the status of its class."""

import logging
import secrets
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from kifabrik.errors import KifabrikError, NotFoundError, UnavailableError, UsageError
from kifabrik.wire.body import Problem

_logger = logging.getLogger("kifabrik.service")
_MOST_FAULTS: Final = 3


class TooManyError(UnavailableError):
    """The caller has to wait."""

    http_status = 429


class TooLargeError(UsageError):
    """The body is larger than this route takes."""

    http_status = 413


class TooSlowError(UnavailableError):
    """The body takes too long to come; the connection is closed."""

    http_status = 408


class MethodError(UsageError):
    """The path exists, but not with this method."""

    http_status = 405


RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    "4XX": {"model": Problem, "description": "What was wrong, and what to do next."},
    "5XX": {"model": Problem, "description": "The factory cannot do it now."},
}


_HEADERS: Final = {401: {"www-authenticate": "Bearer"}, 408: {"connection": "close"}}
"""RFC 9110, 11.6.1 and 15.5.9."""


def answer(error: KifabrikError) -> JSONResponse:
    """Return the answer to a foreseen error."""
    problem = Problem(code=error.code, message=error.message, hint=error.hint)
    return JSONResponse(problem.model_dump(), error.http_status, _HEADERS.get(error.http_status))


def unforeseen(error: Exception) -> JSONResponse:
    """Return the answer to any other exception; its text stays in the factory's own log, under an id."""
    number = secrets.token_hex(4)
    _logger.error("unforeseen error %s", number, exc_info=error)
    return answer(
        KifabrikError(
            f"the factory made a mistake (number {number})",
            hint="Tell its operator this number; trying again may help.",
        )
    )


def register(app: FastAPI) -> None:
    """Let an app answer every error with a `Problem`."""
    app.add_exception_handler(KifabrikError, _foreseen)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


def _foreseen(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, KifabrikError)  # noqa: S101 - registered for it
    return answer(error)


def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    # Where and what, but never the value: it may be a secret sent to the wrong place.
    faults = [f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()]
    more = f" (and {len(faults) - _MOST_FAULTS} more)" if len(faults) > _MOST_FAULTS else ""
    return answer(UsageError(f"malformed request: {'; '.join(faults[:_MOST_FAULTS])}{more}"))


def _http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for it
    if isinstance(error.__cause__, KifabrikError):
        return answer(error.__cause__)  # raised while FastAPI was reading the body
    if error.status_code == MethodError.http_status:
        return answer(MethodError("this path has no such method"))
    if error.status_code == NotFoundError.http_status:
        return answer(NotFoundError("there is no such path"))
    return answer(UsageError("malformed request"))
