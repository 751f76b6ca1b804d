"""What a whole sweep used: the sum over its tasks, which the factory keeps one by one.

Invariants:
- a figure that is not known of one task that used energy is not known of the sum, rather than too small;
- uncertainties are not added in quadrature: meters of one kind err in the same direction, so that of the sum is
  theirs, weighed by energy.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from kifabrik.client.runs import Runs
from kifabrik.meters.footprint import uncertain_percent
from kifabrik.meters.reading import EnergySource
from kifabrik.wire.runs import EnergyView, FootprintView, SurroundingsView

_MILLI: Final = 1000
T = TypeVar("T")


def sweep_footprint(runs: Runs, sweep: str) -> FootprintView:
    """The footprint of one order's sweep.

    Args:
        runs: Of the tenant.
        sweep: Run id of the order.
    """
    return summed(view.footprint for view in runs.all_tasks(sweep))


def summed(footprints: Iterable[FootprintView]) -> FootprintView:
    """The footprint of runs together: all adds up, but of memory the most of one counts."""
    parts = list(footprints)
    joules: dict[tuple[str, str], float] = defaultdict(float)
    for one in parts:
        for energy in one.energy:
            joules[energy.source, energy.device] += energy.joules
    used = [one for one in parts if one.energy]
    return FootprintView(
        wall_s=sum(one.wall_s for one in parts),
        cpu_s=sum(one.cpu_s for one in parts),
        gpu_s=sum(one.gpu_s for one in parts),
        memory_peak_bytes=max((one.memory_peak_bytes for one in parts), default=0),
        energy=[
            EnergyView(source=source, device=device, joules=amount)
            for (source, device), amount in sorted(joules.items())
        ],
        energy_measured=bool(used) and all(one.energy_measured for one in used),
        carbon_g=_all(used, lambda one: one.carbon_g),
        cost_micro_eur=sum(one.cost_micro_eur for one in parts),
        surroundings=_surroundings(used, joules),
    )


def _surroundings(used: Sequence[FootprintView], joules: dict[tuple[str, str], float]) -> SurroundingsView | None:
    around = [one.surroundings for one in used if one.surroundings is not None]
    if not used or len(around) < len(used):
        return None
    amounts = {True: 0, False: 0}
    for (source, _device), amount in joules.items():
        amounts[EnergySource(source).measured] += round(_MILLI * amount)
    return SurroundingsView(
        drawn_j=sum(one.drawn_j for one in around),
        heat_j=sum(one.heat_j for one in around),
        water_withdrawn_l=sum(one.water_withdrawn_l for one in around),
        water_consumed_l=sum(one.water_consumed_l for one in around),
        carbon_market_g=_all(around, lambda one: one.carbon_market_g),
        uncertain_percent=uncertain_percent(amounts[True], amounts[False]),
    )


def _all(parts: Sequence[T], of: Callable[[T], float | None]) -> float | None:
    """The sum of a figure that may not be known; None if it is not known of one, or there are none."""
    values = [of(one) for one in parts]
    known = [value for value in values if value is not None]
    return sum(known) if known and len(known) == len(values) else None
