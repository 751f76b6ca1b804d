"""What a lower power limit of GPUs costs in time and saves in power, by measurement.

The measurements are of the Zeus project (You et al., NSDI'23; `trace/summary_power_*.csv` of ml-energy/zeus): time
of an epoch and mean power of training jobs under each power limit of a GPU.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.plant.load import Floats
from kifabrik.plant.readable import rows_of
from kifabrik.plant.workload.trace import Trace

_KEY: Final = ("dataset", "network", "batch_size", "optimizer")
_FIGURES: Final = ("power_limit", "time_per_epoch", "average_power")


@dataclass(frozen=True)
class Measured:
    """Workloads measured under power limits, relative to the highest limit.

    Attributes:
        name: Of the GPU, from the file's name.
        limits: Rising, the highest being 1; shape (limits,).
        time: Time of each workload; shape (workloads, limits).
        power: Mean power; the same shape.
    """

    name: str
    limits: Floats
    time: Floats
    power: Floats

    def at(self, limit: float) -> tuple[Floats, Floats]:
        """Time and power of each workload at a limit, by straight lines between measurements; shapes (workloads,).

        Raises:
            UsageError: Nothing was measured so low.
        """
        if not self.limits[0] <= limit <= 1:
            raise UsageError(
                f"A power limit of {limit:.0%} was not measured for {self.name}.",
                hint=f"It was measured from {self.limits[0]:.0%} to 100 %.",
            )
        rows = range(len(self.time))
        return (
            np.array([np.interp(limit, self.limits, self.time[row]) for row in rows]),
            np.array([np.interp(limit, self.limits, self.power[row]) for row in rows]),
        )


def read_measured(path: Path) -> Measured:
    """Read measurements; workloads that were not measured under every limit are left out.

    Raises:
        NotFoundError: There is no such file.
        UsageError: A column is missing, a figure is not above 0, or no workload has all limits.
    """
    if not path.is_file():
        raise NotFoundError(f"There are no measurements {path}.", hint="Name a file like summary_power_a40.csv")
    found: dict[tuple[str, ...], dict[float, tuple[float, float]]] = {}
    for where, row in rows_of(path, (*_KEY, *_FIGURES), "See the Zeus project's files."):
        figures = [_figure(row[name], f"{where}, field {name}") for name in _FIGURES]
        found.setdefault(tuple(row[name] for name in _KEY), {})[figures[0]] = (figures[1], figures[2])
    limits = sorted({limit for one in found.values() for limit in one})
    whole = [one for one in found.values() if len(one) == len(limits)]
    if not whole:
        raise UsageError(
            f"{path} has no workload measured under every limit.", hint="See the Zeus project's files."
        )
    figures_of = np.array([[one[limit] for limit in limits] for one in whole])
    relative = figures_of / figures_of[:, -1:, :]
    name = path.stem.removeprefix("summary_power_").upper()
    return Measured(name, np.array(limits) / limits[-1], relative[:, :, 0], relative[:, :, 1])


def cap(trace: Trace, measured: Measured, limit: float, *, seed: int = 1) -> Trace:
    """A trace under a power limit: each job behaves as one of the measured workloads, drawn at random.

    Args:
        trace: Jobs at full power.
        measured: Workloads.
        limit: Share of the highest limit.
        seed: Of the draw.
    """
    time, power = measured.at(limit)
    which = np.random.default_rng(seed).integers(0, len(time), trace.jobs)
    ratio = trace.estimate / trace.seconds
    seconds = np.maximum(np.ceil(trace.seconds * time[which]), 1.0)
    return replace(
        trace,
        seconds=seconds,
        estimate=np.maximum(np.ceil(seconds * ratio), seconds),
        intensity=trace.intensity * power[which],
    )


def _figure(text: str | None, where: str) -> float:
    try:
        value = float(text or "")
    except ValueError:
        value = -1.0
    if not value > 0:
        raise UsageError(f"{where}: '{text}' is not a number above 0.", hint="Correct the line, or leave it out.")
    return value
