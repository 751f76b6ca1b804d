"""Rows of runs in SQLite: capacity taken once, leaders fenced, records that come back as they went in."""

import subprocess
import sys
import textwrap
from dataclasses import fields, replace
from pathlib import Path

import pytest

from databases import fresh_database, sqlite_only
from kifabrik.errors import ConflictError
from kifabrik.factory.allowances import Limits, Usage
from kifabrik.factory.capacity import Gpu, Occupation, Share
from kifabrik.factory.log_records import RankLog, Segment
from kifabrik.factory.node_records import NodeRecord
from kifabrik.factory.run_records import NOTHING_USED, Attempt, Event, Hold, Run, StopCause, Watched
from kifabrik.factory.schedule import Promise
from kifabrik.factory.sweep_records import Admitted
from kifabrik.meters.footprint import Site, footprint
from kifabrik.meters.reading import EnergyReading, EnergySource, Reading
from kifabrik.runs.gathering import Stage
from kifabrik.runs.states import Outcome, RunState
from kifabrik.stores.sql.schema import orders as schema_orders
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
    footprint=footprint([READING], Money(12), Site(300, 110, 20, 30, 180_000, 5)),
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


def add_run(transaction, run):
    """Put a run behind all others of its tenant."""
    transaction.runs.add_runs(run.tenant, [run])


@pytest.fixture
def store(tmp_path: Path):
    opened = SqlStore(fresh_database(tmp_path / "factory.db"))
    upgrade(opened)
    yield opened
    opened.close()


def test_runs_and_attempts_come_back_as_they_went_in(store: SqlStore) -> None:
    with store.write() as transaction:
        add_run(transaction, RUN)
        transaction.runs.add_attempt(ATTEMPT)
    with store.read() as transaction:
        assert transaction.runs.run("t-a", "r-1") == replace(RUN, position=1)
        assert transaction.runs.attempts_of("t-a", ["r-1"]) == [ATTEMPT]
        assert transaction.runs.attempts_named(["a-1", "a-2"]) == [ATTEMPT]
        assert transaction.runs.run("t-b", "r-1") is None
        assert transaction.runs.attempt("t-b", "a-1") is None


def test_what_is_watched_is_of_attempts_and_runs_that_go_on(store: SqlStore) -> None:
    going_on = replace(ATTEMPT, state=RunState.PENDING, submits=2, taken="2026-11-23T08:00:01Z", placement=())
    with store.write() as transaction:
        add_run(transaction, replace(RUN, state=RunState.PENDING, revision=3))
        transaction.runs.add_attempt(going_on)
        transaction.runs.add_attempt(replace(ATTEMPT, attempt="a-2", finished="2026-11-23T09:00:00Z"))
        for name, stop in (("r-3", None), ("r-4", None)):
            add_run(
                transaction, replace(RUN, run=name, order=name, stop=stop, finished="" if name == "r-3" else "now")
            )
            transaction.runs.add_attempt(replace(ATTEMPT, run=name, attempt=name.replace("r", "a")))
    with store.read() as transaction:
        found = {one.attempt: one for one in transaction.runs.watched().values()}
    assert found.keys() == {"a-1", "a-3"}
    assert found["a-1"] == Watched(
        tenant="t-a",
        run="r-1",
        attempt="a-1",
        cap_s=50,
        created="2026-11-23T08:00:00Z",
        submits=2,
        taken="2026-11-23T08:00:01Z",
        running="",
        revision=3,
        reason="It waits.",
        deadline="2026-11-24T08:00:00Z",
        state=RunState.PENDING,
        placed=False,
        stop=StopCause.CAP,
    )
    assert (found["a-3"].placed, found["a-3"].stop) == (True, None)


@pytest.mark.parametrize(
    "change",
    [
        {"run": {"revision": 4, "reason": "Other."}},
        {"run": {"stop": None, "revision": 3}},
        {"attempt": {"submits": 3}},
        {"attempt": {"taken": "2026-11-23T08:00:02Z"}},
        {"attempt": {"running": "2026-11-23T08:00:03Z"}},
        {"attempt": {"state": RunState.RUNNING}},
        {"attempt": {"placement": ()}},
    ],
    ids=str,
)
def test_of_what_is_watched_that_alone_is_read_again_which_has_changed(store: SqlStore, change) -> None:
    with store.write() as transaction:
        add_run(transaction, replace(RUN, revision=3))
        transaction.runs.add_attempt(ATTEMPT)
        add_run(transaction, replace(RUN, run="r-2", order="r-2"))
        transaction.runs.add_attempt(replace(ATTEMPT, run="r-2", attempt="a-2"))
    with store.read() as transaction:
        before = transaction.runs.watched()
        again = transaction.runs.watched(before)
    assert {id(one) for one in again.values()} == {id(one) for one in before.values()}
    with store.write() as transaction:
        transaction.runs.save_run(replace(RUN, **{"revision": 3, **change.get("run", {})}))
        transaction.runs.save_attempt(replace(ATTEMPT, **change.get("attempt", {})))
    with store.read() as transaction:
        found = transaction.runs.watched(before)
        assert set(found.values()) == set(transaction.runs.watched().values())
    assert len({id(one) for one in found.values()} & {id(one) for one in before.values()}) == 1


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
        add_run(transaction, RUN)
        transaction.runs.save_run(changed)
        transaction.runs.add_attempt(ATTEMPT)
        transaction.runs.save_attempt(replace(ATTEMPT, state=RunState.SEALING, segments=4, run_key="66" * 32))
    with store.read() as transaction:
        assert transaction.runs.run("t-a", "r-1") == changed
        assert transaction.runs.attempt("t-a", "a-1").segments == 4


def test_every_field_of_a_record_has_a_column() -> None:
    for record, table in (
        (Run, schema.runs),
        (Admitted, schema_orders.orders),
        (Attempt, schema.attempts),
        (Segment, schema.segments),
    ):
        assert {field.name for field in fields(record)} == {column.name for column in table.c} - {"stream_header"}


ORDER = Admitted("t-a", "33" * 32, "r-1", "22" * 16, 0, 0, 0, "2026-11-23T08:00:00Z", 1)


@pytest.mark.parametrize("same", ["run", "order", "nonce"])
def test_run_id_order_and_nonce_are_each_used_once(store: SqlStore, same: str) -> None:
    other = replace(ORDER, order="99" * 32, run="r-2", nonce="88" * 16, position=2)
    with store.write() as transaction:
        transaction.runs.add_order(ORDER, ())
    with pytest.raises(ConflictError), store.write() as transaction:
        transaction.runs.add_order(replace(other, **{same: getattr(ORDER, same)}), ())
    with store.write() as transaction:
        transaction.runs.add_order(other, ())


def _sweep(transaction, tasks: int, **changes) -> None:
    """Enter a sweep with all its runs."""
    made = [replace(RUN, run=f"r-s-{n}", sweep="r-s", promise=None, **changes) for n in range(1, tasks + 1)]
    first = transaction.runs.add_runs("t-a", made)
    transaction.runs.add_order(replace(ORDER, run="r-s", tasks=tasks, max_parallel=2, position=first), ())


def test_a_sweep_counts_its_tasks_by_state_and_what_they_cost(store: SqlStore) -> None:
    with store.write() as transaction:
        _sweep(transaction, 5)
        ended = replace(transaction.runs.run("t-a", "r-s-2"), finished="2026-11-23T09:00:00Z", most_micro_eur=7)
        transaction.runs.save_run(replace(ended, state=RunState.SUCCEEDED, revision=4))
    with store.read() as transaction:
        counts = {count.state: count for count in transaction.runs.count_tasks("t-a", ["r-s", "r-t"])}
        assert (counts[RunState.QUEUED].tasks, counts[RunState.QUEUED].cost_micro_eur) == (4, 0)
        done = counts[RunState.SUCCEEDED]
        assert (done.tasks, done.cost_micro_eur, done.revisions) == (1, 7, 4)
        assert done.finished == "2026-11-23T09:00:00Z"
        assert transaction.runs.set_aside("t-a", "r-s") == 4 * 400 + 7
        assert transaction.runs.unfinished_of("t-a", "r-s") == (4, 0)
        assert transaction.runs.unfinished_of("t-b", "r-s") == (0, 0)


def test_orders_are_found_by_the_states_of_their_runs(store: SqlStore) -> None:
    with store.write() as transaction:
        runs = transaction.runs
        for number, state in ((1, RunState.FAILED), (2, RunState.QUEUED)):
            name, finished = f"r-{number}", "2026-11-23T09:00:00Z" if state is RunState.FAILED else ""
            digest = f"{number:064}"
            one = replace(RUN, run=name, order=digest, state=state, finished=finished)
            first = runs.add_runs("t-a", [one])
            runs.add_order(replace(ORDER, run=name, order=digest, nonce=name, position=first), ())
        _sweep(transaction, 3)
        ended = replace(runs.run("t-a", "r-s-2"), state=RunState.FAILED, finished="2026-11-23T09:00:00Z")
        runs.save_run(ended)
    for states, found in (
        ([], ["r-s", "r-2", "r-1"]),
        ([RunState.FAILED], ["r-s", "r-1"]),
        ([RunState.QUEUED, RunState.RUNNING], ["r-s", "r-2"]),
        ([RunState.QUEUED, RunState.FAILED], ["r-s", "r-2", "r-1"]),
        ([RunState.RUNNING], []),
    ):
        with store.read() as transaction:
            assert [order.run for order in transaction.runs.orders_page("t-a", "", 9, states)] == found
            assert [order.run for order in transaction.runs.orders_page("t-a", "r-s", 9, states)] == [
                name for name in found if name != "r-s"
            ]
            assert transaction.runs.orders_page("t-b", "", 9, states) == []


def test_held_tasks_are_not_among_the_next_and_go_on_in_their_order(store: SqlStore) -> None:
    with store.write() as transaction:
        _sweep(transaction, 5, hold=Hold.TURN)
    with store.write() as transaction:
        assert transaction.runs.queued_runs(64) == []
        assert transaction.runs.let_go("t-a", "r-s", Hold.TURN, 2, "Now.") == 2
        assert [run.run for run in transaction.runs.queued_runs(64)] == ["r-s-1", "r-s-2"]
        assert transaction.runs.let_go("t-a", "r-s", Hold.NEEDS, 2, "Now.") == 0


def test_what_has_used_nothing_ends_in_one_statement_with_its_history(store: SqlStore) -> None:
    used = footprint([], Money(5))
    with store.write() as transaction:
        _sweep(transaction, 4, footprint=NOTHING_USED)
        transaction.runs.save_run(replace(transaction.runs.run("t-a", "r-s-3"), footprint=used))
        ended = transaction.runs.end_untouched(
            "t-a", "r-s", RunState.STOPPED, "Stopped.", "2026-11-23T09:00:00Z", StopCause.STOP, ""
        )
        assert ended == 3
    with store.read() as transaction:
        assert [run.run for run in transaction.runs.going_on("t-a", "r-s")] == ["r-s-3"]
        found = transaction.runs.run("t-a", "r-s-1")
        assert (found.state, found.stop, found.most_micro_eur) == (RunState.STOPPED, StopCause.STOP, 0)
        assert [event.reason for event in transaction.runs.events("t-a", "r-s-1")] == ["Stopped."]


def test_events_segments_locks_limits_and_usage_are_kept(store: SqlStore) -> None:
    event = Event("t-a", "r-1", 1, "2026-11-23T08:00:00Z", RunState.QUEUED, "It waits.")
    pieces = [
        Segment("t-a", "a-1", 0, number, "{}", "11" * 32, 3, b"abc" if number else None) for number in range(3)
    ]
    other = Segment("t-a", "a-1", 1, 0, "{}", "22" * 32, 3, b"abd")
    with store.write() as transaction:
        transaction.runs.add_event(event)
        for piece in (*pieces, other):
            transaction.runs.add_segment(piece)
        transaction.runs.add_lock("t-a", "11" * 32, "text")
        transaction.runs.add_lock("t-a", "11" * 32, "text")
        transaction.runs.set_limits("t-a", Limits(most_gpus=4))
        transaction.runs.set_limits("t-a", Limits(most_gpus=5, weight=2.5))
        transaction.runs.save_usage(Usage("t-a", 1.5, "2026-11-23T08:00:00Z", "2026-11", 7))
    with store.read() as transaction:
        assert transaction.runs.events("t-a", "r-1") == [event]
        assert transaction.runs.segments("t-a", "a-1", 0, 0, 10) == pieces[1:]
        assert transaction.runs.segments("t-a", "a-1", 1, -1, 10) == [other]
        assert transaction.runs.segments("t-a", "a-1", 0, -1, 2) == pieces[:2]
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


def test_two_processes_never_take_the_same_share(store: SqlStore) -> None:
    with store.write() as transaction:
        transaction.runs.put_node(replace(NODE, cpus=40))
    program = textwrap.dedent(f"""
        from kifabrik.factory.capacity import Share
        from kifabrik.stores.sql.store import SqlStore
        store = SqlStore("{store.address.url}")
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
                add_run(transaction, replace(RUN, tenant=tenant, run=name, order=name, priority=priority))
    with store.read() as transaction:
        found = {run.run for run in transaction.runs.queued_runs(2)}
        assert found == {"r-t-a2", "r-t-a0", "r-t-b2", "r-t-b0"}
        assert transaction.runs.count_queued() == 8
        assert sorted(transaction.runs.queued_tenants()) == ["t-a", "t-b"]
        assert transaction.runs.count_unfinished("t-a") == 4
        assert transaction.runs.set_aside_of("t-a") == 4 * 400


def test_a_reason_is_written_only_at_the_revision_it_was_made_for(store: SqlStore) -> None:
    with store.write() as transaction:
        add_run(transaction, RUN)
        assert transaction.runs.set_waiting(RUN, "It waits for more.", None)
        assert not transaction.runs.set_waiting(RUN, "It waits for less.", None)
        found = transaction.runs.run("t-a", "r-1")
        assert (found.reason, found.revision, found.promise) == ("It waits for more.", 2, None)


def test_reasons_of_many_are_written_of_those_that_still_wait_as_they_were(store: SqlStore) -> None:
    with store.write() as transaction:
        transaction.runs.add_runs("t-a", [replace(RUN, run=f"r-{n}", order=f"o-{n}") for n in range(4)])
        read = transaction.runs.runs_named("t-a", [f"r-{n}" for n in range(4)])
        transaction.runs.save_run(replace(read[1], revision=2))
        transaction.runs.save_run(replace(read[2], state=RunState.STARTING))
        assert [run.run for run in transaction.runs.that_still_wait(read)] == ["r-0", "r-3"]
        transaction.runs.set_all_waiting((run, f"{run.run} waits.") for run in read)
        found = sorted(transaction.runs.runs_named("t-a", [f"r-{n}" for n in range(4)]), key=lambda run: run.run)
    assert [(run.reason, run.revision) for run in found] == [
        ("r-0 waits.", 2),
        (RUN.reason, 2),
        (RUN.reason, 1),
        ("r-3 waits.", 2),
    ]


def test_attempts_are_counted_by_tenant_and_run(store: SqlStore) -> None:
    with store.write() as transaction:
        for tenant, run in (("t-a", "r-1"), ("t-a", "r-2"), ("t-b", "r-1"), ("t-b", "r-2")):
            add_run(transaction, replace(RUN, tenant=tenant, run=run, order=run))
        transaction.runs.add_attempts(
            replace(ATTEMPT, tenant=tenant, run=run, attempt=f"a-{number}", number=number)
            for number, (tenant, run) in enumerate(
                [("t-a", "r-1"), ("t-a", "r-1"), ("t-b", "r-2"), ("t-b", "r-1")], 1
            )
        )
        runs = [replace(RUN, run="r-1"), replace(RUN, tenant="t-b", run="r-2"), replace(RUN, run="r-2")]
        assert transaction.runs.count_attempts(runs) == {("t-a", "r-1"): 2, ("t-b", "r-2"): 1}


@sqlite_only
@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM runs WHERE tenant = 't' ORDER BY position DESC LIMIT 50",
        "SELECT * FROM runs WHERE finished = '' AND state = 'queued'",
        "SELECT count(*) FROM runs WHERE finished = '' AND tenant = 't'",
        "SELECT sum(most_micro_eur) FROM runs WHERE finished = '' AND tenant = 't'",
        "SELECT * FROM orders WHERE tenant = 't' AND \"order\" = 'o'",
        "SELECT * FROM orders WHERE tenant = 't' ORDER BY position DESC LIMIT 50",
        "SELECT sweep, state, count(*) FROM runs WHERE tenant = 't' AND sweep IN ('s', 'u') GROUP BY sweep, state",
        "SELECT run FROM runs WHERE finished = '' AND state = 'q' AND hold = '' AND tenant = 't' AND priority = 0",
        "SELECT DISTINCT tenant, priority FROM runs WHERE finished = '' AND state = 'queued' AND hold = ''",
        "SELECT run FROM order_needs WHERE tenant = 't' AND need = 'r'",
        "SELECT * FROM attempts WHERE tenant = 't' AND run IN ('r', 's')",
        "SELECT * FROM attempts WHERE finished = ''",
        "SELECT * FROM attempts WHERE attempt IN ('a', 'b')",
        "SELECT * FROM run_events WHERE tenant = 't' AND run = 'r' ORDER BY number",
        "SELECT * FROM log_segments WHERE tenant='t' AND attempt='a' AND rank=0 AND number>3 ORDER BY number",
        "SELECT * FROM rank_logs WHERE tenant = 't' AND attempt IN ('a', 'b') ORDER BY attempt, rank",
        "SELECT count(*) FROM attempt_notes WHERE tenant = 't' AND attempt = 'a' AND stage = 'joined'",
    ],
)
def test_what_is_asked_often_needs_no_scan_of_a_table(store: SqlStore, query: str) -> None:
    with store.engine.connect() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}")]
    assert plan
    assert all(step.startswith("SEARCH") or "USING INDEX" in step for step in plan), plan


def test_a_note_of_a_rank_stands_once_and_goes_with_its_attempt(store: SqlStore) -> None:
    with store.write() as transaction:
        runs = transaction.runs
        assert runs.put_note("t-a", "a-1", Stage.JOINED, 1, "one")
        assert runs.put_note("t-a", "a-1", Stage.JOINED, 0, "zero")
        assert not runs.put_note("t-a", "a-1", Stage.JOINED, 1, "another")
        assert runs.put_note("t-a", "a-2", Stage.JOINED, 0, "of another attempt")
        assert runs.put_note("t-a", "a-1", Stage.READY, 1, "")
        assert runs.notes("t-a", "a-1", Stage.JOINED) == {0: "zero", 1: "one"}
        assert runs.count_notes("t-a", "a-1", Stage.JOINED) == 2
        assert runs.note("t-a", "a-1", Stage.READY, 1) == ""
        assert runs.note("t-b", "a-1", Stage.READY, 1) is None
        runs.drop_notes("t-a", "a-1")
        assert runs.notes("t-a", "a-1", Stage.JOINED) == {}
        assert runs.count_notes("t-a", "a-2", Stage.JOINED) == 1


def test_the_logs_of_other_nodes_are_kept_by_rank(store: SqlStore) -> None:
    log = RankLog("t-a", "a-1", 2, "11" * 32, 1, "22" * 32, 7, b"header")
    with store.write() as transaction:
        transaction.runs.save_rank_log(replace(log, segments=0, tail="", log_bytes=0))
        transaction.runs.save_rank_log(log)
        transaction.runs.save_rank_log(RankLog("t-a", "a-1", 1))
        assert transaction.runs.rank_log("t-a", "a-1", 2) == log
        assert transaction.runs.rank_log("t-a", "a-1", 3) is None
        found = transaction.runs.rank_logs("t-a", ["a-1", "a-2"])
    assert found == [RankLog("t-a", "a-1", 1), replace(log, header=b"")]


def test_a_run_nobody_tried_is_written_as_before_footprints_told_of_surroundings(store: SqlStore) -> None:
    with store.write() as transaction:
        add_run(transaction, replace(RUN, footprint=NOTHING_USED))
    with store.connect() as connection:
        (text,) = connection.execute(schema.runs.select().with_only_columns(schema.runs.c.footprint)).one()
    assert "surroundings" not in text
