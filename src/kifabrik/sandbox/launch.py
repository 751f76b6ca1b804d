"""Start a room.

The launcher's child becomes, one after the other and without a second process: a shell that joins the
run's control group, `prlimit`, `setpriv` which becomes the run's user for good, and bubblewrap. No code
of ours runs between fork and exec, so the launcher's memory, keys and all, is never in a process of
the run's user.

Invariants:
- environment and command of the job are in no argument list or environment that others can read; what
  the job itself starts with arguments is visible to other users of the machine unless /proc is mounted
  with hidepid;
- a launcher killed at any moment leaves no process: the job starts only after the launcher was seen alive
  with the death signals in place, and a guard ends what is still being built;
- no descriptor reaches the job but its output pipes; its standard input is empty;
- the network of a run on several nodes is whole before the job starts.
"""

import contextlib
import os
import resource
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import RefusedError, UnavailableError
from kifabrik.sandbox.arguments import bubblewrap_options, first_process
from kifabrik.sandbox.hierarchies import find_hierarchies
from kifabrik.sandbox.leftovers import group_name
from kifabrik.sandbox.limits import Limits, RunGroup
from kifabrik.sandbox.memory import PrivateMounts, SwapState, swap_state
from kifabrik.sandbox.programs import find_program
from kifabrik.sandbox.room import RoomSpec
from kifabrik.sandbox.running import DYING_S, RunningRoom, has_ended
from kifabrik.sandbox.seccomp import room_filter
from kifabrik.sandbox.sockets import SocketWatch
from kifabrik.sandbox.stage import Stage
from kifabrik.sandbox.uids import RunUid

_BUILDING_S: Final = 60.0
"""A room takes milliseconds; on a machine that is out of breath it may take longer."""
_STDERR_BYTES: Final = 16 * 1024
_CREDENTIALS: Final = struct.Struct("=iII")
"""`struct ucred`: process, user and group id (unix(7))."""
_NO_CORE: Final = 1
"""A core limit of one byte, not zero: with zero the kernel still hands the memory of a crashed process to
a core_pattern program of the machine; one byte is the value it takes for never (core(5), fs/coredump.c)."""

_JOIN: Final = (
    "echo 500 >/proc/self/oom_score_adj; "  # when the machine is out of memory the run goes, not the launcher
    'while [ "$1" != -- ]; do echo 0 >"$1" || exit 125; shift; done; shift; exec "$@"'
)


_GUARD: Final = "read -r end; kill -KILL 0"
"""Waits for the end of the launcher, which it sees as the end of its input, and kills its process group."""


@dataclass(frozen=True)
class _Pipes:
    """Descriptors shared with the child: the launcher's end first in each pair."""

    stdout: tuple[int, int]
    stderr: tuple[int, int]
    door: tuple[socket.socket, socket.socket]

    @classmethod
    def open(cls) -> "_Pipes":
        door = socket.socketpair()
        door[0].setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        return cls(os.pipe(), os.pipe(), door)

    def hand_over(self, owner: RunUid) -> None:
        """Let the job open its output by name, as `>/dev/stderr` does: a pipe has an owner as files do."""
        if owner.of_its_own:
            for _, far in (self.stdout, self.stderr):
                os.fchown(far, owner.uid, owner.gid)

    def close_far_ends(self) -> None:
        for _, far in (self.stdout, self.stderr):
            os.close(far)
        self.door[1].close()

    def close_near_ends(self) -> None:
        for near, _ in (self.stdout, self.stderr):
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
    with contextlib.ExitStack() as undo:
        stage = Stage.open(mounts, owner)
        undo.callback(stage.close)
        stage.furnish(spec)
        options = bubblewrap_options(spec, tuple(stage.show(one) for one in spec.fittings()), stage.path)
        group = RunGroup.create(group_name(owner), spec.limits, find_hierarchies())
        with contextlib.ExitStack() as failed:
            failed.callback(group.remove)
            failed.callback(group.kill)
            _refuse_swap(group)
            room = _launch(spec, options, owner, group)
            failed.pop_all()
    return room


def _refuse_swap(group: RunGroup) -> None:
    state, areas = swap_state()
    if state is SwapState.ON and not group.forbids_swap:
        raise RefusedError(
            f"this machine swaps to {', '.join(areas)} and the job's memory could reach that disk",
            hint="Switch swap off (`swapoff -a`), or give the node a memory controller of version 2.",
        )


def _launch(spec: RoomSpec, options: list[str], owner: RunUid, group: RunGroup) -> RunningRoom:
    pipes = _Pipes.open()
    with contextlib.ExitStack() as failed:
        failed.callback(pipes.close_near_ends)
        try:
            guard = _start_guard()
            failed.callback(_bury, guard)
            pipes.hand_over(owner)
            process = _spawn(spec.limits, options, owner, group, pipes, guard.pid)
        finally:
            pipes.close_far_ends()
        failed.callback(_end_building, guard, process)
        try:
            first = _wait_until_built(pipes.door[0], time.monotonic() + _BUILDING_S)
            first_pidfd = os.pidfd_open(first)
            failed.callback(os.close, first_pidfd)
            failed.callback(has_ended, first_pidfd, DYING_S)
            failed.callback(_end_building, guard, process)
            sockets = _watch_sockets(first, spec.limits)
            if sockets:
                failed.callback(sockets.close)
            if spec.network is not None:
                spec.network.attach(first)
            pipes.door[0].sendall(b"go\n")
        except OSError:
            _end_building(guard, process)
            raise UnavailableError(
                f"the room could not be built: {_read_all(pipes.stderr[0]) or 'no word from bubblewrap'}",
                hint="`kifabrik doctor` checks what this machine lacks.",
            ) from None
        outputs = (pipes.stdout[0], pipes.stderr[0])
        room = RunningRoom(process, guard, (first, first_pidfd), outputs, group, sockets)
        failed.pop_all()
    pipes.door[0].close()
    return room


def _watch_sockets(first: int, limits: Limits) -> SocketWatch | None:
    """Get ready to count the room's sockets, unless its processes are hidden from an ordinary launcher."""
    try:
        return SocketWatch(first, limits.sockets)
    except OSError:
        return None


def _start_guard() -> "subprocess.Popen[bytes]":
    """Start the guard, which leads the process group of everything that builds the room.

    Death signals alone leave a gap: if the launcher dies while bubblewrap has made its namespaces' first
    process and not yet let it go on, bubblewrap is killed and that process waits for ever, and the
    launcher's mounts and their plaintext with it.
    """
    return subprocess.Popen(
        ("/bin/sh", "-c", _GUARD),
        cwd="/",
        env={},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        process_group=0,
    )


def _spawn(
    limits: Limits, options: list[str], owner: RunUid, group: RunGroup, pipes: _Pipes, process_group: int
) -> "subprocess.Popen[bytes]":
    with _memory_file(room_filter()) as seccomp:
        every = [*options, "--seccomp", str(seccomp)]
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
                pass_fds=(arguments, seccomp),
                process_group=process_group,
            )


def _become(limits: Limits, owner: RunUid) -> list[str]:
    """Programs that set what cannot be widened later: resource limits, user, groups, no new privileges."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = limits.open_files if hard == resource.RLIM_INFINITY else min(limits.open_files, hard)
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    core = _NO_CORE if most == resource.RLIM_INFINITY else min(_NO_CORE, most)
    words = [find_program("prlimit"), f"--core={core}:{core}", f"--nofile={files}:{files}"]
    words += ["--rtprio=0:0", "--nice=0:0"]  # a launcher may have more; a share of time does not bind real time
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


def _wait_until_built(door: socket.socket, deadline: float) -> int:
    """Wait for the word of the room's first process; return its process id outside, which the kernel tells."""
    door.settimeout(max(0.001, deadline - time.monotonic()))
    space = socket.CMSG_SPACE(_CREDENTIALS.size)
    word, notes, _, _ = door.recvmsg(16, space)
    if word != b"ready\n":
        raise ConnectionError
    for level, kind, data in notes:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            return int(_CREDENTIALS.unpack(data)[0])
    raise ConnectionError


def _end_building(guard: "subprocess.Popen[bytes]", process: "subprocess.Popen[bytes]") -> None:
    """Kill everything that builds the room; the guard, which leads its process group, is not buried yet."""
    os.killpg(guard.pid, signal.SIGKILL)
    process.wait()


def _bury(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    if process.stdin:
        process.stdin.close()


def _read_all(descriptor: int) -> str:
    """What was said into a pipe whose writers are dead."""
    said = b""
    while len(said) < _STDERR_BYTES and (part := os.read(descriptor, 4096)):
        said += part
    return " ".join(said.decode(errors="replace").split())
