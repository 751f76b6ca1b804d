"""The one judge of trying again and of giving up."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from kifabrik.runs.states import Outcome, RunState

_CAUSES: Final = {
    Outcome.PREEMPTED: "preemption",
    Outcome.NODE_FAILURE: "node-failure",
    Outcome.ERROR: "error",
    Outcome.OUT_OF_MEMORY: "error",
}
_SENTENCES: Final = {
    Outcome.SUCCEEDED: "The job finished.",
    Outcome.ERROR: "The job's program ended with an error; see its log.",
    Outcome.OUT_OF_MEMORY: "The job needed more memory than it asked for.",
    Outcome.STOPPED: "Somebody stopped the run.",
    Outcome.CAP: "The run reached its longest duration or its budget.",
    Outcome.PREEMPTED: "The run gave way to a more urgent one.",
    Outcome.REFUSED: "The keyholder did not release the keys.",
    Outcome.ENVIRONMENT: "The environment could not be built; see the message.",
    Outcome.INTEGRITY: "Something did not verify; nothing was run on it.",
    Outcome.NODE_FAILURE: "The node or its launcher stopped working.",
    Outcome.NOT_TAKEN: "The cluster does not take the run.",
}
_ENDS: Final = {
    Outcome.SUCCEEDED: RunState.SUCCEEDED,
    Outcome.STOPPED: RunState.STOPPED,
    Outcome.CAP: RunState.STOPPED,
    Outcome.REFUSED: RunState.REFUSED,
}


@dataclass(frozen=True)
class Verdict:
    """What becomes of a run after an attempt, and why."""

    state: RunState
    reason: str


def judge(
    outcome: Outcome,
    *,
    attempt: int,
    attempts: int,
    retry_on: frozenset[str],
    now: datetime,
    deadline: datetime,
) -> Verdict:
    """Decide whether a run is tried again.

    Args:
        outcome: Of the attempt that ended.
        attempt: Its number, from 1.
        attempts: Most attempts the order allows.
        retry_on: Causes the order allows another attempt for (values of `orders.RetryCause`).
        now: The present.
        deadline: Of the order.
    """
    sentence = _SENTENCES[outcome]
    if _CAUSES.get(outcome) not in retry_on:
        return Verdict(_ENDS.get(outcome, RunState.FAILED), sentence)
    if attempt >= attempts:
        return Verdict(RunState.FAILED, f"{sentence} That was attempt {attempt} of {attempts}.")
    if now >= deadline:
        return Verdict(RunState.FAILED, f"{sentence} The order's deadline has passed.")
    return Verdict(RunState.QUEUED, f"{sentence} Trying again: attempt {attempt + 1} of {attempts}.")
