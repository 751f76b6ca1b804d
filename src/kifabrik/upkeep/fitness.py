"""What must hold on a node before a run begins. Each check says in one sentence what is wrong, or nothing."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from kifabrik.launcher.care import NodeCare
from kifabrik.values import format_size

DEV: Final = Path("/dev")
_MEMINFO: Final = Path("/proc/meminfo")


@dataclass(frozen=True)
class Machine:
    """Where on the machine something is looked for.

    Args:
        dev: Folder of device files.
        meminfo: What the kernel says of its memory (proc_meminfo(5)).
    """

    dev: Path = DEV
    meminfo: Path = field(default=_MEMINFO)


def missing_devices(gpus: tuple[int, ...], dev: Path) -> Iterator[str]:
    """GPUs that Slurm has given to the job and that are not there."""
    for number in gpus:
        if not (dev / f"nvidia{number}").is_char_device():
            yield f"GPU {number} is gone: {dev / f'nvidia{number}'} does not exist"


def no_room(care: NodeCare, meminfo: Path) -> Iterator[str]:
    """Disk and memory that every run needs."""
    folder = next((path for path in (care.runs, *care.runs.parents) if path.is_dir()), Path("/"))
    space = os.statvfs(folder)
    free = space.f_bavail * space.f_frsize
    if free < care.least_disk:
        yield f"{format_size(free)} of disk are free in {folder}, {format_size(care.least_disk)} are needed"
    available = _available(meminfo)
    if available is not None and available < care.least_memory:
        yield f"{format_size(available)} of memory are free, {format_size(care.least_memory)} are needed"


def _available(meminfo: Path) -> int | None:
    for line in meminfo.read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None
