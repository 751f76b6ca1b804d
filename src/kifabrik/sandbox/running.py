"""A room whose job runs, and how it ended.

Invariants:
- an exit is reported only when every process of the room is dead: the kernel ends a pid namespace
  before its first process is gone, and that one is waited for even if bubblewrap itself was killed;
- a stop reaches the job as SIGTERM first, to all processes of its group, so that it can checkpoint;
- once it has ended nothing is signalled any more: numbers, user id and group may be another run's.
"""

import contextlib
import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from kifabrik.sandbox.limits import RunGroup, Usage
from kifabrik.sandbox.sockets import SocketWatch

_SIGNAL_BASE: Final = 128
"""A shell reports a program killed by signal n as 128 + n."""
DYING_S: Final = 30.0
"""A process that is killed while the kernel frees its memory can take this long."""
_SOCKETS_HIDDEN: Final = "no view of the run's network: the number of its sockets is not bounded"


@dataclass(frozen=True)
class ExitReport:
    """How a room ended.

    Args:
        status: Exit status of the job as a shell reports it: 0 is success, 128 + n means killed by signal n.
        signal: That signal, or 0.
        oom: Whether a process was killed because the run reached its memory limit, or all because it
            hoarded sockets.
        cpu_seconds: Processor time of all processes of the room.
        peak_memory_bytes: Most memory at one time; without a memory controller that of the largest
            process.
    """

    status: int
    signal: int
    oom: bool
    cpu_seconds: float
    peak_memory_bytes: int


class RunningRoom:
    """A room with its job running. Made by `launch.start`; `close` it, or use it in a `with` block."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes]",
        guard: "subprocess.Popen[bytes]",
        first: tuple[int, int],
        outputs: tuple[int, int],
        group: RunGroup,
        sockets: SocketWatch | None,
    ) -> None:
        self.stdout, self.stderr = outputs
        """Descriptors that the job's standard output and standard error are read from."""
        self.notices = (*group.notices, *(() if sockets else (_SOCKETS_HIDDEN,)))
        """What this machine could not bound, as sentences."""
        self.before_killing: Callable[[], None] = lambda: None
        """Called before the room is killed: a process cannot die while it waits for a read that is under way."""
        self._process = process
        self._guard = guard
        self._first_pid, self._first = first
        self._outer = os.pidfd_open(process.pid)
        self._group = group
        self._settling = threading.Lock()
        self._exit: ExitReport | None = None
        self._hoarded = False
        self._sockets = sockets
        if sockets:
            sockets.start(self._end_hoarding)

    @property
    def pid(self) -> int:
        """Process id, outside, of the room's first process, which is also the job's process group."""
        return self._first_pid

    @property
    def exit(self) -> ExitReport | None:
        """How it ended; None while it runs."""
        return self.wait(0)

    def usage(self) -> Usage:
        """What it has used so far, for metering; after its end use `exit`."""
        return self._group.usage()

    def wait(self, timeout_s: float | None = None) -> ExitReport | None:
        """Wait until every process of the room is dead.

        Returns:
            How it ended, or None if it still runs after `timeout_s` seconds.
        """
        with self._settling:
            if self._exit is not None:
                return self._exit
        if not has_ended(self._outer, timeout_s):
            return None
        with self._settling:
            if self._exit is None:
                self._exit = self._settle()
            return self._exit

    def ask_to_stop(self) -> None:
        """Send SIGTERM to the job; it may write a checkpoint."""
        self.send(signal.SIGTERM)

    def send(self, number: int) -> None:
        """Send a signal to the job's process group; nothing happens once it has ended."""
        if self._exit is None and not has_ended(self._first, 0):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._first_pid, number)

    def kill(self) -> None:
        """Kill every process of the room; nothing happens once it has ended.

        By then another run may have its user id, and a group of the same name.
        """
        if self._exit is not None:
            return
        self.before_killing()
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._first, signal.SIGKILL)
        self._group.kill()

    def terminate(self, grace_s: float) -> ExitReport:
        """Ask the job to stop, give it `grace_s` seconds, then kill what is left."""
        self.ask_to_stop()
        report = self.wait(grace_s)
        if report is not None:
            return report
        self.kill()
        report = self.wait()
        assert report is not None  # noqa: S101 - without a timeout it waits for the end
        return report

    def close(self) -> None:
        """Kill what still runs, and let go of every descriptor."""
        if self.wait(0) is None:
            self.kill()
            self.wait()
        for descriptor in (self.stdout, self.stderr, self._first, self._outer):
            with contextlib.suppress(OSError):
                os.close(descriptor)
        self.stdout = self.stderr = self._first = self._outer = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _end_hoarding(self) -> None:
        self._hoarded = True
        self.kill()

    def _settle(self) -> ExitReport:
        """Bury bubblewrap, make sure that nothing outlives it, and read the counters a last time."""
        _, status, spent = os.wait4(self._process.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        self._process.returncode = code
        if not has_ended(self._first, 0):
            self.kill()
            has_ended(self._first, DYING_S)
        if self._sockets:
            self._sockets.close()
        self._guard.kill()
        self._guard.communicate()
        usage = self._group.usage()
        self._group.kill()
        self._group.remove()
        cpu_ns = usage.cpu_ns if usage.cpu_ns is not None else round((spent.ru_utime + spent.ru_stime) * 1e9)
        killed_by = -code if code < 0 else _signal_of(code)
        return ExitReport(
            status=code if code >= 0 else _SIGNAL_BASE + killed_by,
            signal=killed_by,
            oom=usage.oom_kills > 0 or self._hoarded,
            cpu_seconds=cpu_ns / 1e9,
            peak_memory_bytes=usage.peak_memory_bytes or spent.ru_maxrss * 1024,
        )


def _signal_of(status: int) -> int:
    number = status - _SIGNAL_BASE
    return number if number in {one.value for one in signal.Signals} else 0


def has_ended(pidfd: int, timeout_s: float | None) -> bool:
    """Whether a process is dead, after waiting for it at most that long; None waits for as long as it lives."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))
