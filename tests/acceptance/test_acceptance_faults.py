"""Processes killed with SIGKILL in the middle of their work: nothing is lost, nothing is left behind."""

import hashlib
import os
import secrets
import signal
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from kifabrik.runs.states import Outcome, RunState

pytestmark = pytest.mark.xdist_group("acceptance")

WORKS_A_WHILE = """
import time
from pathlib import Path

print("begun", flush=True)
time.sleep(4)
Path("/out/model").mkdir()
Path("/out/model/done.txt").write_text("done")
print("ended", flush=True)
"""


@contextmanager
def without_keyholder(stage):
    """The keyholder is dead while the block runs, and back afterwards."""
    stage.kill_keyholder()
    try:
        yield
    finally:
        stage.start_keyholder()


def test_a_run_outlives_the_service_and_is_settled_when_it_is_back(stage, tmp_path):
    future = stage.order(tmp_path, WORKS_A_WHILE, outputs={"model": "/out/model"})
    stage.wait_for_line(future.run, "begun")
    launcher = stage.launcher_of(future.run)
    stage.kill_service()
    try:
        os.kill(launcher, 0)
    finally:
        stage.start_service()
    result = future.result(90)
    assert len(result.view.attempts) == 1
    assert result.view.footprint.cost_micro_eur > 0
    assert [line.text for line in result.log()] == ["begun", "ended"]
    result.pull("model", tmp_path / "pulled")
    assert (tmp_path / "pulled" / "done.txt").read_text() == "done"


def test_a_run_that_ends_while_the_service_is_dead_is_settled_too(stage, tmp_path):
    code = WORKS_A_WHILE.replace("sleep(4)", "sleep(1)")
    future = stage.order(tmp_path, code, outputs={"model": "/out/model"})
    stage.wait_for_line(future.run, "begun")
    stage.kill_service()
    time.sleep(2)
    stage.start_service()
    assert [line.text for line in future.result(90).log()] == ["begun", "ended"]


def test_a_run_waits_for_a_dead_keyholder_says_so_and_goes_on(stage, tmp_path):
    with without_keyholder(stage):
        future = stage.order(tmp_path, "print('it went on')", name=stage.name("waits"))
        stage.wait_until(future.run, lambda view: view.state is RunState.WAITING_FOR_KEY, "waiting for its key")
        told = stage.customer.kifabrik("why", stage.name("waits"))
        assert "waiting-for-key" in told.out
        assert "keyholder" in told.out
        assert not future.done()
    assert [line.text for line in future.result(90).log()] == ["it went on"]


def test_a_killed_keyholder_forgets_nothing_it_has_agreed_to(stage, tmp_path):
    future = stage.order(tmp_path, WORKS_A_WHILE, outputs={"model": "/out/model"})
    stage.wait_for_line(future.run, "begun")
    with without_keyholder(stage):
        pass
    result = future.result(90)
    result.pull("model", tmp_path / "pulled")
    assert stage.customer.kifabrik("ledger", "show", "--last", 1, "--json").json()
    assert stage.customer.kifabrik("ledger", "verify", "--json").json()["ok"]


def processes_of(pid):
    """A process and all that descend from it."""
    found = {pid}
    for _ in range(6):
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                except OSError:
                    continue
                if parent in found:
                    found.add(int(entry.name))
    return found


def state_of(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def wait_until_gone(pids):
    until = time.monotonic() + 15
    while any(state_of(pid) not in ("gone", "Z") for pid in pids) and time.monotonic() < until:
        time.sleep(0.1)
    return {pid: state_of(pid) for pid in pids if state_of(pid) not in ("gone", "Z")}


def test_a_killed_launcher_is_a_node_failure_and_takes_its_job_with_it(stage, tmp_path):
    future = stage.order(tmp_path, "import time; print('up', flush=True); time.sleep(300)", retry={"attempts": 1})
    stage.wait_for_line(future.run, "up")
    launcher = stage.launcher_of(future.run)
    family = processes_of(launcher)
    assert len(family) > 1
    os.kill(launcher, signal.SIGKILL)
    view = stage.end(future)
    assert view.state is RunState.FAILED
    assert view.attempts[0].outcome is Outcome.NODE_FAILURE
    assert wait_until_gone(family) == {}


def test_after_a_node_failure_the_next_attempt_goes_on_if_asked(stage, tmp_path):
    code = """
import os, time
from pathlib import Path

print("attempt", flush=True)
if os.path.exists("/checkpoint/seen"):
    raise SystemExit
Path("/checkpoint/seen").write_text("1")
time.sleep(3)
"""
    future = stage.order(tmp_path, code, checkpoint="/checkpoint", retry={"attempts": 2, "on": ["node-failure"]})
    stage.wait_for_line(future.run, "attempt")
    os.kill(stage.launcher_of(future.run), signal.SIGKILL)
    result = future.result(90)
    assert [attempt.outcome for attempt in result.view.attempts] == [Outcome.NODE_FAILURE, Outcome.SUCCEEDED]
    assert [line.attempt for line in result.log() if line.text == "attempt"] == [1, 2]


def kill_when(sealing, folder, pattern):
    """Kill a process as soon as a file matches; return whether it was killed."""
    while sealing.poll() is None:
        if any(path.stat().st_size for path in folder.glob(pattern)):
            sealing.kill()
        time.sleep(0.002)
    return sealing.wait() == -signal.SIGKILL


def test_a_sealing_killed_midway_goes_on_where_it_stopped(stage, tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    blocks = {f"block-{number:02}.bin": secrets.token_bytes(3_000_000) for number in range(16)}
    for block, data in blocks.items():
        (source / block).write_bytes(data)
    name = stage.name("interrupted")
    datasets = stage.customer.home / "member" / "datasets"
    staged = stage.factory.home / "factory" / "staging"
    for folder, moment in ((datasets, "*/spool/sealing-*"), (datasets, "*/spool/*.body"), (staged, "*/*")):
        assert kill_when(stage.customer.start("dataset", "seal", name, source), folder, moment)
    sealed = stage.customer.kifabrik("dataset", "seal", name, source, "--json").json()
    assert (sealed["files"], sealed["version"]) == (len(blocks), 1)
    assert sealed["reused"] > 0
    assert list(datasets.glob("*/spool/*")) == []
    stage.grant(name, "upkeep")
    code = """
import hashlib
from pathlib import Path

for path in sorted(Path("/data/line").iterdir()):
    print(path.name, hashlib.sha256(path.read_bytes()).hexdigest())
"""
    result = stage.order(tmp_path / "job", code, data={"/data/line": name}).result(90)
    assert [line.text for line in result.log()] == [
        f"{block} {hashlib.sha256(data).hexdigest()}" for block, data in sorted(blocks.items())
    ]
