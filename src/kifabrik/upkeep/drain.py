"""Taking the node out of Slurm with the reason, and letting the job go to another.

Slurm drains a node whose prolog or epilog fails by itself, and says "Prolog error". A node that is drained
already keeps its reason, so ours is written first.

The factory's jobs are never requeued by Slurm, because a run that had begun must not begin again unseen. What Slurm
may not requeue it cancels when the prolog fails, which would look as if somebody had stopped the run. Here nothing
has begun: so the job may be requeued this once, and the prolog on the next node forbids it again.
"""

from typing import Final

from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.errors import KifabrikError
from kifabrik.upkeep.job import HookJob

_PATIENCE_S: Final = 20.0
_LONGEST: Final = 240
"""Letters of a reason: it is read in a table of nodes."""


def drain(job: HookJob, reason: str) -> str:
    """Drain the node the job is on.

    Args:
        job: Which Slurm called for.
        reason: Why, as a sentence without its full stop.

    Returns:
        Why that failed; empty if it did not. The hook fails all the same, and Slurm drains the node then.
    """
    text = " ".join(f"kifabrik: {reason}".split())[:_LONGEST]
    return _update(job, f"NodeName={job.node}", "State=DRAIN", f"Reason={text}")


def allow_requeue(job: HookJob, *, allowed: bool) -> str:
    """Let Slurm put the job elsewhere if its prolog fails, or forbid it again.

    Returns:
        Why that failed; empty if it did not.
    """
    try:
        name = own_name(job.job, _commands(job).run("scontrol", "--oneliner", "show", "job", str(job.job)))
    except KifabrikError as error:
        return error.message
    return _update(job, f"JobId={name}", f"Requeue={int(allowed)}")


def own_name(number: int, said: str) -> str:
    """What Slurm's commands take for a job alone.

    The number of an array's last task is the array's, too; prologs are not told which task they are for.

    Args:
        number: Of the job.
        said: What `scontrol --oneliner show job` wrote about it.
    """
    for line in said.splitlines():
        words = dict(reversed([word.partition("=")[::2] for word in line.split()]))
        if words.get("JobId") == str(number) and "ArrayTaskId" in words:
            return f"{words['ArrayJobId']}_{words['ArrayTaskId']}"
    return str(number)


def _commands(job: HookJob) -> SlurmCommands:
    return SlurmCommands(job.conf, patience_s=_PATIENCE_S)


def _update(job: HookJob, *words: str) -> str:
    try:
        _commands(job).run("scontrol", "update", *words)
    except KifabrikError as error:
        return error.message
    return ""
