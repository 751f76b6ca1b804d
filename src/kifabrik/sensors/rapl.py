"""RAPL: energy of processor packages and their memory, from Linux's powercap files.

The format is that of the kernel (Documentation/power/powercap/powercap.rst): a folder a zone, `name`,
`energy_uj`, which counts microjoules and starts again at zero after `max_energy_range_uj`.

Only packages and their `dram` are counted. `core` and `uncore` are parts of a package, `psys` contains
packages, and `intel-rapl-mmio` shows the same packages again: adding any of them counts energy twice.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kifabrik.meters.reading import EnergySource
from kifabrik.sensors.counters import CounterLostError, EnergyCounter

POWERCAP: Final = Path("/sys/class/powercap")
_PACKAGE: Final = re.compile(r"intel-rapl:\d+")
_PART: Final = re.compile(r"intel-rapl:\d+:\d+")


class RaplCounter:
    """One zone. It must be read at least once a wrap: after some minutes at full power on older machines."""

    source: Final = EnergySource.RAPL

    def __init__(self, zone: Path, device: str) -> None:
        self.device: Final = device
        self._energy = zone / "energy_uj"
        self._range_uj = _number(zone / "max_energy_range_uj")
        self._last_uj = _number(self._energy)
        self._total_uj = 0

    def total_mj(self) -> int:
        """Energy in millijoules since this object was made.

        Raises:
            CounterLostError: The file cannot be read any more.
        """
        now_uj = _number(self._energy)
        gone_uj = now_uj - self._last_uj
        self._total_uj += gone_uj if gone_uj >= 0 else gone_uj + self._range_uj
        self._last_uj = now_uj
        return self._total_uj // 1000


def open_rapl(powercap: Path = POWERCAP) -> tuple[EnergyCounter, ...]:
    """Return a counter for every package and memory zone that can be read; none where there are none."""
    return tuple(_open(powercap))


def _open(powercap: Path) -> Iterator[EnergyCounter]:
    for package in _zones(powercap, _PACKAGE):
        name = _name(package)
        if name.startswith("package"):
            yield from _counter(package, name)
            for part in _zones(package, _PART):
                if _name(part).startswith("dram"):
                    yield from _counter(part, f"{name}/{_name(part)}")


def _zones(folder: Path, shape: re.Pattern[str]) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if shape.fullmatch(path.name))
    except OSError:
        return []


def _counter(zone: Path, device: str) -> Iterator[EnergyCounter]:
    try:
        yield RaplCounter(zone, device)
    except CounterLostError:  # readable by root alone since Linux 5.10
        return


def _name(zone: Path) -> str:
    try:
        return (zone / "name").read_text().strip()
    except OSError:
        return ""


def _number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        raise CounterLostError(str(path)) from None
