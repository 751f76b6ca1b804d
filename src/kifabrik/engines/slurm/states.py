"""Slurm's job states, and what each means for a run.

Source: squeue(1), JOB STATE CODES, and slurm.h (`job_states`, `JOB_*` flags) of 22.05 to 25.11. Text output shows a
flag instead of the base state; JSON from 23.11 on lists the base state and the flags beside each other.
"""

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from typing import Final

from kifabrik.errors import IntegrityError


class JobState(StrEnum):
    """A state or a flag, as Slurm spells it."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUSPENDED = "SUSPENDED"
    COMPLETED = "COMPLETED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    TIMEOUT = "TIMEOUT"
    NODE_FAIL = "NODE_FAIL"
    PREEMPTED = "PREEMPTED"
    BOOT_FAIL = "BOOT_FAIL"
    DEADLINE = "DEADLINE"
    OUT_OF_MEMORY = "OUT_OF_MEMORY"
    LAUNCH_FAILED = "LAUNCH_FAILED"
    RECONFIG_FAIL = "RECONFIG_FAIL"
    REVOKED = "REVOKED"
    SPECIAL_EXIT = "SPECIAL_EXIT"
    COMPLETING = "COMPLETING"
    CONFIGURING = "CONFIGURING"
    POWER_UP_NODE = "POWER_UP_NODE"
    REQUEUED = "REQUEUED"
    REQUEUE_FED = "REQUEUE_FED"
    REQUEUE_HOLD = "REQUEUE_HOLD"
    RESV_DEL_HOLD = "RESV_DEL_HOLD"
    RESIZING = "RESIZING"
    SIGNALING = "SIGNALING"
    STAGE_OUT = "STAGE_OUT"
    STOPPED = "STOPPED"
    UPDATE_DB = "UPDATE_DB"
    EXPEDITING = "EXPEDITING"


class Phase(StrEnum):
    """What a state means for whoever waits for the run."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDING = "ending"
    """Its script is over; its processes or its epilog are not, and it may yet be requeued: nothing is final."""
    ENDED = "ended"


PHASES: Final[dict[JobState, Phase]] = {
    JobState.PENDING: Phase.WAITING,
    JobState.REQUEUED: Phase.WAITING,
    JobState.REQUEUE_FED: Phase.WAITING,
    JobState.REQUEUE_HOLD: Phase.WAITING,
    JobState.RESV_DEL_HOLD: Phase.WAITING,
    JobState.SPECIAL_EXIT: Phase.WAITING,
    JobState.EXPEDITING: Phase.WAITING,
    JobState.RUNNING: Phase.RUNNING,
    JobState.SUSPENDED: Phase.RUNNING,
    JobState.CONFIGURING: Phase.RUNNING,
    JobState.POWER_UP_NODE: Phase.RUNNING,
    JobState.RESIZING: Phase.RUNNING,
    JobState.SIGNALING: Phase.RUNNING,
    JobState.STOPPED: Phase.RUNNING,
    JobState.COMPLETING: Phase.ENDING,
    JobState.STAGE_OUT: Phase.ENDING,
    JobState.UPDATE_DB: Phase.ENDING,
    JobState.COMPLETED: Phase.ENDED,
    JobState.CANCELLED: Phase.ENDED,
    JobState.FAILED: Phase.ENDED,
    JobState.TIMEOUT: Phase.ENDED,
    JobState.NODE_FAIL: Phase.ENDED,
    JobState.PREEMPTED: Phase.ENDED,
    JobState.BOOT_FAIL: Phase.ENDED,
    JobState.DEADLINE: Phase.ENDED,
    JobState.OUT_OF_MEMORY: Phase.ENDED,
    JobState.LAUNCH_FAILED: Phase.ENDED,
    JobState.RECONFIG_FAIL: Phase.ENDED,
    JobState.REVOKED: Phase.ENDED,
}
_FLAGS: Final = (
    JobState.REQUEUE_HOLD,
    JobState.SPECIAL_EXIT,
    JobState.COMPLETING,
    JobState.STAGE_OUT,
    JobState.CONFIGURING,
    JobState.POWER_UP_NODE,
    JobState.STOPPED,
)
"""Flags that say more than the base state they come with, the strongest first."""


def parse_state(words: str | Sequence[str]) -> JobState:
    """Read `RUNNING`, `CANCELLED by 1000`, `COMPLETED+`, or a list of base state and flags.

    Raises:
        IntegrityError: Slurm has a state this version of kifabrik has not heard of.
    """
    listed = [words] if isinstance(words, str) else list(words)
    found = [_one(word) for text in listed for word in text.split(",")]
    if not found:
        raise IntegrityError("Slurm names no state for a job")
    return next((flag for flag in _FLAGS if flag in found), found[0])


@lru_cache(maxsize=256)
def _one(text: str) -> JobState:
    words = text.split()
    try:
        return JobState(words[0].rstrip("+").upper())
    except (ValueError, IndexError):
        raise IntegrityError(
            f"Slurm names the job state {text!r}, which kifabrik does not know",
            hint="Is this Slurm newer than 25.11? Please report it.",
        ) from None
