"""What runs have left is ended and removed, for real: needs root."""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

import leavings
from kifabrik.sandbox import clearing, limits
from kifabrik.sandbox.clearing import clear_remains, kill
from kifabrik.sandbox.hierarchies import find_hierarchies
from kifabrik.sandbox.limits import end_left_group
from kifabrik.sandbox.remains import RemainKind, find_remains
from kifabrik.sandbox.slurm_groups import SlurmPlace, slurm_place
from kifabrik.sandbox.uids import UidRange, claim_if_free

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

FIRST = 1_500_000 + os.getpid() % 100_000 * 10

CLEARS_MEMORY = f"""
import subprocess, sys
from pathlib import Path
from kifabrik.sandbox.clearing import clear_remains
from kifabrik.sandbox.remains import find_remains
from kifabrik.sandbox.uids import UidRange

runs, uids = Path(sys.argv[1]), UidRange({FIRST}, 10, Path(sys.argv[2]))
subprocess.run(["mount", "-t", "tmpfs", "kifabrik", runs / "attempt"], check=True)
print(*{{one.kind.value for one in find_remains(runs, uids)}}, sep=",", end="")
assert clear_remains(runs, uids) == ()
assert not (runs / "attempt").is_mount()
"""


@pytest.fixture
def uids(tmp_path):
    return UidRange(FIRST, 10, tmp_path / "uids")


@pytest.fixture
def runs(tmp_path):
    folder = tmp_path / "runs"
    folder.mkdir()
    return folder


@pytest.fixture
def process():
    pids = []

    def start(uid, name="stubborn"):
        pids.append(leavings.stubborn_process(uid, name=name))
        return pids[-1]

    yield start
    for pid in pids:
        leavings.end(pid)


@pytest.fixture
def group():
    """Make a control group of a run as deep as Slurm would have it, with a process in it."""
    made = []

    def make(uid, pid):
        parent = next(one.parent for one in find_hierarchies() if "memory" in one.controllers or one.version != 1)
        folder = parent / f"outer-{FIRST}" / f"kifabrik-{uid}"
        folder.mkdir(parents=True)
        made.append(folder)
        (folder / "cgroup.procs").write_text(str(pid))
        return folder

    yield make
    for folder in made:
        for path in (folder, folder.parent):
            if path.exists():
                path.rmdir()


def test_a_machine_without_runs_has_nothing_to_clear(runs, uids):
    assert clear_remains(runs, uids) == ()


def test_processes_groups_mounts_and_files_of_the_dead_are_cleared(runs, uids, process, group):
    pid = process(FIRST)
    folder = group(FIRST, pid)
    file = leavings.file_of(FIRST + 1, Path(f"/tmp/kifabrik-left-{FIRST}"))
    point = runs / "attempt"
    point.mkdir()
    # In mounts of its own: whoever made some of theirs meanwhile, as every run does, would hold this memory too.
    command = ["unshare", "--mount", sys.executable, "-c", CLEARS_MEMORY, runs, uids.locks]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {RemainKind(kind) for kind in done.stdout.split(",")} == set(RemainKind) - {RemainKind.HELD_MOUNT}
    assert not leavings.lives(pid)
    assert not folder.exists()
    assert not file.exists()


def test_memory_held_by_a_process_in_mounts_of_its_own_goes_with_it(runs, uids):
    point = runs / "attempt"
    point.mkdir()
    holder = subprocess.Popen(
        ["unshare", "--mount", "sh", "-c", f"mount -t tmpfs kifabrik {point} && echo up && exec sleep 9999"],
        stdout=subprocess.PIPE,
    )
    assert holder.stdout
    holder.stdout.readline()
    holder.stdout.close()
    assert [one.kind for one in find_remains(runs, uids)] == [RemainKind.HELD_MOUNT]
    assert clear_remains(runs, uids) == ()
    assert holder.wait(60) == -9


def test_a_process_does_not_escape_by_a_name_that_speaks_of_another_user(runs, uids, process):
    pid = process(FIRST, leavings.LIES)
    (found,) = find_remains(runs, uids)
    assert (found.pid, found.uid) == (pid, FIRST)
    assert found.what.isprintable()
    assert clear_remains(runs, uids) == ()
    assert not leavings.lives(pid)


def test_a_process_that_got_the_number_of_one_that_held_memory_is_left_alone(process, tmp_path):
    pid = process(FIRST)
    kill(pid, memory=tmp_path / "attempt")
    assert leavings.lives(pid)
    kill(pid)
    assert leavings.wait_until_gone(pid)


def test_what_belongs_to_a_run_that_goes_on_is_left_alone(runs, uids, process, group):
    claimed = claim_if_free(FIRST, uids)
    assert claimed is not None
    with claimed:
        pid = process(FIRST)
        folder = group(FIRST, pid)
        file = leavings.file_of(FIRST, Path(f"/tmp/kifabrik-held-{FIRST}"))
        try:
            assert clear_remains(runs, uids) == ()
            assert leavings.lives(pid)
            assert folder.exists()
            assert file.exists()
        finally:
            file.unlink()
            leavings.end(pid)


def test_what_cannot_be_removed_is_returned(runs, uids):
    file = leavings.file_of(FIRST + 2, Path(f"/tmp/kifabrik-stuck-{FIRST}"))
    if subprocess.run(["chattr", "+i", file], check=False, capture_output=True).returncode:
        pytest.skip("this filesystem has no immutable files")
    try:
        (left,) = clear_remains(runs, uids, patience_s=0.3)
        assert left.what == f"{file} was left by a run, as user {FIRST + 2}"
    finally:
        subprocess.run(["chattr", "-i", file], check=True)
        file.unlink()


def test_what_goes_a_moment_after_a_machine_has_stalled_is_not_called_stuck(runs, uids, monkeypatch):
    file = leavings.file_of(FIRST + 3, Path(f"/tmp/kifabrik-late-{FIRST}"))
    if subprocess.run(["chattr", "+i", file], check=False, capture_output=True).returncode:
        file.unlink()
        pytest.skip("this filesystem has no immutable files")
    hours = itertools.count(step=3600)

    def pause(_seconds):
        subprocess.run(["chattr", "-i", file], check=True)

    monkeypatch.setattr(clearing, "time", SimpleNamespace(monotonic=lambda: next(hours), sleep=pause))
    try:
        assert clear_remains(runs, uids) == ()
        assert not file.exists()
    finally:
        if file.exists():
            pause(0)
            file.unlink()


def test_a_machine_that_stalls_ends_every_process_of_a_group_all_the_same(process, group, monkeypatch):
    pid = process(FIRST + 4)
    folder = group(FIRST + 4, pid)
    hours = itertools.count(step=3600)
    clock = SimpleNamespace(monotonic=lambda: next(hours), sleep=time.sleep)
    monkeypatch.setattr(limits, "time", clock)
    assert end_left_group(folder)
    assert not folder.exists()
    assert leavings.wait_until_gone(pid, 60)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/slurm/uid_1000/job_17/step_batch/task_0", SlurmPlace(17)),
        ("/slurm_n3/uid_0/job_4/step_0/kifabrik-700000", SlurmPlace(4, "n3")),
        ("/system.slice/slurmstepd.scope/job_99/step_extern/user/task_special", SlurmPlace(99)),
        ("/system.slice/n3_slurmstepd.scope/job_99/step_0", SlurmPlace(99, "n3")),
        ("/user.slice/job_5", None),
        ("/slurm/uid_1000/job_x", None),
        ("/home/slurm/uid_1/job_1x/step_0", None),
        ("/", None),
    ],
)
def test_the_job_is_read_from_a_control_groups_path(path, place):
    assert SlurmPlace.from_path(path) == place


def test_a_process_outside_slurm_is_in_no_job(tmp_path):
    assert slurm_place() is None
    assert slurm_place(tmp_path) is None
    (tmp_path / "cgroup").write_text("5:memory:/slurm_n1/uid_3/job_8/step_0\n0::/\n")
    assert slurm_place(tmp_path) == SlurmPlace(8, "n1")
