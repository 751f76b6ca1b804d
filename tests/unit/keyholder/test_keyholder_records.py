"""Which requests still wait, whatever their number was before."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from kifabrik.keyholder import schema
from kifabrik.keyholder.database import Database
from kifabrik.keyholder.records import Records
from kifabrik.keyholder.schema import FIRST, TABLES, VERSION


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "k.db") as opened:
        yield opened


def _decide(db: Database, request: str) -> None:
    db.execute("INSERT INTO decisions VALUES (?, ?, '', x'', '', NULL, 0)", (request, f"d-{request}"))


def test_a_request_waits_from_its_entry_to_its_decision_and_again_once_that_is_withdrawn(db: Database) -> None:
    records = Records(db)
    for index, request in enumerate(("a", "b", "c")):
        records.add_request(request, 10 - index)
    assert records.pending() == ["c", "b", "a"]
    _decide(db, "b")
    assert records.pending() == ["c", "a"]
    records.set_asked("c", "r", "why")
    assert (records.pending(), [one.request for one in records.asked()]) == (["a"], ["c"])
    records.add_opinion("c", approved=True, created="")
    assert (records.pending(), records.asked()) == (["c", "a"], [])
    _decide(db, "c")
    records.withdraw("b")
    records.add_request("b", 9)
    assert records.pending() == ["b", "a"]


def test_a_request_that_is_learnt_after_its_decision_came_from_a_backup_does_not_wait(db: Database) -> None:
    _decide(db, "a")
    records = Records(db)
    records.add_request("a", 1)
    records.add_request("b", 2)
    assert records.pending() == ["b"]


def test_what_waits_is_found_without_a_search_of_all_that_was_decided(db: Database) -> None:
    records = Records(db)
    with db.transaction():
        for number in range(20_000):
            records.add_request(str(number), number)
            _decide(db, str(number))
    records.add_request("waits", 20_000)
    assert _steps(db, records) < 50
    assert records.pending() == ["waits"]


def _steps(db: Database, records: Records) -> int:
    """Return how many hundreds of steps SQLite takes to find what waits and what is asked about."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    db._connection.set_progress_handler(count, 100)
    records.pending()
    records.asked()
    db._connection.set_progress_handler(None, 0)
    return counted


def _of_schema_3(path: Path) -> None:
    with sqlite3.connect(path, isolation_level=None) as old:
        for statement in TABLES.split(";\n"):
            old.execute(statement)
        old.execute(f"PRAGMA user_version = {FIRST}")
        for index, request in enumerate(("a", "b", "c")):
            old.execute("INSERT INTO requests (digest, log_index) VALUES (?, ?)", (request, index))
        old.execute("INSERT INTO decisions VALUES ('b', 'd', '', x'', '', NULL, 0)")
    old.close()


def test_a_database_of_the_schema_before_knows_what_waits_when_it_is_opened(tmp_path: Path) -> None:
    _of_schema_3(tmp_path / "old.db")
    for _ in range(2):
        with Database(tmp_path / "old.db") as db:
            assert Records(db).pending() == ["a", "c"]
            assert db.rows("PRAGMA user_version")[0][0] == VERSION


def test_a_step_to_the_present_schema_that_fails_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _of_schema_3(tmp_path / "old.db")
    with monkeypatch.context() as broken:
        broken.setitem(schema.STEPS, VERSION, (*schema.STEPS[VERSION], "SELECT no_such_thing"))
        with pytest.raises(Exception, match="no_such_thing"):
            Database(tmp_path / "old.db")
    with Database(tmp_path / "old.db") as db:
        assert Records(db).pending() == ["a", "c"]
