"""The plant's governor on a real Slurm: what may wait does, for its hour; what runs is never ended for power."""

import time
from datetime import UTC, datetime

import pytest
from slurm_stage import sealed_stage
from waiting import eventually

from kifabrik.engines.slurm.account_plan import PARENT
from kifabrik.factory.queue import GRACE_S, PREPARING_S
from kifabrik.plant.governor.permit_file import PERMIT, write_permit
from kifabrik.plant.governor.rules import Permit
from kifabrik.runs.states import RunState

pytestmark = pytest.mark.timeout(300)  # a cluster and two parties start within the first test
LASTING_S = PREPARING_S + 60 + GRACE_S
"""How long a run of `max_duration: 1m` may hold its place."""
WORTH_IT_S = 0.05 * LASTING_S
"""An hour that begins sooner is not worth waiting for: of the run's time, less than a twentieth lies before it."""
NODES, CORES = 2, 16
FOREVER = "import time\nprint('begun', flush=True)\ntime.sleep(600)"
RIVER = "The river is at its temperature limit until about 19:00 UTC: 4 of 13 MW are permitted."


@pytest.fixture(scope="module")
def stage():
    """Two nodes without GPUs, so power counts by cores; a customer with a sealed dataset."""
    with sealed_stage("flexible", nodes=NODES, gpus=0, cpus=CORES, node_timeout_s=20) as playing:
        yield playing


@pytest.fixture
def govern(stage):
    """Have the governor permit a share of the cores, and tell of a better hour; in the end nothing is limited."""

    def permit(share=1.0, better_at=0.0):
        now = time.time()
        hours = ((better_at - 3600, 0.0), (better_at, 1.0)) if better_at else ()
        said = Permit(1.0 + 12.0 * share, 13.0, 1.0, now, 0.0, RIVER if share < 1 else "", hours)
        write_permit(stage.factory.home / "factory", said)

    yield permit
    permit()
    eventually(lambda: limit(stage) == "")
    (stage.factory.home / "factory" / PERMIT).unlink()


@pytest.fixture
def parts():
    """Every job is short, so that an hour is worth waiting for."""
    return {"max_duration": "1m"}


def limit(stage):
    """GrpTRES of the account above all tenants'."""
    words = ("-nP", "show", "associations", f"account={PARENT}", "format=User,GrpTRES")
    rows = [line.split("|") for line in stage.cluster.run("sacctmgr", *words).splitlines()]
    return next(found for user, found in rows if not user)


def submitted(stage, run):
    """When Slurm was handed a run's job, in seconds since the epoch."""
    job = stage.cluster.run("scontrol", "--oneliner", "show", "job", str(stage.job_of(run.run)))
    said = next(word for word in job.split() if word.startswith("SubmitTime="))
    return datetime.fromisoformat(said.partition("=")[2]).timestamp()


def to_start_by(moment):
    """A deadline for a run of a minute that has to start by a moment in seconds since the epoch."""
    return {"until": datetime.fromtimestamp(moment + LASTING_S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")}


def test_a_run_that_may_wait_is_kept_from_slurm_until_the_governors_hour_and_says_why(stage, govern, order):
    better_at = time.time() + WORTH_IT_S + 35
    govern(better_at=better_at)
    run = order("print('done')", flexible=to_start_by(better_at + 3600))
    other = order("print('done')")
    kept = stage.wait_until(run.run, lambda view: "May wait, and does" in view.reason, "explained")
    assert (kept.state, list(kept.attempts)) == (RunState.QUEUED, [])
    assert "May wait, and does: from about" in " ".join(stage.customer.kifabrik("why", run.run).out.split())
    assert stage.end(other).state is RunState.SUCCEEDED
    assert len([name for name, *_ in stage.jobs() if name.startswith("a-")]) == 1, "Slurm has the other one alone"
    assert stage.end(run).state is RunState.SUCCEEDED
    assert better_at - WORTH_IT_S - 1 <= submitted(stage, run) <= better_at


def test_a_run_starts_by_its_deadline_though_the_better_hour_moves_away(stage, govern, order):
    latest = time.time() + WORTH_IT_S + 45
    govern(better_at=latest - 5)
    run = order("print('done')", flexible=to_start_by(latest))
    stage.wait_until(run.run, lambda view: "May wait, and does" in view.reason, "kept")
    govern(better_at=latest + 600)  # the forecast has changed
    assert stage.end(run).state is RunState.SUCCEEDED
    assert submitted(stage, run) <= latest


def test_less_power_stops_nothing_holds_back_what_waits_and_says_so_until_it_is_there_again(stage, govern, order):
    working = order(FOREVER, resources={"cpu": CORES, "memory": "300MB"}, max_duration="5m")
    stage.wait_for_line(working.run, "begun")
    govern(share=0.25)
    eventually(lambda: limit(stage) == f"cpu={NODES * CORES // 4}")
    waiting = order("print('done')")
    view = stage.wait_until(waiting.run, lambda view: "Waits for power." in view.reason, "explained")
    assert (view.state, RIVER in view.reason) == (RunState.PENDING, True)
    assert RIVER in " ".join(stage.customer.kifabrik("why", waiting.run).out.split())
    assert working.view().state is RunState.RUNNING, "half of the cores are held, a quarter is permitted"
    govern(share=0.6)
    eventually(lambda: limit(stage) == f"cpu={int(NODES * CORES * 0.6)}")
    assert stage.end(waiting).state is RunState.SUCCEEDED
    govern()
    eventually(lambda: limit(stage) == "")
    assert working.view().state is RunState.RUNNING
