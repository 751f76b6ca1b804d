"""What a whole run used, over all its attempts and nodes: time, energy, carbon and cost."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import UsageError
from kifabrik.meters.reading import EnergyReading, EnergySource, Reading, require_amounts, total
from kifabrik.values import Money

_MJ_PER_KWH: Final = 3_600_000_000
_PERCENT: Final = 100
_UNCERTAIN_PERCENT: Final = {True: 5, False: 50}
"""Of energy that a counter in the hardware stands behind (NVIDIA states 5 % for NVML's power; for RAPL it is
assumed), and of estimates (assumed: half)."""
_DIGITS: Final = 3


@dataclass(frozen=True)
class EnergyPart:
    """Energy of one source.

    Args:
        source: Where the figures come from.
        measured: Whether a counter in the hardware stands behind them.
        millijoules: Their sum.
    """

    source: EnergySource
    measured: bool
    millijoules: int

    def __post_init__(self) -> None:
        require_amounts(millijoules=self.millijoules)
        if self.measured is not self.source.measured:
            raise UsageError(f"energy from {self.source} is {'not ' if self.measured else ''}measured")


@dataclass(frozen=True)
class Site:
    """What turns energy into carbon at a place.

    Args:
        carbon_g_per_kwh: Carbon intensity of its electricity, CO2 equivalents.
        pue_percent: Power usage effectiveness of the building (ISO/IEC 30134-2) in percent: 125 means
            that a quarter more is drawn than the machines use.
        market_g_per_kwh: Carbon intensity by the operator's contracts, CO2 equivalents; None: not stated.
        reused_percent: Share of the machines' energy that is handed on as heat (energy reuse).
        withdrawn_ml_per_kwh: Water taken from a river and given back, for each kWh of the machines.
        consumed_ml_per_kwh: Water evaporated, for each kWh of the machines.
    """

    carbon_g_per_kwh: int
    pue_percent: int = 100
    market_g_per_kwh: int | None = None
    reused_percent: int = 0
    withdrawn_ml_per_kwh: int = 0
    consumed_ml_per_kwh: int = 0

    def __post_init__(self) -> None:
        require_amounts(
            carbon_g_per_kwh=self.carbon_g_per_kwh,
            market_g_per_kwh=self.market_g_per_kwh or 0,
            withdrawn_ml_per_kwh=self.withdrawn_ml_per_kwh,
            consumed_ml_per_kwh=self.consumed_ml_per_kwh,
        )
        if not 0 <= self.reused_percent <= _PERCENT:
            raise UsageError(f"heat reused is 0 to 100 percent of the machines' energy, not {self.reused_percent}")
        if self.pue_percent < _PERCENT:
            raise UsageError(f"a PUE is at least 100 percent, not {self.pue_percent}")


@dataclass(frozen=True)
class Surroundings:
    """What a run's energy meant for what surrounds the machines, by the factors its operator states.

    Args:
        drawn_mj: Energy with the building's overhead.
        heat_mj: Heat handed on to customers.
        withdrawn_ml: Water taken from a river and given back.
        consumed_ml: Water evaporated.
        market_mg: CO2 equivalents by the operator's contracts; `None` if they are not stated.
        uncertain_percent: Relative uncertainty of the energy, and so of all that follows from it; that of the
            operator's factors is not in it.
    """

    drawn_mj: int
    heat_mj: int
    withdrawn_ml: int
    consumed_ml: int
    market_mg: int | None
    uncertain_percent: int


@dataclass(frozen=True)
class Footprint:
    """What a run used.

    Args:
        attempts: Number of readings summed: one for each attempt and node.
        wall_ms: Time of all attempts together.
        cpu_ms: CPU time.
        gpu_ms: Time GPUs were held, times their number.
        memory_peak_bytes: The most any attempt used on one node.
        log_bytes: How much was logged.
        energy: Energy by source, sorted; a source that gave nothing is left out.
        energy_mj: Energy of all sources, without the building's overhead.
        carbon_mg: CO2 equivalents with the building's overhead; `None` if the intensity is not known.
        cost_micro_eur: What the run costs.
        surroundings: What its energy meant beyond the machines; `None` if the operator states nothing of the site.
    """

    attempts: int
    wall_ms: int
    cpu_ms: int
    gpu_ms: int
    memory_peak_bytes: int
    log_bytes: int
    energy: tuple[EnergyPart, ...]
    energy_mj: int
    carbon_mg: int | None
    cost_micro_eur: int
    surroundings: Surroundings | None = None

    def __post_init__(self) -> None:
        if self.energy_mj != sum(part.millijoules for part in self.energy):
            raise UsageError("the parts of the energy do not add up")

    @property
    def cost(self) -> Money:
        """What the run costs."""
        return Money(self.cost_micro_eur)

    @property
    def measured(self) -> bool:
        """Whether all of the energy was measured."""
        return all(part.measured for part in self.energy)


def footprint(readings: Iterable[Reading], cost: Money, site: Site | None = None) -> Footprint:
    """Sum the readings of a run's attempts.

    Args:
        readings: One for each attempt and node.
        cost: What the run costs.
        site: Where it ran, if carbon is to be stated.
    """
    found = tuple(readings)
    energy = _by_source(reading for one in found for reading in one.energy)
    energy_mj = sum(part.millijoules for part in energy)
    return Footprint(
        attempts=len(found),
        wall_ms=sum(one.wall_ms for one in found),
        cpu_ms=sum(one.cpu_ms for one in found),
        gpu_ms=sum(one.gpu_ms for one in found),
        memory_peak_bytes=max((one.memory_peak_bytes for one in found), default=0),
        log_bytes=sum(one.log_bytes for one in found),
        energy=energy,
        energy_mj=energy_mj,
        carbon_mg=None if site is None else carbon_mg(energy_mj, site),
        cost_micro_eur=cost.micro_eur,
        surroundings=None if site is None else surroundings(energy, site),
    )


def surroundings(energy: Iterable[EnergyPart], site: Site) -> Surroundings:
    """What energy meant for what surrounds the machines; amounts are rounded to the nearest unit."""
    parts = tuple(energy)
    used = sum(part.millijoules for part in parts)
    measured = sum(part.millijoules for part in parts if part.measured)
    market = None
    if site.market_g_per_kwh is not None:
        market = carbon_mg(used, Site(site.market_g_per_kwh, site.pue_percent))
    return Surroundings(
        drawn_mj=_nearest(used * site.pue_percent, _PERCENT),
        heat_mj=_nearest(used * site.reused_percent, _PERCENT),
        withdrawn_ml=_nearest(used * site.withdrawn_ml_per_kwh, _MJ_PER_KWH),
        consumed_ml=_nearest(used * site.consumed_ml_per_kwh, _MJ_PER_KWH),
        market_mg=market,
        uncertain_percent=uncertain_percent(measured, used - measured),
    )


def uncertain_percent(measured_mj: int, estimated_mj: int) -> int:
    """Relative uncertainty of an energy in percent: that of both parts, weighed by energy; 0 of nothing."""
    used = measured_mj + estimated_mj
    uncertain = measured_mj * _UNCERTAIN_PERCENT[True] + estimated_mj * _UNCERTAIN_PERCENT[False]
    return _nearest(uncertain, used) if used else 0


def _nearest(amount: int, divisor: int) -> int:
    return (2 * amount + divisor) // (2 * divisor)


def carbon_mg(energy_mj: int, site: Site) -> int:
    """CO2 equivalents of an amount of energy in milligram, rounded to the nearest one."""
    scaled = energy_mj * site.pue_percent * site.carbon_g_per_kwh * 1000
    return (2 * scaled + _MJ_PER_KWH * _PERCENT) // (2 * _MJ_PER_KWH * _PERCENT)


def format_energy(millijoules: int) -> str:
    """Write energy for people with three significant digits: `1.5 J`, `3.6 kJ`, `500 Wh`, `2 kWh`."""
    for unit, size in (("kWh", _MJ_PER_KWH), ("Wh", _MJ_PER_KWH // 1000), ("kJ", 1_000_000)):
        if millijoules >= size:
            return f"{millijoules / size:.{_DIGITS}g} {unit}"
    return f"{millijoules / 1000:.{_DIGITS}g} J"


def _by_source(energy: Iterable[EnergyReading]) -> tuple[EnergyPart, ...]:
    found = tuple(energy)
    sums = {source: total(one for one in found if one.source is source) for source in sorted(EnergySource)}
    return tuple(EnergyPart(source, source.measured, amount) for source, amount in sums.items() if amount)
