"""What Slurm writes about jobs, read: recorded from 22.05.8, and in the shapes of every release to 25.11."""

import contextlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from slurm_shapes import COUNTS_RESTARTS, VERSIONS, accounting_entry, accounting_line, queue_entry, queue_line

from kifabrik.engines.slurm import queue_json, queue_text
from kifabrik.engines.slurm.job_facts import Exit, JobFacts, JobKey, parse_tasks
from kifabrik.engines.slurm.reasons import Advice, explain
from kifabrik.engines.slurm.states import PHASES, JobState, Phase, parse_state
from kifabrik.errors import IntegrityError

RECORDED = Path(__file__).parent / "recorded"


def recorded(name):
    return (RECORDED / f"slurm-22.05.8-{name}").read_text()


QUEUES = {
    "text": queue_text.read_queue(recorded("squeue.txt")),
    "json": queue_json.read_queue(recorded("squeue.json")),
}
PASTS = {
    "text": queue_text.read_accounting(recorded("sacct.txt")),
    "json": queue_json.read_accounting(recorded("sacct.json")),
}


def named(listing, name):
    return [job for job in listing.jobs if job.name == name]


@pytest.mark.parametrize("form", QUEUES)
@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("waits-resources", JobState.PENDING, "Nodes required for job are DOWN"),
        ("waits-priority", JobState.PENDING, "Priority"),
        ("waits-dependency", JobState.PENDING, "Dependency"),
        ("waits-never", JobState.PENDING, "DependencyNeverSatisfied"),
        ("waits-begin", JobState.PENDING, "BeginTime"),
        ("waits-held-user", JobState.PENDING, "JobHeldUser"),
        ("waits-held-admin", JobState.PENDING, "JobHeldAdmin"),
        ("waits-reservation", JobState.PENDING, "Reservation"),
        ("waits-partition-down", JobState.PENDING, "PartitionDown"),
        ("waits-partition-time", JobState.PENDING, "PartitionTimeLimit"),
        ("waits-drained-node", JobState.PENDING, "ReqNodeNotAvail, UnavailableNodes:n4"),
        ("requeued-by-hand", JobState.PENDING, "job requeued in held state"),
        ("node-requeued", JobState.PENDING, "BeginTime"),
        ("preempted-requeued", JobState.PENDING, "BeginTime"),
        ("running-gpus", JobState.RUNNING, ""),
        ("completing", JobState.COMPLETING, ""),
        ("completed", JobState.COMPLETED, ""),
        ("cancelled", JobState.CANCELLED, ""),
        ("failed-3", JobState.FAILED, "NonZeroExitCode"),
        ("failed-signal", JobState.FAILED, "JobLaunchFailure"),
        ("timeout", JobState.TIMEOUT, "TimeLimit"),
        ("out-of-memory", JobState.OUT_OF_MEMORY, "OutOfMemory"),
        ("node-fail", JobState.NODE_FAIL, "NodeDown"),
    ],
)
def test_a_recorded_job_is_in_the_condition_its_name_says(form, name, state, reason):
    (job,) = named(QUEUES[form], name)
    assert job.state is state
    assert job.reason.startswith(reason)
    assert bool(job.reason) == bool(reason)


@pytest.mark.parametrize("form", QUEUES)
@pytest.mark.parametrize(
    ("name", "reason"),
    [("waits-licences", "Licenses"), ("waits-qos-gpus", "QOSGrpGRES"), ("waits-account-jobs", "AssocGrpJobsLimit")],
)
def test_of_two_recorded_jobs_one_waits_for_the_other(form, name, reason):
    assert sorted(job.reason for job in named(QUEUES[form], name)) == ["", reason]


@pytest.mark.parametrize("form", QUEUES)
def test_ends_places_and_restarts_are_read(form):
    def only(name):
        return named(QUEUES[form], name)[0]

    assert only("failed-3").exit == Exit(3, 0)
    assert only("failed-signal").exit == Exit(0, 11)
    assert only("running-gpus").exit is None
    assert only("running-several-nodes").nodes == ("n1", "n2")
    assert (only("preempted-requeued").restarts, only("completed").restarts) == (1, 0)
    assert only("waits-resources").start > only("waits-resources").submitted
    assert only("waits-dependency").start is None
    assert only("running-gpus").end.minute == only("running-gpus").start.minute


@pytest.mark.parametrize("form", QUEUES)
def test_tasks_of_an_array_and_parts_of_a_job_have_their_own_keys(form):
    tasks = named(QUEUES[form], "array")
    assert sorted(job.key.task for job in tasks) == [1, 3, 5, 7, 9]
    assert len({job.key.job for job in tasks}) == 1
    assert {job.key.task: job.phase for job in tasks} == {
        1: Phase.RUNNING, 3: Phase.RUNNING, 5: Phase.WAITING, 7: Phase.WAITING, 9: Phase.WAITING
    }  # fmt: skip
    parts = named(QUEUES[form], "het")
    assert sorted((job.key.part, str(job.key)) for job in parts) == [(0, "18"), (1, "18+1")] or len(parts) == 2


def test_text_and_json_say_the_same():
    texts = {job.key: job for job in QUEUES["text"].jobs}
    read = {job.key: job for job in QUEUES["json"].jobs if "|" not in job.name}
    assert texts == read
    assert len(texts) > 35


def test_accounting_remembers_how_jobs_ended():
    ends = {job.name: (job.state, job.exit) for job in PASTS["text"].jobs if job.phase is Phase.ENDED}
    assert ends["completed"] == (JobState.COMPLETED, Exit())
    assert ends["failed-3"] == (JobState.FAILED, Exit(3, 0))
    assert ends["failed-signal"] == (JobState.FAILED, Exit(0, 11))
    assert ends["cancelled"] == (JobState.CANCELLED, Exit())
    assert ends["timeout"][0] is JobState.TIMEOUT
    assert ends["node-fail"][0] is JobState.NODE_FAIL
    assert ends["preempted-requeued"][0] is JobState.PREEMPTED


def test_the_accounting_of_22_05_forgets_exit_codes_in_json_and_not_in_text():
    """Why text is read: this is what Slurm 22.05.8 writes about a job that ended with 3."""
    (entry,) = [job for job in json.loads(recorded("sacct.json"))["jobs"] if job["name"] == "failed-3"]
    assert entry["exit_code"] == {"status": "SUCCESS", "return_code": 0}
    assert named(PASTS["text"], "failed-3")[0].exit == Exit(3, 0)


def test_a_name_with_separators_and_line_breaks_is_no_second_job():
    """The recorded job named itself `bad|name, with <US> and<newline>1<US>a line of its own`."""
    assert QUEUES["text"].unreadable == 2
    assert all(job.name != "a line of its own" for job in QUEUES["text"].jobs)


def test_every_reason_that_was_recorded_is_explained():
    for job in QUEUES["text"].jobs:
        assert "does not know" not in explain(job.reason).sentence
    assert explain("Licenses").advice is Advice.WAIT


def test_a_whole_record_inside_a_name_is_believed_so_only_users_the_factory_submits_as_are_asked_about():
    """The limit of the text form: why `QueueView.look` is given users, and submission refuses such names."""
    job = next(job for job in QUEUES["text"].jobs if job.name == "completed")
    inner = queue_line(replace(job, key=JobKey(999), raw=999)).rstrip("\n" + queue_text.SEPARATOR)
    found = queue_text.read_queue(queue_line(replace(job, name=f"x\n{inner}")))
    assert [one.key.job for one in found.jobs] == [job.key.job, 999]


MOMENTS = st.none() | st.integers(1_600_000_000, 3_700_000_000).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)
WORDS = st.text(st.characters(categories=["Ll", "Lu", "Nd"], max_codepoint=127), min_size=1, max_size=12)
NAMES = st.text(st.characters(blacklist_characters="\x1f\n\0", blacklist_categories=["Cs"]), max_size=40)


@st.composite
def jobs(draw, *, ended=False):
    states = [state for state in JobState if PHASES[state] is Phase.ENDED or not ended]
    state = draw(st.sampled_from(states))
    raw = draw(st.integers(1, 2**26))
    kind = draw(st.sampled_from(["plain", "task", "part"]))
    key = {
        "plain": JobKey(raw),
        "task": JobKey(draw(st.integers(1, raw)), draw(st.integers(0, 9_000))),
        "part": JobKey(draw(st.integers(1, raw)), -1, draw(st.integers(1, 120))),
    }[kind]
    over = PHASES[state] is Phase.ENDED
    exits = st.builds(Exit, st.integers(0, 255)) | st.builds(Exit, st.just(0), st.integers(1, 64))
    return JobFacts(
        key=key,
        raw=raw,
        name=draw(NAMES),
        user=draw(WORDS),
        account=draw(WORDS),
        partition=draw(WORDS),
        state=state,
        reason=draw(st.sampled_from(["", "Priority", "AssocGrpGRES", "ReqNodeNotAvail, UnavailableNodes:n1"])),
        nodes=tuple(draw(st.lists(st.from_regex(r"n[0-9]{1,4}", fullmatch=True), max_size=4))),
        submitted=draw(MOMENTS),
        start=draw(MOMENTS),
        end=None if PHASES[state] is Phase.WAITING else draw(MOMENTS),
        exit=draw(exits) if over else None,
        restarts=-1 if ended else draw(st.integers(0, 99)),
    )


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=40)
@given(listed=st.lists(jobs(), max_size=4))
def test_a_queue_is_read_from_the_json_of_every_release(version, listed):
    text = json.dumps({"meta": {}, "jobs": [queue_entry(job, version) for job in listed]})
    assert queue_json.read_queue(text) == queue_text.Listing(tuple(listed))


@pytest.mark.parametrize("version", VERSIONS)
@settings(max_examples=40)
@given(listed=st.lists(jobs(ended=True), max_size=4), restarts=st.integers(0, 99))
def test_accounting_is_read_from_the_json_of_every_release(version, listed, restarts):
    if version in COUNTS_RESTARTS:
        listed = [replace(job, restarts=restarts) for job in listed]
    text = json.dumps({"meta": {}, "jobs": [accounting_entry(job, version) for job in listed]})
    assert queue_json.read_accounting(text) == queue_text.Listing(tuple(listed))


@settings(max_examples=40)
@given(listed=st.lists(jobs(), max_size=4))
def test_a_queue_is_read_from_text(listed):
    assert queue_text.read_queue("".join(map(queue_line, listed))) == queue_text.Listing(tuple(listed))


@settings(max_examples=40)
@given(listed=st.lists(jobs(ended=True), max_size=4))
def test_accounting_is_read_from_text(listed):
    assert queue_text.read_accounting("".join(map(accounting_line, listed))) == queue_text.Listing(tuple(listed))


@given(st.text())
def test_whatever_stands_there_instead_is_counted_and_not_believed(text):
    assert queue_text.read_queue(text).jobs == ()
    assert queue_text.read_accounting(text).jobs == ()
    with contextlib.suppress(IntegrityError):
        assert queue_json.read_queue(text).jobs == ()


def test_a_state_nobody_has_heard_of_is_an_error_and_a_list_of_states_shows_the_strongest():
    with pytest.raises(IntegrityError, match="MELTING"):
        parse_state("MELTING")
    assert parse_state(["RUNNING", "COMPLETING"]) is JobState.COMPLETING
    assert parse_state(["PENDING", "REQUEUED"]) is JobState.PENDING
    assert parse_state("CANCELLED by 0") is JobState.CANCELLED


@pytest.mark.parametrize("state", [state for state in JobState if state is not JobState.UPDATE_DB])
def test_a_flag_beside_its_base_state_as_json_has_it_means_what_the_flag_alone_means_in_text(state):
    """Text shows one word, JSON from 23.11 on the base state first; both have to lead to the same.

    UPDATE_DB is left out: what slurmctld has yet to tell slurmdbd does not change how the job stands.
    """
    bases = {Phase.WAITING: "PENDING", Phase.RUNNING: "RUNNING", Phase.ENDING: "COMPLETED"}
    assert PHASES[parse_state([bases.get(PHASES[state], "FAILED"), state])] is PHASES[parse_state(state)]


def test_expressions_of_tasks():
    assert parse_tasks("0-3,7,10-20:5%4") == (0, 1, 2, 3, 7, 10, 15, 20)
    for wrong in ("", "1-", "1,...", "a", "5-99999999999"):
        with pytest.raises(IntegrityError):
            parse_tasks(wrong)
