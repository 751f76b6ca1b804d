"""What Slurm says of a job as what a customer is told, and as the outcome of the attempt that it was. Pure."""

from datetime import UTC, datetime
from typing import Final

from kifabrik.engines.slurm.job_facts import JobFacts
from kifabrik.engines.slurm.power import REASONS
from kifabrik.engines.slurm.reasons import explain
from kifabrik.engines.slurm.states import JobState, Phase
from kifabrik.factory.engine import Fate
from kifabrik.runs.states import Outcome

_OUTCOMES: Final[dict[JobState, Outcome]] = {
    JobState.PREEMPTED: Outcome.PREEMPTED,
    JobState.NODE_FAIL: Outcome.NODE_FAILURE,
    JobState.BOOT_FAIL: Outcome.NODE_FAILURE,
    JobState.LAUNCH_FAILED: Outcome.NODE_FAILURE,
    JobState.TIMEOUT: Outcome.CAP,
    JobState.DEADLINE: Outcome.CAP,
    JobState.OUT_OF_MEMORY: Outcome.OUT_OF_MEMORY,
    JobState.CANCELLED: Outcome.STOPPED,
}
"""How an attempt ended whose job Slurm ended before its launcher could say so."""
_SENTENCES: Final[dict[JobState, str]] = {
    JobState.PREEMPTED: "Slurm gave its place to a run of higher priority.",
    JobState.NODE_FAIL: "A node of it failed.",
    JobState.BOOT_FAIL: "A node of it could not be started.",
    JobState.LAUNCH_FAILED: "Slurm could not start it on its node.",
    JobState.TIMEOUT: "Slurm ended it at its time limit.",
    JobState.DEADLINE: "Slurm ended it at its deadline.",
    JobState.OUT_OF_MEMORY: "Slurm ended it because it took more memory than the job had.",
    JobState.CANCELLED: "It was cancelled in Slurm.",
}
_STUB_STATUSES: Final = {
    69: "the node's agent does not answer",
    75: "the agent could not start one",
    77: "the agent or the factory refused it",
}
"""Of `kifabrik.nodes.enter`."""
_NOT_BEGUN: Final = 53
"""What slurmd says in the place of a signal where it could not enter a job's folder or open its output file."""


def fate_of(job: JobFacts, power: str = "") -> Fate:
    """Say why a job waits, or how it ended; nothing while it runs.

    Args:
        job: As queue or accounting show it.
        power: Why limits on what all tenants hold are low now; empty if they are not.
    """
    if job.phase is Phase.WAITING and power and job.reason in REASONS:
        return Fate(power)
    if job.phase is Phase.WAITING:
        return Fate(f"{explain(job.reason).sentence}{_expected(job.start)}")
    if job.phase is Phase.ENDED:
        return Fate(_SENTENCES.get(job.state) or _of_the_stub(job), _OUTCOMES.get(job.state))
    return Fate()


def _of_the_stub(job: JobFacts) -> str:
    """Why a job's stub got no launcher, by its exit status."""
    if job.exit is None or job.state is not JobState.FAILED:
        return ""
    said = _STUB_STATUSES.get(job.exit.status, f"its job ended with status {job.exit.status}")
    if job.exit.signal == _NOT_BEGUN:
        said = "Slurm could not begin its script; its user cannot write to `output`, see factory.toml"
    return f"No launcher could be started on {', '.join(job.nodes) or 'its node'}: {said}."


def _expected(start: datetime | None) -> str:
    if start is None:
        return ""
    return f" Slurm expects it to start at {start.astimezone(UTC):%Y-%m-%d %H:%M} UTC."
