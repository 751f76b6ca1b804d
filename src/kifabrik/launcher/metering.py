"""What an attempt used, from the room's own counters and the node's energy counters."""

import os
from dataclasses import dataclass

from kifabrik.meters.attribution import Share, energy_of_attempt
from kifabrik.meters.reading import Reading
from kifabrik.sandbox.running import ExitReport
from kifabrik.sensors.meter import Counted, Meter
from kifabrik.sensors.nvml import gpus as node_gpus
from kifabrik.values import Resources, format_time, now_utc


@dataclass(frozen=True)
class _Use:
    """What a room used while it ran."""

    resources: Resources
    gpus: tuple[str, ...]
    counted: Counted
    cpu_ms: int
    memory_peak_bytes: int


class RunMeter:
    """Meters one attempt; an attempt whose job never ran has used nothing but the time it waited."""

    def __init__(self) -> None:
        self._started = format_time(now_utc())
        self._meter: Meter | None = None
        self._resources = Resources()
        self._gpus: tuple[str, ...] = ()
        self._use: _Use | None = None

    def start(self, resources: Resources, gpus: tuple[int, ...]) -> None:
        """The job runs from now on."""
        self._started = format_time(now_utc())
        self._resources = resources
        self._gpus = _uuids(gpus)
        self._meter = Meter.for_node(self._gpus)
        self._meter.start()

    def stop(self, report: ExitReport) -> None:
        """The job has ended."""
        if self._meter is None:
            return
        counted = self._meter.stop()
        self._use = _Use(
            self._resources, self._gpus, counted, round(report.cpu_seconds * 1000), report.peak_memory_bytes
        )

    def reading(self, *, log_bytes: int) -> Reading:
        """Return what to sign."""
        ended = format_time(now_utc())
        use = self._use
        if use is None:
            return Reading(self._started, ended, 0, 0, 0, "", 0, 0, log_bytes)
        resources, counted = use.resources, use.counted
        return Reading(
            started=self._started,
            ended=ended,
            wall_ms=counted.wall_ms,
            cpu_ms=use.cpu_ms,
            gpu_ms=counted.wall_ms * len(use.gpus),
            gpu_model=resources.gpu_model if use.gpus else "",
            gpu_count=len(use.gpus),
            memory_peak_bytes=use.memory_peak_bytes,
            log_bytes=log_bytes,
            energy=energy_of_attempt(counted.energy, _share(use)),
        )


def _uuids(minors: tuple[int, ...]) -> tuple[str, ...]:
    """Name GPUs by UUID; one NVML does not know keeps its number, so that its energy is estimated."""
    known = {gpu.minor: gpu.uuid for gpu in node_gpus()} if minors else {}
    return tuple(known.get(minor, f"gpu-{minor}") for minor in minors)


def _share(use: _Use) -> Share:
    node_cpus, node_memory = os.cpu_count() or 1, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Share(
        wall_ms=use.counted.wall_ms,
        cpu_ms=use.cpu_ms,
        node_cpu_ms=max(use.counted.node_cpu_ms, use.cpu_ms),
        cpus=min(use.resources.cpus, node_cpus),
        node_cpus=node_cpus,
        memory_bytes=min(use.resources.memory_bytes, node_memory),
        node_memory_bytes=node_memory,
        gpus=use.gpus,
        gpu_model=use.resources.gpu_model,
    )
