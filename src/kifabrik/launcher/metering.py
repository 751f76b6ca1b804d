"""What an attempt used, from the room's own counters and the node's energy counters.

Invariants:
- energy is shared out period by period: what the node drew while a run did not compute is not that run's, so runs
  of different length beside each other are not given one joule twice;
- the periods of all launchers of a node end at the same moments, for they are counted from the same clock: what is
  given to all of them is more than was counted by no more than the node draws in the periods in which one begins
  or ends.
"""

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from kifabrik.meters.attribution import Share, energy_of_attempt
from kifabrik.meters.reading import EnergyReading, EnergySource, Reading
from kifabrik.sandbox.running import ExitReport
from kifabrik.sensors.meter import EVERY_S, Counted, Meter
from kifabrik.sensors.nvml import gpus as node_gpus
from kifabrik.values import Resources, format_time, now_utc

CpuTime = Callable[[], int | None]
"""Returns a room's CPU time so far in nanoseconds; None where nothing counts it while it runs."""
_NS_PER_MS: Final = 1_000_000


@dataclass(frozen=True)
class _Held:
    """What a room has of its node while it runs; `cpu_ns` is its CPU time so far."""

    resources: Resources
    gpus: tuple[str, ...]
    gpu_model: str
    cpu_ns: CpuTime


class RunMeter:
    """Meters one attempt; an attempt whose job never ran has used nothing but the time it waited.

    Args:
        idle_mw: What each RAPL zone of the node draws while it is idle, in milliwatt.
        meter_of: Makes the meter of the GPUs with these UUIDs.
        every_s: Length of a period.
    """

    def __init__(
        self,
        idle_mw: Mapping[str, int] | None = None,
        *,
        meter_of: Callable[[Iterable[str]], Meter] = Meter.for_node,
        every_s: float = EVERY_S,
    ) -> None:
        self._idle_mw = tuple(sorted((idle_mw or {}).items()))
        self._meter_of = meter_of
        self._every_s = every_s
        self._started = format_time(now_utc())
        self._meter: Meter | None = None
        self._held: _Held | None = None
        self._report: ExitReport | None = None
        self._counted, self._cpu_ms = Counted(0, 0, ()), 0
        self._energy: Counter[tuple[EnergySource, str]] = Counter()
        self._turn = threading.Lock()
        self._done = threading.Event()

    def start(self, resources: Resources, gpus: tuple[int, ...], cpu_ns: CpuTime) -> None:
        """The job runs from now on.

        Args:
            resources: What was ordered.
            gpus: Minor numbers of the GPUs it holds.
            cpu_ns: Its CPU time so far.
        """
        self._started = format_time(now_utc())
        uuids, model = _named(gpus)
        self._held = _Held(resources, uuids, model or resources.gpu_model, cpu_ns)
        self._meter = self._meter_of(uuids)
        self._meter.start()
        threading.Thread(target=self._part_time, name="periods", daemon=True).start()

    def stop(self, report: ExitReport) -> None:
        """The job has ended."""
        if self._meter is None:
            return
        self._done.set()
        self._end_period(self._meter.stop(), round(report.cpu_seconds * 1000))
        self._report = report

    def reading(self, *, log_bytes: int) -> Reading:
        """Return what to sign."""
        ended = format_time(now_utc())
        held, report, wall_ms = self._held, self._report, self._counted.wall_ms
        if held is None or report is None:
            return Reading(self._started, ended, 0, 0, 0, "", 0, 0, log_bytes)
        return Reading(
            started=self._started,
            ended=ended,
            wall_ms=wall_ms,
            cpu_ms=self._cpu_ms,
            gpu_ms=wall_ms * len(held.gpus),
            gpu_model=held.gpu_model if held.gpus else "",
            gpu_count=len(held.gpus),
            memory_peak_bytes=report.peak_memory_bytes,
            log_bytes=log_bytes,
            energy=tuple(EnergyReading(*of, amount) for of, amount in sorted(self._energy.items())),
        )

    def _part_time(self) -> None:
        """End a period at each multiple of its length, by the clock all processes of the machine have."""
        while not self._done.wait(self._every_s - time.monotonic() % self._every_s):
            self.end_period()

    def end_period(self) -> None:
        """Share out what the node has drawn since the last period ended."""
        cpu_ns = self._held.cpu_ns() if self._held is not None else None
        if cpu_ns is not None and self._meter is not None:  # else all of its time is one period
            self._end_period(self._meter.read(), cpu_ns // _NS_PER_MS)

    def _end_period(self, counted: Counted, cpu_ms: int) -> None:
        with self._turn:
            assert self._held is not None  # noqa: S101 - `start` has set it
            period, spent = counted.since(self._counted), max(0, cpu_ms - self._cpu_ms)
            share = replace(_share(self._held, period, spent), idle_mw=self._idle_mw)
            for one in energy_of_attempt(period.energy, share):
                self._energy[one.source, one.device] += one.millijoules
            self._counted, self._cpu_ms = counted, max(cpu_ms, self._cpu_ms)


def _named(minors: tuple[int, ...]) -> tuple[tuple[str, ...], str]:
    """Name GPUs by UUID, and their model; one NVML does not know keeps its number, and its energy is estimated."""
    known = {gpu.minor: gpu for gpu in node_gpus()} if minors else {}
    models = {known[minor].model for minor in minors if minor in known}
    uuids = tuple(known[minor].uuid if minor in known else f"gpu-{minor}" for minor in minors)
    return uuids, models.pop() if len(models) == 1 else ""


def _share(held: _Held, period: Counted, cpu_ms: int) -> Share:
    node_cpus, node_memory = os.cpu_count() or 1, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Share(
        wall_ms=period.wall_ms,
        cpu_ms=cpu_ms,
        node_cpu_ms=max(period.node_cpu_ms, cpu_ms),
        cpus=min(held.resources.cpus, node_cpus),
        node_cpus=node_cpus,
        memory_bytes=min(held.resources.memory_bytes, node_memory),
        node_memory_bytes=node_memory,
        gpus=held.gpus,
        gpu_model=held.gpu_model,
    )
