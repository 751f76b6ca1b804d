"""Processes killed with SIGKILL in the middle of their work: nothing is lost, nothing is left behind."""

import hashlib
import os
import re
import secrets
import shutil
import signal
import time
from pathlib import Path

import pytest
from two_parties import PATIENCE_S, WAITS, processes_of, rooms_of

from kifabrik.runs.states import Outcome, RunState
from players import eventually
from small_disk import small_disk

__all__ = ["small_disk"]

pytestmark = pytest.mark.xdist_group("acceptance")

WORKS_A_WHILE = f"""{WAITS}
Path("/out/model").mkdir()
Path("/out/model/done.txt").write_text("done")
print("ended", flush=True)
"""


def test_a_run_outlives_the_service_and_is_settled_when_it_is_back(stage, tmp_path):
    future = stage.order(tmp_path, WORKS_A_WHILE, outputs={"model": "/out/model"})
    stage.wait_for_line(future.run, "begun")
    launcher = stage.launcher_of(future.run)
    stage.kill_service()
    try:
        os.kill(launcher, 0)
    finally:
        stage.start_service()
    stage.let_go(launcher)
    result = future.result(120)
    assert len(result.view.attempts) == 1
    assert result.view.footprint.cost_micro_eur > 0
    assert [line.text for line in result.log()] == ["begun", "ended"]
    result.pull("model", tmp_path / "pulled")
    assert (tmp_path / "pulled" / "done.txt").read_text() == "done"


def test_a_run_that_ends_while_the_service_is_dead_is_settled_too(stage, tmp_path):
    future = stage.order(tmp_path, WORKS_A_WHILE, outputs={"model": "/out/model"})
    stage.wait_for_line(future.run, "begun")
    launcher = stage.launcher_of(future.run)
    stage.kill_service()
    try:
        stage.let_go(launcher)
        eventually(lambda: not rooms_of(launcher))
    finally:
        stage.start_service()
    assert [line.text for line in future.result(120).log()] == ["begun", "ended"]


def test_a_run_waits_for_a_dead_keyholder_says_so_and_goes_on(stage, tmp_path):
    with stage.without_keyholder():
        future = stage.order(tmp_path, "print('it went on')", name=stage.name("waits"))
        stage.wait_until(future.run, lambda view: view.state is RunState.WAITING_FOR_KEY, "waiting for its key")
        told = stage.customer.kifabrik("why", stage.name("waits"))
        assert "waiting-for-key" in told.out
        assert "keyholder" in told.out
        assert not future.done()
    assert [line.text for line in future.result(120).log()] == ["it went on"]


def test_a_killed_keyholder_forgets_nothing_it_has_agreed_to(stage, tmp_path):
    future = stage.order(tmp_path, WORKS_A_WHILE, outputs={"model": "/out/model"})
    stage.wait_for_line(future.run, "begun")
    with stage.without_keyholder():
        pass
    stage.let_go(stage.launcher_of(future.run))
    result = future.result(120)
    result.pull("model", tmp_path / "pulled")
    assert stage.customer.kifabrik("ledger", "show", "--last", 1, "--json").json()
    assert stage.customer.kifabrik("ledger", "verify", "--json").json()["ok"]


def state_of(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "gone"


def wait_until_gone(pids):
    until = time.monotonic() + PATIENCE_S
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
    future = stage.order(tmp_path, WAITS, checkpoint="/checkpoint", retry={"attempts": 2, "on": ["node-failure"]})
    stage.wait_for_line(future.run, "begun")
    os.kill(stage.launcher_of(future.run), signal.SIGKILL)
    eventually(lambda: stage.log(future.run).count("begun") == 2, PATIENCE_S)
    stage.let_go(stage.launcher_of(future.run))
    result = future.result(120)
    assert [attempt.outcome for attempt in result.view.attempts] == [Outcome.NODE_FAILURE, Outcome.SUCCEEDED]
    assert [line.attempt for line in result.log() if line.text == "begun"] == [1, 2]


HALTS = """
import fnmatch, signal, sys, threading

left = {number}

def halt(event, words):
    global left
    if left and event == "open":
        about = str(words[0])
    elif left and event == "http.client.send":
        about = bytes(words[1][:2000]).decode("latin-1")
    else:
        return
    if fnmatch.fnmatch(about, "{pattern}"):
        left -= 1
        if not left:
            # To this thread: one for the process may reach another first, while this one goes on.
            signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)

sys.addaudithook(halt)
"""
SEALING = "*block-08.bin", 1
"""It opens a file in the midst of them: what comes before lies sealed in the spool, under a name of its own."""
SEALED = "*/spool/*.body", 1
"""It opens a sealed shard, to send it."""
SENDING = "PATCH *upload-offset: [1-9]*", 1
"""It goes on with a large shard whose first part the factory has acknowledged."""


@pytest.fixture
def halted(tmp_path, monkeypatch):
    """Starts a party's command that stops itself at one of the moments above; it goes on with SIGCONT."""

    def start(party, moment, *words):
        pattern, number = moment
        folder = tmp_path / "halts"
        folder.mkdir(exist_ok=True)
        (folder / "sitecustomize.py").write_text(HALTS.format(pattern=pattern, number=number))
        with monkeypatch.context() as patch:
            patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
            command = party.start(*words)
        eventually(lambda: command.poll() is not None or state_of(command.pid) == "T", PATIENCE_S)
        assert command.poll() is None, "it did not come to the moment"
        return command

    return start


def test_a_sealing_killed_midway_goes_on_where_it_stopped(stage, tmp_path, halted):
    source = tmp_path / "source"
    source.mkdir()
    blocks = {f"block-{number:02}.bin": secrets.token_bytes(3_000_000) for number in range(16)}
    for block, data in blocks.items():
        (source / block).write_bytes(data)
    name = stage.name("interrupted")
    datasets = stage.customer.home / "member" / "datasets"
    for moment in (SEALING, SEALED, SENDING):
        sealing = halted(stage.customer, moment, "dataset", "seal", name, source)
        sealing.kill()
        assert sealing.wait() == -signal.SIGKILL
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
    result = stage.order(tmp_path / "job", code, data={"/data/line": name}).result(120)
    assert [line.text for line in result.log()] == [
        f"{block} {hashlib.sha256(data).hexdigest()}" for block, data in sorted(blocks.items())
    ]


def test_ctrl_c_ends_the_following_and_says_how_to_go_on_with_the_run(stage, tmp_path):
    job = stage.job(tmp_path, WORKS_A_WHILE, name=stage.name("followed"))
    following = stage.customer.start("apply", job, "--yes")
    said = stage.customer.home / "apply.log"
    eventually(lambda: "begun" in said.read_text(), PATIENCE_S)
    following.send_signal(signal.SIGINT)
    assert following.wait(PATIENCE_S) == 130
    (run,) = set(re.findall(r"kifabrik logs -f (r-\S+)", said.read_text()))
    stage.let_go(stage.launcher_of(run))
    assert f"kifabrik stop {run}" in said.read_text()
    assert "begins again" not in said.read_text()
    assert stage.end(run).state is RunState.SUCCEEDED


# --- two who want the same, and disks that are full ---


def blocks(folder, number):
    """A folder of so many files of 3 MB."""
    folder.mkdir()
    for one in range(number):
        (folder / f"block-{one:02}.bin").write_bytes(secrets.token_bytes(3_000_000))
    return folder


def test_of_two_commands_on_one_machine_that_seal_one_name_the_second_is_told(stage, tmp_path, halted):
    name, source = stage.name("twice"), blocks(tmp_path / "source", 12)
    first = halted(stage.customer, SEALING, "dataset", "seal", name, source)
    try:
        refused = stage.customer.kifabrik("dataset", "seal", name, source, expect=5)
        other = stage.customer.kifabrik("dataset", "seal", stage.name("other"), source, "--json").json()
    finally:
        first.send_signal(signal.SIGCONT)
    assert "another command on this machine is sealing" in refused.err
    assert first.wait() == 0
    found = {one.name: one for one in stage.sdk.session.catalogue().datasets()}
    assert len(found[name].manifests) == 1
    assert found[stage.name("other")].dataset == other["dataset"] != found[name].dataset


def test_of_two_people_who_seal_one_name_one_wins_and_the_other_is_told(stage, tmp_path, halted):
    name, source = stage.name("race"), blocks(tmp_path / "source", 12)
    other = stage.member("engineer", "racer")
    slow = halted(other, SEALING, "dataset", "seal", name, source)
    try:
        (tmp_path / "small").mkdir()
        (tmp_path / "small" / "a.csv").write_text("1\n")
        stage.customer.kifabrik("dataset", "seal", name, tmp_path / "small")
    finally:
        slow.send_signal(signal.SIGCONT)
    assert slow.wait() == 5
    assert "somebody else sealed a version of" in (other.home / "dataset.log").read_text()
    assert len([one for one in stage.sdk.session.catalogue().datasets() if one.name == name]) == 1
    sealed = other.kifabrik("dataset", "seal", name, source, "--json").json()
    assert sealed["version"] == 2


def test_a_sealing_that_finds_no_room_says_so_and_goes_on_later(stage, tmp_path, small_disk):
    source = blocks(tmp_path / "source", 8)
    disk = small_disk(stage.customer.home.parent / "cramped", "1m")
    person = stage.member("engineer", "cramped")
    said = person.kifabrik("dataset", "seal", stage.name("cramped"), source, expect=8)
    assert "left on device" in said.err
    assert "hint: Free some space" in said.err
    disk.grow("100m")
    assert person.kifabrik("dataset", "seal", stage.name("cramped"), source, "--json").json()["files"] == 8


def test_a_pull_that_finds_no_room_leaves_nothing(stage, trained, tmp_path, small_disk):
    disk = small_disk(tmp_path / "disk", "8k")
    disk.fill()
    name, target = stage.name("slope"), disk.folder / "model"
    said = stage.customer.kifabrik("model", "pull", name, "--to", target, expect=8)
    assert "space" in said.err.lower()
    assert [path.name for path in disk.folder.iterdir()] == ["filler"]
    disk.grow("1m")
    stage.customer.kifabrik("model", "pull", name, "--to", target)
    assert (target / "slope.json").exists()


def test_a_node_whose_disk_is_full_fails_the_attempt_and_says_why_in_the_sealed_log(stage, tmp_path, small_disk):
    code = "import os; os.mkdir('/out/model'); open('/out/model/w', 'wb').write(os.urandom(20_000_000))"
    disk = small_disk(stage.factory.home / "factory" / "node" / "runs", "2m")
    future = stage.order(tmp_path, code, outputs={"model": "/out/model"})
    view = stage.end(future)
    assert view.state is RunState.FAILED
    assert view.attempts[0].outcome is Outcome.NODE_FAILURE
    assert "the node's disk is full" in view.reason
    assert any("left on device" in line or "full" in line for line in stage.log(future.run))
    assert list(disk.folder.iterdir()) == []


def test_an_object_the_store_has_lost_is_said_and_found_and_can_be_put_back(stage, tmp_path):
    session, name = stage.sdk.session, stage.name("losing")
    stage.seal(name, {"a.csv": stage.mark})
    stage.grant(name, "upkeep")
    catalogue = session.catalogue()
    shard = catalogue.version(catalogue.dataset(name), 1).shards[0].sha256
    home = stage.factory.home / "factory"
    (lost,) = (home / "objects").rglob(shard)
    lost.rename(tmp_path / "kept")
    order = {"data": {"/data/line": name}, "name": stage.name("reads-lost")}
    view = stage.end(stage.order(tmp_path / "first", "print('read')", **order))
    assert view.state is RunState.FAILED
    assert f"shard {shard[:16]} is missing in the store" in view.reason
    assert shard[:16] in stage.factory.kifabrik("admin", "check", expect=6).err
    (tmp_path / "kept").rename(lost)
    result = stage.order(tmp_path / "second", "print('read')", **order).result(120)
    assert [line.text for line in result.log()] == ["read"]
    stage.factory.kifabrik("admin", "check")


TWINS = '''
"""A launcher that is started twice: the same assignment on two nodes that have the same key."""

import io, os, sys, time
from pathlib import Path

from kifabrik.launcher.__main__ import get_ready
from kifabrik.launcher.__main__ import main as launch

def main():
    home, line = Path(sys.argv[1]), sys.stdin.readline()
    twin = os.fork() == 0
    if twin:
        os.setsid()
        home = home.with_name("twin")
        os.dup2(os.open(home / "said", os.O_WRONLY | os.O_CREAT, 0o600), 2)
        while not (home / "go").exists():
            time.sleep(0.05)
    sys.argv, sys.stdin = ["launcher", "--node-home", str(home)], io.StringIO(line)
    status = launch()
    if twin:
        (home / "status").write_text(str(status))
        os._exit(status)
    return status
'''


@pytest.fixture
def twin(stage, tmp_path):
    """A second node of the same key, on which every launcher has a twin as soon as it holds a file `go`."""
    stage.order(tmp_path / "before", "print('the keyholder has called by then')").result(90)
    node = stage.factory.home / "factory" / "node"
    program, settings, twin = tmp_path / "twins.py", node / "node.toml", node.with_name("twin")
    program.write_text(TWINS)
    twin.mkdir()
    for name in ("node.toml", "node.key"):
        shutil.copy(node / name, twin / name)
    before = settings.read_text()
    settings.write_text(f'launcher = ["{program}", "{node}"]\n{before}')
    stage.kill_service()
    stage.start_service()
    yield twin
    (twin / "go").touch()
    settings.write_text(before)
    stage.kill_service()
    stage.start_service()
    shutil.rmtree(twin)


def test_of_two_launchers_for_one_attempt_one_works_and_the_other_says_so(stage, tmp_path, twin):
    code = "import os; print('ran', flush=True); os.mkdir('/out/model'); open('/out/model/m', 'w').write('once')"
    with stage.without_keyholder():
        future = stage.order(tmp_path, code, outputs={"model": "/out/model"})
        view = stage.wait_until(future.run, lambda view: view.state is RunState.WAITING_FOR_KEY, "waiting")
        (twin / "go").touch()
        until = time.monotonic() + 60
        while not (twin / "status").exists():
            assert time.monotonic() < until, "the second launcher goes on"
            time.sleep(0.05)
        said = (twin / "said").read_text()
        assert f"another launcher works on attempt {view.attempts[0].attempt}; this one must end" in said
        assert "Traceback" not in said
        assert (twin / "status").read_text() == "5"
    result = future.result(90)
    assert [one.outcome for one in result.view.attempts] == [Outcome.SUCCEEDED]
    assert [line.text for line in result.log()] == ["ran"]
    result.pull("model", tmp_path / "pulled")
    assert (tmp_path / "pulled" / "m").read_text() == "once"
