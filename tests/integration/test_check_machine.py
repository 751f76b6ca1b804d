"""`admin check` names everything planted on the machine, in the log, in the database and among the objects."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

import players
from kifabrik.engines.local.processes import ProcessId
from kifabrik.sandbox.hierarchies import find_hierarchies
from kifabrik.sandbox.uids import UidRange, claim_if_free
from kifabrik.wiring.check_machine import MachineCheck
from kifabrik.wiring.node import NodeConfig
from players import keyholder, order

PLANTED_UID = 730_001
root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, as a node with users of its own does")


@pytest.fixture
def person(small_desk):
    """A member of a tenant whose keyholder releases everything."""
    party = small_desk.sign_up()
    with keyholder(party) as player:
        party.player = player
        yield party.enrol()


@pytest.fixture
def uids(tmp_path):
    """User ids no other test has; nobody holds one."""
    (tmp_path / "uids").mkdir()
    return UidRange(730_000, 100, tmp_path / "uids")


@pytest.fixture
def node(small_desk, tmp_path):
    """A node's folder, and a check of it whose second look follows at once."""
    (tmp_path / "node" / "launchers").mkdir(parents=True)
    (tmp_path / "node" / "runs").mkdir()
    return tmp_path / "node"


@pytest.fixture
def look(small_desk, node, uids):
    """What the check finds on this machine now, as (sentence, advice)."""
    config = NodeConfig(node=small_desk.node, name="box", cpus=1, memory=1, pythons=("3.11",))

    def run():
        check = MachineCheck(small_desk.driven.store, node, config, small_desk.now, uids=uids, pause_s=0.05)
        return [(finding.what, finding.do) for finding in check.run()]

    return run


@contextmanager
def sleeping(*words, **how):
    """A process that does nothing."""
    process = subprocess.Popen(words, stdin=subprocess.DEVNULL, **how)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_until(holds):
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_machine_without_runs_has_nothing_to_say(look):
    assert look() == []


@root
def test_a_process_of_a_user_id_nobody_holds_is_named_with_the_way_to_end_it(look, uids):
    with sleeping("sleep", "100", user=PLANTED_UID, group=PLANTED_UID) as process:
        ((what, do),) = look()
        assert what == f"process {process.pid} (sleep) of user {PLANTED_UID} belongs to no run that goes on"
        assert do == f"End it: kill -9 {process.pid}"
        with claim_if_free(PLANTED_UID, uids):
            assert look() == []
    assert look() == []


@root
def test_memory_that_a_dead_launcher_left_mounted_is_named(look, node):
    point = node / "runs" / "a-aaaaaaaaaaaaaaaa" / "data"
    point.mkdir(parents=True)
    mount = f"mount -t tmpfs kifabrik {point} && exec sleep 100"
    with sleeping("unshare", "--mount", "sh", "-c", mount) as process:
        wait_until(lambda: str(point) in Path(f"/proc/{process.pid}/mountinfo").read_text())
        found = [what for what, _ in look()]
        assert f"memory of a run that is over is mounted on {point}, seen by process {process.pid}" in found


@root
def test_memory_mounted_where_everybody_sees_it_is_named(look, node, tmp_path):
    point = tmp_path / "open"
    point.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "kifabrik", point], check=False)
    if mounted.returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        assert (
            f"memory of a run is mounted on {point}, for everybody to see",
            f"umount {point}",
        ) in look()
    finally:
        subprocess.run(["umount", point], check=True)


@root
def test_a_control_group_of_nobody_is_named(look):
    hierarchies = find_hierarchies()
    if not hierarchies:
        pytest.skip("there are no control groups here")
    group = hierarchies[0].parent / f"kifabrik-{PLANTED_UID}"
    group.mkdir()
    try:
        assert [what for what, _ in look()] == [f"control group {group} belongs to no run that goes on"]
    finally:
        group.rmdir()


@root
@pytest.mark.parametrize("folder", ["/dev/shm", "/tmp"])
def test_a_file_left_in_memory_or_among_temporary_files_is_named(look, folder):
    file = Path(folder) / f"planted-{PLANTED_UID}-{os.getpid()}"
    file.write_text("plaintext of a run")
    try:
        os.chown(file, PLANTED_UID, PLANTED_UID)
        assert [what for what, _ in look()] == [f"{file} was left by a run, as user {PLANTED_UID}"]
    finally:
        file.unlink()


def test_a_folder_of_an_attempt_without_a_launcher_is_named(look, node):
    folder = node / "runs" / "a-aaaaaaaaaaaaaaaa"
    folder.mkdir()
    ((what, do),) = look()
    assert what == f"the folder {folder} belongs to no launcher that lives"
    assert do.endswith(f"by hand: rm -r {folder}")


ABANDON = """
import os, sys
pid = os.fork()
if pid:
    print(pid, flush=True)
    os._exit(0)
os.dup2(int(sys.argv[1]), 3)
os.dup2(os.open(os.devnull, os.O_RDWR), 1)
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_a_launcher_nobody_knows_is_named(look, node):
    """The template of a service that is gone, which for some reason has not gone too."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    template = ["-P", "-m", "kifabrik.engines.local.template", players.__file__, str(node)]
    said = subprocess.run(
        [sys.executable, "-c", ABANDON, str(theirs.fileno()), sys.executable, *template],
        pass_fds=(theirs.fileno(),),
        stdout=subprocess.PIPE,
        check=True,
    )
    pid = int(said.stdout)
    try:
        wait_until(lambda: any(str(pid) in what for what, _ in look()))
        assert [what for what, _ in look()] == [f"process {pid} of node box is a launcher nobody knows"]
    finally:
        os.kill(pid, signal.SIGKILL)
        for end in (ours, theirs):
            end.close()


def test_an_attempt_without_a_launcher_and_a_launcher_without_an_attempt_are_named(small_desk, person, look, node):
    attempt = small_desk.hire(person).attempt
    assert [what for what, _ in look()] == [f"attempt {attempt} goes on, and no launcher works on it"]
    with sleeping("sleep", "100") as process:
        note(node, attempt, process.pid)
        assert look() == []
        (node / "launchers" / f"{attempt}.json").unlink()
        note(node, "a-aaaaaaaaaaaaaaaa", process.pid)
        assert [what for what, _ in look()] == [
            f"attempt {attempt} goes on, and no launcher works on it",
            f"launcher a-aaaaaaaaaaaaaaaa, process {process.pid}, works on no attempt that goes on",
        ]


def test_a_launcher_that_is_just_leaving_is_left_alone(small_desk, person, look, node):
    player = small_desk.hire(person)
    player.play(["keys", "log one", "finish succeeded"])
    with sleeping("sleep", "100") as process:
        note(node, player.attempt, process.pid)
        assert look() == []
        small_desk.ahead = timedelta(minutes=5)
        ((what, do),) = look()
        assert what == f"launcher {player.attempt}, process {process.pid}, works on no attempt that goes on"
        assert f"kill -9 -- -{process.pid}" in do


def note(node, attempt, pid):
    identity = ProcessId.of(pid)
    text = f'{{"pid": {identity.pid}, "started": {identity.started}, "boot": "{identity.boot}"}}'
    (node / "launchers" / f"{attempt}.json").write_text(text)


@contextmanager
def harmed(home, *statements):
    """The database with something done to it, and as it was afterwards."""
    database = sqlite3.connect(home / "factory.db")
    kept = sqlite3.connect(":memory:")
    database.backup(kept)
    try:
        for statement in statements:
            database.execute(statement)
        database.commit()
        yield
    finally:
        kept.backup(database)
        database.close()
        kept.close()


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        ("DELETE FROM key_requests WHERE tenant = '{tenant}'", "lease.requested of"),
        ("UPDATE key_requests SET decision = '' WHERE tenant = '{tenant}'", "lease.released of"),
        ("UPDATE members SET removed = 'now' WHERE tenant = '{tenant}'", "the database says member.removed of m-"),
        ("DELETE FROM members WHERE tenant = '{tenant}'", "member.enrolled of m-"),
        ("UPDATE runs SET alarmed = 'now' WHERE tenant = '{tenant}'", "the database says deadline.missed of r-"),
        ("UPDATE attempts SET outcome = 'succeeded' WHERE tenant = '{tenant}'", "run.finished of a-"),
        ("UPDATE runs SET most_micro_eur = 99 WHERE tenant = '{tenant}'", "99 micro-euro are set aside for it"),
        ("DELETE FROM log_entries WHERE tenant = '{tenant}' AND kind = 'run.ordered'", "its log does not verify"),
        (
            "DELETE FROM log_entries WHERE tenant = '{tenant}' AND kind = 'run.ordered'",
            "the database says run.ordered",
        ),
        ("DELETE FROM objects WHERE tenant = '{tenant}'", "belongs to nothing"),
        ("DELETE FROM statements WHERE tenant = '{tenant}'", "which is missing"),
    ],
)
def test_a_row_without_its_entry_and_an_entry_without_its_row_are_named(small_desk, person, harm, words):
    small_desk.hire(person).play(["keys", "log one", "log two", "finish error"])
    assert list(small_desk.driven.check.run()) == []
    with harmed(small_desk.home, harm.format(tenant=person.party.tenant)):
        findings = small_desk.driven.check.run()
    assert any(words in finding.what for finding in findings), [str(one) for one in findings]
    assert all(finding.do for finding in findings)


def test_a_missing_object_and_a_file_no_upload_knows_are_named(small_desk, person):
    order(person)
    (small_desk.home / "staging" / person.party.tenant).mkdir(parents=True, exist_ok=True)
    stray = small_desk.home / "staging" / person.party.tenant / ("ab" * 32)
    stray.write_text("half an upload")
    lost = next(path for path in (small_desk.home / "objects").rglob("*") if path.is_file())
    body = lost.read_bytes()
    lost.unlink()
    try:
        said = [finding.what for finding in small_desk.driven.check.run()]
    finally:
        lost.write_bytes(body)
        stray.unlink()
    assert any(what.endswith("is missing") and lost.name in what for what in said), said
    assert any("belongs to no upload" in what for what in said), said
