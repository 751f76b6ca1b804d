"""Writes a job the way each of Slurm's data parsers writes it, and as text.

Source: the OpenAPI schemas of Slurm's REST interface, whose jobs are what `squeue --json` and `sacct --json`
write: v0.0.38 (22.05; recorded too), v0.0.39 (23.02), v0.0.40 (23.11), v0.0.41 to v0.0.44 (24.05, 24.11, 25.05,
25.11); and of the parsers' own tables (github.com/SchedMD/slurm, src/plugins/data_parser) those of jobs in
v0.0.43 and of accounting in v0.0.40 and v0.0.42. v0.0.44 was not read; it is written as v0.0.43. Of the fields
that are read, the last ones differ from v0.0.40 in one: from v0.0.42 on accounting has `restart_cnt`, a plain
number.
"""

from kifabrik.engines.slurm.job_facts import JobFacts
from kifabrik.engines.slurm.queue_text import ACCOUNTING_FIELDS, QUEUE_FIELDS, SEPARATOR

VERSIONS = ("v0.0.38", "v0.0.39", "v0.0.40", "v0.0.42", "v0.0.44")
COUNTS_RESTARTS = ("v0.0.42", "v0.0.44")
"""Whose accounting does."""


def number(value, *, infinite=False):
    """A number of v0.0.39 and later."""
    return {"set": value is not None, "infinite": infinite, "number": value or 0}


def seconds(moment):
    return None if moment is None else int(moment.timestamp())


def queue_entry(job: JobFacts, version: str) -> dict:
    old, times_plain = version == "v0.0.38", version in ("v0.0.38", "v0.0.39")
    boxed = (lambda value: value) if old else number
    time = (lambda moment: seconds(moment) or 0) if times_plain else (lambda moment: number(seconds(moment)))
    array, het = job.key.task >= 0, job.key.part > 0
    return {
        "job_id": job.raw,
        "name": job.name,
        "user_name": job.user,
        "account": job.account,
        "partition": job.partition,
        "job_state": job.state.value if times_plain else [job.state.value],
        "state_reason": job.reason or "None",
        "state_description": "",
        "nodes": ",".join(job.nodes),
        "submit_time": time(job.submitted),
        "start_time": time(job.start),
        "end_time": time(job.end),
        "time_limit": boxed(60),
        "array_job_id": boxed(job.key.job if array else 0),
        "array_task_id": boxed(job.key.task if array else None),
        "array_task_string": "",
        "het_job_id": boxed(job.key.job if het else 0),
        "het_job_offset": boxed(job.key.part if het else 0),
        "restart_cnt": job.restarts,
        "exit_code": _exit(job, version),
    }


def accounting_entry(job: JobFacts, version: str) -> dict:
    old, times_plain = version == "v0.0.38", version in ("v0.0.38", "v0.0.39")
    boxed = (lambda value: value) if old else number
    array, het = job.key.task >= 0, job.key.part > 0
    counted = {"restart_cnt": job.restarts} if version in COUNTS_RESTARTS else {}
    return counted | {
        "job_id": job.raw,
        "name": job.name,
        "user": job.user,
        "association": {"account": job.account, "user": job.user},
        "account": job.account,
        "partition": job.partition,
        "state": {"current": job.state.value if times_plain else [job.state.value], "reason": job.reason or "None"},
        "nodes": ",".join(job.nodes) or "None assigned",
        "time": {
            "submission": seconds(job.submitted),
            "start": seconds(job.start) or 0,
            "end": seconds(job.end) or 0,
        },
        "array": {
            "job_id": job.key.job if array else 0,
            "task_id": boxed(job.key.task if array else None),
            "task": "",
        },
        "het": {"job_id": job.key.job if het else 0, "job_offset": boxed(job.key.part if het else None)},
        "exit_code": _exit(job, version, accounting=True),
    }


def _exit(job: JobFacts, version: str, *, accounting=False):
    status, signal = (job.exit.status, job.exit.signal) if job.exit else (0, 0)
    word = "SIGNALED" if signal else "ERROR" if status else "SUCCESS"
    if version == "v0.0.38" and not accounting:
        return status << 8 | signal
    if version in ("v0.0.38", "v0.0.39"):
        code = {"status": word, "return_code": None if signal and version == "v0.0.38" else status}
        return code | ({"signal": {"signal_id": signal, "name": "X"}} if signal else {})
    named = {"id": number(signal or None), "name": "KILL" if signal else ""}
    return {"status": [word], "return_code": number(status), "signal": named}


def queue_line(job: JobFacts) -> str:
    array, het = job.key.task >= 0, job.key.part > 0
    values = {
        "JobID": job.raw,
        "ArrayJobID": job.key.job if array else job.raw,
        "ArrayTaskID": job.key.task if array else "N/A",
        "HetJobID": job.key.job if het else "N/A",
        "HetJobOffset": job.key.part if het else "N/A",
        "UserName": job.user,
        "Account": job.account,
        "Partition": job.partition,
        "State": job.state.value,
        "Reason": job.reason or "None",
        "NodeList": ",".join(job.nodes),
        "SubmitTime": _time(job.submitted, "N/A"),
        "StartTime": _time(job.start, "N/A"),
        "EndTime": _time(job.end, "NONE"),
        "exit_code": (job.exit.status << 8 | job.exit.signal) if job.exit else 0,
        "RestartCnt": job.restarts,
        "Name": job.name,
    }
    return "".join(f"{values[field]}{SEPARATOR}" for field in QUEUE_FIELDS) + "\n"


def accounting_line(job: JobFacts) -> str:
    status, signal = (job.exit.status, job.exit.signal) if job.exit else (0, 0)
    values = {
        "JobIDRaw": job.raw,
        "JobID": str(job.key),
        "User": job.user,
        "Account": job.account,
        "Partition": job.partition,
        "State": job.state.value,
        "Reason": job.reason or "None",
        "NodeList": ",".join(job.nodes) or "None assigned",
        "Submit": _time(job.submitted, "Unknown"),
        "Start": _time(job.start, "Unknown"),
        "End": _time(job.end, "Unknown"),
        "ExitCode": f"{status}:{signal}",
        "JobName": job.name,
    }
    return SEPARATOR.join(str(values[field]) for field in ACCOUNTING_FIELDS) + "\n"


def _time(moment, none):
    return none if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S")
