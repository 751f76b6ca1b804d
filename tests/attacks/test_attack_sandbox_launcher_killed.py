"""The launcher is killed with -9, at any moment, while the job does its best to outlive it."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import pytest

from kifabrik.sandbox.hierarchies import group_mounts
from kifabrik.sandbox.leftovers import remove_leftovers
from kifabrik.sandbox.uids import UidRange
from living_trees import folders_below
from rooms import FIRST_UID as UID
from rooms import HAS_ROOMS, alive, launcher, visit


@pytest.fixture(autouse=True)
def _clean_up(tmp_path):
    yield
    remove_leftovers(UidRange(UID, 10, tmp_path / "uids"))


pytestmark = pytest.mark.skipif(not HAS_ROOMS, reason="needs bubblewrap and root")

STUBBORN = """
import os, signal, sys, time, ctypes
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0: pass
try: open('/proc/1/mem', 'r+b').write(b'x'); print('overwritten')
except OSError: pass
open('/out/secret', 'w').write('plaintext')
print('up', flush=True)
while True: time.sleep(0.1)
"""


def all_dead(uid, patience_s=60):
    """Whether every process of the user is gone within that time."""
    deadline = time.monotonic() + patience_s
    while alive(uid):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def groups():
    """Return the control groups of runs."""
    return [str(folder) for folder in folders_below(Path("/sys/fs/cgroup")) if folder.name == f"kifabrik-{UID}"]


def test_job_and_plaintext_end_with_the_launcher(tmp_path):
    with launcher('python3 -c "$JOB"', tmp_path, environment={"JOB": STUBBORN}) as process:
        process.stdout.readline()
        deadline = time.monotonic() + 60
        while len(alive(UID)) < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        pids = alive(UID)
        assert len(pids) >= 6  # bubblewrap, the first process, the shell and three of the job
        inside = Path(f"/proc/{process.pid}/root{tmp_path}/memory/out/secret")
        while not inside.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        assert inside.read_text() == "plaintext"
        process.kill()
    assert all_dead(UID)
    assert list((tmp_path / "memory").iterdir()) == []
    assert str(tmp_path / "memory") not in Path("/proc/self/mountinfo").read_text()


TAKES_OVER = """
#include <sys/prctl.h>
#include <unistd.h>
__attribute__((constructor)) static void begin(void) {
    prctl(PR_SET_PDEATHSIG, 0);
    prctl(PR_SET_DUMPABLE, 1);
    if (getpid() == 1) write(1, "taken over\\n", 11);
}
"""
LOADERS = ("LD_PRELOAD", "LD_AUDIT")
"""Variables by which the dynamic loader puts code of whoever set them into every program."""


@pytest.mark.parametrize("loader", LOADERS)
def test_no_variable_of_the_job_puts_its_code_into_the_rooms_first_process(tmp_path, loader):
    """There it would take back the death signal, and the job and its data would outlive the launcher."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library = tmp_path / "takes_over.so"
    subprocess.run(
        [compiler, "-shared", "-fPIC", "-xc", "-", "-o", library], input=TAKES_OVER, text=True, check=True
    )
    wishes = {"environment": {loader: "/data/in/takes_over.so"}, "copies": {"takes_over.so": str(library)}}
    seen = visit(f"echo ${loader}; /usr/bin/true", tmp_path / "said", **wishes)
    assert seen.stdout == "/data/in/takes_over.so\n"  # it is the job's own to use, and the job's alone
    with launcher("echo up; sleep 96; true", tmp_path / "killed", **wishes) as process:
        process.stdout.readline()
        deadline = time.monotonic() + 60
        while len(alive(UID)) < 4 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.kill()
    assert all_dead(UID, patience_s=60)


def test_leftovers_are_removed_and_living_runs_left_alone(tmp_path):
    locks = tmp_path / "locks"
    with launcher("sleep 98", tmp_path / "a", locks=str(locks)) as dead:
        dead.stdout.readline()
        with launcher("echo up; sleep 97", tmp_path / "b", locks=str(locks)) as living:
            living.stdout.readline()
            dead.kill()
            dead.wait()
            assert all_dead(UID)
            removed = remove_leftovers(UidRange(UID, 10, locks))
            assert {path.rsplit("/", 1)[1] for path in removed} == {f"kifabrik-{UID}"}
            assert groups() == []
            assert alive(UID + 1)
            assert living.poll() is None
    assert all_dead(UID + 1)
    remove_leftovers(UidRange(UID, 10, locks))


def test_what_a_launcher_in_another_group_has_left_is_found_when_looking_everywhere(tmp_path):
    uids = UidRange(UID, 10, tmp_path / "locks")
    elsewhere = group_mounts()[0] / f"test-{UID}" / "deeper"
    left = elsewhere / f"kifabrik-{UID + 7}"
    left.mkdir(parents=True)
    try:
        remove_leftovers(uids)
        assert left.exists()
        assert remove_leftovers(uids, everywhere=True) == (str(left),)
    finally:
        for folder in (left, elsewhere, elsewhere.parent):
            with suppress(FileNotFoundError):
                folder.rmdir()


def test_a_group_left_behind_is_emptied_and_reused(tmp_path):
    with launcher("sleep 96", tmp_path / "a") as process:
        process.stdout.readline()
        process.kill()
    assert all_dead(UID)
    assert groups()
    assert visit("echo fine", tmp_path / "b").stdout == "fine\n"
    assert groups() == []


def test_a_launcher_killed_at_any_moment_leaves_no_process(tmp_path):
    seed = int.from_bytes(os.urandom(4), "big")
    moments = random.Random(seed)
    for number in range(12):
        with launcher("sleep 97", tmp_path / str(number)) as process:
            time.sleep(moments.uniform(0.05, 0.30))
            process.kill()
        assert all_dead(UID), f"seed {seed}, attempt {number}"


def test_what_is_still_being_built_ends_with_the_launcher_though_no_death_signal_reaches_it(tmp_path):
    """As bubblewrap's second process, which waits for a first one that is dead: the guard ends it."""
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nsleep 94 &\nsleep 94\n")
    slow.chmod(0o755)
    tmp_path.chmod(0o755)
    with tempfile.TemporaryDirectory(prefix="room-") as folder:  # where the run's user gets to
        place = Path(folder)
        place.chmod(0o755)
        shutil.copy(slow, place / "slow")
        with launcher("true", tmp_path / "s", bubblewrap=str(place / "slow")) as process:
            deadline = time.monotonic() + 60
            while len(alive(UID)) < 3 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert len(alive(UID)) == 3  # the stand-in and its two
            process.kill()
        assert all_dead(UID, patience_s=60)


def test_bubblewrap_killed_from_outside_ends_the_room(tmp_path):
    with launcher("echo up; sleep 98", tmp_path) as process:
        process.stdout.readline()
        outer = [pid for pid in alive(UID) if b"bwrap" in Path(f"/proc/{pid}/cmdline").read_bytes()]
        for pid in outer:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        stdout, _ = process.communicate(timeout=60)
    assert '"signal": 9' in stdout
    assert all_dead(UID)
