"""What the coming hours permit at a site: by its physics from its own year, or by hand from a forecast."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from kifabrik.plant.conditions import conditions_of
from kifabrik.plant.governor.river import Binding, Hour, Level, Plant, binding_of, permitted
from kifabrik.plant.signalling import signals_under
from kifabrik.plant.site import Site
from kifabrik.plant.spans import HOUR_STEPS, Span

_HOUR: Final = 3600.0
_MWH: Final = 3.6e9
_ZONE: Final = timezone(timedelta(hours=1), "CET")
_NEARLY: Final = 0.999
"""A permit of this share of full power is all of it: the rest is rounding of the physics."""


def plant_of(site: Site) -> Plant:
    """What the governor must know of a site: its nodes, its supply's losses at full load, what takes heat."""
    fleet, cooling, supply = site.fleet(), site.cooling, site.electricity
    full = fleet.full_watts
    lost = sum(
        part.rating * (part.standing + part.linear * (full / part.rating) + part.square * (full / part.rating) ** 2)
        for part in (supply.ups, supply.transformer)
    )
    captured = cooling.loop.captured + cooling.loop.losses_captured * lost / full
    return Plant(
        full_watts=full,
        idle_watts=fleet.idle_watts,
        heat_per_watt=captured,
        other_watts=(cooling.dry_cooler.heat if cooling.dry_cooler else 0.0)
        + (cooling.chiller.heat if cooling.chiller else 0.0),
        river_watts=cooling.river.exchanger.heat if cooling.river else 0.0,
    )


def forecast_levels(site: Site, hours: Sequence[Hour]) -> list[Level]:
    """What each hour of a forecast permits at a site."""
    plant = plant_of(site)
    prices = [hour.price for hour in hours if hour.price is not None]
    if not prices:
        return [permitted(plant, hour) for hour in hours]
    mean = sum(prices) / len(prices)
    unit = (site.heat.price * _MWH or abs(mean)) or 1.0
    dear = [0.0 if hour.price is None else (hour.price - mean) / unit for hour in hours]
    return [replace(permitted(plant, hour), dear=more) for hour, more in zip(hours, dear, strict=True)]


def whole_year(site: Site, folder: Path | None = None) -> list[Level]:
    """What each hour of the site's year permits, from its first one on."""
    begin = datetime(site.year, 1, 1, tzinfo=_ZONE)
    return year_levels(site, begin.timestamp(), Span(site.year).hours, folder)


def year_levels(site: Site, now: float, count: int, folder: Path | None = None) -> list[Level]:
    """What the hours from now on permit if they are as those of the site's year, by its physics.

    Args:
        site: Where.
        now: Seconds since the epoch; its day and hour are looked up in the site's year.
        count: Hours.
        folder: Where the site's tables are.

    Raises:
        UsageError: A table is wrong.
    """
    conditions = conditions_of(site, folder)
    signals = signals_under(site, conditions)
    allowed = signals.permitted_watts
    full = site.fleet().full_watts
    moment = datetime.fromtimestamp(now, UTC).astimezone(_ZONE)
    first = conditions.span.day_of((moment.month, moment.day)) * 24 + moment.hour
    begin = math.floor(now / _HOUR) * _HOUR
    levels = []
    for number in range(count):
        index = (first + number) % conditions.span.hours
        step = index * HOUR_STEPS
        at = begin + number * _HOUR
        watts, wanted = float(allowed[index]), float(signals.heat_wanted[index])
        dear = 0.0 if signals.dear is None else float(signals.dear[index])
        if watts >= full * _NEARLY:
            levels.append(Level(at, full, Binding.NOTHING, wanted, dear))
            continue
        hour = Hour(
            at=at,
            river_celsius=float(conditions.river.celsius[step]),
            flow=float(conditions.flow[step]),
            limit_celsius=float(conditions.limit[step]),
            limit_warming=float(conditions.rise_limit[step]),
        )
        levels.append(Level(at, watts, binding_of(hour), wanted, dear))
    return levels
