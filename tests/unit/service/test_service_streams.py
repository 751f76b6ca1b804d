"""Who waits hears of other processes, whatever the database does meanwhile; numbers in addresses have bounds."""

import asyncio
from pathlib import Path

import pytest

from kifabrik.errors import CapacityError, UnavailableError
from kifabrik.factory.hints import Hints
from kifabrik.service import streams
from kifabrik.service.app import make_app
from kifabrik.service.streams import Waiters, Watch
from kifabrik.wiring.factory import init_home, open_factory

_MOST = 2**53
"""What JSON and every database here can hold."""


@pytest.mark.parametrize("fault", [UnavailableError("busy"), CapacityError("full"), OSError("disk I/O error")])
def test_who_waits_hears_of_other_processes_after_a_fault_of_the_database(
    monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    monkeypatch.setattr(streams, "SWEEP_S", 0.01)
    looks = iter([1, fault, fault, 2])
    news: list[str] = []

    def stamp() -> int:
        found = next(looks, 3)
        if isinstance(found, Exception):
            raise found
        if found > 1:
            news.append("there")
        return found

    async def waits() -> list[str]:
        waiters = Waiters(Hints(), stamp)
        try:
            return await waiters.wait(Watch("topic", lambda: list(news), bool, 3600.0))
        finally:
            await waiters.close()

    began = asyncio.run(asyncio.wait_for(waits(), 60.0))
    assert began


def test_every_number_in_an_address_is_one_a_database_can_hold(tmp_path: Path) -> None:
    init_home(tmp_path / "factory", port=0)
    factory = open_factory(tmp_path / "factory")
    paths = make_app(factory).openapi()["paths"]
    factory.store.close()
    numbers = [
        (path, method, one["name"], one["schema"].get("maximum", one["schema"].get("exclusiveMaximum")))
        for path, methods in paths.items()
        for method, route in methods.items()
        for one in route.get("parameters", ())
        if one["schema"].get("type") == "integer" and one["in"] != "header"
    ]
    assert len(numbers) > 5
    assert [one for one in numbers if one[3] is None or one[3] > _MOST] == []
