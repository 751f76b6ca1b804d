"""Control groups: which are found, what is written, what is read. Folders stand in for the kernel's files."""

from pathlib import Path

import pytest

from kifabrik.errors import UnavailableError
from kifabrik.sandbox import limits
from kifabrik.sandbox.check import overlapping
from kifabrik.sandbox.hierarchies import Hierarchy, find_hierarchies
from kifabrik.sandbox.limits import Limits, RunGroup
from kifabrik.sandbox.uids import UidRange

LIMITS = Limits(memory_bytes=1 << 30, cpus=1.5, pids=100)


class KernelFolder(type(Path())):
    """A folder in which `mkdir` makes a group with the files a kernel would give it."""

    files = ()

    def mkdir(self, *args, **kwargs):
        super().mkdir(*args, **kwargs)
        for name in self.files:
            (self / name).touch()


def hierarchy(folder, version, controllers, *files):
    """Make a hierarchy over an ordinary folder."""
    kind = type("Folder", (KernelFolder,), {"files": files})
    return Hierarchy(version, kind(folder), frozenset(controllers))


V1_FILES = (
    *("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.kmem.tcp.limit_in_bytes", "pids.max"),
    *("cpu.cfs_period_us", "cpu.cfs_quota_us"),
)
V2_FILES = ("memory.max", "memory.swap.max", "pids.max", "cpu.max")


def process_folder(folder, mounts, groups):
    """Write `/proc/self` of a process: `mounts` as (root, point, type, super options)."""
    folder.mkdir()
    lines = [
        f"30 25 0:26 {root} {point} rw,relatime shared:9 - {kind} {kind} {options}\n"
        for root, point, kind, options in mounts
    ]
    (folder / "mountinfo").write_text("".join(lines))
    (folder / "cgroup").write_text("".join(f"{line}\n" for line in groups))
    return folder


def test_version_1_controllers_are_found_beneath_the_launchers_own_group(tmp_path):
    process = process_folder(
        tmp_path / "self",
        [
            ("/", "/cg/cpu,cpuacct", "cgroup", "rw,cpu,cpuacct"),
            ("/", "/cg/memory", "cgroup", "rw,memory"),
            ("/", "/cg/pids", "cgroup", "rw,pids"),
            ("/", "/cg/freezer", "cgroup", "rw,freezer"),
            ("/", "/cg/unified", "cgroup2", "rw"),
        ],
        ["5:pids:/", "4:memory:/factory/launcher", "3:cpu,cpuacct:/", "0::/"],
    )
    assert set(find_hierarchies(process)) == {
        Hierarchy(1, Path("/cg/cpu,cpuacct"), frozenset({"cpu", "cpuacct"})),
        Hierarchy(1, Path("/cg/memory/factory/launcher"), frozenset({"memory"})),
        Hierarchy(1, Path("/cg/pids"), frozenset({"pids"})),
    }


def test_a_mounted_part_of_a_hierarchy_is_translated(tmp_path):
    process = process_folder(
        tmp_path / "self", [("/box", "/cg/memory", "cgroup", "rw,memory")], ["4:memory:/box/inner"]
    )
    assert find_hierarchies(process) == (Hierarchy(1, Path("/cg/memory/inner"), frozenset({"memory"})),)


def version_2(tmp_path, controllers, handed_down):
    """Make a version 2 hierarchy whose own group is `/job`; return the process folder and that group."""
    own = tmp_path / "cg" / "job"
    own.mkdir(parents=True)
    for folder in (own, own.parent):
        (folder / "cgroup.controllers").write_text(controllers)
        (folder / "cgroup.subtree_control").write_text(handed_down)
    process = process_folder(tmp_path / "self", [("/", own.parent, "cgroup2", "rw,nsdelegate")], ["0::/job"])
    return process, own


def test_version_2_controllers_already_handed_down_are_used(tmp_path):
    process, own = version_2(tmp_path, "cpuset cpu io memory pids", "memory pids cpu")
    assert find_hierarchies(process) == (Hierarchy(2, own, frozenset({"memory", "pids", "cpu"})),)


def test_version_2_controllers_are_handed_down(tmp_path):
    process, own = version_2(tmp_path, "cpu memory pids", "memory")
    find_hierarchies(process)
    assert (own / "cgroup.subtree_control").read_text() == "+cpu +pids"


def test_without_control_groups_nothing_is_found(tmp_path):
    assert find_hierarchies(process_folder(tmp_path / "self", [], [])) == ()


def test_bounds_are_written_for_version_1(tmp_path):
    served = hierarchy(tmp_path, 1, {"memory", "pids", "cpu", "cpuacct"}, *V1_FILES)
    group = RunGroup.create("run", LIMITS, (served,))
    folder = tmp_path / "run"
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "memory.limit_in_bytes": str(1 << 30),
        "memory.memsw.limit_in_bytes": str(1 << 30),
        "memory.kmem.tcp.limit_in_bytes": str(64 << 20),
        "pids.max": "104",
        "cpu.cfs_period_us": "100000",
        "cpu.cfs_quota_us": "150000",
    }
    assert group.join_files == (folder / "tasks",)
    assert group.notices == ()


def test_bounds_are_written_for_version_2(tmp_path):
    group = RunGroup.create("run", LIMITS, (hierarchy(tmp_path, 2, {"memory", "pids", "cpu"}, *V2_FILES),))
    folder = tmp_path / "run"
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "memory.max": str(1 << 30),
        "memory.swap.max": "0",
        "pids.max": "104",
        "cpu.max": "150000 100000",
    }
    assert group.join_files == (folder / "cgroup.procs",)
    assert group.forbids_swap


def test_version_1_forbids_no_swap(tmp_path):
    """It bounds memory and swap together; all of that may be swap."""
    group = RunGroup.create("run", LIMITS, (hierarchy(tmp_path, 1, {"memory"}, *V1_FILES),))
    assert not group.forbids_swap


def test_a_kernel_that_does_not_account_swap_is_known(tmp_path):
    group = RunGroup.create("run", LIMITS, (hierarchy(tmp_path, 1, {"memory"}, "memory.limit_in_bytes"),))
    assert (tmp_path / "run" / "memory.limit_in_bytes").read_text() == str(1 << 30)
    assert not group.forbids_swap


def test_counters_of_version_2_are_read(tmp_path):
    group = RunGroup.create("run", LIMITS, (hierarchy(tmp_path, 2, {"memory"}, *V2_FILES),))
    (tmp_path / "run" / "cpu.stat").write_text("usage_usec 1500\nuser_usec 1000\n")
    (tmp_path / "run" / "memory.peak").write_text("4096\n")
    (tmp_path / "run" / "memory.events").write_text("low 0\nmax 3\noom 1\noom_kill 2\n")
    usage = group.usage()
    assert (usage.cpu_ns, usage.peak_memory_bytes, usage.oom_kills) == (1_500_000, 4096, 2)


def test_what_cannot_be_bounded_is_said():
    group = RunGroup.create("run", LIMITS, ())
    assert [notice.split(":")[0] for notice in group.notices] == [
        "no memory controller",
        "no pids controller",
        "no cpu controller",
    ]
    assert not group.bounds_pids
    assert not group.forbids_swap


def test_a_bound_the_kernel_does_not_take_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "_TRIES", 1)
    with pytest.raises(UnavailableError, match=r"pids\.max was refused"):
        RunGroup.create("run", LIMITS, (hierarchy(tmp_path, 1, {"pids"}),))


@pytest.mark.parametrize(
    ("line", "owner"),
    [
        ("anna:100000:65536", ""),
        ("anna:650000:50001", "anna"),
        ("anna:650000:50000", ""),
        ("anna:709999:1", "anna"),
        ("anna:710000:65536", ""),
        ("1000:700000:1  ", "1000"),
        ("", ""),
        ("# anna:700000:1", ""),
        ("anna:700000", ""),
        ("anna:x:1", ""),
        ("anna:700000:1:2", ""),
    ],
)
def test_user_ids_that_containers_may_have_are_found_whatever_else_stands_in_the_file(line, owner):
    assert overlapping(UidRange(700_000, 10_000), ["# comment", "", "torn", line]) == owner
