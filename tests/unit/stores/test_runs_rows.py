"""Rows of runs in SQLite: capacity taken once, leaders fenced, records that come back as they went in."""

import subprocess
import sys
import textwrap
from dataclasses import fields, replace
from pathlib import Path

import pytest

from kifabrik.errors import ConflictError
from kifabrik.factory.capacity import Gpu, Occupation, Share
from kifabrik.factory.run_records import (
    Attempt,
    Event,
    Limits,
    NodeRecord,
    Run,
    Segment,
    StopCause,
    Usage,
)
from kifabrik.factory.schedule import Promise
from kifabrik.meters.footprint import footprint
from kifabrik.meters.reading import EnergyReading, EnergySource, Reading
from kifabrik.runs.states import Outcome, RunState
from kifabrik.stores.sql.schema import runs as schema
from kifabrik.stores.sql.store import SqlStore
from kifabrik.stores.sql.upgrade import upgrade
from kifabrik.values import Money, Place, Resources

NODE = NodeRecord(
    node="n-1",
    name="box",
    key="aa" * 32,
    place=Place("DE", "site", "class"),
    cpus=4,
    memory_bytes=1000,
    gpus=(Gpu(0, "H100", 80), Gpu(3, "H200", 141), Gpu(62, "H200", 141)),
    pythons=("3.11", "3.12"),
    created="2026-11-23T08:00:00Z",
    streams=True,
)
READING = Reading(
    "2026-11-23T08:00:00Z",
    "2026-11-23T08:01:00Z",
    60_000,
    100,
    0,
    "",
    0,
    5,
    6,
    (EnergyReading(EnergySource.RAPL, "package-0", 7),),
)
RUN = Run(
    tenant="t-a",
    run="r-1",
    member="m-1",
    purpose="p-1",
    order="11" * 32,
    nonce="22" * 16,
    code="33" * 32,
    lock="44" * 32,
    resources=Resources(cpus=2, gpu_count=1, gpu_model="H200"),
    place=Place("DE"),
    python="3.11",
    staged_bytes=77,
    streamed_bytes=78,
    priority=3,
    outputs=1,
    attempts=2,
    retry_on=("error", "preemption"),
    max_duration_s=60,
    cap_s=50,
    rate_micro_eur=1000,
    budget_micro_eur=5000,
    most_micro_eur=400,
    created="2026-11-23T08:00:00Z",
    deadline="2026-11-24T08:00:00Z",
    reason="It waits.",
    stop=StopCause.CAP,
    promise=Promise("r-1", Occupation((Share("n-1", 1, 2, (3,)),), 1.5, 2.25)),
    published={"auc": 0.5},
    footprint=footprint([READING], Money(12)),
)
ATTEMPT = Attempt(
    tenant="t-a",
    run="r-1",
    attempt="a-1",
    number=1,
    placement=(Share("n-1", 1, 2, (0, 3)),),
    place=Place("DE"),
    cap_s=50,
    created="2026-11-23T08:00:00Z",
    outcome=Outcome.ERROR,
    exit_status=-9,
    outputs=("55" * 32,),
    reading=READING,
)


@pytest.fixture
def store(tmp_path: Path):
    opened = SqlStore(f"sqlite:///{tmp_path / 'factory.db'}")
    upgrade(opened)
    yield opened
    opened.close()


def test_runs_and_attempts_come_back_as_they_went_in(store: SqlStore) -> None:
    with store.write() as transaction:
        transaction.runs.add_run(RUN)
        transaction.runs.add_attempt(ATTEMPT)
    with store.read() as transaction:
        assert transaction.runs.run("t-a", "r-1") == replace(RUN, position=1)
        assert transaction.runs.attempts_of("t-a", ["r-1"]) == [ATTEMPT]
        assert transaction.runs.attempts_named(["a-1", "a-2"]) == [ATTEMPT]
        assert transaction.runs.run("t-b", "r-1") is None
        assert transaction.runs.attempt("t-b", "a-1") is None


def test_saving_a_run_keeps_every_change_that_may_happen(store: SqlStore) -> None:
    changed = replace(
        RUN,
        position=1,
        state=RunState.FAILED,
        reason="It failed.",
        revision=9,
        finished="2026-11-23T09:00:00Z",
        stop=None,
        alarmed="2026-11-23T09:00:00Z",
        promise=None,
        published={},
        footprint=footprint([], Money()),
        cap_s=7,
        most_micro_eur=8,
    )
    with store.write() as transaction:
        transaction.runs.add_run(RUN)
        transaction.runs.save_run(changed)
        transaction.runs.add_attempt(ATTEMPT)
        transaction.runs.save_attempt(replace(ATTEMPT, state=RunState.SEALING, segments=4, run_key="66" * 32))
    with store.read() as transaction:
        assert transaction.runs.run("t-a", "r-1") == changed
        assert transaction.runs.attempt("t-a", "a-1").segments == 4


def test_every_field_of_a_record_has_a_column() -> None:
    for record, table in ((Run, schema.runs), (Attempt, schema.attempts), (Segment, schema.segments)):
        assert {field.name for field in fields(record)} == {column.name for column in table.c} - {"stream_header"}


@pytest.mark.parametrize("twin", [{"run": "r-2"}, {"order": "99" * 32}, {"nonce": "88" * 16}])
def test_run_order_and_nonce_are_each_used_once(store: SqlStore, twin: dict) -> None:
    with store.write() as transaction:
        transaction.runs.add_run(RUN)
    with pytest.raises(ConflictError), store.write() as transaction:
        transaction.runs.add_run(replace(RUN, **twin))


def test_events_segments_locks_limits_and_usage_are_kept(store: SqlStore) -> None:
    event = Event("t-a", "r-1", 1, "2026-11-23T08:00:00Z", RunState.QUEUED, "It waits.")
    pieces = [Segment("t-a", "a-1", number, "{}", "11" * 32, 3, b"abc" if number else None) for number in range(3)]
    with store.write() as transaction:
        transaction.runs.add_event(event)
        for piece in pieces:
            transaction.runs.add_segment(piece)
        transaction.runs.add_lock("t-a", "11" * 32, "text")
        transaction.runs.add_lock("t-a", "11" * 32, "text")
        transaction.runs.set_limits("t-a", Limits(most_gpus=4))
        transaction.runs.set_limits("t-a", Limits(most_gpus=5, weight=2.5))
        transaction.runs.save_usage(Usage("t-a", 1.5, "2026-11-23T08:00:00Z", "2026-11", 7))
    with store.read() as transaction:
        assert transaction.runs.events("t-a", "r-1") == [event]
        assert transaction.runs.segments("t-a", "a-1", 0, 10) == pieces[1:]
        assert transaction.runs.segments("t-a", "a-1", -1, 2) == pieces[:2]
        assert transaction.runs.lock("t-a", "11" * 32) == "text"
        assert transaction.runs.lock("t-b", "11" * 32) is None
        assert transaction.runs.limits("t-a") == Limits(most_gpus=5, weight=2.5)
        assert transaction.runs.limits("t-b") == Limits()
        assert [one.month_micro_eur for one in transaction.runs.usage(["t-a", "t-b"])] == [7]


def _takes(store: SqlStore, *shares: Share) -> bool:
    with store.write() as transaction:
        return transaction.runs.take(shares)


def test_a_share_is_taken_only_where_all_of_it_is_free(store: SqlStore) -> None:
    with store.write() as transaction:
        transaction.runs.put_node(NODE)
    assert _takes(store, Share("n-1", 1, 500, (0, 62)))
    assert not _takes(store, Share("n-1", 1, 1, (62,)))
    assert not _takes(store, Share("n-1", 1, 501))
    assert not _takes(store, Share("n-1", 4, 1))
    assert not _takes(store, Share("n-1", 1, 1, (1,)))
    assert not _takes(store, Share("n-2", 1, 1))
    assert _takes(store, Share("n-1", 3, 500, (3,)))
    with store.write() as transaction:
        transaction.runs.give_back((Share("n-1", 1, 500, (0, 62)),))
    assert _takes(store, Share("n-1", 1, 500, (62,)))


def test_a_node_that_changes_keeps_what_is_held(store: SqlStore) -> None:
    with store.write() as transaction:
        transaction.runs.put_node(NODE)
    assert _takes(store, Share("n-1", 3, 10, (3,)))
    with store.write() as transaction:
        transaction.runs.put_node(replace(NODE, cpus=5, gpus=(*NODE.gpus, Gpu(5, "H200", 141))))
    assert not _takes(store, Share("n-1", 1, 1, (3,)))
    assert _takes(store, Share("n-1", 2, 1, (5,)))
    assert not _takes(store, Share("n-1", 1, 1))


def test_a_disabled_node_takes_nothing_new(store: SqlStore) -> None:
    with store.write() as transaction:
        transaction.runs.put_node(replace(NODE, enabled=False))
    assert not _takes(store, Share("n-1", 1, 1))


def test_two_processes_never_take_the_same_share(store: SqlStore, tmp_path: Path) -> None:
    with store.write() as transaction:
        transaction.runs.put_node(replace(NODE, cpus=40))
    program = textwrap.dedent(f"""
        from kifabrik.factory.capacity import Share
        from kifabrik.stores.sql.store import SqlStore
        store = SqlStore("sqlite:///{tmp_path / "factory.db"}")
        taken = 0
        for _ in range(40):
            with store.write() as transaction:
                taken += transaction.runs.take((Share("n-1", 1, 1),))
        print(taken)
        store.close()
    """)
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    taken = [int(process.communicate()[0]) for process in processes]
    assert sum(taken) == 40


def test_one_leads_until_its_time_has_run_out_and_its_number_ends_then(store: SqlStore) -> None:
    with store.write() as transaction:
        first = transaction.runs.lead("runs", "one", "10", "20")
        assert transaction.runs.lead("runs", "two", "15", "25") is None
        assert transaction.runs.lead("runs", "one", "15", "25") == first
        assert transaction.runs.leads("runs", first)
        second = transaction.runs.lead("runs", "two", "26", "36")
        assert second > first
        assert not transaction.runs.leads("runs", first)
        assert transaction.runs.lead("runs", "one", "27", "37") is None
        transaction.runs.resign("runs", second)
        assert not transaction.runs.leads("runs", second)
        assert transaction.runs.leader("runs") is None
        assert transaction.runs.lead("runs", "one", "28", "38") > second


def test_the_next_runs_of_each_tenant_are_found_by_priority_and_age(store: SqlStore) -> None:
    with store.write() as transaction:
        for tenant in ("t-a", "t-b"):
            for number, priority in enumerate((0, 0, 9, 0)):
                name = f"r-{tenant}{number}"
                transaction.runs.add_run(
                    replace(RUN, tenant=tenant, run=name, order=name, nonce=name, priority=priority)
                )
    with store.read() as transaction:
        found = {run.run for run in transaction.runs.queued_runs(2)}
        assert found == {"r-t-a2", "r-t-a0", "r-t-b2", "r-t-b0"}
        assert transaction.runs.count_queued() == 8
        assert transaction.runs.count_unfinished("t-a") == (4, 4 * 400)


def test_a_reason_is_written_only_at_the_revision_it_was_made_for(store: SqlStore) -> None:
    with store.write() as transaction:
        transaction.runs.add_run(RUN)
        assert transaction.runs.set_waiting(RUN, "It waits for more.", None)
        assert not transaction.runs.set_waiting(RUN, "It waits for less.", None)
        found = transaction.runs.run("t-a", "r-1")
        assert (found.reason, found.revision, found.promise) == ("It waits for more.", 2, None)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM runs WHERE tenant = 't' ORDER BY position DESC LIMIT 50",
        "SELECT * FROM runs WHERE finished = '' AND state = 'queued'",
        "SELECT count(*), sum(most_micro_eur) FROM runs WHERE finished = '' AND tenant = 't'",
        "SELECT * FROM runs WHERE tenant = 't' AND \"order\" = 'o'",
        "SELECT * FROM attempts WHERE tenant = 't' AND run IN ('r', 's')",
        "SELECT * FROM attempts WHERE finished = ''",
        "SELECT * FROM attempts WHERE attempt IN ('a', 'b')",
        "SELECT * FROM run_events WHERE tenant = 't' AND run = 'r' ORDER BY number",
        "SELECT * FROM log_segments WHERE tenant = 't' AND attempt = 'a' AND number > 3 ORDER BY number LIMIT 9",
    ],
)
def test_what_is_asked_often_needs_no_scan_of_a_table(store: SqlStore, query: str) -> None:
    with store.engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}")]
    assert plan
    assert all(step.startswith("SEARCH") or "USING INDEX" in step for step in plan), plan


def test_a_run_that_waits_is_read_again_only_when_it_has_changed(store: SqlStore) -> None:
    with store.write() as transaction:
        transaction.runs.add_run(RUN)
        other = replace(RUN, run="r-2", order="2", nonce="2")
        transaction.runs.add_run(other)
        known = {(run.tenant, run.run): run for run in transaction.runs.queued_runs(9)}
        assert transaction.runs.set_waiting(other, "It waits for more.", None)
        again = {run.run: run for run in transaction.runs.queued_runs(9, known)}
        assert again["r-1"] is known["t-a", "r-1"]
        assert again["r-2"].reason == "It waits for more."


def test_what_comes_before_a_run_is_counted_by_priority(store: SqlStore) -> None:
    with store.write() as transaction:
        for number, priority in enumerate((0, 9, 1)):
            name = f"r-{number}"
            transaction.runs.add_run(replace(RUN, run=name, order=name, nonce=name, priority=priority))
        for priority, before in ((0, 3), (5, 1), (10, 0)):
            assert transaction.runs.count_waiting_before(replace(RUN, run="r-new", priority=priority)) == before
