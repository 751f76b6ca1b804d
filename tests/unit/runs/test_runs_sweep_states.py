"""What a sweep is like, by its tasks."""

import pytest

from kifabrik.runs.states import RunState, is_end
from kifabrik.runs.sweeps import sentence_of, state_of

S = RunState


@pytest.mark.parametrize(
    ("tasks", "state"),
    [
        ({S.QUEUED: 3}, S.QUEUED),
        ({S.QUEUED: 2, S.SUCCEEDED: 1}, S.RUNNING),
        ({S.BUILDING: 1}, S.RUNNING),
        ({S.FAILED: 1, S.QUEUED: 1}, S.RUNNING),
        ({S.SUCCEEDED: 3}, S.SUCCEEDED),
        ({S.SUCCEEDED: 3, S.FAILED: 1, S.STOPPED: 1}, S.FAILED),
        ({S.SUCCEEDED: 3, S.REFUSED: 1, S.STOPPED: 1}, S.REFUSED),
        ({S.SUCCEEDED: 3, S.STOPPED: 1}, S.STOPPED),
    ],
)
def test_the_state_of_a_sweep_follows_from_its_tasks(tasks: dict, state: RunState) -> None:
    assert state_of(tasks) is state
    assert is_end(state) == all(is_end(one) for one in tasks)


def test_a_sentence_says_how_far_it_is() -> None:
    tasks = {S.SUCCEEDED: 37, S.FAILED: 2, S.RUNNING: 3, S.STAGING: 1, S.QUEUED: 57}
    assert sentence_of(tasks) == "37 of 100 tasks have succeeded, 2 failed; 4 go on, 57 wait."
    assert sentence_of({S.SUCCEEDED: 2}) == "2 of 2 tasks have succeeded."
