"""What only a database with row locks can get wrong: waiting for a lock, and a row that is changed meanwhile."""

import itertools
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import create_engine, event

from databases import use_postgres
from kifabrik.errors import UnavailableError, UsageError
from kifabrik.factory.capacity import Gpu, Share
from kifabrik.factory.node_records import NodeRecord
from kifabrik.factory.records import SignUpCode
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.notes import NoteVerifier
from kifabrik.ledger.policy import Policy
from kifabrik.ledger.verify import verify_log
from kifabrik.stores.sql import store as store_module
from kifabrik.stores.sql.address import Address
from kifabrik.stores.sql.store import SqlStore
from kifabrik.stores.sql.upgrade import upgrade
from kifabrik.values import Place
from kifabrik.wiring.factory import init_home, open_factory
from players import eventually
from postgres import PostgresServer, postgres
from rows_of_runs import a_run
from signing_up import sign_up

__all__ = ["postgres"]

NODE = NodeRecord(
    "n-1",
    "box",
    "aa" * 32,
    Place("DE"),
    8,
    1000,
    (Gpu(0, "H100", 80), Gpu(1, "H100", 80)),
    (),
    "2026-11-23T08:00:00Z",
)


@pytest.fixture
def store(postgres: PostgresServer) -> Iterator[SqlStore]:
    opened = SqlStore(postgres.url)
    upgrade(opened)
    yield opened
    opened.close()


def test_who_waits_for_somebody_who_hangs_is_told_so_after_a_while(
    postgres: PostgresServer, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_BUSY_TIMEOUT_MS", 300)
    with store.write() as transaction:
        transaction.runs.put_node(NODE)
    hangs = create_engine(postgres.url)
    waits = SqlStore(postgres.url)
    with hangs.connect() as connection, connection.begin():
        connection.exec_driver_sql("SELECT * FROM nodes FOR UPDATE")
        with pytest.raises(UnavailableError, match="busy"), waits.write() as transaction:
            transaction.runs.take((Share("n-1", 1, 1),))
    with waits.write() as transaction:
        assert transaction.runs.take((Share("n-1", 1, 1),))
        transaction.runs.give_back((Share("n-1", 1, 1),))
    waits.close()
    hangs.dispose()


def test_a_node_that_is_drained_keeps_what_is_taken_of_it_at_that_moment(store: SqlStore) -> None:
    with store.write() as transaction:
        transaction.runs.put_node(NODE)
        before = transaction.runs.free()["n-1"]
    share, drained = Share("n-1", 3, 100, (1,)), threading.Event()

    def drain() -> None:
        with store.write() as transaction:
            transaction.runs.put_node(replace(NODE, enabled=False))
        drained.set()

    with store.write() as transaction:
        assert transaction.runs.take((share,))
        thread = threading.Thread(target=drain)
        thread.start()
        assert not drained.wait(0.5)  # it has to wait for the row
    thread.join()
    with store.read() as transaction:
        free = transaction.runs.free()["n-1"]
    assert (free.cpus, free.gpus) == (before.cpus - 3, (0,))


def test_two_who_want_shares_of_several_nodes_do_not_wait_for_each_other(store: SqlStore) -> None:
    with store.write() as transaction:
        for number in (3, 4):
            transaction.runs.put_node(replace(NODE, node=f"n-{number}", name=f"box{number}", key=f"{number}" * 64))
    first, second, done = Share("n-3", 1, 1), Share("n-4", 1, 1), threading.Event()

    def give_back() -> None:
        with store.write() as transaction:
            transaction.runs.give_back((second, first))
        done.set()

    with store.write() as transaction:
        assert transaction.runs.take((first,))
        thread = threading.Thread(target=give_back)
        thread.start()
        assert not done.wait(0.5)  # it waits for the first node, and holds nothing of the second
        assert transaction.runs.take((second,))
    thread.join()
    assert done.is_set()


def test_what_is_too_long_for_its_column_is_the_callers_mistake(store: SqlStore) -> None:
    with pytest.raises(UsageError, match="longer or larger"), store.write() as transaction:
        transaction.accounts.add_code(SignUpCode("11" * 32, "x" * 200, "2026-11-23T08:00:00Z"))


def test_what_stands_on_no_record_is_found_among_very_many_objects_of_logs(
    postgres: PostgresServer, store: SqlStore
) -> None:
    """A search of all segments for each object would take hours, and the test has minutes."""
    engine = create_engine(postgres.url)
    digest = "encode(sha256(i::text::bytea), 'hex')"
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(
            "INSERT INTO objects (tenant, digest, size, created, unused_since) "
            f"SELECT 't', {digest}, 1, '2026-01-01T00:00:00Z', '' FROM generate_series(1, 100000) i"
        )
        connection.exec_driver_sql(
            "INSERT INTO log_segments (tenant, attempt, rank, number, statement, sha256, size) "
            f"SELECT 't', 'a', 0, i, '', {digest}, 1 FROM generate_series(1, 99997) i"
        )
        connection.exec_driver_sql("ANALYZE")
    engine.dispose()
    with store.read() as transaction:
        (timeless,) = transaction.objects.timeless()
    assert (timeless.count, timeless.size) == (3, 3)


def test_of_very_many_deletions_each_claim_gives_others_and_says_which(
    postgres: PostgresServer, store: SqlStore
) -> None:
    engine = create_engine(postgres.url)
    with engine.connect() as connection, connection.begin():
        connection.exec_driver_sql(
            "INSERT INTO deletions (tenant, digest, size, claim, until) "
            "SELECT 't', encode(sha256(i::text::bytea), 'hex'), 1, '', '' FROM generate_series(1, 20000) i"
        )
    now, until = "2026-01-01T00:00:00Z", "2026-01-01T00:10:00Z"
    held = []
    for tenant, claim in (("t", "one"), ("", "two"), ("t", "three")):
        with store.write("t") as transaction:
            held.append(transaction.objects.claim_deletions(tenant, "", claim, now, until, 500))
    assert [len(each) for each in held] == [500] * 3
    assert len({one.digest for each in held for one in each}) == 1500
    with engine.connect() as connection:
        kept = connection.exec_driver_sql("SELECT digest FROM deletions WHERE claim = 'two'").scalars()
        assert set(kept) == {one.digest for one in held[1]}
    engine.dispose()


def test_nobody_leads_before_what_was_checked_by_the_one_before_is_committed(store: SqlStore) -> None:
    with store.write() as transaction:
        mine = transaction.runs.lead("runs", "one", "10", "20")
    assert mine is not None
    took: list[int | None] = []

    def take_over() -> None:
        with store.write() as transaction:
            transaction.runs.resign("runs", mine)
            took.append(transaction.runs.lead("runs", "two", "11", "21"))

    thread = threading.Thread(target=take_over)
    with store.write() as transaction:
        assert transaction.runs.leads("runs", mine)
        thread.start()
        time.sleep(0.5)
        assert took == []  # it waits for this transaction
    thread.join()
    assert took == [mine + 1]
    with store.write() as transaction:
        assert not transaction.runs.leads("runs", mine)


def test_a_log_that_eight_threads_append_to_while_connections_are_cut_has_every_entry_once(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIFABRIK_TEST_POSTGRES", postgres.url)
    home = tmp_path / "factory"
    init_home(home, port=0)
    use_postgres(home / "factory.toml")
    factory = open_factory(home)
    tenant = sign_up(factory)
    acknowledged: list[tuple[int, str]] = []
    refused: list[str] = []
    done = threading.Event()

    def append(name: str) -> None:
        for number in itertools.count():
            if number >= 25 and refused:  # something was cut, however fast or slow who cuts is
                return
            text = f"{name}-{number}"
            while True:
                try:
                    with factory.store.write(tenant) as transaction:
                        refs = {"purpose": text}
                        index = factory.log.append(transaction, tenant, EntryKind.MODEL_ACCEPTED, refs)
                    acknowledged.append((index, text))
                    break
                except UnavailableError as error:
                    refused.append(error.message)

    def cut() -> None:
        engine = create_engine(postgres.url)
        with engine.connect() as connection:
            while not done.wait(0.15):
                connection.exec_driver_sql(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND random() < 0.5"
                )
        engine.dispose()

    threads = [threading.Thread(target=append, args=(f"thread-{number}",)) for number in range(8)]
    cutter = threading.Thread(target=cut)
    for thread in (cutter, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    cutter.join()
    assert set(refused) <= {"the factory's database is busy or out of reach", "the factory's database refused"}
    with factory.store.read() as transaction:
        entries = [Entry.from_bytes(data) for data in transaction.logs.entries(tenant, 0, 10**6)]
    written = {index: entry.refs["purpose"] for index, entry in enumerate(entries) if "purpose" in entry.refs}
    assert len({index for index, _ in acknowledged}) == len(acknowledged) >= 200
    assert all(written[index] == text for index, text in acknowledged)
    policy = Policy.of(NoteVerifier.from_vkey(factory.log.vkey(tenant)))
    report = verify_log(lambda path: factory.log.tile(tenant, path), factory.log.checkpoint(tenant), policy)
    report.require()
    assert factory.check.run() == []
    factory.store.close()


@pytest.mark.parametrize(("setting", "says"), [("off", "acknowledges what is not on its disk")])
def test_a_server_that_promises_less_than_it_says_is_refused(
    postgres: PostgresServer, store: SqlStore, setting: str, says: str
) -> None:
    store.check()
    engine = create_engine(postgres.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"ALTER SYSTEM SET fsync = {setting}")
        connection.exec_driver_sql("SELECT pg_reload_conf()")  # which the server's processes hear of one by one
        try:
            assert says in eventually(lambda: _refusal(store))
        finally:
            connection.exec_driver_sql("ALTER SYSTEM RESET fsync")
            connection.exec_driver_sql("SELECT pg_reload_conf()")
            eventually(lambda: not _refusal(store))
    engine.dispose()


def _refusal(store: SqlStore) -> str:
    """Why the server's promises are not enough; empty if they are."""
    try:
        store.check()
    except UnavailableError as error:
        return error.message
    return ""


def test_commits_last_although_the_server_would_not_wait_for_them_by_default(
    postgres: PostgresServer, store: SqlStore
) -> None:
    engine = create_engine(postgres.url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql("ALTER ROLE kifabrik SET synchronous_commit = off")
    with engine.connect() as connection:
        fresh = SqlStore(postgres.url)
        with fresh.connect() as ours:
            assert ours.exec_driver_sql("SHOW synchronous_commit").scalar_one() == "on"
        fresh.close()
        connection.exec_driver_sql("ALTER ROLE kifabrik RESET synchronous_commit")
    engine.dispose()


def test_the_password_is_read_from_its_file_for_every_connection(
    postgres: PostgresServer, store: SqlStore, tmp_path: Path
) -> None:
    file = tmp_path / "password"
    file.write_text("one\n")
    file.chmod(0o600)
    opened = SqlStore(Address.from_text(postgres.url, file))
    given: list[object] = []
    event.listen(opened.engine, "do_connect", lambda _d, _r, _a, parameters: given.append(parameters["password"]))
    for password in ("one", "two"):
        file.write_text(f"{password}\n")
        opened.check()
        opened.engine.dispose()
    assert given == ["one", "two"]
    opened.close()


def test_saying_what_runs_wait_for_waits_for_nobody_who_changes_one_of_them(store: SqlStore) -> None:
    with store.write() as transaction:
        transaction.runs.add_runs("t-a", [a_run("t-a", f"r-{n}", f"o-{n}", reason="Before.") for n in range(3)])
        read = transaction.runs.runs_named("t-a", [f"r-{n}" for n in range(3)])
    one, two, three = sorted(read, key=lambda run: run.run)
    with store.write("t-a") as held:
        held.runs.save_run(replace(two, revision=two.revision + 1))
        with store.write() as transaction:  # would hang here
            transaction.runs.set_all_waiting([(two, "Waits."), (one, "Waits.")])
            assert not transaction.runs.set_waiting(two, "Waits.", None)
            assert transaction.runs.set_waiting(three, "Waits.", None)
    with store.write() as transaction:
        assert not transaction.runs.set_waiting(two, "Waits.", None)  # it is another by now
    with store.read() as transaction:
        found = {run.run: run.reason for run in transaction.runs.runs_named("t-a", ["r-0", "r-1", "r-2"])}
    assert found == {"r-0": "Waits.", "r-1": "Before.", "r-2": "Waits."}
