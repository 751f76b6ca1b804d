"""Deadlines: each raises its alarm, whatever is wrong with another, and a flood of them does not hold the loop."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from kifabrik.factory import deadlines as deadlines_module
from kifabrik.factory.deadlines import Deadlines
from kifabrik.factory.factory import Factory
from kifabrik.factory.hints import Hints
from kifabrik.factory.run_book import QUEUE, RunBook
from kifabrik.runs.states import RunState
from rows_of_runs import enter
from signing_up import sign_up


class _Room:
    """Deadlines under a clock that says it is past all of them, and what was heard."""

    def __init__(self, factory: Factory) -> None:
        self.store, self.tenant = factory.store, sign_up(factory)
        self.heard: list[str] = []
        hints = Hints()
        hints.listen(self.heard.append)
        book = RunBook(hints, lambda: datetime(2026, 12, 1, tzinfo=UTC))
        self.deadlines = Deadlines(factory.store, factory.log, book)

    def state(self, run: str) -> tuple[RunState, bool]:
        with self.store.read() as transaction:
            found = transaction.runs.run(self.tenant, run)
        return found.state, bool(found.alarmed)


@pytest.fixture
def room(opened: Factory) -> _Room:
    return _Room(opened)


def test_an_alarm_that_cannot_be_raised_keeps_no_other_from_it(
    opened: Factory, room: _Room, caplog: pytest.LogCaptureFixture
) -> None:
    broken = enter(opened, room.tenant)
    needing = enter(opened, room.tenant, needs=(broken,), deadline="2027-11-24T08:00:00Z")
    fine = enter(opened, room.tenant)
    with room.store.engine.begin() as connection:  # type: ignore[attr-defined]
        connection.execute(text("DELETE FROM orders WHERE run = :run"), {"run": needing})
    room.deadlines.look()
    assert room.state(broken) == (RunState.QUEUED, False)
    assert room.state(fine) == (RunState.FAILED, True)
    assert f"the deadline of {broken} of {room.tenant}: the order of run {needing} is missing" in caplog.text


def test_of_many_that_are_overdue_a_pass_takes_some_and_asks_for_the_next(
    opened: Factory, room: _Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines_module, "_MOST_OF_A_PASS", 3)
    runs = [enter(opened, room.tenant) for _ in range(5)]
    room.deadlines.look()
    assert sum(room.state(run)[1] for run in runs) == 3
    assert room.heard.count(QUEUE) == 1
    room.deadlines.look()
    assert all(room.state(run)[1] for run in runs)
    assert room.heard.count(QUEUE) == 1


def test_all_tasks_of_a_sweep_raise_one_alarm(
    opened: Factory, room: _Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deadlines_module, "_MOST_OF_A_PASS", 3)
    sweep = enter(opened, room.tenant, tasks=8)
    room.deadlines.look()
    assert {room.state(f"{sweep}-{number}") for number in range(1, 9)} == {(RunState.FAILED, True)}
    with room.store.read() as transaction:
        assert transaction.logs.count_kinds(room.tenant)["deadline.missed"] == 1
