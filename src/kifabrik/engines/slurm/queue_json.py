"""Reads `squeue --json` and `sacct --json`.

The shape changed with Slurm's data parsers, and is read as what it is rather than by version:

    22.05  v0.0.38   numbers plain or null; one state as text; exit code a wait status
    23.02  v0.0.39   many numbers as {"set", "infinite", "number"}; exit code {"status", "return_code", "signal"}
    23.11  v0.0.40   also times so; states as lists of base state and flags; exit status a list
    24.05 to 25.11   v0.0.41 to v0.0.44: as v0.0.40 for the fields read here, with more beside them; from v0.0.42
                     on (24.11) accounting counts restarts, in a plain number

Source: the OpenAPI schemas published with the releases (slurm.schedmd.com/rest_api.html); of the parsers' own
tables (github.com/SchedMD/slurm, src/plugins/data_parser) JOB_INFO of v0.0.43 and JOB of v0.0.40 and v0.0.42;
22.05: Slurm itself. v0.0.44 was not read.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from kifabrik.engines.slurm.hostlists import expand
from kifabrik.engines.slurm.job_facts import Exit, JobFacts, JobKey, parse_tasks
from kifabrik.engines.slurm.queue_text import Listing
from kifabrik.engines.slurm.states import PHASES, JobState, Phase, parse_state
from kifabrik.errors import IntegrityError

_NO_VALUES: Final = (0xFFFFFFFE, 0xFFFFFFFFFFFFFFFE)
"""NO_VAL and NO_VAL64 of slurm.h, which older parsers wrote out; NO_VAL16 would be a job's number."""
_NO_REASON: Final = ("", "None")


def read_queue(text: str) -> Listing:
    """Read `squeue --json`.

    Raises:
        IntegrityError: It is no such document.
    """
    return _read(text, _queue_jobs)


def read_accounting(text: str) -> Listing:
    """Read `sacct --json`.

    Raises:
        IntegrityError: It is no such document.
    """
    return _read(text, _accounting_jobs)


def _read(text: str, make: Callable[[Mapping[str, Any]], Sequence[JobFacts]]) -> Listing:
    try:
        listed = json.loads(text)["jobs"]
    except (ValueError, KeyError, TypeError):
        raise IntegrityError("what Slurm wrote is not its JSON list of jobs") from None
    if not isinstance(listed, list):
        raise IntegrityError("what Slurm wrote is not its JSON list of jobs")
    jobs: list[JobFacts] = []
    unreadable = 0
    for entry in listed:
        try:
            jobs += make(entry)
        except (IntegrityError, KeyError, TypeError, ValueError, AttributeError):
            unreadable += 1
    return Listing(tuple(jobs), unreadable)


def _queue_jobs(entry: Mapping[str, Any]) -> Sequence[JobFacts]:
    raw = _number(entry["job_id"])
    if raw is None:
        raise IntegrityError("a job without a number")
    het = _number(entry.get("het_job_id"))
    array = _number(entry.get("array_job_id"))
    task = _number(entry.get("array_task_id"))
    waiting_tasks = entry.get("array_task_string") or ""
    if not array:
        tasks: tuple[int, ...] = (-1,)
    elif task is not None:
        tasks = (task,)
    else:
        tasks = parse_tasks(waiting_tasks) if waiting_tasks else (-1,)
    state = parse_state(entry["job_state"])
    over = PHASES[state] is Phase.ENDED
    reason = entry.get("state_description") or entry.get("state_reason") or ""
    return [
        JobFacts(
            key=JobKey(het or array or raw, number, (_number(entry.get("het_job_offset")) or 0) if het else 0),
            raw=raw,
            name=entry.get("name") or "",
            user=entry.get("user_name") or "",
            account=entry.get("account") or "",
            partition=entry.get("partition") or "",
            state=state,
            reason="" if reason in _NO_REASON else str(reason),
            nodes=expand(entry.get("nodes") or ""),
            submitted=_time(entry.get("submit_time")),
            start=_time(entry.get("start_time")),
            end=_end(entry, state),
            exit=_exit(entry.get("exit_code")) if over else None,
            restarts=_number(entry.get("restart_cnt")) or 0,
        )
        for number in tasks
    ]


def _accounting_jobs(entry: Mapping[str, Any]) -> Sequence[JobFacts]:
    raw = _number(entry["job_id"])
    if raw is None:
        raise IntegrityError("a job without a number")
    array, het, times = entry.get("array") or {}, entry.get("het") or {}, entry.get("time") or {}
    array_job, task = _number(array.get("job_id")), _number(array.get("task_id"))
    het_job = _number(het.get("job_id"))
    if not array_job:
        tasks: tuple[int, ...] = (-1,)
    elif task is not None:
        tasks = (task,)
    else:
        tasks = parse_tasks(array["task"]) if array.get("task") else (-1,)
    state = parse_state(entry["state"]["current"])
    reason = entry["state"].get("reason") or ""
    return [
        JobFacts(
            key=JobKey(
                het_job or array_job or raw, number, (_number(het.get("job_offset")) or 0) if het_job else 0
            ),
            raw=raw,
            name=entry.get("name") or "",
            user=entry.get("user") or (entry.get("association") or {}).get("user") or "",
            account=entry.get("account") or "",
            partition=entry.get("partition") or "",
            state=state,
            reason="" if reason in _NO_REASON else str(reason),
            nodes=expand(entry.get("nodes") or ""),
            submitted=_time(times.get("submission")),
            start=_time(times.get("start")),
            end=_time(times.get("end")),
            exit=_exit(entry.get("exit_code")) if PHASES[state] is Phase.ENDED else None,
            restarts=_number(entry["restart_cnt"]) or 0 if "restart_cnt" in entry else -1,
        )
        for number in tasks
    ]


def _number(value: Any) -> int | None:
    """Read 5, null, or {"set": true, "infinite": false, "number": 5}; None for unset and infinite."""
    if isinstance(value, Mapping):
        value = value.get("number") if value.get("set") and not value.get("infinite") else None
    if value is None or isinstance(value, bool) or value in _NO_VALUES:
        return None
    return int(value)


def _time(value: Any) -> datetime | None:
    seconds = _number(value)
    return datetime.fromtimestamp(seconds, UTC) if seconds else None


def _end(entry: Mapping[str, Any], state: JobState) -> datetime | None:
    """For a job that goes on, when its limit ends; without a limit, Slurm makes up a moment far away."""
    limited = PHASES[state] is not Phase.RUNNING or _number(entry.get("time_limit")) is not None
    return None if PHASES[state] is Phase.WAITING or not limited else _time(entry.get("end_time"))


def _exit(value: Any) -> Exit:
    if not isinstance(value, Mapping):
        return Exit.from_wait(_number(value) or 0)
    if "set" in value and "number" in value:
        return Exit.from_wait(_number(value) or 0)
    signal = value.get("signal") or value.get("signaled") or {}
    return Exit(_number(value.get("return_code")) or 0, _number(signal.get("id", signal.get("signal_id"))) or 0)
