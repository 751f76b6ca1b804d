"""What is still on this machine of runs that nobody holds any more: for `kifabrik admin check` and `clearing`.

It reads only. A user id of the range is held as long as its launcher lives, by a lock the kernel drops
with it; whatever belongs to an id that nobody holds was left over.

Source: proc_locks(5), proc_pid_fdinfo(5), proc_pid_mountinfo(5), proc_pid_status(5).
"""

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from kifabrik.sandbox.proc_files import mounts_of, status_of
from kifabrik.sandbox.stage import STAGES
from kifabrik.sandbox.uids import DEFAULT_RANGE, UidRange

MEMORY_NAME: Final = "kifabrik"
"""What memory filesystems of runs are called in the list of mounts."""

_OPENED: Final = frozenset({"tmpfs", "fuse"})
"""How opened data is mounted: as a whole in memory, or opened while it is read."""
_GROUP: Final = re.compile(r"kifabrik-(\d+)(?:-\d+)?")
_PUBLIC: Final = (Path("/dev/shm"), Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - looked at, not used
_LOCK_FIELDS: Final = 6


class RemainKind(Enum):
    """What can be left over."""

    PROCESS = "process"
    GROUP = "control group"
    MOUNT = "mount that everybody sees"
    HELD_MOUNT = "mount that goes with a process"
    FILE = "file"


@dataclass(frozen=True)
class Remain:
    """Something left over.

    Args:
        what: What and where, as a sentence.
        do: How to be rid of it.
        kind: What it is.
        path: Where it is; a process has none.
        pid: The process, or the one that holds a mount; 0 for none.
        uid: The user id of a run it belongs to; -1 where that is not known.
    """

    what: str
    do: str
    kind: RemainKind
    path: Path | None = None
    pid: int = 0
    uid: int = -1


def find_remains(runs: Path, uids: UidRange = DEFAULT_RANGE, proc: Path = Path("/proc")) -> frozenset[Remain]:
    """Find processes, control groups, mounts and files of runs that nobody holds any more.

    Args:
        runs: Folder of attempts on this node, in which memory is mounted.
        uids: User ids of runs.
        proc: Where the kernel tells.
    """
    held = held_uids(uids, proc)
    return frozenset(
        (*_processes(uids, held, proc), *_groups(uids, held, proc), *_mounts(runs, proc), *_files(uids, held))
    )


def held_uids(uids: UidRange = DEFAULT_RANGE, proc: Path = Path("/proc")) -> frozenset[int]:
    """User ids whose lock a living process has taken."""
    holders, device = _lock_holders(proc), _device(uids.locks)
    found = set()
    for file in _listed(uids.locks):
        number = file.name.removesuffix(".lock")
        with suppress(OSError, ValueError):
            if _lives(holders, device, file.stat().st_ino, proc):
                found.add(int(number))
    return frozenset(found)


def _lock_holders(proc: Path) -> dict[int, dict[str, int]]:
    """Who took the lock on a file, by its inode and then by its device as `_device` writes it."""
    found: dict[int, dict[str, int]] = {}
    for line in (proc / "locks").read_text(encoding="ascii").splitlines():
        fields = line.split()
        if len(fields) >= _LOCK_FIELDS and fields[1] == "FLOCK":
            device, _, inode = fields[5].rpartition(":")
            found.setdefault(int(inode), {})[device] = int(fields[4])
    return found


def _lives(holders: dict[int, dict[str, int]], device: str, inode: int, proc: Path) -> bool:
    """Whether a living process holds the lock on a file; where its device is not known, on any of its inode."""
    of_inode = holders.get(inode, {})
    pids = [pid for other, pid in of_inode.items() if device in ("", other)]
    return any((proc / str(pid)).exists() for pid in pids)


def _device(path: Path) -> str:
    """The device of a file as /proc/locks writes it, such as 08:01; empty if it cannot be told.

    That is the device of its mount: what stat(2) says is another one on btrfs and on overlays.
    """
    try:
        handle = os.open(path, os.O_PATH)
        try:
            lines = Path(f"/proc/self/fdinfo/{handle}").read_text(encoding="ascii").splitlines()
        finally:
            os.close(handle)
    except OSError:
        return ""
    number = next((line.split()[1] for line in lines if line.startswith("mnt_id:")), "")
    for mount in mounts_of(Path("/proc/self")):
        if str(mount.number) == number:
            major, minor = map(int, mount.device.split(":"))
            return f"{major:02x}:{minor:02x}"
    return ""


def _processes(uids: UidRange, held: frozenset[int], proc: Path) -> Iterator[Remain]:
    for entry in _processes_of(proc):
        status = status_of(entry)
        if status is None or status.is_dead:
            continue
        uid = status.uids[0]
        if _of_a_run(uid, uids) and uid not in held:
            name = "".join(letter if letter.isprintable() else "?" for letter in status.name)
            yield Remain(
                f"process {entry.name} ({name}) of user {uid} belongs to no run that goes on",
                f"End it: kill -9 {entry.name}",
                RemainKind.PROCESS,
                pid=int(entry.name),
                uid=uid,
            )


def _groups(uids: UidRange, held: frozenset[int], proc: Path) -> Iterator[Remain]:
    for point in _cgroup_mounts(proc):
        for folder, names, _ in os.walk(point):
            for name in names:
                match = _GROUP.fullmatch(name)
                if match and _of_a_run(int(match[1]), uids) and int(match[1]) not in held:
                    yield Remain(
                        f"control group {folder}/{name} belongs to no run that goes on",
                        f"The service removes it at its next start; by hand: rmdir {folder}/{name}",
                        RemainKind.GROUP,
                        Path(folder, name),
                        uid=int(match[1]),
                    )


def _mounts(runs: Path, proc: Path) -> Iterator[Remain]:
    """Memory in mounts that only the dead had a use for: of this node's runs, or visible to everybody."""
    everybody = _namespace(proc / "self")
    seen: set[str] = set()
    for entry in _processes_of(proc):
        namespace = _namespace(entry)
        if not namespace or namespace in seen:
            continue
        seen.add(namespace)
        for point in memory_mounts(entry):
            if namespace == everybody:
                what = f"memory of a run is mounted on {point}, for everybody to see"
                yield Remain(what, f"umount {point}", RemainKind.MOUNT, point)
            elif point.is_relative_to(runs) and not _locked(runs / point.relative_to(runs).parts[0], proc):
                yield Remain(
                    f"memory of a run that is over is mounted on {point}, seen by process {entry.name}",
                    f"It goes with the process: kill -9 {entry.name}",
                    RemainKind.HELD_MOUNT,
                    point,
                    pid=int(entry.name),
                )


def _files(uids: UidRange, held: frozenset[int]) -> Iterator[Remain]:
    for folder in _PUBLIC:
        for file in _listed(folder):
            with suppress(OSError):
                uid = file.lstat().st_uid
                if _of_a_run(uid, uids) and uid not in held:
                    what = f"{file} was left by a run, as user {uid}"
                    yield Remain(what, f"Look at its age, then: rm -r {file}", RemainKind.FILE, file, uid=uid)
    for place in STAGES:
        for file in _listed(place):
            what = f"{file} lies where only a launcher's own mounts should show something"
            yield Remain(what, f"rm -r {file}", RemainKind.FILE, file)


def _locked(folder: Path, proc: Path) -> bool:
    """Whether a living launcher holds the folder of an attempt."""
    with suppress(OSError):
        return _lives(_lock_holders(proc), _device(folder), folder.stat().st_ino, proc)
    return False


def _of_a_run(uid: int, uids: UidRange) -> bool:
    return uids.first <= uid < uids.first + uids.count


def _processes_of(proc: Path) -> Iterator[Path]:
    return (entry for entry in _listed(proc) if entry.name.isdigit())


def _namespace(process: Path) -> str:
    try:
        return str((process / "ns" / "mnt").readlink())
    except OSError:
        return ""


def memory_mounts(process: Path) -> Iterator[Path]:
    """Yield where a process sees memory of runs mounted.

    Args:
        process: Its folder, such as `/proc/7`.
    """
    for mount in mounts_of(process):
        if mount.kind in _OPENED and mount.source == MEMORY_NAME:
            yield mount.point


def _cgroup_mounts(proc: Path) -> Iterator[Path]:
    for mount in mounts_of(proc / "self"):
        if mount.kind in {"cgroup", "cgroup2"}:
            yield mount.point


def _listed(folder: Path) -> Iterator[Path]:
    try:
        yield from folder.iterdir()
    except OSError:
        return
