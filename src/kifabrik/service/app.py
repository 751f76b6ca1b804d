"""The ASGI app: routers, errors, guard, long polls."""

import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from fastapi import FastAPI
from pydantic.warnings import UnsupportedFieldAttributeWarning

from kifabrik import __version__
from kifabrik.factory.factory import Factory
from kifabrik.service import problems
from kifabrik.service.auth import Failures
from kifabrik.service.limits import Limits
from kifabrik.service.room import Room
from kifabrik.service.routers import ALL
from kifabrik.service.streams import Guard, Waiters

_PARSED_AT_ONCE: Final = 4
_UNBOUNDED: Final = 2**63


def make_app(factory: Factory, limits: Limits = Limits()) -> FastAPI:  # noqa: B008 - frozen
    """Return the app that serves these use cases; `app.state.waiters` exists while it runs."""
    # FastAPI does the same where it builds bodies; ours are built when they are first used, out of its sight.
    warnings.filterwarnings("ignore", category=UnsupportedFieldAttributeWarning)
    app = FastAPI(
        title="kifabrik",
        version=__version__,
        summary="An AI factory that holds only what its customers sealed.",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        responses=problems.RESPONSES,
    )
    app.state.factory = factory
    app.state.failures = Failures()
    app.state.limits = limits
    app.state.room = Room(limits.bodies_bytes, limits.bodies_each_bytes, limits.room_s)
    app.state.turns = Room(_PARSED_AT_ONCE, 1, limits.room_s)
    app.state.threads = Room(_UNBOUNDED, limits.threads_each, limits.room_s)
    app.state.sending = Room(limits.pieces_bytes, limits.pieces_each_bytes, limits.room_s)
    for router in ALL:
        app.include_router(router)
    problems.register(app)
    app.add_middleware(Guard)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    factory: Factory = app.state.factory
    waiters = Waiters(factory.hints, factory.store.stamp)
    app.state.waiters = waiters
    yield
    await waiters.close()
