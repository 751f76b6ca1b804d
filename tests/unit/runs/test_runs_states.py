"""The table of states, and the judge of trying again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import ConflictError
from kifabrik.orders.order import RetryCause
from kifabrik.runs.retry import judge
from kifabrik.runs.states import TRANSITIONS, Outcome, RunState, check_transition, is_end

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
STEPS = ["starting", "building", "waiting-for-key", "staging", "running", "sealing"]


def test_every_state_has_a_row() -> None:
    assert set(TRANSITIONS) == set(RunState)


def test_nothing_follows_an_end() -> None:
    for state in RunState:
        assert (not TRANSITIONS[state]) == is_end(state)


def test_a_launcher_moves_forward_only() -> None:
    for position, step in enumerate(STEPS):
        for other_position, other in enumerate(STEPS):
            allowed = RunState(other) in TRANSITIONS[RunState(step)]
            assert allowed == (other_position > position)


def test_every_state_that_is_no_end_can_reach_every_end() -> None:
    ends = {state for state in RunState if is_end(state)}
    for state in set(RunState) - ends - {RunState.QUEUED}:
        assert ends <= TRANSITIONS[state]


def test_a_forbidden_step_names_both_states() -> None:
    with pytest.raises(ConflictError, match="a run that is succeeded cannot become running"):
        check_transition(RunState.SUCCEEDED, RunState.RUNNING)


outcomes = st.sampled_from(list(Outcome))
causes = st.frozensets(st.sampled_from([str(cause) for cause in RetryCause]))


@given(outcomes, st.integers(1, 5), st.integers(1, 5), causes, st.integers(-1, 1))
def test_a_verdict_is_an_end_or_another_attempt_within_what_the_order_allows(
    outcome: Outcome, attempt: int, attempts: int, retry_on: frozenset[str], left: int
) -> None:
    deadline = NOW + timedelta(hours=left)
    verdict = judge(outcome, attempt=attempt, attempts=attempts, retry_on=retry_on, now=NOW, deadline=deadline)
    assert verdict.reason.endswith(".")
    if verdict.state is RunState.QUEUED:
        assert attempt < attempts
        assert deadline > NOW
        assert retry_on
    else:
        assert is_end(verdict.state)
    assert (verdict.state is RunState.SUCCEEDED) == (outcome is Outcome.SUCCEEDED)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (Outcome.STOPPED, RunState.STOPPED),
        (Outcome.CAP, RunState.STOPPED),
        (Outcome.REFUSED, RunState.REFUSED),
        (Outcome.INTEGRITY, RunState.FAILED),
        (Outcome.ENVIRONMENT, RunState.FAILED),
    ],
)
def test_what_a_person_the_cap_or_the_keyholder_ended_is_never_tried_again(
    outcome: Outcome, state: RunState
) -> None:
    every = frozenset(str(cause) for cause in RetryCause)
    verdict = judge(outcome, attempt=1, attempts=9, retry_on=every, now=NOW, deadline=NOW + timedelta(days=1))
    assert verdict.state is state
