"""The state of all runs: of those Slurm still holds by one `squeue`, of those it let go by one `sacct`.

Invariants:
- the number of calls does not grow with the number of runs (but for `sacct`, whose list of numbers is cut into
  pieces that fit a command line);
- what the queue says counts before what accounting says, as accounting hears of everything later;
- whoever does not answer is an error, never an empty queue or a job that nobody knows.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from kifabrik.engines.slurm import queue_json, queue_text
from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.engines.slurm.job_facts import JobFacts, JobKey
from kifabrik.engines.slurm.queue_text import Changes, Listing, QueueLines
from kifabrik.errors import NotFoundError

_PIECE: Final = 5_000
"""Job numbers of one `sacct`: 50 kB of arguments, where Linux allows 128 kB in one (MAX_ARG_STRLEN)."""
_MOST_USERS: Final = 4_000
_STATES: Final = (
    *("PENDING", "RUNNING", "SUSPENDED", "COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "PREEMPTED"),
    *("BOOT_FAIL", "DEADLINE", "OUT_OF_MEMORY"),
)
_WHENEVER: Final = ("--endtime=now+365days", f"--state={','.join(_STATES)}")
"""Asked by name and without these, accounting leaves out what was cancelled before it could begin: jobs that were
held, waited for others, or for a later time (sacct(1), --starttime: only what was eligible within the time)."""


class Form(StrEnum):
    """How Slurm is asked to write."""

    TEXT = "text"
    JSON = "json"


class QueueView:
    """Looks at the queue.

    Args:
        commands: Run here.
        form: Text by default: of a job it is 100 bytes where JSON is thousands, and the same in every version.
    """

    def __init__(self, commands: SlurmCommands, form: Form = Form.TEXT) -> None:
        self._commands = commands
        self._form = form
        self._lines = QueueLines()
        self._before: dict[JobKey, JobFacts] = {}
        """What the last look showed, where it was asked for as JSON."""

    def changes(self, users: Sequence[str]) -> Changes:
        """See what is different from the last time, among the jobs of these users; a user once named stays.

        Raises:
            UnavailableError: slurmctld does not answer.
        """
        if self._form is Form.JSON:
            now = {job.key: job for job in self._queue(users).jobs if job.user in users}
            before, self._before = self._before, now
            return Changes(gone=_other(before, now), come=_other(now, before))
        text = self._commands.run("squeue", *queue_text.queue_arguments(), *_of_users(users))
        return self._lines.changes(text, frozenset(users))

    def one(self, job: int, user: str) -> list[JobFacts]:
        """A user's job as the queue has it now, with all its tasks and parts.

        What it costs in text does not grow with the number of jobs: slurmctld is asked for this one.

        Raises:
            UnavailableError: slurmctld does not answer.
        """
        try:
            read = self._queue([user], f"--jobs={job}")
        except NotFoundError:
            return []
        return [one for one in read.jobs if one.key.job == job]

    def named(self, name: str, user: str) -> list[JobFacts]:
        """All jobs of this name and user that the queue or accounting knows, the queue's word first.

        Raises:
            UnavailableError: slurmctld or slurmdbd does not answer: both must say no before a job is not there.
        """
        queue = self._queue([user], f"--name={name}")
        past = self._past(f"--user={user}", f"--name={name}", f"--starttime={_back(None)}", *_WHENEVER)
        known = (*past.jobs, *queue.jobs)
        return list({job.key: job for job in known if (job.name, job.user) == (name, user)}.values())

    def remembered(self, jobs: Collection[JobKey], since: datetime) -> list[JobFacts]:
        """What accounting knows of jobs, by their numbers; those it does not know are left out.

        Args:
            jobs: The jobs.
            since: When the oldest of them was submitted.

        Raises:
            UnavailableError: slurmdbd does not answer.
        """
        wanted = set(jobs)
        return [job for job in self._accounting(list(wanted), since).jobs if job.key in wanted]

    def since(self, start: datetime, users: Sequence[str]) -> list[JobFacts]:
        """What accounting knows of users' jobs that had not ended by then.

        Args:
            start: The moment.
            users: Unix users; none have no jobs.

        Raises:
            UnavailableError: slurmdbd does not answer.
        """
        found: list[JobFacts] = []
        for first in range(0, len(users), _MOST_USERS):
            chosen = f"--user={','.join(users[first : first + _MOST_USERS])}"
            found += self._past(f"--starttime={_back(start)}", *_WHENEVER, chosen).jobs
        return found

    def _queue(self, users: Sequence[str], *filters: str) -> Listing:
        chosen = (*filters, *_of_users(users))
        if self._form is Form.JSON:
            read = queue_json.read_queue(self._commands.run("squeue", "--json", "--states=all", "--all", *chosen))
        else:
            read = queue_text.read_queue(self._commands.run("squeue", *queue_text.queue_arguments(), *chosen))
        if not users:
            return read
        # Slurm 22.05 leaves all filters out of account with --json.
        ours = set(users)
        return Listing(tuple(job for job in read.jobs if job.user in ours), read.unreadable)

    def _past(self, *filters: str) -> Listing:
        if self._form is Form.JSON:
            return queue_json.read_accounting(self._commands.run("sacct", "--json", "--allocations", *filters))
        arguments = queue_text.accounting_arguments()
        return queue_text.read_accounting(self._commands.run("sacct", *arguments, *filters))

    def _accounting(self, keys: Sequence[JobKey], since: datetime) -> Listing:
        numbers = sorted({key.job for key in keys})
        start = f"--starttime={_back(since)}"
        jobs: list[JobFacts] = []
        unreadable = 0
        for first in range(0, len(numbers), _PIECE):
            chosen = f"--jobs={','.join(map(str, numbers[first : first + _PIECE]))}"
            read = self._past("--allusers", start, chosen)
            jobs += read.jobs
            unreadable += read.unreadable
        return Listing(tuple(jobs), unreadable)


def _other(these: Mapping[JobKey, JobFacts], those: Mapping[JobKey, JobFacts]) -> tuple[JobFacts, ...]:
    """What is among these and not, or not alike, among those."""
    return tuple(job for key, job in these.items() if those.get(key) != job)


def _of_users(users: Sequence[str]) -> list[str]:
    return [f"--user={','.join(users)}"] if 0 < len(users) <= _MOST_USERS else []


def _back(since: datetime | None) -> str:
    """The moment accounting looks back to, as sacct reads it."""
    if since is None:
        return "now-365days"
    return since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
