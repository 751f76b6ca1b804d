"""What /proc says is read as the kernel wrote it, whatever names processes and mounts were given."""

import ctypes
import os
from pathlib import Path

import pytest

from kifabrik.sandbox.hierarchies import group_mounts
from kifabrik.sandbox.proc_files import ProcessStatus, mounts_of, status_of
from kifabrik.sandbox.remains import memory_mounts

NAMES = [
    b"plain",
    b"\x0cUid:\t0\t0\t0",
    b"\x0bState:\tZ",
    b"\x1eUid:\t0",
    b"\xc2\x85Uid:\t0",
    b"\xff\xfe",
    b"  two  ",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_process_tells_nothing_about_itself_by_its_name(name):
    (read, write), (stop, go) = os.pipe(), os.pipe()
    pid = os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(15, name, 0, 0, 0)  # PR_SET_NAME
        os.write(write, b"!")
        os.close(go)
        os.read(stop, 1)
        os._exit(0)
    try:
        os.read(read, 1)
        status = status_of(Path(f"/proc/{pid}"))
        assert status is not None
        assert (os.fsencode(status.name), status.uids, status.is_dead) == (name, (os.getuid(),) * 4, False)
    finally:
        os.close(go)
        for descriptor in (read, write, stop):
            os.close(descriptor)
        os.waitpid(pid, 0)


def test_dead_and_missing_processes_are_told_apart(tmp_path):
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    status = status_of(Path(f"/proc/{pid}"))
    assert status is not None
    assert status.is_dead
    os.waitpid(pid, 0)
    assert status_of(Path(f"/proc/{pid}")) is None
    (tmp_path / "status").write_bytes(b"Name:\tx\nState:\t\nUid:\t1\n")
    assert status_of(tmp_path) is None
    (tmp_path / "status").write_bytes(b"Name:\tx\nState:\tX (dead)\nUid:\t1\t2\t3\t4\n")
    assert status_of(tmp_path) == ProcessStatus("x", "X", (1, 2, 3, 4))


MOUNTS = b"""\
22 1 0:5 / /dev rw - devtmpfs udev rw,size=4k
23 1 0:6 / /runs/gr\xc3\xb6\xc3\x9fe/a\\040b\\134c\\043 rw shared:1 master:2 - tmpfs kifabrik rw,size=8k
24 1 0:7 / /tmp/a\x0cb\xe2\x80\xa8c rw - tmpfs  rw
25 1 0:8 /sub /sys/fs/cgroup rw - cgroup2 none rw
26 1 0:9 / /sys/fs/v1 rw - cgroup none rw,memory,pids
torn

27 1
28 1 0:10 / /runs/x rw - fuse kifabrik rw,user_id=0
"""


def test_mounts_have_the_paths_they_were_given_and_a_strange_one_hides_no_other(tmp_path):
    (tmp_path / "mountinfo").write_bytes(MOUNTS)
    found = list(mounts_of(tmp_path))
    assert [mount.number for mount in found] == [22, 23, 24, 25, 26, 28]
    assert found[1].point == Path("/runs/größe/a b\\c#")
    assert (found[1].device, found[1].options) == ("0:6", ("rw", "size=8k"))
    assert (found[2].point, found[2].source) == (Path("/tmp/a\x0cb\u2028c"), "")
    assert (found[3].root, found[4].options) == ("/sub", ("rw", "memory", "pids"))
    assert list(memory_mounts(tmp_path)) == [found[1].point, Path("/runs/x")]
    assert group_mounts(tmp_path) == (Path("/sys/fs/cgroup"), Path("/sys/fs/v1"))
    assert list(mounts_of(tmp_path / "gone")) == []


def test_the_root_of_this_machine_is_among_its_mounts():
    device = Path("/proc").stat().st_dev
    proc = [mount for mount in mounts_of(Path("/proc/self")) if mount.point == Path("/proc")]
    assert [(mount.kind, mount.device) for mount in proc][-1] == ("proc", f"{os.major(device)}:{os.minor(device)}")
