"""Doors: who is asked what first, and what one tenant can keep from the others."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Annotated

import httpx
from fastapi import APIRouter, FastAPI

from kifabrik.factory.records import Principal, TokenKind
from kifabrik.service import problems
from kifabrik.service.auth import Failures, allow
from kifabrik.service.doors import Door
from kifabrik.service.limits import Limits
from kifabrik.service.room import Room

MANY = 60
"""More than the threads FastAPI has."""


def _app(limits: Limits, over: threading.Event, begun: threading.Semaphore) -> FastAPI:
    """An app with one call that takes long and one that does not; a token is a tenant's name."""
    router = APIRouter(route_class=Door)
    signed_in = allow(TokenKind.KEYHOLDER)

    @router.get("/long")
    def take_long(_caller: Annotated[Principal, signed_in]) -> str:
        begun.release()
        over.wait(60)
        return "done"

    @router.get("/quick")
    def be_quick(_caller: Annotated[Principal, signed_in]) -> str:
        return "done"

    app = FastAPI()
    app.include_router(router)
    problems.register(app)
    accounts = SimpleNamespace(glance=lambda token: Principal(TokenKind.KEYHOLDER, token))
    app.state.factory = SimpleNamespace(accounts=accounts)
    app.state.failures, app.state.limits = Failures(), limits
    app.state.threads = Room(2**63, limits.threads_each, limits.room_s)
    return app


def test_a_tenant_whose_calls_take_long_leaves_threads_to_the_others() -> None:
    over, begun, limits = threading.Event(), threading.Semaphore(0), Limits(room_s=60)

    async def play() -> tuple[httpx.Response, list[httpx.Response]]:
        transport = httpx.ASGITransport(_app(limits, over, begun))
        async with httpx.AsyncClient(transport=transport, base_url="http://factory") as http:

            def get(path: str, tenant: str) -> asyncio.Task[httpx.Response]:
                return asyncio.create_task(http.get(path, headers={"authorization": f"Bearer {tenant}"}))

            hog = [get("/long", "hog") for _ in range(MANY)]
            try:
                for _ in range(limits.threads_each):
                    assert await asyncio.to_thread(begun.acquire, timeout=50)
                other = await asyncio.wait_for(get("/quick", "other"), 50)
            finally:
                over.set()
            return other, await asyncio.gather(*hog)

    other, hog = asyncio.run(play())
    assert other.status_code == 200
    assert {one.status_code for one in hog} == {200}


def test_who_waits_too_long_for_a_thread_is_told_to_come_again() -> None:
    over = threading.Event()

    async def play() -> list[int]:
        transport = httpx.ASGITransport(_app(Limits(threads_each=2, room_s=0.2), over, threading.Semaphore()))
        async with httpx.AsyncClient(transport=transport, base_url="http://factory") as http:
            headers = {"authorization": "Bearer hog"}
            calls = [asyncio.create_task(http.get("/long", headers=headers)) for _ in range(5)]
            answers = asyncio.as_completed(calls)
            # The two that hold the threads end only after the others were sent away, however slow the machine.
            refused = [(await next(answers)).status_code for _ in range(3)]
            over.set()
            return [*refused, *[(await one).status_code for one in answers]]

    assert asyncio.run(play()) == [503, 503, 503, 200, 200]


def test_room_is_given_back_whatever_happens_and_to_who_waits() -> None:
    async def play() -> list[str]:
        room, order = Room(10, 6, 60), []

        async def hold(owner: str, size: int, *, fails: bool = False) -> None:
            async with room.held(owner, size):
                order.append(owner)
                await asyncio.sleep(0.05)
                if fails:
                    raise RuntimeError

        first = asyncio.create_task(hold("one", 6, fails=True))
        await asyncio.sleep(0)
        rest = [asyncio.create_task(hold(owner, size)) for owner, size in (("one", 1), ("two", 4), ("three", 1))]
        await asyncio.gather(first, *rest, return_exceptions=True)
        async with asyncio.timeout(60):
            await hold("one", 6)
        return order

    assert asyncio.run(play()) == ["one", "two", "one", "three", "one"]
