"""Traces of a user on this machine, made and cleared for real: needs root."""

import os
import subprocess
import time

import pytest

import leavings
from kifabrik.upkeep.traces import TraceKind, clear_trace, find_traces

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

UID = 1_200_000 + os.getpid() % 100_000
OTHER = UID + 100_000


@pytest.fixture
def public(tmp_path):
    folder = tmp_path / "public"
    folder.mkdir()
    folder.chmod(0o1777)
    return (folder,)


def find(public):
    return find_traces(UID, "n1", public=public)


def clear(public):
    for trace in find(public):
        clear_trace(trace, UID)
    end = time.monotonic() + 60
    while find(public) and time.monotonic() < end:
        time.sleep(0.05)


def test_a_user_who_left_nothing_has_no_traces(public):
    leavings.file_of(OTHER, public[0] / "others")
    assert find(public) == []


def test_processes_files_shared_memory_and_queues_are_found_and_cleared(public):
    pid = leavings.stubborn_process(UID)
    leavings.sysv_objects(UID)
    leavings.queue(UID, f"q{UID}")
    leavings.file_of(UID, public[0] / "file")
    tree = public[0] / "tree"
    (tree / "below").mkdir(parents=True)
    os.chown(tree, UID, UID)
    leavings.file_of(UID, tree / "below" / "file")
    nested = public[0] / "a folder for everybody"
    nested.mkdir()
    nested.chmod(0o1777)
    leavings.file_of(UID, nested / "file")
    leavings.file_of(OTHER, nested / "others")
    try:
        found = find(public)
        kinds = [trace.kind for trace in found]
        assert sorted(kind.value for kind in kinds) == sorted(
            ["process", "file", "file", "file", "shared memory", "semaphores", "message queue", "message queue"]
        )
        clear(public)
        assert find(public) == []
        assert not leavings.lives(pid)
    finally:
        leavings.end(pid)
    assert leavings.sysv_of(UID) == []
    assert sorted(path.name for path in public[0].rglob("*")) == ["a folder for everybody", "others"]


def test_a_link_of_the_user_is_removed_and_not_followed(public, tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    link = public[0] / "link"
    link.symlink_to(kept)
    os.lchown(link, UID, UID)
    clear(public)
    assert (kept / "file").exists()
    assert not link.is_symlink()


def test_another_filesystem_below_is_not_entered(public):
    """A shared filesystem below /tmp is not this node's alone."""
    mounted = public[0] / "scratch"
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", mounted], check=True)
    try:
        leavings.file_of(UID, mounted / "file")
        assert find(public) == []
    finally:
        subprocess.run(["umount", mounted], check=True)


def test_a_folder_with_something_mounted_in_it_is_not_removed(public):
    own = public[0] / "own"
    (own / "point").mkdir(parents=True)
    os.chown(own, UID, UID)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", own / "point"], check=True)
    try:
        (own / "point" / "file").touch()
        (trace,) = find(public)
        with pytest.raises(OSError, match=f"tmpfs is mounted on {own}/point"):
            clear_trace(trace, UID)
        assert (own / "point" / "file").exists()
    finally:
        subprocess.run(["umount", own / "point"], check=True)


def test_a_process_does_not_escape_by_a_name_that_speaks_of_another_user(public):
    pid = leavings.stubborn_process(UID, name=leavings.LIES)
    try:
        assert [(trace.kind, trace.number) for trace in find(public)] == [(TraceKind.PROCESS, pid)]
        clear(public)
        assert not leavings.lives(pid)
    finally:
        leavings.end(pid)


def test_the_job_a_process_says_it_belongs_to_is_known(public):
    pid = leavings.stubborn_process(UID, {"SLURM_JOB_ID": "4711"})
    try:
        (trace,) = find(public)
        assert (trace.kind, trace.number, trace.job) == (TraceKind.PROCESS, pid, 4711)
    finally:
        leavings.end(pid)


def test_root_has_no_traces(public):
    assert find_traces(0, "n1", public=public) == []
