"""What a run or a tenant's user can leave on a machine, made on purpose."""

import os
import signal
import subprocess
import time
from pathlib import Path

_PYTHON = "/usr/bin/python3"
"""One that every user may run."""
_IPC_CREAT = 0o1000
_IGNORES_DEATH = """
import ctypes, os, signal, sys, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
ctypes.CDLL(None).prctl(15, os.fsencode(sys.argv[1]), 0, 0, 0)
os.setsid()
print("up", flush=True)
time.sleep(9999)
"""


LIES = "\x0cUid:\t0\t0\t0\t0"
"""A name of a process that reads like another line of its status, where lines are taken to end at a form feed."""


def stubborn_process(uid: int, environment: dict[str, str] | None = None, name: str = "stubborn") -> int:
    """Start a process of a user that ignores what can be ignored, outside of every job, and return its number."""
    process = subprocess.Popen(
        [_PYTHON, "-c", _IGNORES_DEATH, name], user=uid, group=uid, extra_groups=[], cwd="/",
        env=environment or {}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    process.returncode = 0  # it is not waited for: whoever ends it does not do that either
    return process.pid


def lives(pid: int) -> bool:
    """Whether a process is there and not only waits to be collected."""
    try:
        return not Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return False


def end(pid: int) -> None:
    """End a process made here, and collect it."""
    try:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    except (ProcessLookupError, ChildProcessError):
        return


def as_user(uid: int, code: str) -> str:
    """Run a line of Python as a user and return what it prints."""
    return subprocess.run(
        [_PYTHON, "-c", code], user=uid, group=uid, extra_groups=[], check=True, capture_output=True,
        text=True, cwd="/", env={},
    ).stdout  # fmt: skip


def sysv_objects(uid: int) -> None:
    """Make a shared memory segment, a set of semaphores and a message queue of a user's."""
    as_user(
        uid,
        "import ctypes; l = ctypes.CDLL(None); "
        f"assert l.shmget(0, 4096, {_IPC_CREAT | 0o600}) >= 0; assert l.semget(0, 1, {_IPC_CREAT | 0o600}) >= 0; "
        f"assert l.msgget(0, {_IPC_CREAT | 0o600}) >= 0",
    )


def queue(uid: int, name: str) -> None:
    """Make a POSIX message queue of a user's."""
    as_user(
        uid,
        "import ctypes, os; l = ctypes.CDLL(None); "
        f"assert l.mq_open(b'/{name}', os.O_CREAT | os.O_RDWR, 0o600, None) >= 0",
    )


def sysv_of(uid: int) -> list[str]:
    """System V objects of a user, as the kernel lists them."""
    found = []
    for name in ("shm", "sem", "msg"):
        header, *lines = Path(f"/proc/sysvipc/{name}").read_text().splitlines()
        owner = header.split().index("uid")
        found += [name for line in lines if line.split()[owner] == str(uid)]
    return found


def file_of(uid: int, path: Path, text: str = "plaintext") -> Path:
    """Make a file of a user's."""
    path.write_text(text)
    os.chown(path, uid, uid)
    return path


def wait_until_gone(pid: int, seconds: float = 20) -> bool:
    """Whether a process goes within that time."""
    until = time.monotonic() + seconds
    while lives(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not lives(pid)
