"""Reads the lines of `squeue -O` and `sacct --parsable2`.

Invariants:
- fields are separated by U+001F, which none of the fields before the name can hold; the name, the one text a
  submitter writes freely, stands last;
- a line that is not exactly such a record is no record: a name with a line break in it can end a record early,
  but what follows is counted as unreadable and not believed;
- times are UTC, as the command was run with TZ=UTC.

The same fields exist from 22.05 to 25.11 (squeue(1), sacct(1)).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kifabrik.engines.slurm.hostlists import expand
from kifabrik.engines.slurm.job_facts import Exit, JobFacts, JobKey, parse_tasks
from kifabrik.engines.slurm.states import PHASES, Phase, parse_state
from kifabrik.errors import IntegrityError

SEPARATOR: Final = "\x1f"
QUEUE_FIELDS: Final = (
    "JobID", "ArrayJobID", "ArrayTaskID", "HetJobID", "HetJobOffset", "UserName", "Account", "Partition", "State",
    "Reason", "NodeList", "SubmitTime", "StartTime", "EndTime", "exit_code", "RestartCnt", "Name",
)  # fmt: skip
ACCOUNTING_FIELDS: Final = (
    "JobIDRaw", "JobID", "User", "Account", "Partition", "State", "Reason", "NodeList", "Submit", "Start", "End",
    "ExitCode", "JobName",
)  # fmt: skip
_NO_TIME: Final = ("", "N/A", "Unknown", "None", "NONE", "(null)")
_NO_REASON: Final = ("", "None", "(null)")
_TIME_LETTERS: Final = len("2026-11-23T12:00:00")


@dataclass(frozen=True)
class Listing:
    """What was read.

    Args:
        jobs: One by one.
        unreadable: Lines or entries that were none.
    """

    jobs: tuple[JobFacts, ...]
    unreadable: int = 0


@dataclass(frozen=True)
class Changes:
    """What is different from the look before.

    Args:
        gone: Jobs that are not there any more, or not in this condition.
        come: Jobs that were not there, or not in this condition.
    """

    gone: tuple[JobFacts, ...]
    come: tuple[JobFacts, ...]


class QueueLines:
    """What `squeue` wrote last: of ten thousand lines those few are read that were not there before."""

    def __init__(self) -> None:
        self._read: dict[str, tuple[JobFacts, ...]] = {}

    def changes(self, text: str, users: Collection[str]) -> Changes:
        """Read what it has written now; jobs of other users are left out, and so is what is no record."""
        lines = set(text.split("\n"))
        gone = [self._read.pop(line) for line in self._read.keys() - lines]
        come = {line: read_queue(line).jobs for line in lines - self._read.keys()}
        self._read |= {line: tuple(job for job in jobs if job.user in users) for line, jobs in come.items()}
        return Changes(
            gone=tuple(job for jobs in gone for job in jobs),
            come=tuple(job for line in come for job in self._read[line]),
        )


def queue_arguments() -> tuple[str, ...]:
    """Arguments of `squeue`: every job and array task on a line of its own, also those that ended lately."""
    fields = ",".join(f"{name}:{SEPARATOR}" for name in QUEUE_FIELDS)
    return ("--noheader", "--array", "--states=all", "--all", f"--Format={fields}")


def accounting_arguments() -> tuple[str, ...]:
    """Arguments of `sacct`: one line for each job or task, without its steps."""
    fields = ",".join(ACCOUNTING_FIELDS)
    return ("--noheader", "--allocations", "--parsable2", f"--delimiter={SEPARATOR}", f"--format={fields}")


def read_queue(text: str) -> Listing:
    """Read what `squeue` wrote."""
    return _read(text, QUEUE_FIELDS, _queue_job, trailing=True)


def read_accounting(text: str) -> Listing:
    """Read what `sacct` wrote."""
    return _read(text, ACCOUNTING_FIELDS, _accounting_job, trailing=False)


def _read(
    text: str, fields: Sequence[str], make: Callable[[Mapping[str, str]], Sequence[JobFacts]], *, trailing: bool
) -> Listing:
    jobs: list[JobFacts] = []
    unreadable = 0
    for line in text.split("\n"):
        if not line:
            continue
        values = (line.removesuffix(SEPARATOR) if trailing else line).split(SEPARATOR)
        try:
            jobs += make(dict(zip(fields, values, strict=True)))
        except (IntegrityError, ValueError):
            unreadable += 1
    return Listing(tuple(jobs), unreadable)


def _queue_job(record: Mapping[str, str]) -> Sequence[JobFacts]:
    raw = int(record["JobID"])
    state = parse_state(record["State"])
    part = record["HetJobOffset"]
    is_part = part.isdigit() and record["HetJobID"].isdigit() and int(record["HetJobID"]) > 0
    job = int(record["HetJobID"]) if is_part else int(record["ArrayJobID"])
    task = record["ArrayTaskID"]
    tasks = (-1,) if task in ("N/A", "") else parse_tasks(task)
    over = PHASES[state] is Phase.ENDED
    return [
        JobFacts(
            key=JobKey(job, number, int(part) if is_part else 0),
            raw=raw,
            name=record["Name"],
            user=record["UserName"],
            account=_plain(record["Account"]),
            partition=record["Partition"],
            state=state,
            reason="" if record["Reason"] in _NO_REASON else record["Reason"],
            nodes=expand(record["NodeList"]),
            submitted=read_time(record["SubmitTime"]),
            start=read_time(record["StartTime"]),
            end=None if PHASES[state] is Phase.WAITING else read_time(record["EndTime"]),
            exit=read_exit(record["exit_code"]) if over else None,
            restarts=int(record["RestartCnt"]),
        )
        for number in tasks
    ]


def _accounting_job(record: Mapping[str, str]) -> Sequence[JobFacts]:
    state = parse_state(record["State"])
    over = PHASES[state] is Phase.ENDED
    return [
        JobFacts(
            key=key,
            raw=int(record["JobIDRaw"].partition("+")[0]),
            name=record["JobName"],
            user=record["User"],
            account=_plain(record["Account"]),
            partition=record["Partition"],
            state=state,
            reason="" if record["Reason"] in _NO_REASON else record["Reason"],
            nodes=expand(record["NodeList"]),
            submitted=read_time(record["Submit"]),
            start=read_time(record["Start"]),
            end=read_time(record["End"]) if over else None,
            exit=read_exit(record["ExitCode"]) if over else None,
        )
        for key in read_key(record["JobID"])
    ]


def read_key(text: str) -> tuple[JobKey, ...]:
    """Read `12`, `12_3`, `12_[4-9%2]` or `12+1`.

    Raises:
        IntegrityError: It is none of these.
    """
    job, _, task = text.partition("_")
    job, _, part = job.partition("+")
    if not job.isdigit() or (part and not part.isdigit()):
        raise IntegrityError(f"not a job number: {text[:60]!r}")
    tasks = parse_tasks(task.strip("[]")) if task else (-1,)
    return tuple(JobKey(int(job), number, int(part or 0)) for number in tasks)


def read_time(text: str) -> datetime | None:
    """Read `2026-11-23T12:00:00` in UTC, or one of the words for none.

    Raises:
        IntegrityError: It is neither.
    """
    if text in _NO_TIME:
        return None
    try:
        # strptime would take twice as long as all other reading together.
        return datetime.fromisoformat(text + "+00:00" if len(text) == _TIME_LETTERS else "")
    except ValueError:
        raise IntegrityError(f"not a time: {text[:40]!r}") from None


def read_exit(text: str) -> Exit:
    """Read `1:0` (status and signal), or a wait status as one number.

    Raises:
        IntegrityError: It is neither.
    """
    status, _, signal = text.partition(":")
    if not status.isdigit() or (signal and not signal.isdigit()):
        raise IntegrityError(f"not an exit code: {text[:40]!r}")
    return Exit(int(status), int(signal)) if signal else Exit.from_wait(int(status))


def _plain(text: str) -> str:
    return "" if text in ("(null)", "N/A") else text
