"""Whose energy it is: the part of a node's counters that belongs to one attempt.

A GPU belongs to one run while it is held, so its counter is that run's, idle or not. A processor package
and its memory are shared, and their counter has two parts:
- the idle part, drawn whether anybody computes or not, goes by what was **reserved**, since reserved
  capacity is kept from others;
- the rest goes by what was **used**, in shares of CPU time.
The idle part of what nobody reserved belongs to the factory, not to its runs. This is how Google allocates
machine energy (Schneider, Mattia: Carbon accounting in the Cloud, 2024, arXiv:2406.09645, §3) and how
Kepler (CNCF) splits idle from dynamic power.

What a node draws is shared out for a short period at a time: over a long one, an attempt that waited while another
computed would be given part of that as well.

Invariants:
- for attempts that run at the same time on one node, the parts add up to at most the counters' difference;
- more use or more reservation never gives a smaller part;
- a device without a counter is estimated, never left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kifabrik.errors import UsageError
from kifabrik.meters.estimates import estimate_cpu, estimate_gpus, estimate_memory
from kifabrik.meters.reading import EnergyReading, EnergySource, require_amounts


@dataclass(frozen=True)
class Share:
    """What one attempt had of its node, over the time the counters ran.

    Args:
        wall_ms: That time.
        cpu_ms: CPU time of the attempt.
        node_cpu_ms: CPU time of everything on the node, the attempt included.
        cpus: CPUs reserved for it; `node_cpus` is what the node has.
        node_cpus: All CPUs of the node.
        memory_bytes: Memory reserved for it.
        node_memory_bytes: All memory of the node.
        gpus: GPUs held, by UUID.
        gpu_model: Their model, empty without any.
        idle_mw: What each RAPL zone draws while the node is idle, in milliwatt, as measured by the
            operator; a zone that is not named has no idle part.

    Raises:
        UsageError: A share is larger than the whole, or negative.
    """

    wall_ms: int
    cpu_ms: int
    node_cpu_ms: int
    cpus: int
    node_cpus: int
    memory_bytes: int
    node_memory_bytes: int
    gpus: tuple[str, ...] = ()
    gpu_model: str = ""
    idle_mw: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        require_amounts(
            wall_ms=self.wall_ms, cpu_ms=self.cpu_ms, cpus=self.cpus, memory_bytes=self.memory_bytes,
            **{f"idle_mw of {zone}": idle for zone, idle in self.idle_mw},
        )  # fmt: skip
        for name, part, whole in (
            ("CPUs", self.cpus, self.node_cpus),
            ("memory", self.memory_bytes, self.node_memory_bytes),
        ):
            if part > whole:
                raise UsageError(f"an attempt cannot have {part} of {whole} {name}")


def energy_of_attempt(counted: Sequence[EnergyReading], share: Share) -> tuple[EnergyReading, ...]:
    """Return the energy of one attempt, sorted by source and device.

    Args:
        counted: By how much the node's counters went up: GPUs by UUID, RAPL zones by name.
        share: What the attempt had of the node.
    """
    held = [reading for reading in counted if reading.source is EnergySource.NVML and reading.device in share.gpus]
    zones = [reading for reading in counted if reading.source is EnergySource.RAPL]
    idle = dict(share.idle_mw)
    found = [*held, *(_part_of_zone(zone, share, idle.get(zone.device, 0)) for zone in zones)]
    uncounted = len(set(share.gpus) - {reading.device for reading in held})
    if uncounted:
        found.append(_estimated("gpu", estimate_gpus(share.gpu_model, uncounted * share.wall_ms)))
    if not any(not is_memory(zone.device) for zone in zones):
        found.append(_estimated("cpu", estimate_cpu(share.cpus, share.wall_ms, share.cpu_ms)))
    if not any(is_memory(zone.device) for zone in zones):
        found.append(_estimated("memory", estimate_memory(share.memory_bytes, share.wall_ms)))
    return tuple(sorted(found, key=lambda reading: (reading.source, reading.device)))


def is_memory(zone: str) -> bool:
    """Whether a RAPL zone is memory: `dram`, alone or below a package."""
    return zone.rpartition("/")[2].startswith("dram")


def _part_of_zone(zone: EnergyReading, share: Share, idle_mw: int) -> EnergyReading:
    """Split one shared counter; both divisions round down, so that the parts never exceed the whole."""
    idle_mj = min(zone.millijoules, idle_mw * share.wall_ms // 1000)
    reserved, capacity = (
        (share.memory_bytes, share.node_memory_bytes) if is_memory(zone.device) else (share.cpus, share.node_cpus)
    )
    of_idle = idle_mj * reserved // capacity if capacity else 0
    used, all_used = min(share.cpu_ms, share.node_cpu_ms), share.node_cpu_ms
    of_rest = (zone.millijoules - idle_mj) * used // all_used if all_used else 0
    return EnergyReading(EnergySource.RAPL, zone.device, of_idle + of_rest)


def _estimated(device: str, millijoules: int) -> EnergyReading:
    return EnergyReading(EnergySource.ESTIMATED, device, millijoules)
