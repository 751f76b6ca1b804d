"""What only a database with row locks can get wrong: waiting for a lock, and a row that is changed meanwhile."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import create_engine

from kifabrik.errors import UnavailableError, UsageError
from kifabrik.factory.capacity import Gpu, Share
from kifabrik.factory.node_records import NodeRecord
from kifabrik.factory.records import SignUpCode
from kifabrik.stores.sql import store as store_module
from kifabrik.stores.sql.store import SqlStore
from kifabrik.stores.sql.upgrade import upgrade
from kifabrik.values import Place
from postgres import PostgresServer, postgres

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
    """A search of all segments for each object would take hours."""
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
    began = time.monotonic()
    with store.read() as transaction:
        (timeless,) = transaction.objects.timeless()
    assert (timeless.count, timeless.size) == (3, 3)
    assert time.monotonic() - began < 60


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
