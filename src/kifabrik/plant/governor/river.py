"""The IT power whose heat a plant can get rid of under given conditions: a balance by hand, for one hour.

What comes in as IT power leaves as heat of nodes and of the losses of their supply. Customers take some, the river
as much as its permit leaves, dry cooler or chiller the rest.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from kifabrik.errors import UsageError

WATER: Final = 4.19e6
"""Heat capacity of a cubic metre of water near 15 °C, J/(m³ K)."""


class Binding(Enum):
    """What holds the permitted power down."""

    NOTHING = "nothing"
    RIVER_TEMPERATURE = "river temperature"
    RIVER_WARMING = "river warming"


SAYS: Final = {
    Binding.NOTHING: "The plant can take all heat",
    Binding.RIVER_TEMPERATURE: "The river is at its temperature limit",
    Binding.RIVER_WARMING: "The river carries too little water for its warming limit",
}


@dataclass(frozen=True)
class Plant:
    """What the governor must know of a plant.

    Attributes:
        full_watts: IT power with every GPU at work.
        idle_watts: IT power with nothing running.
        heat_per_watt: Heat to be taken away for each watt of IT power, losses of its supply included.
        other_watts: Heat that dry cooler, chiller and the building take at most.
        river_watts: Heat the exchanger to the river takes at most.
    """

    full_watts: float
    idle_watts: float
    heat_per_watt: float
    other_watts: float
    river_watts: float

    def __post_init__(self) -> None:
        if not (self.full_watts > self.idle_watts >= 0 and self.heat_per_watt > 0):
            raise UsageError("Full power must be above idle power, and heat per watt above 0.")


@dataclass(frozen=True)
class Hour:
    """Conditions of one hour, measured or forecast.

    Attributes:
        at: Its beginning, seconds since the epoch.
        river_celsius: Of the river before the plant.
        flow: Of the river, m³/s.
        limit_celsius: Highest temperature of the mixed river.
        limit_warming: Most the mixed river may be warmed by, K.
        heat_wanted: Heat that customers take from the nodes, W.
        price: Of electricity, EUR/MWh; None where nobody says.
    """

    at: float
    river_celsius: float
    flow: float
    limit_celsius: float
    limit_warming: float
    heat_wanted: float = 0.0
    price: float | None = None


@dataclass(frozen=True)
class Level:
    """What an hour permits.

    Attributes:
        at: Its beginning, seconds since the epoch.
        watts: IT power.
        binding: What holds it down.
        heat_wanted: Share of all heat the nodes can give that customers want.
        dear: By how much electricity is dearer than on average, in units of what its heat is sold for.
    """

    at: float
    watts: float
    binding: Binding
    heat_wanted: float = 0.0
    dear: float = 0.0


def permitted(plant: Plant, hour: Hour) -> Level:
    """IT power whose heat can be taken away in an hour.

    The mixed river warms by P / (flow * WATER): 15 MW into 25 m³/s is 0.14 K, into 2 m³/s 1.8 K.
    """
    room = hour.limit_celsius - hour.river_celsius
    warming = max(0.0, min(room, hour.limit_warming))
    river = min(hour.flow * WATER * warming, plant.river_watts)
    heat = river + plant.other_watts + max(0.0, hour.heat_wanted)
    watts = heat / plant.heat_per_watt
    wanted = max(0.0, hour.heat_wanted) / (plant.heat_per_watt * plant.full_watts)
    if watts >= plant.full_watts:
        return Level(hour.at, plant.full_watts, Binding.NOTHING, wanted)
    return Level(hour.at, watts, binding_of(hour), wanted)


def binding_of(hour: Hour) -> Binding:
    """Which of the river's two limits leaves less room."""
    near = hour.limit_celsius - hour.river_celsius < hour.limit_warming
    return Binding.RIVER_TEMPERATURE if near else Binding.RIVER_WARMING
