"""Submission, the view of the queue, and commands against a real Slurm."""

import signal
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.engines.slurm.job_facts import Exit, JobKey
from kifabrik.engines.slurm.node_view import NodeView
from kifabrik.engines.slurm.queue_view import Form, QueueView
from kifabrik.engines.slurm.reasons import Advice, explain
from kifabrik.engines.slurm.script import Submission
from kifabrik.engines.slurm.states import JobState, Phase
from kifabrik.engines.slurm.submission import Submitter
from kifabrik.errors import CapacityError, NotFoundError, RefusedError, UnavailableError, UsageError
from kifabrik.orders.slurm_options import SlurmOptions
from kifabrik.values import Resources

SMALL = Resources(cpus=1, memory_bytes=50 * 2**20)


@pytest.fixture
def commands(cluster):
    return SlurmCommands(cluster.conf)


@pytest.fixture
def view(commands):
    return QueueView(commands)


@pytest.fixture
def submitter(commands, view, cluster):
    found = Submitter(commands, view)
    yield found
    cluster.run("scancel", "--quiet", "--state=PENDING")
    cluster.run("scancel", "--quiet", "--state=RUNNING")


class LosesAnswers(SlurmCommands):
    """Slurm, over a line that breaks after sbatch was heard and before its answer is."""

    def run(self, program, *arguments, **options):
        said = super().run(program, *arguments, **options)
        if program == "sbatch":
            raise UnavailableError("the line broke")
        return said


def submission(name, **changes):
    return Submission(**{"name": name, "resources": SMALL, "limit_s": 60} | changes)


def script(body):
    return f"#!/bin/sh\n{body}\n"


def facts_of(view, job, user):
    """What Slurm knows of a job: the queue's word, or else what accounting remembers."""
    queued = view.one(job, user)
    (one,) = queued or view.remembered([JobKey(job)], datetime.now(UTC) - timedelta(days=1))
    return one


@pytest.mark.parametrize("form", Form)
def test_a_run_is_seen_from_its_queue_to_its_end(form, commands, submitter, user, eventually):
    view = QueueView(commands, form)
    job = submitter.submit(submission(f"kf-seen-{form}"), script("sleep 1; exit 7"), user)
    seen = eventually(lambda: (one := facts_of(view, job, user)).phase is Phase.ENDED and one)
    assert (seen.state, seen.exit, seen.user, seen.name) == (JobState.FAILED, Exit(7), user, f"kf-seen-{form}")
    assert seen.nodes[0] in ("n1", "n2", "n3", "n4")


@pytest.mark.parametrize("form", Form)
def test_what_is_new_is_told_once_whichever_way_slurm_writes(cluster, form, commands, submitter, user, eventually):
    view = QueueView(commands, form)
    name = f"kf-news-{form}"
    job = submitter.submit(submission(name), script("sleep 60"), user)

    def news():
        changes = view.changes([user])
        return [[one.state for one in jobs if one.key == JobKey(job)] for jobs in (changes.gone, changes.come)]

    def until(state):
        return eventually(lambda: (told := news()) and state in told[1] and told)

    until(JobState.RUNNING)
    eventually(lambda: news() == [[], []])  # a job that has just begun may still change: told again, then never
    for known in (view.one(job, user), view.named(name, user)):
        assert [(one.key, one.state) for one in known] == [(JobKey(job), JobState.RUNNING)]
    assert view.named(name, "nobody") == []
    cluster.run("scancel", str(job))
    until(JobState.CANCELLED)
    assert [one.state for one in view.named(name, user)] == [JobState.CANCELLED]


def test_a_lost_answer_does_not_start_a_second_job(cluster, view, submitter, user):
    losing = Submitter(LosesAnswers(cluster.conf), view)
    first = losing.submit(submission("kf-lost"), script("sleep 60"), user)
    again = submitter.submit(submission("kf-lost"), script("sleep 60"), user, first=False)
    assert first == again
    assert len(view.named("kf-lost", user)) == 1


def test_without_looking_first_there_would_be_two(view, submitter, user):
    """The control: what `first=False` is for."""
    submitter.submit(submission("kf-twice"), script("sleep 60"), user)
    submitter.submit(submission("kf-twice"), script("sleep 60"), user)
    assert len(view.named("kf-twice", user)) == 2


def test_a_run_that_ended_is_still_that_run(view, submitter, user, eventually):
    job = submitter.submit(submission("kf-ended"), script("true"), user)
    eventually(lambda: facts_of(view, job, user).phase is Phase.ENDED)
    assert submitter.submit(submission("kf-ended"), script("true"), user, first=False) == job


def test_another_users_job_of_the_same_name_is_another_run(view, submitter, user, other_user):
    mine = submitter.submit(submission("kf-same"), script("sleep 60"), user)
    theirs = submitter.submit(submission("kf-same"), script("sleep 60"), other_user, first=False)
    assert mine != theirs
    assert JobKey(theirs) not in {one.key for one in view.changes([user]).come}
    assert JobKey(theirs) in {one.key for one in view.changes([user, other_user]).come}


def test_no_variable_of_the_service_reaches_the_job(cluster, submitter, user, eventually, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_SERVICE", "x")
    output = cluster.folder / "jobs" / "environment.out"
    submitter.submit(submission("kf-env", output=str(output)), script("env; echo end"), user)
    eventually(lambda: output.exists() and output.read_text().endswith("end\n"))
    names = {line.partition("=")[0] for line in output.read_text().splitlines()}
    assert "SECRET_OF_THE_SERVICE" not in names
    assert "SLURM_JOB_ID" in names


def test_an_array_with_a_throttle_runs_so_many_at_once(view, submitter, user, eventually):
    options = SlurmOptions(array="1-5%2")
    job = submitter.submit(submission("kf-array", options=options), script("sleep 60"), user)

    def tasks():
        return view.one(job, user)

    eventually(lambda: sum(one.phase is Phase.RUNNING for one in tasks()) == 2)
    assert sorted(one.key.task for one in tasks()) == [1, 2, 3, 4, 5]
    assert "JobArrayTaskLimit" in {one.reason for one in tasks()}
    submitter.cancel(job)
    eventually(lambda: all(one.phase is Phase.ENDED for one in tasks()))
    submitter.cancel(job)


def test_a_requeued_run_keeps_its_number_and_counts_its_restarts(commands, view, submitter, user, eventually):
    job = submitter.submit(submission("kf-requeue", options=SlurmOptions(requeue=True)), script("sleep 600"), user)

    def facts():
        return facts_of(view, job, user)

    eventually(lambda: facts().phase is Phase.RUNNING)
    commands.run("scontrol", "requeue", str(job))
    eventually(lambda: (one := facts()).restarts == 1 and one.phase is Phase.WAITING)


def test_a_run_that_has_to_go_gets_its_signal_first_and_is_requeued(cluster, view, submitter, user, eventually):
    output = cluster.folder / "jobs" / "preempted.out"
    options = SlurmOptions(partition="scavenge", requeue=True, exclusive=True)
    body = "trap 'echo got TERM; exit 0' TERM; echo start; while :; do sleep 0.1; done"
    names = {"limit_s": 600, "resources": Resources(cpus=1, memory_bytes=2**25, nodes=1)}
    low = submitter.submit(submission("kf-low", options=options, output=str(output), **names), script(body), user)
    eventually(lambda: output.exists() and "start" in output.read_text())
    everything = Resources(cpus=16, memory_bytes=2**25, nodes=4)
    submitter.submit(submission("kf-high", resources=everything), script("sleep 5"), user)
    facts = eventually(lambda: (one := facts_of(view, low, user)).phase is not Phase.RUNNING and one)
    assert facts.state in (JobState.PENDING, JobState.COMPLETING, JobState.PREEMPTED, JobState.REQUEUED)
    assert eventually(lambda: "got TERM" in output.read_text() or "start\nstart" in output.read_text())


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"options": SlurmOptions(partition="nowhere")}, UsageError),
        ({"options": SlurmOptions(qos="nobody")}, UsageError),
        ({"options": SlurmOptions(constraint="unheard-of")}, UsageError),
        ({"options": SlurmOptions(reservation="none")}, RefusedError),
        ({"options": SlurmOptions(licenses="nothing:1")}, UsageError),
        ({"options": SlurmOptions(account="others")}, RefusedError),
        ({"resources": Resources(gpu_count=9)}, CapacityError),
        ({"resources": Resources(memory_bytes=2**50)}, CapacityError),
    ],
)
def test_what_slurm_refuses_is_one_of_our_errors_with_advice(submitter, user, changes, error):
    with pytest.raises(error) as refused:
        submitter.submit(submission("kf-refused", **changes), script("true"), user)
    assert refused.value.hint


def test_more_nodes_than_there_are_wait_with_a_reason_that_says_to_change_the_order(
    view, submitter, user, eventually
):
    """Unless the operator sets EnforcePartLimits: then sbatch refuses."""
    job = submitter.submit(submission("kf-many", resources=Resources(nodes=99)), script("true"), user)
    reason = eventually(lambda: (r := facts_of(view, job, user).reason) not in ("", "Priority") and r)
    assert explain(reason).advice is Advice.CHANGE


def test_a_stopped_controller_is_unavailable_and_not_an_empty_queue(cluster, user, view):
    cluster.kill("slurmctld", signal.SIGSTOP)
    try:
        impatient = SlurmCommands(cluster.conf, patience_s=2)
        with pytest.raises(UnavailableError, match="did not answer within 2 s"):
            QueueView(impatient).changes([user])
    finally:
        cluster.kill("slurmctld", signal.SIGCONT)
    view.changes([user])


def test_without_accounting_nobody_says_that_a_job_is_not_there(cluster, view, eventually):
    gone, since = JobKey(66_000_000), datetime.now(UTC) - timedelta(days=1)
    assert view.remembered([gone], since) == []
    cluster.kill("slurmdbd", signal.SIGKILL)
    try:
        with pytest.raises(UnavailableError):
            view.remembered([gone], since)
    finally:
        cluster.start("slurmdbd")

    def answers():
        with suppress(UnavailableError):
            return view.remembered([gone], since) == []

    eventually(answers)


def test_jobs_are_cancelled_together_though_some_of_them_are_gone(view, submitter, user, eventually):
    jobs = [submitter.submit(submission(f"kf-many-{number}"), script("sleep 60"), user) for number in range(3)]
    submitter.cancel(66_000_000, jobs[0], JobKey(66_000_001), *map(JobKey, jobs[1:]))
    eventually(lambda: all(facts_of(view, job, user).phase is Phase.ENDED for job in jobs))
    assert {facts_of(view, job, user).state for job in jobs} == {JobState.CANCELLED}


@pytest.mark.parametrize("wish", [{"begin": "now+1days"}, {"dependency": "afterok:1"}], ids=["begin", "dependency"])
def test_accounting_knows_what_was_cancelled_before_it_could_begin(view, submitter, user, eventually, wish):
    """Of an attempt that is unheard of, another job would be submitted."""
    before = submitter.submit(submission("kf-before"), script("sleep 60"), user)
    wish = {name: value.replace("afterok:1", f"afterok:{before}") for name, value in wish.items()}
    name = f"kf-never-began-{next(iter(wish))}"
    job = submitter.submit(submission(name, options=SlurmOptions(**wish)), script("true"), user)
    submitter.cancel(job)
    submitter.cancel(before)
    start = datetime.now(UTC) - timedelta(minutes=5)
    found = eventually(lambda: [one for one in view.since(start, [user]) if one.name == name])
    assert [(one.key, one.state) for one in found] == [(JobKey(job), JobState.CANCELLED)]


def test_a_user_that_does_not_exist_and_root_are_refused(submitter):
    with pytest.raises(NotFoundError, match="no Unix user"):
        submitter.submit(submission("kf-x"), script("true"), "kf-nobody-at-all")


def test_nodes_and_partitions_are_what_the_cluster_was_built_with(cluster, commands):
    view = NodeView(commands)
    cluster.run("scontrol", "update", "NodeName=n4", "State=DRAIN", "Reason=ECC errors = bad")
    try:
        nodes = {node.name: node for node in view.nodes()}
        assert set(nodes) == {"n1", "n2", "n3", "n4"}
        assert nodes["n1"].gpus == {"h200": 8}
        assert "DRAIN" not in nodes["n1"].states
        assert "DRAIN" in nodes["n4"].states
        assert nodes["n4"].reason == "ECC errors = bad"
    finally:
        cluster.run("scontrol", "update", "NodeName=n4", "State=RESUME")
    partitions = {one.name: one for one in view.partitions()}
    assert partitions["main"].default
    assert (partitions["scavenge"].preemptible, partitions["scavenge"].grace_s) == (True, 2)
    assert commands.version.year >= 22
