"""Which jobs attempts have, kept in step with Slurm's queue by what has changed in it.

Invariants:
- a job is an attempt's by its name: `a-….1` with the number of the try, or an array's `kf-…` and the task's number;
- what a look costs here grows with what has changed since the last one, not with how many jobs there are;
- what was seen of one job between two looks counts until the next.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from kifabrik.engines.slurm.job_facts import JobFacts, JobKey
from kifabrik.engines.slurm.queue_text import Changes
from kifabrik.engines.slurm.states import Phase
from kifabrik.factory.engine import Life, array_attempt

_NAME: Final = re.compile(r"(a-[a-z2-7]{16,32})\.(\d{1,3})")
_ARRAY: Final = re.compile(r"kf-[a-z2-7]{16}")


class KnownJobs:
    """Jobs by attempt, as of the last look."""

    def __init__(self) -> None:
        self._jobs: dict[str, dict[JobKey, JobFacts]] = {}
        self._between: dict[str, list[JobFacts]] = {}
        """Seen one by one since the last look."""
        self._lives: dict[str, Life] = {}

    @property
    def lives(self) -> Mapping[str, Life]:
        """Every attempt that had a job in the last look."""
        return self._lives

    def apply(self, changes: Changes) -> dict[str, JobFacts]:
        """Take in what a look has found; return those who have no job any more, with the last known of it."""
        last = {name: newest(jobs) for name, jobs in self._between.items() if name not in self._jobs}
        self._between.clear()
        for job in changes.gone:
            for name in attempts_of(job):
                jobs = self._jobs.get(name, {})
                last.setdefault(name, newest([job, *jobs.values()]))
                jobs.pop(job.key, None)
        for job in changes.come:
            for name in attempts_of(job):
                self._jobs.setdefault(name, {})[job.key] = job
                last.setdefault(name, job)
        left = {name: job for name, job in last.items() if not self._jobs.get(name)}
        for name in left:
            self._jobs.pop(name, None)
            self._lives.pop(name, None)
        for name in last.keys() - left.keys():
            ended = all(job.phase is Phase.ENDED for job in self._jobs[name].values())
            self._lives[name] = Life.GONE if ended else Life.ALIVE
        return left

    def add(self, jobs: Iterable[JobFacts]) -> None:
        """Take in jobs that were looked at one by one."""
        for job in jobs:
            for name in attempts_of(job):
                self._between.setdefault(name, []).append(job)

    def of(self, attempt: str) -> list[JobFacts]:
        """All jobs of an attempt."""
        return [*self._jobs.get(attempt, {}).values(), *self._between.get(attempt, ())]

    def newest(self, attempt: str) -> JobFacts | None:
        """The job of an attempt's last try, as the last look has seen it."""
        jobs = self._jobs.get(attempt)
        if jobs and len(jobs) == 1:  # as nearly always, of perhaps ten thousand
            return next(iter(jobs.values()))
        return newest(jobs.values()) if jobs else None


def newest(jobs: Iterable[JobFacts]) -> JobFacts:
    """Of the jobs of one attempt, that of its last try."""
    return max(jobs, key=lambda job: (_tries(job), job.key))


def newest_of(jobs: Iterable[JobFacts], attempts: Iterable[str]) -> dict[str, JobFacts]:
    """The newest job of each of these attempts that has one among these jobs."""
    wanted, found = set(attempts), dict[str, list[JobFacts]]()
    for job in jobs:
        for name in attempts_of(job):
            if name in wanted:
                found.setdefault(name, []).append(job)
    return {name: newest(tries) for name, tries in found.items()}


def attempts_of(job: JobFacts) -> tuple[str, ...]:
    """The attempt a job is at; none if it is somebody else's job."""
    match = _NAME.fullmatch(job.name)
    if match is not None:
        return (match[1],)
    if job.key.task >= 0 and _ARRAY.fullmatch(job.name) is not None:
        return (array_attempt(job.name, job.key.task),)
    return ()


def _tries(job: JobFacts) -> int:
    match = _NAME.fullmatch(job.name)
    return int(match[2]) if match else 1
