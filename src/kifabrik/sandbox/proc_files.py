"""What the kernel tells of processes and mounts, read as it wrote it.

Whoever runs a program chooses its name, and whoever mounts chooses a path. The kernel escapes in them what would
end a line or a field of its own, and nothing else: a form feed, which `str.splitlines` takes for the end of a
line, stays as it is.

Invariants:
- a line or field ends where the kernel ends it, so no name and no path says anything but itself;
- what is not understood is passed over, so nobody's mount hides another's.

Source: proc_pid_status(5), proc_pid_mountinfo(5); `mangle` in fs/proc_namespace.c and `proc_task_name` in
fs/proc/array.c of Linux.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_ESCAPED: Final = re.compile(rb"\\([0-7]{3})")
_FIELDS_BEFORE: Final = 6
_FIELDS_AFTER: Final = 3
"""Fields on either side of the hyphen; there may be more before it."""


@dataclass(frozen=True)
class ProcessStatus:
    """What is read of a process's status.

    Args:
        name: What it calls itself.
        state: One letter: `Z` and `X` are dead.
        uids: Real, effective, saved and filesystem user id.
    """

    name: str
    state: str
    uids: tuple[int, ...]

    @property
    def is_dead(self) -> bool:
        """Whether it only waits to be collected."""
        return self.state in {"Z", "X"}


@dataclass(frozen=True)
class MountedAt:
    """One mount, as a process sees it.

    Args:
        number: Of the mount.
        device: Numbers of the device, such as `8:1`.
        root: What of the file system is mounted, as a path in it.
        point: Where.
        kind: Type of file system.
        source: What was mounted, as whoever mounted it calls it.
        options: Of the file system.
    """

    number: int
    device: str
    root: str
    point: Path
    kind: str
    source: str
    options: tuple[str, ...]


def status_of(process: Path) -> ProcessStatus | None:
    """Read the status of a process; None if it is gone.

    Args:
        process: Its folder, such as `/proc/7`.
    """
    fields = dict(line.partition(b":")[::2] for line in reversed(_lines(process / "status")))
    try:
        uids = tuple(map(int, fields[b"Uid"].split()))
        state = fields[b"State"].split()[0].decode("ascii")
        return ProcessStatus(_unescaped(fields[b"Name"].removeprefix(b"\t")), state, uids)
    except (KeyError, IndexError, ValueError):
        return None


def mounts_of(process: Path) -> Iterator[MountedAt]:
    """Yield the mounts a process sees, in their order; none if it is gone.

    Args:
        process: Its folder, such as `/proc/self`.
    """
    for line in _lines(process / "mountinfo"):
        before, _, after = line.partition(b" - ")
        first, last = before.split(b" "), after.split(b" ")
        if len(first) < _FIELDS_BEFORE or len(last) != _FIELDS_AFTER or not first[0].isdigit():
            continue
        yield MountedAt(
            number=int(first[0]),
            device=_unescaped(first[2]),
            root=_unescaped(first[3]),
            point=Path(_unescaped(first[4])),
            kind=_unescaped(last[0]),
            source=_unescaped(last[1]),
            options=tuple(_unescaped(last[2]).split(",")),
        )


def _lines(file: Path) -> list[bytes]:
    try:
        return file.read_bytes().split(b"\n")
    except OSError:
        return []


def _unescaped(field: bytes) -> str:
    return os.fsdecode(_ESCAPED.sub(lambda found: bytes([int(found[1], 8) & 0xFF]), field))
