"""Start a room.

The launcher's child becomes, one after the other and without a second process: a shell that joins the
run's control group, `prlimit`, `setpriv` which becomes the run's user for good, and bubblewrap. No code
of ours runs between fork and exec, so the launcher's memory, keys and all, is never in a process of
the run's user.

Invariants:
- environment and command of the job are in no argument list or environment that others can read; what
  the job itself starts with arguments is visible to other users of the machine unless /proc is mounted
  with hidepid;
- the job starts only after its launcher was seen alive with the death signals in place: so a launcher
  killed at any moment leaves no process;
- no descriptor reaches the job but its output pipes; its standard input is empty.
"""

import contextlib
import json
import os
import resource
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import RefusedError, UnavailableError
from kifabrik.sandbox.arguments import bubblewrap_options, first_process
from kifabrik.sandbox.hierarchies import find_hierarchies
from kifabrik.sandbox.limits import Limits, RunGroup
from kifabrik.sandbox.memory import PrivateMounts, SwapState, swap_state
from kifabrik.sandbox.programs import find_program
from kifabrik.sandbox.room import RoomSpec
from kifabrik.sandbox.running import RunningRoom
from kifabrik.sandbox.seccomp import room_filter
from kifabrik.sandbox.stage import Stage
from kifabrik.sandbox.uids import RunUid

_BUILDING_S: Final = 60.0
"""A room takes milliseconds; on a machine that is out of breath it may take longer."""
_STDERR_BYTES: Final = 16 * 1024
_NO_CORE: Final = 1
"""A core limit of one byte, not zero: with zero the kernel still hands the memory of a crashed process to
a core_pattern program of the machine; one byte is the value it takes for never (core(5), fs/coredump.c)."""

_JOIN: Final = (
    "echo 500 >/proc/self/oom_score_adj; "  # when the machine is out of memory the run goes, not the launcher
    'while [ "$1" != -- ]; do echo 0 >"$1" || exit 125; shift; done; shift; exec "$@"'
)


@dataclass(frozen=True)
class _Pipes:
    """Descriptors shared with the child: the launcher's end first in each pair."""

    stdout: tuple[int, int]
    stderr: tuple[int, int]
    info: tuple[int, int]
    door: tuple[socket.socket, socket.socket]

    @classmethod
    def open(cls) -> "_Pipes":
        return cls(os.pipe(), os.pipe(), os.pipe(), socket.socketpair())

    def close_far_ends(self) -> None:
        for _, far in (self.stdout, self.stderr, self.info):
            os.close(far)
        self.door[1].close()

    def close_near_ends(self) -> None:
        for near, _ in (self.stdout, self.stderr, self.info):
            os.close(near)
        self.door[0].close()


def start(spec: RoomSpec, mounts: PrivateMounts, owner: RunUid) -> RunningRoom:
    """Build a room and start its job.

    To be called from a thread that lives as long as the run, best the main thread: the kernel takes the
    end of the thread that started the room for the death of the launcher, and ends the room.

    Args:
        spec: What the room contains.
        mounts: From `enter_private_mounts`.
        owner: From `claim_uid`; to be released by the caller when the room is gone.

    Raises:
        UsageError: Something the room is to show does not exist.
        RefusedError: The job's memory could be swapped to a disk.
        UnavailableError: The machine cannot build a room; the message says what bubblewrap said.
    """
    name = f"kifabrik-{owner.uid}" if owner.of_its_own else f"kifabrik-{owner.uid}-{os.getpid()}"
    with contextlib.ExitStack() as undo:
        stage = Stage.open(mounts, owner)
        undo.callback(stage.close)
        stage.furnish(spec)
        options = bubblewrap_options(spec, tuple(stage.show(one) for one in spec.fittings()), stage.path)
        group = RunGroup.create(name, spec.limits, find_hierarchies())
        with contextlib.ExitStack() as failed:
            failed.callback(group.remove)
            failed.callback(group.kill)
            _refuse_swap(group)
            room = _launch(spec.limits, options, owner, group)
            failed.pop_all()
    return room


def _refuse_swap(group: RunGroup) -> None:
    state, areas = swap_state()
    if state is SwapState.ON and not group.forbids_swap:
        raise RefusedError(
            f"this machine swaps to {', '.join(areas)} and the job's memory could reach that disk",
            hint="Switch swap off (`swapoff -a`), or give the node a memory controller that counts swap.",
        )


def _launch(limits: Limits, options: list[str], owner: RunUid, group: RunGroup) -> RunningRoom:
    pipes = _Pipes.open()
    try:
        process = _spawn(limits, options, owner, group, pipes)
    except BaseException:
        pipes.close_near_ends()
        raise
    finally:
        pipes.close_far_ends()
    deadline = time.monotonic() + _BUILDING_S
    try:
        first = _first_pid(pipes.info[0], deadline)
        first_pidfd = os.pidfd_open(first)
        _open_door(pipes.door[0], deadline)
    except (OSError, ValueError, KeyError):
        process.kill()
        said = _read_all(pipes.stderr[0], deadline)
        process.wait()
        pipes.close_near_ends()
        raise UnavailableError(
            f"the room could not be built: {said or 'no word from bubblewrap'}",
            hint="`kifabrik doctor` checks what this machine lacks.",
        ) from None
    os.close(pipes.info[0])
    pipes.door[0].close()
    return RunningRoom(process, first, first_pidfd, pipes.stdout[0], pipes.stderr[0], group)


def _spawn(
    limits: Limits, options: list[str], owner: RunUid, group: RunGroup, pipes: _Pipes
) -> "subprocess.Popen[bytes]":
    with _memory_file(room_filter()) as seccomp:
        every = [*options, "--seccomp", str(seccomp), "--info-fd", str(pipes.info[1])]
        with _memory_file(b"".join(os.fsencode(word) + b"\0" for word in every)) as arguments:
            command = [
                *("/bin/sh", "-c", _JOIN, "room", *map(str, group.join_files), "--"),
                *_become(limits, owner),
                *(find_program("bwrap"), "--args", str(arguments), "--"),
                *first_process(None if group.bounds_pids else limits.pids),
            ]
            return subprocess.Popen(
                command,
                cwd="/",
                env={},
                stdin=pipes.door[1].fileno(),
                stdout=pipes.stdout[1],
                stderr=pipes.stderr[1],
                pass_fds=(arguments, seccomp, pipes.info[1]),
                start_new_session=True,
            )


def _become(limits: Limits, owner: RunUid) -> list[str]:
    """Programs that set what cannot be widened later: resource limits, user, groups, no new privileges."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = limits.open_files if hard == resource.RLIM_INFINITY else min(limits.open_files, hard)
    words = [find_program("prlimit"), f"--core={_NO_CORE}:{_NO_CORE}", f"--nofile={files}:{files}"]
    words += [find_program("setpriv"), "--no-new-privs"]
    if owner.of_its_own:
        words += [f"--reuid={owner.uid}", f"--regid={owner.gid}", "--clear-groups"]
        words += ["--inh-caps=-all", "--bounding-set=-all"]
    return words


@contextlib.contextmanager
def _memory_file(content: bytes) -> Iterator[int]:
    """A descriptor from which `content` is read, in no file system."""
    descriptor = os.memfd_create("room", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, content)
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _first_pid(info: int, deadline: float) -> int:
    """Process id, outside, of the room's first process (bubblewrap's `--info-fd`)."""
    return int(json.loads(_read_all(info, deadline))["child-pid"])


def _open_door(door: socket.socket, deadline: float) -> None:
    """Wait until the first process stands in the finished room, and send it off."""
    door.settimeout(max(0.001, deadline - time.monotonic()))
    if door.recv(16) != b"ready\n":
        raise ConnectionError
    door.sendall(b"go\n")


def _read_all(descriptor: int, deadline: float) -> str:
    said = b""
    while len(said) < _STDERR_BYTES and (left := deadline - time.monotonic()) > 0:
        if not select.select([descriptor], [], [], left)[0]:
            break
        part = os.read(descriptor, 4096)
        if not part:
            break
        said += part
    return " ".join(said.decode(errors="replace").split())
