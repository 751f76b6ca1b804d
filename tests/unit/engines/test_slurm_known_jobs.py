"""Jobs kept in step with the queue by its changes are the same as if the whole queue were read each time."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from slurm_shapes import queue_line

from kifabrik.engines.slurm.job_facts import Exit, JobFacts, JobKey
from kifabrik.engines.slurm.known_jobs import KnownJobs, newest
from kifabrik.engines.slurm.queue_text import QueueLines
from kifabrik.engines.slurm.states import JobState, Phase
from kifabrik.factory.engine import Life, array_attempt

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
ARRAY = "kf-abcdefghijklmnop"
ATTEMPTS = ("a-abcdefghijklmnop", "a-ponmlkjihgfedcba")
JOB = JobFacts(JobKey(1), 1, "", "kf-us", "t", "main", JobState.RUNNING, "", ("n1",), NOW, NOW, None, None, 0)
STATES = (JobState.PENDING, JobState.RUNNING, JobState.COMPLETED)


def a_job(number: int, name: str, state: JobState, user: str, task: int = -1) -> JobFacts:
    held = () if state is JobState.PENDING else ("n1",)
    over = Exit() if state is JobState.COMPLETED else None
    return replace(JOB, key=JobKey(number, task), raw=number + max(task, 0), name=name, state=state, user=user,
                   nodes=held, exit=over)  # fmt: skip


queues = st.lists(
    st.dictionaries(
        st.integers(1, 6), st.tuples(st.sampled_from(STATES), st.sampled_from(["kf-us", "somebody"])), max_size=6
    ),
    max_size=6,
)


def jobs_of(queue) -> dict[str, list[JobFacts]]:
    """Six jobs there may be: two tries of each of two attempts, and two tasks of an array."""
    found: dict[str, list[JobFacts]] = {}
    for number, (state, user) in queue.items():
        if number <= 4:
            attempt = ATTEMPTS[number % 2]
            job = a_job(number, f"{attempt}.{(number + 1) // 2}", state, user)
        else:
            attempt = array_attempt(ARRAY, number)
            job = a_job(100, ARRAY, state, user, task=number)
        found.setdefault(attempt, []).append(job)
    return found


@given(queues)
def test_what_has_changed_says_the_same_as_all_there_is(looks):
    lines, known, before = QueueLines(), KnownJobs(), dict[str, JobFacts]()
    for queue in looks:
        jobs = jobs_of(queue)
        text = "".join(queue_line(job) for of_one in jobs.values() for job in of_one)
        left = known.apply(lines.changes(text, ["kf-us"]))
        ours = {name: [job for job in of_one if job.user == "kf-us"] for name, of_one in jobs.items()}
        ours = {name: of_one for name, of_one in ours.items() if of_one}
        assert {name: set(known.of(name)) for name in known.lives} == {name: set(one) for name, one in ours.items()}
        assert dict(known.lives) == {
            name: Life.GONE if all(job.phase is Phase.ENDED for job in of_one) else Life.ALIVE
            for name, of_one in ours.items()
        }
        assert left == {name: job for name, job in before.items() if name not in ours}
        before = {name: newest(of_one) for name, of_one in ours.items()}
        assert before == {name: known.newest(name) for name in known.lives}


def test_one_seen_between_two_looks_counts_until_the_next_and_is_not_lost():
    known, lines = KnownJobs(), QueueLines()
    job = a_job(1, f"{ATTEMPTS[0]}.1", JobState.RUNNING, "kf-us")
    known.apply(lines.changes("", ["kf-us"]))
    known.add([job])
    assert known.of(ATTEMPTS[0]) == [job]
    assert known.apply(lines.changes("", ["kf-us"])) == {ATTEMPTS[0]: job}
    assert known.of(ATTEMPTS[0]) == []


def test_lines_that_are_no_records_are_left_out_each_time():
    lines = QueueLines()
    line = queue_line(a_job(1, f"{ATTEMPTS[0]}.1", JobState.RUNNING, "kf-us"))
    assert len(lines.changes(f"nonsense\n{line}", ["kf-us"]).come) == 1
    again = lines.changes(f"nonsense\n{line}", ["kf-us"])
    assert (again.gone, again.come) == ((), ())
