"""Which process is which: a number alone is reused, a number with its start time is not.

Source: proc(5), /proc/pid/stat, fields 3 (state), 5 (process group) and 22 (start time in clock ticks
since boot).
"""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TEMPLATE_SOCKET: Final = 3
"""Descriptor over which a service and the template of its launchers talk; not in the template's own module,
which is run as a program and must not be imported by the package around it."""

_STATE: Final = 0
_START_TIME: Final = 19
_DEAD: Final = frozenset("ZXx")


@dataclass(frozen=True)
class ProcessId:
    """One process for good: its number and when it started, in clock ticks since boot.

    `boot` tells one boot of the machine from the next, where ticks begin again.
    """

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> "ProcessId | None":
        """Name a process that exists now, or return None."""
        fields = _stat(pid)
        return None if fields is None else cls(pid, int(fields[_START_TIME]), boot_id())

    @classmethod
    def own(cls) -> "ProcessId":
        """Name this process."""
        found = cls.of(os.getpid())
        if found is None:
            raise AssertionError
        return found

    @classmethod
    def from_text(cls, text: str) -> "ProcessId | None":
        """Read what `str` of one wrote; None for anything else."""
        pid, _, rest = text.partition("/")
        started, _, boot = rest.partition("/")
        return cls(int(pid), int(started), boot) if pid.isdigit() and started.isdigit() and boot else None

    def __str__(self) -> str:
        return f"{self.pid}/{self.started}/{self.boot}"

    def alive(self) -> bool:
        """Whether it still runs; one that ended and waits to be collected does not."""
        if self.boot != boot_id():
            return False
        fields = _stat(self.pid)
        return fields is not None and int(fields[_START_TIME]) == self.started and fields[_STATE] not in _DEAD

    def kill_group(self) -> None:
        """Send SIGKILL to it and its process group, which it leads once it has begun."""
        for kill in (os.killpg, os.kill):  # one that was forked this moment leads no group yet
            if not self.alive():
                return
            with contextlib.suppress(ProcessLookupError):
                kill(self.pid, signal.SIGKILL)


def boot_id() -> str:
    """The kernel's random name for the present boot (proc(5), /proc/sys/kernel/random)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> list[str] | None:
    """Fields of /proc/pid/stat from the third on, or None; the second may contain anything."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rpartition(") ")[2].split()
