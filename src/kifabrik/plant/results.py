"""What a year comes to: energies, figures of merit, river, heat, cost, and the balances that must close."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kifabrik.plant import metrics
from kifabrik.plant.kernel import SERIES
from kifabrik.plant.load import Floats
from kifabrik.plant.physics import ELECTRIC, HEAT_OUT, UPGRADE, Year
from kifabrik.plant.spans import STEP
from kifabrik.plant.water import heat_capacity

_KWH: Final = 3.6e6
_MINUTES_PER_HOUR: Final = 60.0
_TOLERANCE: Final = 0.001
"""Of the balance: 0.1 %."""
_AT_LIMIT: Final = 1e-3
"""W of 1 and K: nearer than this to a limit is at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A year in numbers. Energies in kWh, water in m³, carbon in kg, money in EUR, hours in h.

    Attributes:
        electricity: All that came in.
        it: Of the nodes.
        idle: Of the nodes if nothing had run.
        wanted: Of the nodes if nothing had been cut.
        curtailed: IT energy that was wanted and not let in.
        curtailed_hours: Time in which power was cut.
        upgrade: Electricity used only to upgrade heat and to hand it over.
        to_river: Heat, by the river's flow and how much warmer it is behind the outlet.
        to_air: Heat.
        to_ground: Heat lost by network and tank.
        to_customers: Heat delivered by the plant.
        to_store: Heat in the tank at the end more than at the start.
        source_heat: Heat handed to the heat pump: what is reused.
        demand: Heat that customers wanted.
        backup: Heat that something else had to give.
        covered: Share of the demand the plant met.
        heat_pump_cop: Seasonal.
        pue: Without the upgrade of heat, as EnEfG § 11 (2) counts it.
        pue_all: With it.
        ref: Renewable energy factor.
        erf: Energy reuse factor.
        cer: Cooling efficiency ratio.
        cue_location: kg/kWh by the grid's mix.
        cue_market: kg/kWh by the contracts.
        wue_withdrawn: l/kWh.
        wue_consumed: l/kWh.
        withdrawn: River water taken and given back.
        consumed: Water evaporated.
        river_warming_mean: K, of the mixed river while heat goes into it.
        river_warming_most: K.
        river_highest: °C, of the mixed river.
        river_alone_highest: °C, of the river before.
        limit_hours: Time in which the permit held the plant back.
        forbidden_hours: Time in which the river was too warm by itself.
        chiller_hours: Time in which the chiller ran.
        dry_hours: Time in which the dry cooler ran.
        carbon_location: kg.
        carbon_market: kg.
        cost: Of electricity.
        heat_revenue: Of heat sold.
        balance: Electricity in against heat out, as a share of the first.
        backup_carbon: kg.
    """

    electricity: float
    it: float
    idle: float
    wanted: float
    curtailed: float
    curtailed_hours: float
    upgrade: float
    to_river: float
    to_air: float
    to_ground: float
    to_customers: float
    to_store: float
    source_heat: float
    demand: float
    backup: float
    covered: float
    heat_pump_cop: float
    pue: float
    pue_all: float
    ref: float
    erf: float
    cer: float
    cue_location: float
    cue_market: float
    wue_withdrawn: float
    wue_consumed: float
    withdrawn: float
    consumed: float
    river_warming_mean: float
    river_warming_most: float
    river_highest: float
    river_alone_highest: float
    limit_hours: float
    forbidden_hours: float
    chiller_hours: float
    dry_hours: float
    carbon_location: float
    carbon_market: float
    cost: float
    heat_revenue: float
    balance: float
    backup_carbon: float

    @property
    def closed(self) -> bool:
        """Whether electricity in and heat out agree within 0.1 %."""
        return abs(self.balance) <= _TOLERANCE


COOLING: Final = ("air_fans", "loop_pump", "river_pump", "dry_fans", "chiller")
"""What takes electricity to cool."""


def summarise(year: Year) -> Summary:
    """Sum a year up."""
    site, series = year.site, year.series
    energy = {name: float(series[name].sum()) * STEP / _KWH for name in SERIES}
    total = sum(energy[name] for name in ELECTRIC)
    upgrade = sum(energy[name] for name in UPGRADE)
    core = total - upgrade
    it = energy["it"]
    river = year.conditions.river.celsius
    warming = series["river_mixed"] - river
    # by its temperatures, not by what the plant says it gave: the balance shall not close by itself
    carried = warming * heat_capacity(river) * year.conditions.flow * site.river.mixing
    to_river = float(carried.sum()) * STEP / _KWH
    out = to_river + sum(energy[name] for name in HEAT_OUT if name != "to_river")
    demand = float(year.conditions.demand.sum()) * STEP / _KWH
    used = series["river_water"] > 0
    power = site.electricity
    withdrawn = float(series["river_water"].sum()) * STEP
    consumed = float(series["sprayed"].sum()) * STEP
    tariff = year.conditions.tariff
    drawn = year.electricity
    inner = drawn - series["heat_pump"] - series["network_pump"]
    location, market = (_weighted(drawn, course) for course in (tariff.carbon_location, tariff.carbon_market))
    forbidden = river >= year.conditions.limit
    room = series["to_river"] >= series["river_room"] - _AT_LIMIT * np.maximum(series["river_room"], 1.0)
    cut = year.wanted - series["it"]
    return Summary(
        electricity=total,
        it=it,
        idle=site.fleet().idle_watts * year.conditions.span.seconds / _KWH,
        wanted=float(year.wanted.sum()) * STEP / _KWH,
        curtailed=float(cut.sum()) * STEP / _KWH,
        curtailed_hours=_hours(cut > 1.0),
        upgrade=upgrade,
        to_river=to_river,
        to_air=energy["to_air"],
        to_ground=energy["to_ground"],
        to_customers=energy["to_customers"],
        to_store=energy["to_store"],
        source_heat=energy["source_heat"],
        demand=demand,
        backup=energy["backup"],
        covered=energy["to_customers"] / demand if demand > 0 else float("nan"),
        heat_pump_cop=energy["pump_heat"] / energy["heat_pump"] if energy["heat_pump"] > 0 else float("nan"),
        pue=metrics.power_usage_effectiveness(core, it),
        pue_all=metrics.power_usage_effectiveness(total, it),
        ref=metrics.renewable_energy_factor(power.renewable * core, core),
        erf=metrics.energy_reuse_factor(energy["source_heat"], core),
        cer=metrics.cooling_efficiency_ratio(
            energy["to_river"]
            - energy["river_pump"]
            + energy["dry_heat"]
            + energy["chiller_heat"]
            + energy["source_heat"],
            sum(energy[name] for name in COOLING),
        ),
        cue_location=metrics.carbon_usage_effectiveness(_weighted(inner, tariff.carbon_location), it),
        cue_market=metrics.carbon_usage_effectiveness(_weighted(inner, tariff.carbon_market), it),
        wue_withdrawn=metrics.water_usage_effectiveness((withdrawn + consumed) * 1000, it),
        wue_consumed=metrics.water_usage_effectiveness(consumed * 1000, it),
        withdrawn=withdrawn,
        consumed=consumed,
        river_warming_mean=float(warming[used].mean()) if used.any() else 0.0,
        river_warming_most=float(warming.max()),
        river_highest=float(series["river_mixed"].max()),
        river_alone_highest=float(river.max()),
        limit_hours=_hours(room | forbidden),
        forbidden_hours=_hours(forbidden),
        chiller_hours=_hours(series["chiller_heat"] > 0),
        dry_hours=_hours(series["dry_heat"] > 0),
        carbon_location=location,
        carbon_market=market,
        cost=_weighted(drawn, tariff.price),
        heat_revenue=energy["to_customers"] * _KWH * site.heat.price,
        balance=(total - out) / total if total > 0 else 0.0,
        backup_carbon=energy["backup"] * _KWH * site.heat.backup_carbon,
    )


def _weighted(watts: Floats, course: Floats) -> float:
    """What power comes to by so much for each joule."""
    return float(np.dot(watts, course)) * STEP


def _hours(mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> float:
    return float(mask.sum()) / _MINUTES_PER_HOUR
