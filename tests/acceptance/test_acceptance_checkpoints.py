"""Training state survives: a failure, a stop by a person, the longest duration, the budget."""

import pytest

from kifabrik.customer.apply import prepare
from kifabrik.datasets.manifest import Manifest
from kifabrik.jobs.jobfile import read_job
from kifabrik.runs.states import Outcome, RunState
from kifabrik.signatures.statements import read_unverified

pytestmark = pytest.mark.xdist_group("acceptance")

RESUMES = """
import sys
from pathlib import Path

state = Path("/checkpoint/step.txt")
if not state.exists():
    print("first attempt begins")
    state.write_text("41")
    sys.exit(3)
print("second attempt goes on after", state.read_text())
Path("/out/model").mkdir()
Path("/out/model/step.txt").write_text(str(int(state.read_text()) + 1))
state.write_text("42")
"""

STOPPABLE = """
import signal, sys, time
from pathlib import Path

def save(*_):
    Path("/checkpoint/saved.txt").write_text("saved at the end")
    print("saving before the end", flush=True)
    sys.exit(0)

signal.signal(signal.SIGTERM, save)
signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
print("training", flush=True)
time.sleep(300)
"""


def checkpoints(stage, run):
    """Manifests of a run's checkpoints, in order."""
    fetch = stage.sdk.session.datasets.statement
    found = []
    for digest in stage.sdk.session.runs.evidence(run).manifests:
        envelope = fetch(digest)
        manifest = read_unverified(envelope, Manifest)[0]
        if manifest.owner == f"{run}/checkpoint":
            found.append((digest, manifest))
    return found


def test_a_second_attempt_goes_on_from_the_checkpoint_of_the_first(stage, tmp_path):
    future = stage.order(
        tmp_path,
        RESUMES,
        name=stage.name("resumes"),
        outputs={"model": "/out/model"},
        checkpoint="/checkpoint",
        retry={"attempts": 2, "on": ["error"]},
    )
    result = future.result(120)
    assert [attempt.outcome for attempt in result.view.attempts] == [Outcome.ERROR, Outcome.SUCCEEDED]
    assert result.view.attempts[0].exit_status == 3
    log = [(line.attempt, line.text) for line in result.log() if line.kind == "out"]
    assert log == [(1, "first attempt begins"), (2, "second attempt goes on after 41")]
    result.pull("model", tmp_path / "pulled")
    assert (tmp_path / "pulled" / "step.txt").read_text() == "42"


def test_the_chain_of_checkpoints_is_on_record(stage):
    run = stage.sdk.session.catalogue().run(stage.name("resumes")).run
    (_, first), *later = chain = checkpoints(stage, run)
    assert (first.version, first.previous) == (1, "")
    for (before, _), (_, manifest) in zip(chain, later, strict=False):
        assert manifest.previous == before
    assert [manifest.version for _, manifest in chain] == list(range(1, len(chain) + 1))


def test_stop_reaches_the_program_as_sigterm_and_keeps_its_checkpoint(stage, tmp_path):
    future = stage.order(tmp_path, STOPPABLE, name=stage.name("stopped"), checkpoint="/checkpoint")
    stage.wait_for_line(future.run, "training")
    said = stage.customer.kifabrik("stop", stage.name("stopped"), "--wait", "--json").json()
    assert said["state"] == "stopped"
    assert "saving before the end" in stage.log(future.run)
    assert len(checkpoints(stage, future.run)) == 1
    assert future.cancelled()


@pytest.mark.parametrize("limit", [{"max_duration": "6s"}, {"budget": "0.00008 EUR"}], ids=["duration", "budget"])
def test_a_run_that_reaches_its_cap_ends_with_a_checkpoint(stage, tmp_path, limit):
    # Where its Python is slow to start, the stop waits until the program can hear it.
    run = "env --block-signal=TERM python job.py"
    job = stage.job(tmp_path, STOPPABLE, run=run, checkpoint="/checkpoint", **limit)
    plan = prepare(stage.sdk.session, read_job(job), tmp_path).plan
    assert 4 <= plan.cap_s <= 8
    view = stage.end(stage.sdk.submit(job))
    assert view.state is RunState.STOPPED
    assert view.attempts[0].outcome is Outcome.CAP
    assert "saving before the end" in stage.log(view.run)
    assert len(checkpoints(stage, view.run)) == 1
    assert view.footprint.cost_micro_eur <= plan.most_micro_eur


def test_a_stopped_queued_run_never_starts(stage, tmp_path):
    sleeper = "import time; print('up', flush=True); time.sleep(60)"
    running = stage.order(tmp_path / "a", sleeper, resources={"cpu": 2, "memory": "300MB"})
    stage.wait_until(running.run, lambda view: view.state is RunState.RUNNING, "running")
    waiting = stage.order(tmp_path / "b", sleeper, resources={"cpu": 2, "memory": "300MB"})
    assert waiting.view().state is RunState.QUEUED
    assert waiting.cancel()
    assert waiting.cancelled()
    assert not waiting.view().attempts
    running.cancel()
    assert stage.end(running).state is RunState.STOPPED
