"""The plant now: what meters tell, and what the twin makes of the rest.

A meter stands for a series of the twin if it has its name: `it` (power), `electricity`, `to_river`, `to_customers`,
`river` and `river_mixed` (temperatures), `flow` and others of `kifabrik.plant.kernel.SERIES` and of `OUTSIDE`.
A counter of energy gives the mean power between its last two readings.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Final

from kifabrik.plant.conditions import Conditions, conditions_of
from kifabrik.plant.kernel import SERIES, Outside
from kifabrik.plant.metering.kinds import Kind
from kifabrik.plant.metering.readings import Readings
from kifabrik.plant.metering.store import Store
from kifabrik.plant.physics import ELECTRIC, once, permitted_at, plant_of
from kifabrik.plant.site import Site
from kifabrik.plant.studies import OUTSIDE
from kifabrik.plant.water import heat_capacity

_ZONE: Final = timezone(timedelta(hours=1), "UTC+1")
_OLD: Final = 900.0
"""Seconds after which a reading is no more taken for now."""


@dataclass(frozen=True, slots=True)
class Now:
    """A value at this time.

    Attributes:
        value: W, °C, m³/s.
        measured: By a meter, or else by the twin.
        age: Seconds since it was read; 0 for the twin.
    """

    value: float
    measured: bool
    age: float = 0.0


class Live:
    """A site as it is now.

    Args:
        site: Which.
        store: Its meters, or None.
        share: Load assumed where the power of the nodes is not metered, of the way from idle to full.
        folder: Where tables are.
    """

    def __init__(self, site: Site, store: Store | None, share: float, folder: Path | None = None) -> None:
        self.site = site
        self._store = store
        self._share = share
        self._conditions: Conditions = conditions_of(site, folder)

    def now(self, time: datetime) -> dict[str, Now]:
        """All values at a time.

        Args:
            time: With its offset.
        """
        measured = self._measured(time.timestamp())
        outside = self._outside(time, measured)
        fleet = self.site.fleet()
        assumed = fleet.idle_watts + self._share * (fleet.full_watts - fleet.idle_watts)
        permitted = permitted_at(self.site, outside)
        it = measured["it"].value if "it" in measured else min(assumed, permitted)
        full_tank = plant_of(self.site).store_capacity  # how full it is, nobody knows: neither filling nor helping
        twin = once(self.site, outside, it, full_tank)
        twin |= {
            "electricity": sum(twin[name] for name in ELECTRIC),
            "permitted": permitted,
            "river": outside.river,
            "flow": outside.flow,
            "limit": outside.limit,
            "air": outside.air,
            "demand": outside.demand,
            "network_flow": outside.network_flow,
        }
        return {name: Now(value, False) for name, value in twin.items()} | measured

    def _outside(self, time: datetime, measured: dict[str, Now]) -> Outside:
        year, local = self._conditions, time.astimezone(_ZONE)
        start = datetime(local.year, 1, 1, tzinfo=_ZONE)
        at = min(int((local - start).total_seconds() // 60), year.span.steps - 1)
        told = {name: one.value for name, one in measured.items()}
        river = told.get("river", float(year.river.celsius[at]))
        air = told.get("air", float(year.weather.celsius[at]))
        return Outside(
            river=river,
            flow=told.get("flow", float(year.flow[at])),
            capacity=float(heat_capacity(river)),
            limit=float(year.limit[at]),
            rise_limit=float(year.rise_limit[at]),
            air=air,
            wet_bulb=min(float(year.weather.wet_bulb[at]), air),
            demand=told.get("demand", float(year.demand[at])),
            network_flow=told.get("network_flow", float(year.network_flow[at])),
        )

    def _measured(self, now: float) -> dict[str, Now]:
        found = {}
        for meter in self._store.meters() if self._store else []:
            if meter.name in {*SERIES, *OUTSIDE}:
                last = latest(self._store.read(meter.name)) if self._store else None
                if last and now - last[0] <= _OLD:
                    found[meter.name] = Now(last[1], True, max(now - last[0], 0.0))
        return found


def latest(readings: Readings) -> tuple[float, float] | None:
    """Time and value of the last reading; of a counter the mean since the one before. None if there is none."""
    if len(readings.time) < 1 + readings.meter.counter:
        return None
    time, value = float(readings.time[-1]), float(readings.value[-1])
    if readings.meter.kind in {Kind.ENERGY, Kind.VOLUME}:
        risen = value - float(readings.value[-2])
        if risen < 0:  # reset: the mean is not known
            return None
        value = risen / (time - float(readings.time[-2]))
    return time, value
