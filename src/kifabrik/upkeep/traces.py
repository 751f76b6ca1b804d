"""What a Unix user leaves on a machine when its jobs are over.

    processes; files in folders everybody may write to; System V shared memory, semaphores and queues; POSIX queues

Invariants:
- only what belongs to the user is named, and only what was named is removed;
- links are not followed, and no other filesystem is entered: what is mounted below is not this machine's alone;
- root has no traces.

Source: proc_pid_status(5), sysvipc(7), mq_overview(7), shmctl(2), semctl(2), msgctl(2).
"""

import ctypes
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final

from kifabrik.sandbox import kernel
from kifabrik.sandbox.clearing import kill, remove
from kifabrik.sandbox.kernel import Mount
from kifabrik.sandbox.proc_files import mounts_of, status_of
from kifabrik.sandbox.slurm_groups import slurm_place

PUBLIC: Final = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path("/run/lock"))  # noqa: S108 - looked at, not used
QUEUES: Final = Path("/dev/mqueue")
_OWN_QUEUES: Final = Path("/run/kifabrik/mqueue")
_DEEPEST: Final = 16
_IPC_RMID: Final = 0
_MINE: Final = "SLURM_JOB_ID"
_libc = ctypes.CDLL(None, use_errno=True)


class TraceKind(Enum):
    """What a trace is."""

    PROCESS = "process"
    FILE = "file"
    SHARED_MEMORY = "shared memory"
    SEMAPHORES = "semaphores"
    QUEUE = "message queue"


_SYSV: Final = {"shm": TraceKind.SHARED_MEMORY, "sem": TraceKind.SEMAPHORES, "msg": TraceKind.QUEUE}


@dataclass(frozen=True)
class Trace:
    """Something that belongs to the user.

    Args:
        kind: What it is.
        number: Of the process or of the System V object; 0 for a file.
        path: Of the file.
        job: The Slurm job the process says or is known to belong to; 0 for none.
    """

    kind: TraceKind
    number: int = 0
    path: Path | None = None
    job: int = 0

    def __str__(self) -> str:
        return f"{self.kind.value} {self.path or self.number}"


def find_traces(uid: int, node: str, *, public: tuple[Path, ...] = PUBLIC) -> list[Trace]:
    """Find everything of a user on this machine.

    Args:
        uid: The user.
        node: Slurm's name of this node; processes of another node on the same machine are not its.
        public: Folders everybody may write to.
    """
    if uid == 0:
        return []
    found = [*_processes(uid, node), *_sysv(uid)]
    seen: set[tuple[int, int]] = set()
    for folder in public:
        with suppress(OSError):
            status = folder.stat()
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                found += _files(folder, uid, status.st_dev)
    with _queues() as queues:
        found += [Trace(TraceKind.QUEUE, path=path) for path in _owned(queues, uid)]
    return found


def clear_trace(trace: Trace, uid: int) -> None:
    """End or remove one.

    Raises:
        OSError: It could not be removed.
    """
    if trace.kind is TraceKind.PROCESS:
        kill(trace.number, uid)
    elif trace.kind is TraceKind.FILE and trace.path is not None:
        _remove_file(trace.path)
    elif trace.path is not None:
        with _queues() as queues:
            (queues / trace.path.name).unlink(missing_ok=True)
    else:
        _remove_sysv(trace)


def _processes(uid: int, node: str) -> Iterator[Trace]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        status = status_of(entry)
        if status is None or status.is_dead or uid not in status.uids:
            continue
        place = slurm_place(entry)
        if place is None or place.is_on(node):
            yield Trace(TraceKind.PROCESS, int(entry.name), job=place.job if place else _claimed_job(entry))


def _claimed_job(process: Path) -> int:
    """The job a process outside every job's control groups says it belongs to."""
    with suppress(OSError, ValueError):
        for entry in (process / "environ").read_bytes().split(b"\0"):
            if entry.startswith(f"{_MINE}=".encode()):
                return int(entry.partition(b"=")[2])
    return 0


def _sysv(uid: int) -> Iterator[Trace]:
    """Read `/proc/sysvipc`: the second field is the id, named fields hold owner and creator."""
    for name, kind in _SYSV.items():
        with suppress(OSError):
            header, *lines = Path("/proc/sysvipc", name).read_text(encoding="ascii").splitlines()
            columns = header.split()
            for line in lines:
                fields = dict(zip(columns, line.split(), strict=False))
                if str(uid) in (fields.get("uid"), fields.get("cuid")):
                    yield Trace(kind, int(line.split()[1]))


def _files(folder: Path, uid: int, device: int, depth: int = 0) -> Iterator[Trace]:
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                if status.st_uid == uid:
                    yield Trace(TraceKind.FILE, path=Path(entry.path))
                elif _is_public(status) and status.st_dev == device and depth < _DEEPEST:
                    yield from _files(Path(entry.path), uid, device, depth + 1)


def _is_public(status: os.stat_result) -> bool:
    return stat.S_ISDIR(status.st_mode) and bool(status.st_mode & stat.S_IWOTH)


def _owned(folder: Path, uid: int) -> Iterator[Path]:
    with suppress(OSError):
        yield from (path for path in folder.iterdir() if path.lstat().st_uid == uid)


@contextmanager
def _queues() -> Iterator[Path]:
    """POSIX message queues as files; mounted for a moment where the machine does not show them."""
    if QUEUES.is_mount():
        yield QUEUES
        return
    _OWN_QUEUES.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        kernel.mount("mqueue", _OWN_QUEUES, "mqueue", Mount.NOSUID | Mount.NODEV)
    except OSError:
        yield _OWN_QUEUES  # a kernel without them, in which nobody has any
        return
    try:
        yield _OWN_QUEUES
    finally:
        kernel.unmount(_OWN_QUEUES, detach=True)


def _remove_file(path: Path) -> None:
    for point, kind in _mounts_below(path):
        if not kind.startswith("fuse"):
            raise OSError(f"{kind} is mounted on {point}")
        kernel.unmount(point, detach=True)
    remove(path)


def _mounts_below(path: Path) -> list[tuple[Path, str]]:
    found = [
        (mount.point, mount.kind) for mount in mounts_of(Path("/proc/self")) if mount.point.is_relative_to(path)
    ]
    return found[::-1]


def _remove_sysv(trace: Trace) -> None:
    if trace.kind is TraceKind.SHARED_MEMORY:
        failed = _libc.shmctl(trace.number, _IPC_RMID, None)
    elif trace.kind is TraceKind.SEMAPHORES:
        failed = _libc.semctl(trace.number, 0, _IPC_RMID, None)
    else:
        failed = _libc.msgctl(trace.number, _IPC_RMID, None)
    if failed:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
