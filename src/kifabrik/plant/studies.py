"""A year as it is kept and shown: its summary, its hours, and where its inputs came from."""

from dataclasses import dataclass
from typing import Final

import numpy as np

from kifabrik.plant.load import Floats
from kifabrik.plant.physics import Year
from kifabrik.plant.results import Summary, summarise
from kifabrik.plant.site import Site
from kifabrik.plant.site_file import SiteFile

OUTSIDE: Final = (
    "river", "limit", "flow", "air", "demand", "network_flow", "wanted", "electricity", "price", "carbon_location",
    "carbon_market",
)  # fmt: skip
"""Hours of a study beside those of the kernel's series."""


@dataclass(frozen=True)
class Study:
    """A year that was simulated.

    Attributes:
        file: Site and its text.
        load: What ran, in words.
        summary: In numbers.
        hourly: Means by the hour, W, °C, m³/s, of the kernel's series and of `OUTSIDE`; shape (hours,).
        river_source: Where the river's temperature came from.
        weather_source: Where the weather came from.
        measured: Whether both came from tables.
        bridged: Days of the river's table that had no value.
        tariff_sources: Where price, carbon by location and carbon by contracts came from.
    """

    file: SiteFile
    load: str
    summary: Summary
    hourly: dict[str, Floats]
    river_source: str
    weather_source: str
    measured: bool
    bridged: int
    tariff_sources: tuple[str, ...] = ()

    @property
    def site(self) -> Site:
        """Whose year it was."""
        return self.file.site


def study_of(year: Year, file: SiteFile, load: str) -> Study:
    """Keep of a year what is shown.

    Args:
        year: As simulated.
        file: Its site.
        load: What ran, in words.
    """
    conditions = year.conditions
    return Study(
        file=file,
        load=load,
        summary=summarise(year),
        hourly={name: hours(values) for name, values in all_series(year).items()},
        river_source=conditions.river.source,
        weather_source=conditions.weather.source,
        measured=conditions.river.measured and conditions.weather.measured,
        bridged=conditions.river.bridged,
        tariff_sources=conditions.tariff.sources,
    )


def all_series(year: Year) -> dict[str, Floats]:
    """Every series of a year by the minute, conditions included; shape (steps,).

    SI but for prices (EUR/MWh) and carbon (g/kWh), which nobody reads by the joule.
    """
    conditions = year.conditions
    tariff = conditions.tariff
    outside = (
        conditions.river.celsius, conditions.limit, conditions.flow, conditions.weather.celsius, conditions.demand,
        conditions.network_flow, year.wanted, year.electricity, tariff.price * 3.6e9,
        tariff.carbon_location * 3.6e9, tariff.carbon_market * 3.6e9,
    )  # fmt: skip
    return {**year.series, **dict(zip(OUTSIDE, outside, strict=True))}


def hours(values: Floats) -> Floats:
    """Means by the hour; minutes that have no value are left out."""
    by_hour = values.reshape(-1, 60)
    if not np.isnan(values).any():
        return np.asarray(by_hour.mean(axis=1), dtype=np.float64)
    known = ~np.isnan(by_hour)
    sums = np.where(known, by_hour, 0.0).sum(axis=1)
    counted = known.sum(axis=1)
    return np.where(counted > 0, sums / np.maximum(counted, 1), np.nan)
