"""Who is at the other end of a socket: process, user, and the Slurm job it belongs to.

Sources: unix(7), SO_PEERCRED; cgroups(7); Slurm's cgroup plugins of versions 1 and 2, whose groups are named
`…/job_<number>/step_<name>/…`.
"""

import os
import pwd
import re
import select
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.errors import RefusedError

_CREDENTIALS: Final = struct.Struct("=iII")
_JOB: Final = re.compile(r"/job_(\d{1,10})/step_[^/\n]+")
_MOST_ENVIRONMENT_BYTES: Final = 2**20


@dataclass(frozen=True)
class Caller:
    """A process of a Slurm job on this node.

    Args:
        pid: Its process id here.
        pidfd: A descriptor that names it for good; to be closed by whoever asked.
        user: Its Unix user.
        job: Number of its Slurm job, as its control groups say.
        rank: Which of the job's nodes this is, from 0.
        gpus: Numbers of the GPUs that the job's step was given here.
        task: Which task of an array the job is; 0 if it is none.
    """

    pid: int
    pidfd: int
    user: str
    job: int
    rank: int
    gpus: tuple[int, ...]
    task: int = 0

    def alive(self) -> bool:
        """Whether the process has not ended."""
        return not select.select([self.pidfd], [], [], 0)[0]


def is_root(connection: socket.socket) -> bool:
    """Whether root of this machine is at the other end."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return bool(_CREDENTIALS.unpack(credentials)[1] == 0)


def identify(connection: socket.socket) -> Caller:
    """Say who is at the other end.

    Raises:
        RefusedError: It has ended, is root, or belongs to no Slurm job.
    """
    pid, uid, _ = _CREDENTIALS.unpack(
        connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    )
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        raise RefusedError("the caller has ended") from None
    try:
        return _read(Path("/proc") / str(pid), pid, pidfd, uid)
    except BaseException:
        os.close(pidfd)
        raise


def _read(process: Path, pid: int, pidfd: int, uid: int) -> Caller:
    if uid == 0:
        raise RefusedError("a run is never started as root", hint="Jobs are submitted as the tenant's own user.")
    try:
        groups = (process / "cgroup").read_text(encoding="ascii", errors="replace")
        with (process / "environ").open("rb") as file:
            variables = _variables(file.read(_MOST_ENVIRONMENT_BYTES))
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        raise RefusedError(f"no user of this node has the number {uid}") from None
    except OSError:
        raise RefusedError("the caller has ended") from None
    if select.select([pidfd], [], [], 0)[0]:  # what was read may be about another process of its number
        raise RefusedError("the caller has ended")
    jobs = {int(number) for number in _JOB.findall(groups)}
    if len(jobs) != 1:
        raise RefusedError(
            "the caller is no process of a Slurm job",
            hint="The cluster needs ProctrackType=proctrack/cgroup; see: kifabrik admin slurm check",
        )
    return Caller(
        pid=pid,
        pidfd=pidfd,
        user=user,
        job=jobs.pop(),
        rank=_number(variables.get("SLURM_NODEID", "0")),
        task=_number(variables.get("SLURM_ARRAY_TASK_ID", "0")),
        gpus=_gpus(variables.get("SLURM_STEP_GPUS") or variables.get("SLURM_JOB_GPUS", "")),
    )


def _variables(environment: bytes) -> dict[str, str]:
    words = (part.decode(errors="replace").partition("=") for part in environment.split(b"\0"))
    return {name: value for name, _, value in words}


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _gpus(text: str) -> tuple[int, ...]:
    """Read `0,2` or `0-3`: Slurm's numbers of GPUs on the node, which are those of their device files."""
    numbers: list[int] = []
    for piece in text.split(",") if text else ():
        first, _, last = piece.partition("-")
        if not first.isdigit() or (last and not last.isdigit()):
            raise RefusedError(f"Slurm gave GPUs that have no number: {text[:60]!r}")
        numbers += range(int(first), int(last or first) + 1)
    return tuple(numbers)
