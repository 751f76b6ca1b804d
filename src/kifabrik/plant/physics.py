"""The year of a site: its load through supply, cooling, heat pump and river, minute by minute."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from kifabrik.errors import UsageError
from kifabrik.plant.conditions import Conditions, conditions_of
from kifabrik.plant.exchange import design_transfer
from kifabrik.plant.heat_pump.map import shipped_map
from kifabrik.plant.kernel import SERIES, Outside, Plant, minute, permitted, run
from kifabrik.plant.load import Floats, Load
from kifabrik.plant.site import Losses, Site
from kifabrik.plant.spans import HOUR_STEPS, STEP
from kifabrik.plant.water import heat_capacity

ELECTRIC: Final = (
    "it", "losses", "air_fans", "loop_pump", "river_pump", "dry_fans", "chiller", "auxiliary", "heat_pump",
    "network_pump",
)  # fmt: skip
"""What takes electricity: all of what comes in."""
UPGRADE: Final = ("heat_pump", "network_pump")
"""What takes electricity only to upgrade heat and to hand it over."""
HEAT_OUT: Final = ("to_river", "to_air", "to_ground", "to_customers", "to_store")
"""Where the heat goes: all of what goes out, and what stays in the tank."""


@dataclass(frozen=True)
class Year:
    """What a year of a site came to.

    Attributes:
        site: Whose.
        conditions: What came from outside.
        wanted: IT power as it was wanted, by the minute, W; shape (steps,).
        series: Of each name in `kifabrik.plant.kernel.SERIES` its values by the minute; shape (steps,).
    """

    site: Site
    conditions: Conditions
    wanted: Floats
    series: dict[str, Floats]

    def joules(self, *names: str) -> float:
        """Energy of series of power, over the year."""
        return float(sum(self.series[name].sum() for name in names) * STEP)

    @cached_property
    def electricity(self) -> Floats:
        """All that comes in, W; shape (steps,)."""
        return np.asarray(np.sum([self.series[name] for name in ELECTRIC], axis=0), dtype=np.float64)


def simulate(site: Site, load: Load, *, conditions: Conditions | None = None, folder: Path | None = None) -> Year:
    """Take a load through a year of a site.

    Args:
        site: Where.
        load: IT power from the start of the year on; it may end earlier, then power is 0.
        conditions: Of the year, if they are there already.
        folder: Where tables are.

    Raises:
        UsageError: The load is not one, or longer than the year.
    """
    conditions = conditions or conditions_of(site, folder)
    wanted = _by_the_minute(load, conditions.span.steps, site)
    plant = plant_of(site)
    out = np.empty((len(SERIES), conditions.span.steps))
    run(
        plant, wanted, conditions.river.celsius, conditions.flow, heat_capacity(conditions.river.celsius),
        conditions.limit, conditions.rise_limit, conditions.weather.celsius, conditions.weather.wet_bulb,
        conditions.demand, conditions.network_flow, STEP, HOUR_STEPS, out,
    )  # fmt: skip
    return Year(site, conditions, wanted, dict(zip(SERIES, out, strict=True)))


def permitted_at(site: Site, outside: Outside) -> float:
    """Most IT power under given conditions with an empty tank, W."""
    return float(permitted(plant_of(site), outside, 0.0, STEP, np.empty(len(SERIES))))


def once(site: Site, outside: Outside, it: float, stored: float = 0.0) -> dict[str, float]:
    """A single step under given conditions.

    Args:
        site: Where.
        outside: Conditions.
        it: IT power, W; it is not cut.
        stored: Heat in the tank, J.

    Returns:
        The step's values, and `unmet`: heat that nothing takes, W.
    """
    out = np.empty(len(SERIES))
    unmet = minute(plant_of(site), outside, it, stored, STEP, out)
    out[SERIES.index("permitted")] = np.nan
    return {**dict(zip(SERIES, out.tolist(), strict=True)), "unmet": float(unmet)}


def plant_of(site: Site) -> Plant:
    """A site's numbers for the kernel."""
    cooling, heat, electricity = site.cooling, site.heat, site.electricity
    loop, river, dry, chiller = cooling.loop, cooling.river, cooling.dry_cooler, cooling.chiller
    exchanger, network = river.exchanger, heat.network
    river_capacity = float(heat_capacity(0.5 * (exchanger.cold_in + exchanger.cold_out)))
    spread = min(network.flow_on_mild_day, network.flow_on_cold_day) - network.back
    store = float(heat_capacity(network.flow_on_mild_day)) * heat.store.volume * spread
    cops = shipped_map()
    return Plant(
        full_watts=site.fleet().full_watts,
        connection=electricity.connection,
        transformer=_losses(electricity.transformer),
        ups=_losses(electricity.ups),
        auxiliary=electricity.auxiliary,
        supply=loop.supply,
        rise=loop.rise,
        loop_heat=loop.design_heat,
        loop_pump=loop.pump.rating,
        loop_least=max(loop.pump.least, 0.01),
        air_fans=loop.air_fans.rating,
        air_least=loop.air_fans.least,
        captured=loop.captured,
        losses_captured=loop.losses_captured,
        river_ua=design_transfer(exchanger),
        river_rated=exchanger.heat / (river_capacity * (exchanger.cold_out - exchanger.cold_in)),
        river_pump=river.pump.rating,
        river_least=river.pump.least,
        river_most=river.most_flow,
        river_rise=river.rise,
        mixing=site.river.mixing,
        withdrawable=site.river.withdrawable,
        dry_heat=dry.heat,
        dry_difference=dry.difference,
        dry_fans=dry.fans.rating,
        dry_least=dry.fans.least,
        dry_air_rise=dry.air_rise,
        spray_above=dry.spray.above if dry.spray else 1e3,
        spray_effectiveness=dry.spray.effectiveness if dry.spray else 0.0,
        chiller_heat=chiller.heat,
        chiller_carnot=chiller.carnot,
        chiller_cold=chiller.cold_approach,
        chiller_hot=chiller.hot_approach,
        machine_heat=heat.pump.heat / heat.pump.machines,
        machines=float(heat.pump.machines),
        drive=heat.pump.drive,
        back=network.back,
        ground=network.ground,
        leak=network.leak,
        network_pump=network.pump.rating if heat.pump.heat > 0 else 0.0,
        network_least=network.pump.least,
        network_rated=max(heat.pump.heat, 1.0),
        store_capacity=store,
        store_leak=heat.store.leak,
        store_hours=heat.store.hours,
        cop_source=cops.source,
        cop_flow=cops.flow,
        cop_load=cops.load,
        cop=cops.cop,
    )


def _losses(part: Losses) -> tuple[float, float, float, float]:
    return part.rating, part.standing, part.linear, part.square


def _by_the_minute(load: Load, steps: int, site: Site) -> Floats:
    if not len(load.watts) or len(load.edges) != len(load.watts) + 1:
        raise UsageError("The load is empty.", hint="It needs at least one piece of time with its power.")
    if not (np.isfinite(load.watts).all() and np.isfinite(load.edges).all() and (np.diff(load.edges) > 0).all()):
        raise UsageError(
            "The load's times do not rise, or its power is not a number.", hint="Check the load's source."
        )
    if (load.watts < 0).any():
        raise UsageError(
            "The load has negative power.", hint="Nodes do not give power back: check the load's source."
        )
    if load.edges[-1] > steps * STEP + 1:
        days = load.edges[-1] / 86_400
        raise UsageError(
            f"The load lasts {days:.1f} days; the year {site.year} has {steps // 1440}.", hint="Cut it."
        )
    mean = load.mean_watts(STEP)
    wanted = np.zeros(steps)
    start = round(float(load.edges[0]) / STEP)
    wanted[start : start + len(mean)] = mean[: steps - start]
    return wanted
