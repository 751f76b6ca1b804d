"""Hints from one process to another, and who is known to live; each store stands for a process of its own."""

import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import create_engine

from kifabrik.factory.hints import EVERYTHING, Hints
from kifabrik.stores.sql import courier
from kifabrik.stores.sql.store import SqlStore
from kifabrik.stores.sql.upgrade import upgrade
from postgres import PostgresServer, postgres

__all__ = ["postgres"]


class Process:
    """A store, its hints, and what it has heard."""

    def __init__(self, url: str) -> None:
        self.store, self.hints, self.heard = SqlStore(url), Hints(), []
        self.store.tell(self.hints)
        self.hints.listen(self.heard.append)


@pytest.fixture
def two(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Process, Process]]:
    """Two that hear, and never look by themselves."""
    monkeypatch.setattr(courier, "SWEEP_S", 3600)
    one, other = Process(postgres.url), Process(postgres.url)
    upgrade(one.store)
    with ExitStack() as stack:
        stack.enter_context(one.store.hearing("one"))
        stack.enter_context(other.store.hearing("other"))
        yield one, other
    one.store.close()
    other.store.close()


def _until(true, within_s: float = 60.0) -> None:
    until = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_what_one_hints_at_after_a_commit_the_other_hears_once_and_nothing_comes_back(two) -> None:
    one, other = two
    with one.store.write() as transaction:
        one.hints.after(transaction, "run/t/r")
    _until(lambda: other.heard)
    other.hints.notify("mail/t")
    _until(lambda: "mail/t" in one.heard)
    assert other.heard == ["run/t/r", "mail/t"]
    assert one.heard == ["run/t/r", "mail/t"]


def test_very_many_hints_become_one_that_wakes_everybody(two) -> None:
    one, other = two
    one.hints.notify("first")
    for number in range(3000):
        one.hints.notify(f"run/t/{number}")
    one.hints.notify("last")
    _until(lambda: "last" in other.heard or other.heard[-1:] == [EVERYTHING])
    assert len(other.heard) < 3002


def test_a_process_that_only_tells_is_heard_before_it_ends(two, postgres: PostgresServer) -> None:
    _, other = two
    command = Process(postgres.url)
    command.hints.notify("queue")
    command.store.close()
    _until(lambda: "queue" in other.heard)


def test_whoever_waits_looks_again_after_a_connection_was_cut(two, postgres: PostgresServer) -> None:
    one, other = two
    before = other.store.stamp(), one.store.stamp()
    _cut(postgres)
    _until(lambda: other.store.stamp() > before[0] and one.store.stamp() > before[1])
    one.hints.notify("after")
    _until(lambda: "after" in other.heard or EVERYTHING in other.heard)


def test_what_is_lost_is_made_good_by_a_look_where_anything_has_changed(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(courier, "SWEEP_S", 0.2)
    hears, silent = Process(postgres.url), SqlStore(postgres.url)
    upgrade(silent)
    with hears.store.hearing("hears"):
        _until(lambda: hears.store.stamp() >= 2)  # it listens, and has looked for the first time
        before = hears.store.stamp()
        time.sleep(0.7)
        assert hears.store.stamp() == before
        with silent.write() as transaction:  # and nobody hints at it
            transaction.runs.lead("x", "holder", "1", "2")
        _until(lambda: hears.store.stamp() > before)
    silent.close()
    hears.store.close()


def test_a_process_is_absent_from_when_its_connection_ends(two, postgres: PostgresServer) -> None:
    one, _ = two

    def absent(name: str) -> bool | None:
        with one.store.write() as transaction:
            return transaction.runs.absent(name)

    _until(lambda: (absent("one"), absent("other")) == (False, False))
    assert absent("nobody") is True
    third = Process(postgres.url)
    with third.store.hearing("third"):
        _until(lambda: absent("third") is False)
    _until(lambda: absent("third") is True)  # the server notices a moment later
    third.store.close()


def _cut(server: PostgresServer) -> None:
    """End every session but this one, as a restarted proxy or `pg_terminate_backend` does."""
    engine = create_engine(server.url)
    with engine.connect() as connection:
        connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )
    engine.dispose()
