"""Transactions, hints after the commit, migrations."""

import hashlib
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import inspect

from databases import fresh_database, sqlite_only
from kifabrik.errors import ConflictError, UnavailableError
from kifabrik.factory.keys import SMALLEST
from kifabrik.factory.records import SignUpCode
from kifabrik.stores.sql import store as store_module
from kifabrik.stores.sql import upgrade as upgrade_module
from kifabrik.stores.sql.objects import SqlObjectRows
from kifabrik.stores.sql.schema import metadata
from kifabrik.stores.sql.store import SqlStore
from kifabrik.stores.sql.upgrade import newest_revision, present_revision, upgrade
from kifabrik.values import format_time, now_utc


@pytest.fixture
def store(tmp_path: Path):
    opened = SqlStore(fresh_database(tmp_path / "x.db"))
    upgrade(opened)
    yield opened
    opened.close()


def _code(name: str) -> SignUpCode:
    return SignUpCode(name, "", "2026-11-23T08:00:00Z")


def test_the_migrations_make_exactly_the_tables_the_code_uses(store: SqlStore) -> None:
    with store.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_an_upgrade_is_done_once_and_a_newer_database_is_refused(store: SqlStore) -> None:
    assert present_revision(store) == newest_revision()
    assert upgrade(store) is False
    with store.connect(writing=True) as connection, connection.begin():
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(UnavailableError, match="9999"):
        upgrade(store)


def test_two_processes_upgrade_one_database(tmp_path: Path) -> None:
    url = fresh_database(tmp_path / "y.db")
    done: list[bool] = []

    def work() -> None:
        opened = SqlStore(url)
        done.append(upgrade(opened))
        opened.close()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4


@sqlite_only
def test_the_database_is_durable_and_shared(store: SqlStore, tmp_path: Path) -> None:
    with store.connect() as connection:
        read = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert read == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_what_was_to_follow_a_commit_follows_it_once_and_never_a_rollback(store: SqlStore) -> None:
    done: list[str] = []
    with store.write() as transaction:
        transaction.after_commit("a", lambda: done.append("a"))
        transaction.after_commit("a", lambda: done.append("again"))
        transaction.after_commit("b", lambda: done.append("b"))
        assert done == []
    assert done == ["a", "b"]

    def fail() -> None:
        with store.write() as transaction:
            transaction.after_commit("c", lambda: done.append("c"))
            transaction.accounts.add_code(_code("x"))
            raise ConflictError("no")

    with pytest.raises(ConflictError):
        fail()
    assert done == ["a", "b"]
    with store.read() as transaction:
        assert transaction.accounts.code("x") is None


def test_a_reader_sees_one_moment(store: SqlStore) -> None:
    with store.read() as reader:
        assert reader.accounts.codes() == []
        with store.write() as writer:
            writer.accounts.add_code(_code("x"))
        assert reader.accounts.codes() == []
    with store.read() as reader:
        assert len(reader.accounts.codes()) == 1


def test_a_key_that_exists_is_a_conflict(store: SqlStore) -> None:
    for expected in (None, ConflictError):
        if expected is None:
            with store.write() as transaction:
                transaction.accounts.add_code(_code("x"))
            continue
        with pytest.raises(expected), store.write() as transaction:
            transaction.accounts.add_code(_code("x"))


@sqlite_only
def test_the_stamp_changes_with_every_commit_of_another_process_and_with_none_of_this(
    store: SqlStore, tmp_path: Path
) -> None:
    before = store.stamp()
    for name in "xyz":
        with store.write() as transaction:
            transaction.accounts.add_code(_code(name))
        assert store.stamp() == before
    other = sqlite3.connect(tmp_path / "x.db")
    for name in "xy":
        other.execute("DELETE FROM codes WHERE hash = ?", [name])
        other.commit()
        assert store.stamp() != before
        before = store.stamp()
    other.close()


@sqlite_only
def test_a_database_held_by_somebody_else_for_too_long_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_BUSY_TIMEOUT_MS", 50)
    opened = SqlStore(f"sqlite:///{tmp_path / 'z.db'}")
    upgrade(opened)
    holder = sqlite3.connect(tmp_path / "z.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(UnavailableError, match="busy"), opened.write() as transaction:
        transaction.accounts.codes()
    holder.close()
    opened.close()


@sqlite_only
def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_bytes(b"this is not a database" * 100)
    opened = SqlStore(f"sqlite:///{tmp_path / 'bad.db'}")
    with pytest.raises(UnavailableError), opened.read():
        raise AssertionError
    opened.close()


_UPGRADES = """
import os, signal, sys
from sqlalchemy import event
from kifabrik.stores.sql.store import SqlStore
from kifabrik.stores.sql.upgrade import upgrade

left = int(sys.argv[2])

def counted(*_about):
    global left
    left -= 1
    if left == 0:
        os.kill(os.getpid(), signal.SIGKILL)

store = SqlStore(sys.argv[1])
event.listen(store.engine, "before_cursor_execute", counted)
event.listen(store.engine, "commit", counted)
upgrade(store)
print(int(sys.argv[2]) - left)
"""


def test_an_upgrade_that_is_killed_anywhere_is_made_whole_by_the_next(tmp_path):
    urls: dict[object, str] = {}

    def upgrading(number, at):
        url = urls.setdefault(number, fresh_database(tmp_path / f"{number}.db"))
        words = [sys.executable, "-c", _UPGRADES, url, str(at)]
        return subprocess.run(words, check=False, capture_output=True, text=True)

    steps = int(upgrading("whole", 10**6).stdout)
    for at in (1, steps // 3, steps - 1, steps):
        assert upgrading(at, at).returncode == -signal.SIGKILL
        store = SqlStore(urls[at])
        assert present_revision(store) == ""  # nothing half-made is to be seen
        assert upgrade(store)
        assert present_revision(store) == newest_revision()
        with store.connect() as connection:
            assert set(inspect(connection).get_table_names()) >= {"tenants", "logs", "runs"}
        store.close()


@sqlite_only
def test_objects_from_before_their_time_was_kept_have_all_of_it_unless_something_uses_them(tmp_path):
    store = SqlStore(f"sqlite:///{tmp_path}/factory.db")
    config = Config()
    config.set_main_option("script_location", str(Path(upgrade_module.__file__).parent / "migrations"))
    with store.connect(writing=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "0007")
        tenant = ("t", "", "", 0, "", "", 0, 5, "")
        connection.exec_driver_sql("INSERT INTO tenants VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", tenant)
        for digest in ("in a version", "in an erased one", "in a log", "in a row of a log", "in nothing"):
            connection.exec_driver_sql("INSERT INTO objects VALUES ('t', ?, 1, '2026-01-01T00:00:00Z')", (digest,))
        for manifest, erased, digest in (("m1", "", "in a version"), ("m2", "2026", "in an erased one")):
            row = ("t", manifest, 1, manifest, 1, 1, "", erased)
            connection.exec_driver_sql("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
            connection.exec_driver_sql("INSERT INTO version_objects VALUES ('t', ?, ?)", (manifest, digest))
        for number, (digest, body) in enumerate((("in a log", None), ("in a row of a log", b"body"))):
            names = "tenant, attempt, rank, number, statement, sha256, size, body"
            row = ("t", "a", 0, number, "", digest, 1, body)
            connection.exec_driver_sql(f"INSERT INTO log_segments ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
    before = format_time(now_utc())
    assert upgrade(store)
    with store.read() as transaction:
        waiting = transaction.objects.unused_since_before("t", "9", 10)
        assert sorted(waiting) == ["in a row of a log", "in an erased one", "in nothing"]
        (standing,) = transaction.objects.unused()
        assert before <= standing.since <= format_time(now_utc())
        assert transaction.objects.timeless() == []
        assert transaction.accounts.tenant("t").bytes_used == transaction.objects.bytes_of("t") == 5 * SMALLEST
    with store.connect(writing=True) as connection, connection.begin():
        connection.exec_driver_sql("UPDATE objects SET unused_since = '' WHERE digest <> 'in nothing'")
    with store.read() as transaction:
        (timeless,) = transaction.objects.timeless()
        assert (timeless.tenant, timeless.count, timeless.size) == ("t", 2, 2)
    store.close()


@sqlite_only
def test_claiming_a_few_deletions_of_very_many_does_not_look_at_all_of_them(store: SqlStore) -> None:
    def steps_of_a_claim(rows: SqlObjectRows, tenant: str, claim: str) -> int:
        counted = 0

        def count() -> int:
            nonlocal counted
            counted += 1
            return 0

        driver = connection.connection.driver_connection
        driver.set_progress_handler(count, 100)
        held = rows.claim_deletions(tenant, "", claim, "2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z", 50)
        driver.set_progress_handler(None, 0)
        assert len(held) == 50
        return counted

    few, many = range(100), range(100, 20_000)
    with store.connect(writing=True) as connection, connection.begin():
        found = {}
        for numbers in (few, many):
            digests = [(hashlib.sha256(str(number).encode()).hexdigest(),) for number in numbers]
            connection.exec_driver_sql("INSERT INTO deletions VALUES ('t', ?, 1, '', '', '')", digests)
            rows = SqlObjectRows(connection)
            found[numbers] = [steps_of_a_claim(rows, tenant, f"{tenant}{numbers.start}") for tenant in ("t", "")]
    assert all(late < 2 * early for early, late in zip(found[few], found[many], strict=True))


@sqlite_only
def test_the_time_of_very_many_objects_of_logs_is_noted_without_a_search_of_all_logs_for_each(tmp_path):
    store = SqlStore(f"sqlite:///{tmp_path}/factory.db")
    config = Config()
    config.set_main_option("script_location", str(Path(upgrade_module.__file__).parent / "migrations"))
    most = 20_000
    with store.connect(writing=True) as connection, connection.begin():
        config.attributes["connection"] = connection
        command.upgrade(config, "0007")
        digests = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(most)]
        rows = [(digest,) for digest in digests]
        connection.exec_driver_sql("INSERT INTO objects VALUES ('t', ?, 1, '2026-01-01T00:00:00Z')", rows)
        names = "tenant, attempt, rank, number, statement, sha256, size"
        segments = [("t", "a", 0, number, "", digest, 1) for number, digest in enumerate(digests)]
        connection.exec_driver_sql(f"INSERT INTO log_segments ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", segments)
    began = time.process_time()
    assert upgrade(store)
    assert time.process_time() - began < 20  # it is half a second; with such a search, minutes
    with store.read() as transaction:
        assert transaction.objects.unused() == []
    store.close()
