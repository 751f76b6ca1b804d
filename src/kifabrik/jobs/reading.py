"""What `apply` takes: a job file, or an sbatch script."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.jobs.batch_script import BatchJob, parse_batch
from kifabrik.jobs.jobfile import JobFile, parse_job, read_text
from kifabrik.orders.slurm_options import array_numbers

ARRAY_TASK: Final = "SLURM_ARRAY_TASK_ID"


@dataclass(frozen=True)
class Read:
    """A job, and what a person should know about how it was read."""

    job: JobFile
    remarks: tuple[str, ...] = ()


def read_job_or_script(path: Path) -> Read:
    """Read a job file, or a script that begins with `#!`.

    Raises:
        NotFoundError: There is no such file.
        UsageError: It is neither; the message names the key or the line.
    """
    text = read_text(path)
    if not text.startswith("#!"):
        return Read(parse_job(text, str(path)))
    script = parse_batch(text, path.name)
    return Read(_as_sweep(script) if script.array else script.job, script.remarks)


def _as_sweep(script: BatchJob) -> JobFile:
    """The tasks of an array as points of a sweep: each sees its number as it would under sbatch."""
    numbers, _, throttle = script.array.partition("%")
    body = script.job.model_dump(by_alias=True) | {
        "budget": "0",
        "matrix": [{ARRAY_TASK: number} for number in array_numbers(numbers)],
        "max_parallel": int(throttle or 0),
    }
    return JobFile.model_validate(body)
