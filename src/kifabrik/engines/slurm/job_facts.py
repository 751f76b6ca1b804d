"""What is known of one Slurm job at one moment, wherever it was read."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kifabrik.engines.slurm.states import PHASES, JobState, Phase
from kifabrik.errors import IntegrityError

_TASKS: Final = re.compile(r"(\d+)(?:-(\d+)(?::(\d+))?)?")
_MOST_TASKS: Final = 4_000_001
"""Slurm's own ceiling of MaxArraySize (slurm.conf(5))."""


@dataclass(frozen=True, order=True)
class JobKey:
    """How a job is called for good: its number, and which task of the array or part of a heterogeneous job.

    Args:
        job: What `sbatch` answered; the same for all tasks of an array.
        task: Number in the array; -1 for a job that is none.
        part: Offset in a heterogeneous job; 0 otherwise.
    """

    job: int
    task: int = -1
    part: int = 0

    def __str__(self) -> str:
        task = f"_{self.task}" if self.task >= 0 else ""
        return f"{self.job}{task}" + (f"+{self.part}" if self.part else "")


@dataclass(frozen=True)
class Exit:
    """How a job's script ended: exit status, or the signal that ended it."""

    status: int = 0
    signal: int = 0

    @classmethod
    def from_wait(cls, status: int) -> "Exit":
        """Read a wait status as of wait(2)."""
        return cls(status >> 8 & 0xFF, status & 0x7F)


@dataclass(frozen=True)
class JobFacts:
    """One job, task or part.

    Args:
        key: Which one.
        raw: Slurm's own number of this very task or part.
        name: Job name.
        user: Unix user; empty where the source does not say.
        account: Slurm account.
        partition: Partition, or several with commas while it waits.
        state: State or flag.
        reason: Reason code, or Slurm's own words; empty for none.
        nodes: It holds or held, in Slurm's order.
        submitted: When it was submitted, or last requeued.
        start: When it started; for a waiting job the expected start, if Slurm has worked one out.
        end: When it ended; for a running job when its time limit ends.
        exit: How the script ended, once the job has ended; one that is completing may yet be requeued.
        restarts: How often it was requeued; -1 where the source does not say.
    """

    key: JobKey
    raw: int
    name: str
    user: str
    account: str
    partition: str
    state: JobState
    reason: str
    nodes: tuple[str, ...]
    submitted: datetime | None
    start: datetime | None
    end: datetime | None
    exit: Exit | None
    restarts: int = -1

    @property
    def phase(self) -> Phase:
        """What the state means."""
        return PHASES[self.state]


def parse_tasks(text: str) -> tuple[int, ...]:
    """Return the task numbers of an expression such as `0-3,7,10-20:5%4`; `%4` is the throttle.

    Raises:
        IntegrityError: It is none, or was cut off.
    """
    numbers: list[int] = []
    for piece in text.partition("%")[0].split(","):
        match = _TASKS.fullmatch(piece)
        if match is None:
            raise IntegrityError(f"not a list of array tasks: {text[:60]!r}")
        last, step = int(match[2] or match[1]), int(match[3] or 1)
        if last >= _MOST_TASKS or step < 1:
            raise IntegrityError(f"not a list of array tasks: {text[:60]!r}")
        numbers += range(int(match[1]), last + 1, step)
    return tuple(numbers)
