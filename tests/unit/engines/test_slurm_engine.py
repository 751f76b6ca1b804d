"""What the engine keeps of jobs from look to look, with Slurm's commands played."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import pytest
from slurm_shapes import accounting_line, queue_line

from kifabrik.engines.slurm.account_plan import unix_user
from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.engines.slurm.engine import SlurmEngine, SlurmSettings
from kifabrik.engines.slurm.job_facts import Exit, JobFacts, JobKey
from kifabrik.engines.slurm.states import JobState
from kifabrik.errors import CapacityError, NotFoundError, UsageError
from kifabrik.factory.capacity import Demand
from kifabrik.factory.engine import Fate, Life, Task, array_attempt
from kifabrik.orders.slurm_options import SlurmOptions
from kifabrik.runs.states import Outcome
from kifabrik.values import Place, Resources

TENANT = "t-abcdefghijklmnopqrstuvwxyz234567"
USER = unix_user(TENANT)
ATTEMPT = "a-abcdefghijklmnop"
OTHER = "a-ponmlkjihgfedcba"
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
RUNNING = JobFacts(
    JobKey(7), 7, f"{ATTEMPT}.1", USER, TENANT, "main", JobState.RUNNING, "", ("n1", "n2"), NOW, NOW, None, None, 0
)
CANCELLED = replace(RUNNING, state=JobState.CANCELLED, end=NOW, exit=Exit(0, 15))
PREEMPTED = replace(RUNNING, state=JobState.PREEMPTED, end=NOW, exit=Exit())


@dataclass(frozen=True)
class PlayedCommands(SlurmCommands):
    """A queue and accounting that a test fills, and what they were asked."""

    queue: dict[int, JobFacts] = field(default_factory=dict)
    accounting: list[JobFacts] = field(default_factory=list)
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, program, *arguments, user="", stdin="", patience_s=0):
        self.asked.append((program, *arguments))
        if program == "sacct":
            return "".join(accounting_line(job) for job in self.accounting)
        chosen = [word.removeprefix("--jobs=") for word in arguments if word.startswith("--jobs=")]
        users = next(word for word in arguments if word.startswith("--user=")).removeprefix("--user=").split(",")
        if chosen and int(chosen[0]) not in self.queue:
            raise NotFoundError("Invalid job id specified")
        jobs = [self.queue[int(chosen[0])]] if chosen else self.queue.values()
        return "".join(queue_line(job) for job in jobs if job.user in users)


@dataclass(frozen=True)
class RefusingCommands(SlurmCommands):
    """A Slurm that takes no arrays, and only so many jobs."""

    most: int = 0
    taken: list[str] = field(default_factory=list)

    def run(self, program, *arguments, user="", stdin="", patience_s=0):
        name = next(word for word in arguments if word.startswith("--job-name=")).partition("=")[2]
        if any(word.startswith("--array=") for word in arguments):
            raise UsageError("Invalid job array specification")
        if len(self.taken) == self.most:
            raise CapacityError("Job violates accounting/QOS policy")
        self.taken.append(name)
        return f"{len(self.taken)}\n"


@dataclass(frozen=True)
class TakingCommands(SlurmCommands):
    """A Slurm that takes everything, or knows no feature."""

    features: bool = True
    constraints: list[str] = field(default_factory=list)

    def run(self, program, *arguments, user="", stdin="", patience_s=0):
        asked = [word.partition("=")[2] for word in arguments if word.startswith("--constraint=")]
        self.constraints.append("".join(asked))
        if asked and not self.features:
            raise UsageError("no node has this feature", hint="See: sinfo")
        return "7\n"


@pytest.fixture
def slurm():
    return PlayedCommands()


@pytest.fixture
def engine(slurm):
    return SlurmEngine(slurm, SlurmSettings(("/stub",)), lambda: [TENANT])


def test_a_forgotten_attempt_is_not_named_again_while_the_queue_shows_its_end(engine, slurm):
    slurm.queue[7] = CANCELLED
    assert engine.poll() == {ATTEMPT: Life.GONE}
    engine.forget(ATTEMPT)
    assert engine.poll() == {}
    slurm.queue.clear()
    assert engine.poll() == {}
    assert not engine.fates([ATTEMPT], NOW)[ATTEMPT].outcome, "nothing of it is kept"


def test_an_end_the_queue_has_told_is_kept_until_it_is_forgotten(engine, slurm):
    slurm.queue[7] = CANCELLED
    engine.poll()
    slurm.queue.clear()
    engine.poll()
    assert engine.fates([ATTEMPT], NOW)[ATTEMPT].outcome is Outcome.STOPPED
    assert not [words for words in slurm.asked if words[0] == "sacct"]
    engine.forget(ATTEMPT)
    assert engine.fates([ATTEMPT], NOW) == {ATTEMPT: Fate()}


def test_how_one_ended_that_was_last_seen_alive_is_said_by_accounting(engine, slurm):
    slurm.queue[7] = RUNNING
    engine.poll()
    slurm.queue.clear()
    assert engine.poll() == {}
    slurm.accounting.append(PREEMPTED)
    assert engine.fates([ATTEMPT], NOW)[ATTEMPT].outcome is Outcome.PREEMPTED


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (Exit(69), "the node's agent does not answer."),
        (Exit(15, 53), "its user cannot write to `output`, see factory.toml."),
        (Exit(3), "its job ended with status 3."),
    ],
)
def test_why_no_launcher_was_started_is_said_of_the_jobs_exit(engine, slurm, how, said):
    slurm.queue[7] = replace(RUNNING, state=JobState.FAILED, end=NOW, exit=how, nodes=("n1",))
    engine.poll()
    fate = engine.fates([ATTEMPT], NOW)[ATTEMPT]
    assert fate.sentence.startswith("No launcher could be started on n1: ")
    assert fate.sentence.endswith(said)


def test_one_that_accounting_takes_for_running_is_not_judged(engine, slurm):
    slurm.queue[7] = RUNNING
    engine.poll()
    slurm.queue.clear()
    engine.poll()
    slurm.accounting.append(RUNNING)
    assert engine.fates([ATTEMPT], NOW) == {}


def test_accounting_is_asked_for_one_that_it_takes_for_running_by_its_number_alone(engine, slurm):
    slurm.accounting.append(RUNNING)
    for _ in range(3):
        assert engine.fates([ATTEMPT], NOW) == {}
    assert [any(word.startswith("--user=") for word in words) for words in slurm.asked] == [True, False, False]
    assert all("--jobs=7" in words for words in slurm.asked[1:])
    slurm.accounting[:] = [PREEMPTED]
    assert engine.fates([ATTEMPT], NOW)[ATTEMPT].outcome is Outcome.PREEMPTED


def test_a_number_that_accounting_gave_to_another_job_is_not_believed(engine, slurm):
    slurm.queue[7] = RUNNING
    engine.poll()
    slurm.queue.clear()
    engine.poll()
    slurm.accounting.append(replace(PREEMPTED, name=f"{OTHER}.1"))
    assert engine.fates([ATTEMPT], NOW) == {ATTEMPT: Fate()}


def test_tasks_of_an_array_are_found_in_accounting_by_the_arrays_name_and_their_number(engine, slurm):
    array = "kf-abcdefghijklmnop"
    slurm.accounting.extend(replace(PREEMPTED, key=JobKey(7, task), name=array) for task in (1, 2, 3))
    wanted = [array_attempt(array, task) for task in (1, 3, 4)]
    fates = engine.fates(wanted, NOW)
    assert [fates[name].outcome for name in wanted] == [Outcome.PREEMPTED, Outcome.PREEMPTED, None]
    assert fates.keys() == set(wanted)


def test_accounting_is_asked_once_however_many_attempts_it_is_asked_about(engine, slurm):
    engine.fates([f"a-{number:016d}".translate(str.maketrans("0189", "abcd")) for number in range(5000)], NOW)
    (words,) = slurm.asked
    assert {"sacct", "--starttime=2026-11-23T11:00:00", f"--user={USER}"} <= set(words)


def test_fates_are_of_those_who_were_asked_about(engine, slurm):
    slurm.queue.update({7: CANCELLED, 8: replace(CANCELLED, key=JobKey(8), raw=8, name=f"{OTHER}.1")})
    engine.poll()
    assert engine.fates([OTHER], NOW).keys() == {OTHER}


def test_a_claim_is_answered_by_a_look_at_its_one_job(engine, slurm):
    slurm.queue.update({number: replace(RUNNING, key=JobKey(number), raw=number) for number in (7, 8)})
    assert engine.holds(ATTEMPT, 7, USER, "n1")
    assert [word for word in slurm.asked[0] if "=" in word][-2:] == ["--jobs=7", f"--user={USER}"]
    assert engine.holds(ATTEMPT, 7, USER, "n2"), "the same look serves the gang's other nodes"
    assert len(slurm.asked) == 1
    assert not engine.holds(ATTEMPT, 7, USER, "n3")


@pytest.mark.parametrize(
    "job",
    [
        replace(RUNNING, user="kf-somebodyelse00"),
        replace(RUNNING, name=f"{OTHER}.1"),
        replace(RUNNING, state=JobState.PENDING, nodes=()),
        replace(CANCELLED),
        replace(RUNNING, nodes=("n3",)),
    ],
    ids=["another user", "another attempt", "pending", "ended", "another node"],
)
def test_a_job_that_is_not_the_attempts_on_this_node_holds_nothing(engine, slurm, job):
    slurm.queue[7] = job
    assert not engine.holds(ATTEMPT, 7, USER, "n1")


def test_a_job_slurm_does_not_know_holds_nothing(engine):
    assert not engine.holds(ATTEMPT, 7, USER, "n1")


def test_jobs_of_an_array_that_slurm_does_not_take_are_submitted_one_by_one_until_it_refuses():
    slurm = RefusingCommands(most=2)
    engine = SlurmEngine(slurm, SlurmSettings(("/stub",)), lambda: [TENANT])
    array = "kf-abcdefghijklmnop"
    demand = Demand(Resources(cpus=1, memory_bytes=10**8), Place(), "3.11")
    tasks = [
        Task(array_attempt(array, number), TENANT, "", (), f"r-{number}", demand, 60, index=number, array=array)
        for number in range(1, 6)
    ]
    engine.submit_array(tasks)
    assert slurm.taken == [f"{task.attempt}.1" for task in tasks[:2]]
    refused = {task.attempt for task in tasks[2:]}
    fates = engine.fates(refused, NOW)
    assert {fate.outcome for fate in fates.values()} == {Outcome.NOT_TAKEN}
    assert fates.keys() == refused


def a_task(run, constraint="", **besides):
    demand = Demand(Resources(cpus=1, memory_bytes=10**8), Place(), "3.11")
    attempt = f"a-{run[2:] * 16}"[:18]
    return Task(attempt, TENANT, "", (), run, demand, 60, slurm=SlurmOptions(constraint=constraint), **besides)


def test_runs_whose_grants_ask_for_attested_nodes_are_put_on_those_of_the_feature_and_others_anywhere():
    slurm, settings = TakingCommands(), SlurmSettings(("/stub",), attested="tpm")
    engine = SlurmEngine(slurm, settings, lambda: [TENANT], lambda tenant, run: (tenant, run) == (TENANT, "r-a"))
    engine.submit(a_task("r-a"))
    engine.submit(a_task("r-a", "h200|h100"))
    engine.submit(a_task("r-b", "h200|h100"))
    engine.submit_array(
        [a_task(run, index=number, array="kf-abcdefghijklmnop") for number, run in enumerate(["r-b", "r-a"], 1)]
    )
    assert slurm.constraints == ["tpm", "(h200|h100)&tpm", "h200|h100", "tpm"]


def test_where_no_feature_is_named_nobody_is_asked_about_grants():
    def nobody(_tenant, _run):
        raise AssertionError

    slurm = TakingCommands()
    SlurmEngine(slurm, SlurmSettings(("/stub",)), lambda: [TENANT], nobody).submit(a_task("r-a"))
    assert slurm.constraints == [""]


def test_of_a_sweep_one_task_stands_for_all():
    asked = []
    engine = SlurmEngine(
        TakingCommands(), SlurmSettings(("/stub",), attested="tpm"), lambda: [TENANT],
        lambda _tenant, run: asked.append(run) or True,
    )  # fmt: skip
    engine.submit_array(
        [a_task(f"r-a-{number}", index=number, array="kf-abcdefghijklmnop", sweep="r-a") for number in range(1, 9)]
    )
    assert asked == ["r-a-1"]


def test_a_run_that_slurm_refuses_for_the_feature_says_what_it_needs():
    slurm, settings = TakingCommands(features=False), SlurmSettings(("/stub",), attested="tpm")
    engine, task = SlurmEngine(slurm, settings, lambda: [TENANT], lambda _tenant, _run: True), a_task("r-a")
    engine.submit(task)
    fate = engine.fates([task.attempt], NOW)[task.attempt]
    assert fate.outcome is Outcome.NOT_TAKEN
    assert fate.sentence.endswith("It needs attested nodes (feature tpm), as a grant asks for them.")
