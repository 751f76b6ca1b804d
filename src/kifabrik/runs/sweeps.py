"""What a sweep is like, by what its tasks are like: pure functions."""

from collections.abc import Mapping

from kifabrik.runs.states import RunState, is_end


def state_of(tasks: Mapping[RunState, int]) -> RunState:
    """Return the state of a sweep.

    It has ended once all its tasks have; well only if all of them did. A task that failed says more than one
    that was stopped or refused.

    Args:
        tasks: How many tasks are in which state.
    """
    there = {state for state, count in tasks.items() if count}
    if not there or there == {RunState.QUEUED}:
        return RunState.QUEUED
    if not all(is_end(state) for state in there):
        return RunState.RUNNING
    for state in (RunState.FAILED, RunState.REFUSED, RunState.STOPPED):
        if state in there:
            return state
    return RunState.SUCCEEDED


def sentence_of(tasks: Mapping[RunState, int]) -> str:
    """Say how far a sweep is, such as `37 of 100 tasks have succeeded, 2 failed; 4 go on, 57 wait.`."""
    count = {state: number for state, number in tasks.items() if number}
    ended = [f"{count.pop(RunState.SUCCEEDED, 0)} of {sum(tasks.values())} tasks have succeeded"]
    ended += [f"{count.pop(state)} {state}" for state in list(count) if is_end(state)]
    waiting = count.pop(RunState.QUEUED, 0)
    open_ones = [f"{sum(count.values())} go on"] if count else []
    open_ones += [f"{waiting} wait"] if waiting else []
    return "; ".join(", ".join(part) for part in (ended, open_ones) if part) + "."
