"""The one table of what may follow what."""

from enum import StrEnum
from typing import Final

from kifabrik.errors import ConflictError


class RunState(StrEnum):
    """Where a run stands."""

    QUEUED = "queued"
    PENDING = "pending"
    """A cluster's scheduler has it in its own queue."""
    STARTING = "starting"
    BUILDING = "building"
    WAITING_FOR_KEY = "waiting-for-key"
    STAGING = "staging"
    RUNNING = "running"
    SEALING = "sealing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"
    REFUSED = "refused"


_ENDS: Final = frozenset({RunState.SUCCEEDED, RunState.FAILED, RunState.STOPPED, RunState.REFUSED})
_STEPS: Final = (
    RunState.PENDING,
    RunState.STARTING,
    RunState.BUILDING,
    RunState.WAITING_FOR_KEY,
    RunState.STAGING,
    RunState.RUNNING,
    RunState.SEALING,
)

TRANSITIONS: Final[dict[RunState, frozenset[RunState]]] = {
    RunState.QUEUED: frozenset(
        {
            RunState.PENDING,
            RunState.STARTING,
            RunState.STOPPED,
            RunState.FAILED,
            RunState.REFUSED,
        }
    ),
    # A launcher moves forward only; any step may end the run or, for another attempt, queue it again.
    **{step: frozenset({*_STEPS[position + 1 :], RunState.QUEUED, *_ENDS}) for position, step in enumerate(_STEPS)},
    **{end: frozenset() for end in _ENDS},
}


def is_end(state: RunState) -> bool:
    """Whether nothing follows this state."""
    return state in _ENDS


def check_transition(now: RunState, then: RunState) -> None:
    """Check one step.

    Raises:
        ConflictError: The table does not allow it.
    """
    if then not in TRANSITIONS[now]:
        raise ConflictError(f"a run that is {now.value} cannot become {then.value}")


class Outcome(StrEnum):
    """How an attempt ended: the exit class, the only thing of it the factory sees."""

    SUCCEEDED = "succeeded"
    ERROR = "error"
    OUT_OF_MEMORY = "out-of-memory"
    STOPPED = "stopped"
    CAP = "cap"
    PREEMPTED = "preempted"
    REFUSED = "refused"
    ENVIRONMENT = "environment"
    INTEGRITY = "integrity"
    NODE_FAILURE = "node-failure"
    NOT_TAKEN = "not-taken"
    """A cluster's scheduler refused it."""
