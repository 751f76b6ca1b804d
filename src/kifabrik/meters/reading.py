"""What one attempt of a run used."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from kifabrik.errors import UsageError
from kifabrik.values import parse_time


class EnergySource(StrEnum):
    """Where a figure for energy comes from."""

    NVML = "nvml"
    RAPL = "rapl"
    ESTIMATED = "estimated"

    @property
    def measured(self) -> bool:
        """Whether a counter in the hardware stands behind it."""
        return self is not EnergySource.ESTIMATED


@dataclass(frozen=True)
class EnergyReading:
    """Energy of one device.

    Args:
        source: Where the figure comes from.
        device: A GPU's UUID, a RAPL zone such as `package-0` or `package-0/dram`, or `cpu`, `memory` or
            `gpu` where it is estimated.
        millijoules: The energy, at least 0.
    """

    source: EnergySource
    device: str
    millijoules: int

    def __post_init__(self) -> None:
        require_amounts(millijoules=self.millijoules)


@dataclass(frozen=True)
class Reading:
    """What one attempt used, on one node.

    Args:
        started: When metering began, RFC 3339 in UTC.
        ended: When it ended; before the start if somebody set the node's clock back meanwhile.
        wall_ms: Time between the two by a clock that never jumps.
        cpu_ms: CPU time of all its processes.
        gpu_ms: Time GPUs were held, times their number: a GPU that is held serves nobody else.
        gpu_model: The GPUs' model, empty without any.
        gpu_count: How many were held.
        memory_peak_bytes: The most memory it used at once.
        log_bytes: How much it logged.
        energy: The energy attributed to it.

    Raises:
        UsageError: An amount is negative, or a time is not a time.
    """

    started: str
    ended: str
    wall_ms: int
    cpu_ms: int
    gpu_ms: int
    gpu_model: str
    gpu_count: int
    memory_peak_bytes: int
    log_bytes: int
    energy: tuple[EnergyReading, ...] = ()

    def __post_init__(self) -> None:
        parse_time(self.started)
        parse_time(self.ended)
        require_amounts(
            wall_ms=self.wall_ms,
            cpu_ms=self.cpu_ms,
            gpu_ms=self.gpu_ms,
            gpu_count=self.gpu_count,
            memory_peak_bytes=self.memory_peak_bytes,
            log_bytes=self.log_bytes,
        )

    @property
    def energy_mj(self) -> int:
        """All energy in millijoules, measured and estimated."""
        return total(self.energy)


def total(energy: Iterable[EnergyReading]) -> int:
    """Sum of energy in millijoules."""
    return sum(reading.millijoules for reading in energy)


def require_amounts(**amounts: int) -> None:
    """Check that nothing is negative.

    Raises:
        UsageError: Something is; the message names it.
    """
    for name, amount in amounts.items():
        if amount < 0:
            raise UsageError(f"{name} cannot be negative: {amount}")
