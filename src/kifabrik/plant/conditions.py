"""All that a year brings from outside, by the minute: river, air, limits, demand."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kifabrik.errors import UsageError
from kifabrik.plant.courses import River, Weather, river_of, weather_of
from kifabrik.plant.heat_demand import heat_demand
from kifabrik.plant.load import Floats
from kifabrik.plant.site import Site
from kifabrik.plant.spans import DAY_STEPS, HOUR_STEPS, Span
from kifabrik.plant.tariffs import Tariff, tariff_of


@dataclass(frozen=True)
class Conditions:
    """A year's conditions; arrays have shape (steps,) unless said otherwise.

    Attributes:
        span: The year.
        river: Its temperature.
        flow: Of the river, m³/s.
        limit: Highest temperature of the mixed river, °C.
        rise_limit: Most it may be warmed by, K.
        weather: The air.
        demand: Heat that customers want, W.
        network_flow: Temperature to the network, °C.
        tariff: What electricity costs and emits.
    """

    span: Span
    river: River
    flow: Floats
    limit: Floats
    rise_limit: Floats
    weather: Weather
    demand: Floats
    network_flow: Floats
    tariff: Tariff


def conditions_of(site: Site, folder: Path | None = None) -> Conditions:
    """Put a year's conditions together.

    Args:
        site: Whose; `site.year` gives weekdays, `site.river.year` the year of the river's table.
        folder: Where tables are.

    Raises:
        UsageError: A table is wrong, or a limit of the river can never hold.
    """
    span = Span(site.year)
    river = river_of(site.river.temperature, span, folder, site.river.year)
    weather = weather_of(site.weather, span, folder)
    limit, rise = _limits(site, span)
    limits_can_hold(site, span, river.celsius)
    hourly = heat_demand(site.heat.customers, weather.hourly, span, site.holidays)
    network = site.heat.network
    outdoor = np.repeat(weather.hourly.reshape(-1, 24).mean(axis=1), DAY_STEPS)
    return Conditions(
        span=span,
        river=river,
        flow=_flow(site, span),
        limit=limit,
        rise_limit=rise,
        weather=weather,
        demand=np.repeat(hourly, HOUR_STEPS),
        network_flow=np.interp(
            outdoor, (network.cold_day, network.mild_day), (network.flow_on_cold_day, network.flow_on_mild_day)
        ),
        tariff=tariff_of(site.electricity, span, folder),
    )


def limits_can_hold(site: Site, span: Span, river: Floats) -> None:
    """See that no limit is below the river by itself in all its months.

    Args:
        site: With its limits.
        span: The year.
        river: Temperature of the river, °C; shape (steps,).

    Raises:
        UsageError: One is; it is named by its place in the site file.
    """
    months = np.repeat(span.months(), DAY_STEPS)
    for number, limit in enumerate(site.river.limits):
        coldest = float(river[np.isin(months, limit.months)].min())
        if coldest >= limit.temperature:
            message = (
                f"river.limits.{number}: a limit of {limit.temperature:g} °C can never hold: in its months"
                f" the river itself is never colder than {coldest:.1f} °C."
            )
            raise UsageError(message, hint="Check the temperatures of river.limits and of the river's table.")


def _flow(site: Site, span: Span) -> Floats:
    flow = np.full(span.days, site.river.flow)
    for cleaning in site.river.cleaning:
        begin, end = span.day_of(cleaning.begin), span.day_of(cleaning.end)
        days = np.arange(span.days)
        inside = (days >= begin) & (days <= end) if begin <= end else (days >= begin) | (days <= end)
        flow[inside] = cleaning.flow
    return np.repeat(flow, DAY_STEPS)


def _limits(site: Site, span: Span) -> tuple[Floats, Floats]:
    months = span.months()
    temperature, rise = np.empty(span.days), np.empty(span.days)
    for limit in site.river.limits:
        inside = np.isin(months, limit.months)
        temperature[inside], rise[inside] = limit.temperature, limit.rise
    return np.repeat(temperature, DAY_STEPS), np.repeat(rise, DAY_STEPS)
