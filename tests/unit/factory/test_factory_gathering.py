"""What the launchers of one attempt leave for each other stands once, also where its answer was lost on the way."""

import pytest

from kifabrik.errors import ConflictError
from kifabrik.factory.endings import End
from kifabrik.factory.factory import Factory
from kifabrik.factory.hints import control_topic, stage_topic
from kifabrik.runs.gathering import Stage
from kifabrik.runs.states import Outcome, RunState
from kifabrik.values import Resources
from rows_of_runs import attempt, enter
from signing_up import sign_up


@pytest.fixture
def pair(opened: Factory) -> tuple[str, str, str]:
    """Tenant, run and attempt of a run on two nodes that goes on."""
    tenant = sign_up(opened)
    run = enter(opened, tenant, resources=Resources(nodes=2), state=RunState.RUNNING)
    return tenant, run, attempt(opened, tenant, run, state=RunState.RUNNING)


def test_the_same_keys_handed_over_again_change_nothing(opened: Factory, pair: tuple[str, str, str]) -> None:
    tenant, _, name = pair
    keys = {0: "sealed", 1: "header"}
    for _ in range(2):
        opened.runs.gathering.hand_over(tenant, name, keys)
    assert opened.runs.gathering.gathered(tenant, name, Stage.KEYS, 1).notes == keys
    with pytest.raises(ConflictError, match="other keys"):
        opened.runs.gathering.hand_over(tenant, name, {0: "sealed", 1: "another header"})


def test_who_waits_for_a_stage_is_woken_when_the_attempt_has_ended(
    opened: Factory, pair: tuple[str, str, str]
) -> None:
    tenant, run, name = pair
    heard: list[str] = []
    opened.hints.listen(heard.append)
    with opened.store.write(tenant) as transaction:
        found = transaction.runs.run(tenant, run)
        ended = transaction.runs.attempt(tenant, name)
        opened.runs.endings.end(transaction, found, ended, End(Outcome.NODE_FAILURE))
    assert {control_topic(tenant, name), *(stage_topic(tenant, name, stage) for stage in Stage)} <= set(heard)
