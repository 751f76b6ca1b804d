"""How busy the node is, from `/proc/stat` (proc_stat(5))."""

import os
from pathlib import Path
from typing import Final

_STAT: Final = Path("/proc/stat")
_BUSY: Final = (0, 1, 2, 5, 6, 7)
"""user, nice, system, irq, softirq, steal; guest time is part of user, idle and iowait are not busy."""


def node_cpu_ms(stat: Path = _STAT) -> int:
    """CPU time of everything on the node since it started, in milliseconds; 0 where it cannot be read."""
    try:
        first = stat.read_text().split("\n", 1)[0].split()
        ticks = [int(word) for word in first[1:]]
    except (OSError, ValueError):
        return 0
    busy = sum(ticks[field] for field in _BUSY if field < len(ticks))
    return busy * 1000 // os.sysconf("SC_CLK_TCK")
