"""Signals of the plant to those who decide what runs: permitted power and wanted heat, hour by hour."""

from pathlib import Path

import numpy as np

from kifabrik.plant.conditions import Conditions, conditions_of
from kifabrik.plant.load import Load, Signals
from kifabrik.plant.physics import simulate
from kifabrik.plant.site import Site
from kifabrik.plant.tariffs import dearness


def signals(site: Site, year: int | None = None, *, folder: Path | None = None) -> Signals:
    """What river and heat demand allow and want, at full load, hour by hour of a year.

    Args:
        site: Where.
        year: Of the river's table, instead of the site's.
        folder: Where tables are.

    Raises:
        UsageError: A table is wrong or lacks that year.
    """
    if year is not None:
        site = site.model_copy(update={"river": site.river.model_copy(update={"year": year})})
    return signals_under(site, conditions_of(site, folder))


def signals_under(site: Site, conditions: Conditions) -> Signals:
    """The same, for conditions that are there already."""
    full = site.fleet().full_watts
    load = Load(np.array([0.0, conditions.span.seconds]), np.array([full]))
    year = simulate(site, load, conditions=conditions)
    hourly = (conditions.span.hours, -1)
    permitted = year.series["permitted"].reshape(hourly).min(axis=1)
    lost = year.series["to_ground"] + conditions.demand
    cop = np.nan_to_num(year.series["cop"], nan=4.0)
    offered = year.site.cooling.loop.captured * full
    wanted = (
        (lost * (1 - site.heat.pump.drive / cop)).reshape(hourly).mean(axis=1) / offered if full > 0 else permitted
    )
    tariff = conditions.tariff
    dear = dearness(site.electricity, site.heat.price, tariff) if tariff.varies else None
    return Signals(permitted_watts=permitted, heat_wanted=np.clip(wanted, 0.0, 1.0), dear=dear)
