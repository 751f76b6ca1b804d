"""Handing runs to a cluster: whose come first, and what is written down about those that wait."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from kifabrik.errors import UnavailableError
from kifabrik.factory.engine import Fate, Life
from kifabrik.factory.factory import Factory
from kifabrik.factory.handover import Handover, in_turns
from kifabrik.factory.leader import Leadership
from kifabrik.factory.records import Tenant
from kifabrik.factory.run_records import Run, StopCause
from kifabrik.factory.supervise import SILENCE, Supervisor
from kifabrik.orders.slurm_options import SlurmOptions
from kifabrik.plant.governor.rules import Permit
from kifabrik.runs.states import RunState
from kifabrik.values import Place, Resources, format_time, sha256_hex, task_run
from rows_of_runs import a_run

RUN = a_run("t-a", "r-1", "11" * 32, resources=Resources(cpus=1), place=Place())


def add_run(transaction, run):
    """Put a run behind all others of its tenant."""
    transaction.runs.add_runs(run.tenant, [run])


class ClusterPlayer:
    """A cluster that takes every attempt and lets it wait for a reason."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str]] = []
        self.arrays: list[int] = []
        self.killed: list[str] = []
        self.answers = False
        self.sentence = "Waits for its turn."

    def submit(self, task) -> None:
        self.taken.append((task.tenant, task.attempt))

    def submit_array(self, tasks) -> None:
        self.arrays.append(len(tasks))
        self.taken += [(task.tenant, task.attempt) for task in tasks]

    def poll(self) -> Mapping[str, Life]:
        if not self.answers:
            raise UnavailableError("slurmctld does not answer")
        return {attempt: Life.ALIVE for _, attempt in self.taken}

    def kill_all(self, attempts) -> None:
        self.killed += attempts

    def fates(self, attempts, since) -> Mapping[str, Fate]:
        assert not attempts
        return {}

    def waiting(self) -> Mapping[str, str]:
        return {attempt: self.sentence for _, attempt in self.taken}


def watching(factory: Factory, cluster: ClusterPlayer) -> Supervisor:
    runs = factory.runs
    return Supervisor(factory.store, factory.log, factory.accounts, runs.book, runs.endings, cluster, cluster)  # type: ignore[arg-type]


def made(tenant: str, number: int, **changes) -> Run:
    name = f"r-{tenant}{number}"
    return replace(RUN, tenant=tenant, run=name, order=sha256_hex(name.encode()), **changes)


def test_tenants_take_turns_and_each_ones_runs_come_by_priority_and_age():
    runs = [made("t-b", 1), made("t-a", 1, position=1), made("t-a", 2, position=2), made("t-a", 3, priority=9)]
    assert [run.run for (run,) in in_turns(runs, "")] == ["r-t-a3", "r-t-b1", "r-t-a1", "r-t-a2"]


def test_a_pass_begins_after_the_tenant_the_last_one_ended_with():
    runs = [made(f"t-{letter}", number) for letter in "abcd" for number in (1, 2)]
    first = [run.tenant for (run,) in in_turns(runs, "t-b")]
    assert first == ["t-c", "t-d", "t-a", "t-b", "t-c", "t-d", "t-a", "t-b"]


@pytest.fixture
def playing(opened: Factory) -> tuple[Factory, ClusterPlayer, Handover, Leadership]:
    """A factory of two tenants, one of whose keyholders has never called, and a cluster."""
    cluster = ClusterPlayer()
    leadership = Leadership(opened.store, opened.log.clock)
    assert leadership.hold()
    with opened.store.write() as transaction:
        for tenant, seen in (("t-a", opened.runs.book.now()), ("t-b", "")):
            transaction.accounts.add_tenant(Tenant(tenant, tenant, "", 1, "2026-11-23T08:00:00Z"))
            if seen:
                transaction.accounts.set_keyholder_seen(tenant, seen)
    return opened, cluster, Handover(opened.store, opened.runs.book, cluster), leadership  # type: ignore[arg-type]


def test_all_runs_are_handed_over_but_those_whose_keyholder_is_away(playing):
    factory, cluster, handover, leadership = playing
    with factory.store.write() as transaction:
        for number in range(300):
            add_run(transaction, made("t-a", number))
        add_run(transaction, made("t-b", 1))
    for _ in range(20):
        handover.look(leadership)
    assert len(set(cluster.taken)) == len(cluster.taken) == 300
    with factory.store.read() as transaction:
        (waiting,) = transaction.runs.queued_runs(9)
        assert {one.attempt for one in transaction.runs.watched().values()} == {name for _, name in cluster.taken}
    assert (waiting.tenant, waiting.reason[:36]) == ("t-b", "Waits for the tenant's keyholder, wh")


def test_tasks_of_a_sweep_are_one_array_however_many_tenants_wait(playing):
    factory, cluster, handover, leadership = playing
    sweep = "r-abcdefghijklmnop"
    with factory.store.write() as transaction:
        for number in range(1, 1202):
            add_run(transaction, replace(made("t-a", 0), run=task_run(sweep, number), sweep=sweep))
        for number in range(600):  # so many that one pass reads but two runs of each tenant
            tenant = f"t-{number}"
            transaction.accounts.add_tenant(Tenant(tenant, tenant, "", 1, "2026-11-23T08:00:00Z"))
            add_run(transaction, made(tenant, 1))
    for _ in range(5):
        handover.look(leadership)
    assert cluster.arrays == [1000, 201]
    assert len(set(cluster.taken)) == 1201


def test_many_runs_that_ask_for_the_same_are_one_array_and_others_keep_jobs_of_their_own(playing):
    factory, cluster, handover, leadership = playing
    larger = Resources(cpus=2)
    with factory.store.write() as transaction:
        for number in range(20):
            add_run(transaction, made("t-a", number))
        add_run(transaction, made("t-a", 20, priority=1))
        add_run(transaction, made("t-a", 21, resources=larger))
        add_run(transaction, made("t-a", 22, cap_s=61))
        add_run(transaction, made("t-a", 23, slurm=SlurmOptions(constraint="fast")))
        add_run(transaction, made("t-a", 24, flexible_until="2026-11-23T20:00:00Z"))
    handover.look(leadership)
    assert cluster.arrays == [20]
    assert len(set(cluster.taken)) == 25
    with factory.store.read() as transaction:
        runs = {one.attempt: one.run for one in transaction.runs.watched().values()}
    assert {name for _, name in cluster.taken} == set(runs)
    assert len(set(runs.values())) == 25, "each run has one attempt"


def test_a_few_runs_that_ask_for_the_same_have_a_job_each(playing):
    factory, cluster, handover, leadership = playing
    with factory.store.write() as transaction:
        for number in range(7):
            add_run(transaction, made("t-a", number))
    handover.look(leadership)
    assert (cluster.arrays, len(cluster.taken)) == ([], 7)


def test_runs_that_may_wait_for_a_better_hour_do_not_stand_in_the_way_of_those_that_may_not(playing):
    factory, cluster, _, leadership = playing
    now = factory.runs.book.clock()
    hours = tuple((now.timestamp() + 3600 * number, worth) for number, worth in enumerate((0.0, 0.0, 1.0)))
    power = Permit(watts=1.0, full_watts=1.0, idle_watts=0.0, since=0.0, until=0.0, reason="", outlook=hours)
    handover = Handover(factory.store, factory.runs.book, cluster, lambda _now: power)
    patient, late = (format_time(now + timedelta(hours=hours)) for hours in (9, 1))
    with factory.store.write() as transaction:
        for number in range(1100):
            add_run(transaction, made("t-a", number, flexible_until=patient))
        add_run(transaction, made("t-a", 2000))
        add_run(transaction, made("t-a", 2001, flexible_until=late))
    handover.look(leadership)
    with factory.store.read() as transaction:
        assert {one.run for one in transaction.runs.watched().values()} == {"r-t-a2000", "r-t-a2001"}


def test_of_many_tenants_each_has_its_turn_and_those_that_cannot_start_keep_nobody_away(playing):
    factory, cluster, handover, leadership = playing
    hours = tuple((factory.runs.book.clock().timestamp() + 3600 * at, worth) for at, worth in enumerate((0, 0, 1)))
    power = Permit(watts=1.0, full_watts=1.0, idle_watts=0.0, since=0.0, until=0.0, reason="", outlook=hours)
    handover = Handover(factory.store, factory.runs.book, cluster, lambda _now: power)
    patient = format_time(factory.runs.book.clock() + timedelta(hours=9))
    with factory.store.write() as transaction:
        for number in range(300):  # a third may wait, a third's keyholder is away, a third can go
            tenant = f"t-{number:03d}"
            transaction.accounts.add_tenant(Tenant(tenant, tenant, "", 1, "2026-11-23T08:00:00Z"))
            if number % 3:
                transaction.accounts.set_keyholder_seen(tenant, factory.runs.book.now())
            may_wait = patient if number % 3 == 1 else ""
            add_run(transaction, made(tenant, 1, flexible_until=may_wait))
    for _ in range(4):
        handover.look(leadership)
    assert sorted(tenant for tenant, _ in cluster.taken) == [f"t-{number:03d}" for number in range(2, 300, 3)]
    with factory.store.read() as transaction:
        waiting = transaction.runs.queued_runs(1)
    assert {run.reason.split(",")[0] for run in waiting} == {
        "Waits for the tenant's keyholder",
        "May wait",
    }


def test_why_the_clusters_queue_holds_runs_is_written_down_where_it_changed(playing):
    factory, cluster, handover, leadership = playing
    cluster.answers = True
    with factory.store.write() as transaction:
        for number in range(3):
            add_run(transaction, made("t-a", number))
    handover.look(leadership)
    supervisor = watching(factory, cluster)
    for _ in range(2):
        supervisor.look(leadership)
    with factory.store.read() as transaction:
        told = transaction.runs.watched().values()
    assert {(one.state, one.reason, one.revision) for one in told} == {(RunState.PENDING, cluster.sentence, 3)}


def test_one_that_is_stopped_is_taken_out_of_the_clusters_queue_and_others_are_left_alone(playing):
    factory, cluster, handover, leadership = playing
    cluster.answers = True
    with factory.store.write() as transaction:
        for number in range(3):
            add_run(transaction, made("t-a", number, deadline="2100-01-01T00:00:00Z"))
    handover.look(leadership)
    supervisor = watching(factory, cluster)
    supervisor.look(leadership)
    assert cluster.killed == []
    with factory.store.write() as transaction:
        run = transaction.runs.run("t-a", "r-t-a1")
        factory.runs.book.change(transaction, run, reason="Stopped.", stop=StopCause.STOP)
    supervisor.look(leadership)
    with factory.store.read() as transaction:
        names = {one.run: one.attempt for one in transaction.runs.watched().values()}
    assert cluster.killed == [names["r-t-a1"]]


def test_while_the_cluster_does_not_answer_what_waits_says_so_and_nobody_is_judged(playing):
    factory, cluster, handover, leadership = playing
    with factory.store.write() as transaction:
        add_run(transaction, made("t-a", 1))
        add_run(transaction, made("t-b", 1))
    handover.look(leadership)
    supervisor = watching(factory, cluster)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            supervisor.look(leadership)
    with factory.store.read() as transaction:
        (pending,), (queued,) = transaction.runs.watched().values(), transaction.runs.queued_runs(9)
    assert (pending.state, pending.reason, queued.reason) == (RunState.PENDING, SILENCE, SILENCE)


def test_runs_that_ask_for_the_same_are_one_turn_where_they_are_enough():
    alike = [made("t-a", number, position=number) for number in range(9)]
    other = made("t-a", 99, cap_s=61, position=4)
    assert [len(turn) for turn in in_turns([*alike, other], "")] == [9, 1]
    assert [len(turn) for turn in in_turns([*alike[:7], other], "")] == [1] * 8
    assert [len(turn) for turn in in_turns([made("t-a", n) for n in range(450)], "")] == [200, 200, 50]


def test_the_tasks_of_a_sweep_are_handed_over_together():
    tasks = [replace(made("t-a", number), run=f"r-s-{number}", sweep="r-s") for number in (1, 2, 3)]
    turns = in_turns([*tasks, made("t-a", 9), made("t-b", 1)], "")
    assert [[run.run for run in turn] for turn in turns] == [
        ["r-s-1", "r-s-2", "r-s-3"],
        ["r-t-b1"],
        ["r-t-a9"],
    ]
