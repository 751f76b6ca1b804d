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
from kifabrik.service.routers import ALL
from kifabrik.service.streams import Guard, Waiters

MOST_BODY_BYTES: Final = 64 * 2**20
"""Headers of a lease for a thousand gigabytes fit; uploads come in pieces of 8 MiB."""


def make_app(factory: Factory) -> FastAPI:
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
        lifespan=_lifespan,
        responses=problems.RESPONSES,
    )
    app.state.factory = factory
    app.state.failures = Failures()
    for router in ALL:
        app.include_router(router)
    problems.register(app)
    app.add_middleware(Guard, most_bytes=MOST_BODY_BYTES)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    factory: Factory = app.state.factory
    waiters = Waiters(factory.hints, factory.store.stamp)
    app.state.waiters = waiters
    yield
    await waiters.close()
