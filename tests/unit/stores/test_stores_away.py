"""A PostgreSQL that is not there: what callers are told, and what its operator reads, a line at a time."""

import logging
import time
from pathlib import Path

import pytest

pytest.importorskip("psycopg", reason="needs psycopg: pip install 'kifabrik[postgres]'")

from kifabrik.errors import UnavailableError
from kifabrik.factory.hints import Hints
from kifabrik.stores.sql.store import SqlStore


@pytest.fixture
def store(tmp_path: Path):
    made = SqlStore(f"postgresql+psycopg://kifabrik@/kifabrik?host={tmp_path}")
    yield made
    made.close()


def test_callers_are_told_whom_to_ask_and_the_log_says_why_in_one_line(store, tmp_path, caplog) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(UnavailableError) as raised, store.read():
        raise AssertionError
    assert raised.value.message == "the factory's database is busy or out of reach"
    assert "operator" in raised.value.hint
    (told,) = [one.getMessage() for one in caplog.records]
    assert str(tmp_path) in told
    assert "\n" not in told


def test_other_processes_that_cannot_be_told_or_heard_are_one_line_each(store, caplog) -> None:
    hints = Hints()
    store.tell(hints)
    with caplog.at_level(logging.WARNING), store.hearing("somebody"):
        hints.notify("queue")
        until = time.monotonic() + 20
        while len({one.getMessage()[:28] for one in caplog.records}) < 2 and time.monotonic() < until:
            time.sleep(0.05)
    said = [one.getMessage() for one in caplog.records]
    assert {one.partition(":")[0] for one in said} == {
        "other processes are not heard",
        "other processes are not told",
    }
    assert not [one for one in said if "\n" in one or "sqlalche.me" in one or "psycopg." in one]
