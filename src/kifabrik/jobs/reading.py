"""What `apply` takes: a job file, or an sbatch script."""

from dataclasses import dataclass
from pathlib import Path

from kifabrik.errors import UsageError
from kifabrik.jobs.batch_script import parse_batch
from kifabrik.jobs.jobfile import JobFile, parse_job, read_text


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
    if script.array:
        raise UsageError(
            f"{path}: --array is not taken", hint="Write a job file with `matrix`; see docs/job-file.md."
        )
    return Read(script.job, script.remarks)
