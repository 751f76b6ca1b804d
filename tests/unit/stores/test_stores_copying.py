"""Rows move into another database whole, and the one they were in is left."""

import sqlite3
from pathlib import Path

import pytest

from kifabrik.errors import ConflictError, IntegrityError, UnavailableError, UsageError
from kifabrik.factory.records import SignUpCode
from kifabrik.stores.sql import copying
from kifabrik.stores.sql.copying import copy_rows, count_rows
from kifabrik.stores.sql.store import SqlStore
from kifabrik.stores.sql.upgrade import upgrade


@pytest.fixture
def databases(tmp_path: Path):
    """One with 2,500 codes, and one that is empty."""
    one, two = (SqlStore(f"sqlite:///{tmp_path / name}") for name in ("one.db", "two.db"))
    upgrade(one)
    with one.write() as transaction:
        for number in range(2500):
            transaction.accounts.add_code(SignUpCode(f"{number:064x}", "für Müller", "2026-11-23T08:00:00Z"))
    yield one, two
    one.close()
    two.close()


def test_every_row_is_copied_once_and_compared(databases) -> None:
    one, two = databases
    with one.read() as transaction:
        before = transaction.accounts.codes()
    seen: list[int] = []
    copied = copy_rows(one, two, seen.append)
    assert {table.table: table.rows for table in copied if table.rows} == {"codes": 2500}
    assert sum(seen) == 2 * count_rows(two) == 5000
    with two.read() as transaction:
        assert sorted(transaction.accounts.codes(), key=lambda code: code.hash) == before


def test_the_old_database_is_left_and_a_copy_is_not_made_over_rows(databases, tmp_path: Path) -> None:
    one, two = databases
    copy_rows(one, two)
    one.close()
    with pytest.raises(UnavailableError, match="copied to another database"):
        upgrade(one)
    two.close()
    three = SqlStore(f"sqlite:///{tmp_path / 'three.db'}")
    copy_rows(two, three)
    four = SqlStore(f"sqlite:///{tmp_path / 'four.db'}")
    upgrade(four)
    with four.write() as transaction:
        transaction.accounts.add_code(SignUpCode("x", "", ""))
    three.close()
    with pytest.raises(UsageError, match="holds rows already, in codes"):
        copy_rows(three, four)
    upgrade(three)  # it is not left
    with pytest.raises(UsageError, match="one database"):
        copy_rows(three, three)
    three.close()
    four.close()


def test_nothing_is_copied_while_another_process_has_the_database_open(databases, tmp_path: Path) -> None:
    one, two = databases
    other = sqlite3.connect(tmp_path / "one.db")
    other.execute("SELECT count(*) FROM codes").fetchone()
    with pytest.raises(ConflictError, match="open"):
        copy_rows(one, two)
    other.close()
    copy_rows(one, two)


def test_what_arrives_differently_is_found_and_nothing_of_it_is_kept(
    databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = databases
    upgrade(two)
    with two.connect(writing=True) as connection, connection.begin():
        connection.exec_driver_sql(
            "CREATE TRIGGER forge AFTER INSERT ON codes WHEN NEW.hash LIKE '%7b' BEGIN "
            "UPDATE codes SET note = 'forged' WHERE hash = NEW.hash; END"
        )
    monkeypatch.setattr(copying, "_BATCH", 100)
    with pytest.raises(IntegrityError, match="codes are not the same"):
        copy_rows(one, two)
    assert count_rows(two) == 0
    upgrade(one)  # it is not left
