"""What a run may use, what it did use, and its certain end, by control groups.

Invariants:
- a run's processes join its group before they become the run's user, so nothing they do is outside it;
- a group of the same name left by a launcher that was killed is emptied and removed before it is reused;
- what no controller of this machine can bound is said in `notices`, never silently left open.
"""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.errors import UnavailableError
from kifabrik.sandbox.hierarchies import Hierarchy

_PERIOD_US: Final = 100_000
_PIDS_OF_THE_ROOM: Final = 4
"""Bubblewrap, the room's first process, and the shells between them and the job."""
_TRIES: Final = 1000
"""Naps until a member counts as one that does not die: not seconds, which also pass while the machine stalls."""
_NAP_S: Final = 0.002

_OPTIONAL: Final = {"memory.memsw.limit_in_bytes", "memory.swap.max", "memory.kmem.tcp.limit_in_bytes"}
"""Whether swap and sockets are accounted for is a choice of whoever built or started the kernel."""

_WITHOUT: Final = {
    "memory": "no memory controller: a run that takes too much is stopped only when the machine is out of it",
    "pids": "no pids controller: the number of processes is bounded per user instead (RLIMIT_NPROC)",
    "cpu": "no cpu controller: a run may use every processor",
}


@dataclass(frozen=True)
class Limits:
    """Bounds of a run.

    Args:
        memory_bytes: All memory of its processes together, including what they write to memory
            filesystems: /tmp, /dev/shm, the home folder, /work, /out and /checkpoint.
        cpus: Processors, in units of one.
        pids: Processes and threads together.
        tmp_bytes: Size of /tmp, and of the home folder.
        shm_bytes: Size of /dev/shm.
        open_files: Open files per process, at most what the launcher itself may have.
        socket_bytes: What TCP and UDP may hold on their way. On version 1 this comes on top of
            `memory_bytes`; version 2 counts it in there.
        sockets: Most sockets at one time; a room with more is ended. What waits in a netlink socket is
            counted by no control group, about 230 kB each.
    """

    memory_bytes: int
    cpus: float = 1.0
    pids: int = 4096
    tmp_bytes: int = 1 << 30
    shm_bytes: int = 1 << 30
    open_files: int = 65_536
    socket_bytes: int = 64 << 20
    sockets: int = 4096


@dataclass(frozen=True)
class Usage:
    """What a group used so far.

    Args:
        cpu_ns: Processor time, user and system, of all its processes; None if not counted.
        peak_memory_bytes: Most memory at one time; None if not counted.
        oom_kills: Processes killed because the memory limit was reached.
    """

    cpu_ns: int | None
    peak_memory_bytes: int | None
    oom_kills: int


@dataclass(frozen=True)
class RunGroup:
    """The control group of one run: a folder in each hierarchy that serves.

    Args:
        folders: Each with the hierarchy it was made in.
        notices: What could not be bounded, as sentences.
    """

    folders: tuple[tuple[Hierarchy, Path], ...]
    notices: tuple[str, ...]

    @classmethod
    def create(cls, name: str, limits: Limits, hierarchies: tuple[Hierarchy, ...]) -> "RunGroup":
        """Make the group and set its bounds.

        Raises:
            UnavailableError: A bound the kernel offers was refused.
        """
        folders = []
        for hierarchy in hierarchies:
            with contextlib.suppress(OSError):
                folders.append((hierarchy, _fresh(hierarchy.parent / name)))
        served = {name for hierarchy, _ in folders for name in hierarchy.controllers}
        group = cls(tuple(folders), tuple(text for name, text in _WITHOUT.items() if name not in served))
        try:
            for hierarchy, folder in folders:
                _bound(hierarchy, folder, limits)
        except OSError as error:
            group.remove()
            raise UnavailableError(
                f"the limit in {error.filename} was refused: {error.strerror}",
                hint="`kifabrik doctor` shows the control groups of this machine.",
            ) from None
        return group

    @property
    def join_files(self) -> tuple[Path, ...]:
        """Files to which a process writes `0` to become a member."""
        return tuple(
            folder / ("tasks" if hierarchy.version == 1 else "cgroup.procs") for hierarchy, folder in self.folders
        )

    @property
    def bounds_pids(self) -> bool:
        """Whether the number of processes is bounded by the group."""
        return self._has("pids")

    @property
    def forbids_swap(self) -> bool:
        """Whether the memory of the run's processes can never reach swap.

        Version 1 bounds memory and swap together, which says nothing about how much of it is swap: the
        kernel, or the job itself by `madvise`, can page out all of it.
        """
        return any(
            (folder / "memory.swap.max").exists()
            for hierarchy, folder in self.folders
            if hierarchy.version != 1 and "memory" in hierarchy.controllers
        )

    def kill(self) -> None:
        """Kill every member, and members they make meanwhile."""
        with contextlib.suppress(OSError):
            for hierarchy, folder in self.folders:
                if hierarchy.version != 1 and (folder / "cgroup.kill").exists():
                    _write(folder / "cgroup.kill", "1")
                    return
        for hierarchy, folder in self.folders:  # nobody forks any more, so the killing comes to an end
            if "pids" in hierarchy.controllers:
                with contextlib.suppress(OSError):
                    _write(folder / "pids.max", "0")
        for _ in range(_TRIES):
            if not (members := self.members()):
                break
            for pid in members:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_NAP_S)

    def members(self) -> tuple[int, ...]:
        """Process ids of all members."""
        pids: set[int] = set()
        for _, folder in self.folders:
            with contextlib.suppress(OSError):
                pids.update(int(pid) for pid in _read(folder / "cgroup.procs").split())
        return tuple(sorted(pids - {0}))

    def usage(self) -> Usage:
        """Read the counters; they remain readable until `remove`."""
        return Usage(self._cpu_ns(), self._peak_memory(), self._oom_kills())

    def remove(self) -> bool:
        """Remove the group; False if a member would not die in time."""
        left = [folder for _, folder in self.folders]
        for _ in range(_TRIES):
            left = [folder for folder in left if not _removed(folder)]
            if not left:
                break
            time.sleep(_NAP_S)
        return not left

    def _has(self, controller: str) -> bool:
        return any(controller in hierarchy.controllers for hierarchy, _ in self.folders)

    def _values(self, version: int, file: str) -> Iterator[str]:
        for hierarchy, folder in self.folders:
            if hierarchy.version == version:
                with contextlib.suppress(OSError):
                    yield _read(folder / file)

    def _cpu_ns(self) -> int | None:
        for text in self._values(1, "cpuacct.usage"):
            return int(text)
        for text in self._values(2, "cpu.stat"):
            return _field(text, "usage_usec") * 1000
        return None

    def _peak_memory(self) -> int | None:
        for version, file in ((1, "memory.max_usage_in_bytes"), (2, "memory.peak")):
            for text in self._values(version, file):
                return int(text)
        return None

    def _oom_kills(self) -> int:
        return sum(
            _field(text, "oom_kill")
            for version, file in ((1, "memory.oom_control"), (2, "memory.events"))
            for text in self._values(version, file)
        )


def _bound(hierarchy: Hierarchy, folder: Path, limits: Limits) -> None:
    for file, value in _settings(hierarchy.version, hierarchy.controllers, limits):
        if file in _OPTIONAL and not (folder / file).exists():
            continue
        try:
            _write(folder / file, str(value))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(folder / file)) from None


def _settings(version: int, controllers: frozenset[str], limits: Limits) -> Iterator[tuple[str, str | int]]:
    quota = max(1000, round(limits.cpus * _PERIOD_US))
    if "memory" in controllers and version == 1:
        yield "memory.limit_in_bytes", limits.memory_bytes
        yield "memory.memsw.limit_in_bytes", limits.memory_bytes  # with swap in compressed memory no more either
        yield "memory.kmem.tcp.limit_in_bytes", limits.socket_bytes  # uncounted unless it is set
    elif "memory" in controllers:
        yield "memory.max", limits.memory_bytes
        yield "memory.swap.max", 0
    if "pids" in controllers:
        yield "pids.max", limits.pids + _PIDS_OF_THE_ROOM
    if "cpu" in controllers and version == 1:
        yield "cpu.cfs_period_us", _PERIOD_US
        yield "cpu.cfs_quota_us", quota
    elif "cpu" in controllers:
        yield "cpu.max", f"{quota} {_PERIOD_US}"


def end_left_group(folder: Path) -> bool:
    """Kill and remove a group whose launcher is dead; False if a member would not die in time."""
    version = 2 if (folder / "cgroup.controllers").exists() else 1
    has_pids = frozenset({"pids"}) if (folder / "pids.max").exists() else frozenset[str]()
    left = RunGroup(((Hierarchy(version, folder.parent, has_pids), folder),), ())
    left.kill()
    return left.remove()


def _fresh(folder: Path) -> Path:
    """Make the folder; one left behind is emptied of processes first."""
    try:
        folder.mkdir(mode=0o755)
    except FileExistsError:
        end_left_group(folder)
        folder.mkdir(mode=0o755)
    return folder


def _removed(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _field(text: str, name: str) -> int:
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def _read(path: Path) -> str:
    return path.read_text(encoding="ascii")


def _write(path: Path, text: str) -> None:
    """Write to a file of the kernel, which must be there: it cannot be made."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode("ascii"))
    finally:
        os.close(descriptor)
