"""What meters measure: kinds, units, and what of a register each can fill."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from kifabrik.errors import UsageError


class Kind(Enum):
    """Of a meter; counters only rise, gauges go up and down."""

    ENERGY = "energy"
    VOLUME = "volume"
    POWER = "power"
    FLOW = "flow"
    TEMPERATURE = "temperature"


COUNTERS: Final = frozenset({Kind.ENERGY, Kind.VOLUME})
UNITS: Final = {
    Kind.ENERGY: {
        "kWh": 3.6e6,
        "MWh": 3.6e9,
        "GWh": 3.6e12,
        "Wh": 3600.0,
        "J": 1.0,
        "kJ": 1e3,
        "MJ": 1e6,
        "GJ": 1e9,
    },
    Kind.VOLUME: {"m³": 1.0, "m3": 1.0, "l": 1e-3},
    Kind.POWER: {"W": 1.0, "kW": 1e3, "MW": 1e6},
    Kind.FLOW: {"m³/s": 1.0, "m3/s": 1.0, "m³/h": 1 / 3600, "m3/h": 1 / 3600, "l/s": 1e-3},
    Kind.TEMPERATURE: {"°C": 1.0, "C": 1.0},
}
"""Unit to SI, or to °C."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """A meter.

    Attributes:
        name: Of the meter, unique in a store.
        kind: What it measures.
        unit: As it tells it.
        field: Of a register that it fills, as in `kifabrik.plant.law`; or none.
    """

    name: str
    kind: Kind
    unit: str
    field: str = ""

    def __post_init__(self) -> None:
        """Refuse names that are no file names, and units that do not go with the kind."""
        if not self.name or not all(letter.isalnum() or letter in "-_" for letter in self.name):
            raise UsageError(f"{self.name!r} is no name of a meter.", hint="Use letters, digits, - and _.")
        if self.unit not in UNITS[self.kind]:
            offered = ", ".join(UNITS[self.kind])
            raise UsageError(f"{self.unit!r} is no unit of {self.kind.value}.", hint=f"Units: {offered}.")

    @property
    def counter(self) -> bool:
        """Whether it only rises."""
        return self.kind in COUNTERS

    @property
    def factor(self) -> float:
        """From its unit to SI."""
        return UNITS[self.kind][self.unit]
