"""What a run may have ended as, given what was ordered and what was done to its processes.

Each attempt is looked at by itself; what became of the run is then recomputed from the outcomes of its
attempts with the rule the factory has for it, and must be the same, reason included.
"""

from dataclasses import dataclass, field
from pathlib import Path

from kifabrik.runs.retry import judge
from kifabrik.runs.states import Outcome, RunState
from kifabrik.values import now_utc

MORTAL = frozenset({"KILL", "TERM"})

BY_HARM = {
    # A launcher that is killed can say nothing; one whose job is killed says so, or reports what it saw.
    "launcher": {Outcome.NODE_FAILURE},
    "room": {Outcome.ERROR, Outcome.NODE_FAILURE, Outcome.ENVIRONMENT},
    "guard": {Outcome.ERROR, Outcome.NODE_FAILURE, Outcome.ENVIRONMENT},
    "ended": {Outcome.SUCCEEDED},
    "told to go": {Outcome.PREEMPTED},
}


@dataclass
class Ordered:
    """A run a customer ordered, and what must come of it.

    Args:
        tenant: Name of the tenant in this play.
        name: Of the job.
        run: Its id.
        kind: For the report.
        outcomes: What an unharmed attempt may end as.
        attempts: Most attempts.
        retry_on: Causes of another.
        exit_status: Of the program, where it decides.
        first: Outcomes an unharmed first attempt may end as, if others.
        may_stop: Whether somebody may have stopped it.
        expected: Files of its result.
        pulled: Folder they were pulled to.
        needs: Runs whose output it takes.
    """

    tenant: str
    name: str
    run: str
    kind: str
    outcomes: frozenset
    attempts: int = 1
    retry_on: tuple = ()
    exit_status: int | None = None
    first: frozenset = frozenset()
    expected: dict = field(default_factory=dict)
    pulled: Path | None = None
    needs: tuple = ()


def wrong(ordered, view, harmed):
    """Sentences about everything that is not as it must be.

    Args:
        ordered: What was asked for.
        view: The run as the factory shows it at the end.
        harmed: Gives the harms done to an attempt.
    """
    where = f"{ordered.kind} {ordered.name} ({view.run})"
    found = []
    for attempt in view.attempts:
        allowed = allowed_outcomes(ordered, attempt.number, harmed(attempt.attempt))
        if attempt.outcome not in allowed:
            harms = [f"{one.target} {one.signal}" for one in harmed(attempt.attempt)]
            may = ", ".join(sorted(map(str, allowed)))
            found.append(
                f"{where}: attempt {attempt.number} ({attempt.attempt}) ended as {attempt.outcome}, not {may}; "
                f"harmed by {harms or 'nothing'}; {view.reason}"
            )
        elif not attempt.finished:
            found.append(f"{where}: attempt {attempt.number} has no end")
        elif _other_status(ordered, attempt) and not harmed(attempt.attempt):
            found.append(f"{where}: exit status {attempt.exit_status}, not {ordered.exit_status}")
    return found + list(_wrong_end(where, ordered, view))


def _other_status(ordered, attempt):
    return ordered.exit_status is not None and attempt.exit_status != ordered.exit_status


def allowed_outcomes(ordered, number, harms):
    """What an attempt may have ended as."""
    allowed = set(ordered.first if number == 1 and ordered.first else ordered.outcomes)
    for harm in harms:
        if harm.signal in MORTAL:
            allowed |= BY_HARM[harm.target.partition(":")[0]]
        if harm.signal == "TERM" and harm.target.startswith("room"):
            allowed |= BY_HARM["ended"]  # a program may end well when it is asked to end
        if harm.signal == "TERM" and harm.target.startswith("launcher"):
            allowed |= BY_HARM["told to go"]  # it stops its job with a checkpoint
    return allowed


def _wrong_end(where, ordered, view):
    """Recompute what became of the run from how its last attempt ended."""
    if not view.attempts:
        if view.state is not RunState.STOPPED:
            yield f"{where}: ended as {view.state} without an attempt: {view.reason}"
        return
    numbers = [attempt.number for attempt in view.attempts]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"{where}: attempts are numbered {numbers}"
    for attempt in view.attempts:
        last = attempt is view.attempts[-1]
        verdict = judge(
            attempt.outcome,
            attempt=attempt.number,
            attempts=ordered.attempts,
            retry_on=frozenset(ordered.retry_on),
            now=now_utc(),
            deadline=now_utc().replace(year=now_utc().year + 1),
        )
        stopped_first = view.state is RunState.STOPPED and verdict.state is RunState.QUEUED
        if not last and verdict.state is not RunState.QUEUED:
            yield f"{where}: was tried again after {attempt.outcome}"
        elif last and not stopped_first and view.state is not verdict.state:
            how = f"{attempt.outcome} of attempt {attempt.number}"
            yield f"{where}: is {view.state}, but {how} makes it {verdict.state}"
        elif last and not stopped_first and not view.reason.startswith(verdict.reason):
            yield f"{where}: says {view.reason!r}, not {verdict.reason!r}"
