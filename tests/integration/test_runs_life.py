"""A run's life through the running service, with a launcher process that signs for real."""

import pytest
from runs_room import RunFactory

from kifabrik.client.datasets import Datasets
from kifabrik.client.runs import Runs
from kifabrik.meters.recorded import recorded
from kifabrik.runs.states import Outcome, RunState
from players import DONE, keyholder, order, wait_for


@pytest.fixture
def party(run_factory: RunFactory):
    run_factory.script(DONE)
    return run_factory.sign_up()


def test_a_run_goes_from_order_to_end_with_its_history_and_log(party) -> None:
    person = party.enrol()
    with keyholder(party):
        view = order(person, inputs=[person.seal()])
        assert view.state is RunState.QUEUED
        ended = wait_for(Runs(person.connection), view.run, "succeeded", "failed")
    assert ended.state is RunState.SUCCEEDED
    assert ended.reason == "The job finished."
    (attempt,) = ended.attempts
    assert (attempt.number, attempt.outcome, attempt.exit_status, attempt.node) == (
        1,
        Outcome.SUCCEEDED,
        0,
        "box",
    )
    runs = Runs(person.connection)
    assert [event.state.value for event in runs.history(view.run)] == [
        "queued",
        "starting",
        "building",
        "waiting-for-key",
        "staging",
        "running",
        "succeeded",
    ]
    log = runs.log(attempt.attempt)
    assert [segment.body for segment in log.segments] == [b"hello"]
    assert (log.stream, log.ended) == (attempt.stream, True)
    kinds = [entry["kind"] for entry in party.entries()]
    assert kinds[-5:] == ["run.ordered", "run.admitted", "lease.requested", "lease.released", "run.finished"]
    evidence = runs.evidence(view.run)
    for digest in (evidence.order, evidence.code, *evidence.requests, *evidence.decisions, *evidence.finishes):
        assert Datasets(person.connection).statement(digest).digest == digest
    assert ended.footprint.cost_micro_eur > 0
    assert ended.footprint.wall_s >= 1
    assert [(one.source, one.joules) for one in ended.footprint.energy] == [("estimated", 5.0)]
    assert not ended.footprint.energy_measured
    used = recorded(
        {key: tuple(one) if isinstance(one, list) else one for key, one in party.entries()[-1]["refs"].items()}
    )
    assert used is not None
    assert (used.energy_mj, used.cost_micro_eur) == (5_000, ended.footprint.cost_micro_eur)
