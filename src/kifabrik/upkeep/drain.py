"""Taking the node out of Slurm, with the reason.

Slurm drains a node whose prolog or epilog fails by itself, and says "Prolog error". A node that is drained
already keeps its reason, so ours is written first.
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
    commands = SlurmCommands(job.conf, patience_s=_PATIENCE_S)
    try:
        commands.run("scontrol", "update", f"NodeName={job.node}", "State=DRAIN", f"Reason={text}")
    except KifabrikError as error:
        return error.message
    return ""
