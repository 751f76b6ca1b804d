"""Water as a coolant: heat it takes for a cubic metre and a kelvin, by a table over its temperature.

The table is density times isobaric heat capacity at 1.013 bar after IAPWS-95, as CoolProp 7 gives them; a test asks
CoolProp again.
"""

from typing import Any, Final

import numpy as np

from kifabrik.plant.load import Floats

TEMPERATURES: Final[Floats] = np.arange(0.0, 101.0, 10.0)
"""°C; at 0 °C the value of 0.1 °C is taken, at 100 °C that of 99.9 °C."""
HEAT_CAPACITIES: Final[Floats] = (
    np.array([4.2185, 4.1939, 4.1765, 4.1616, 4.1469, 4.1313, 4.1146, 4.0969, 4.0784, 4.0593, 4.0403]) * 1e6
)
"""J/(m³ K) at these temperatures."""


def heat_capacity(celsius: Any) -> Floats:
    """Heat that a cubic metre takes to get a kelvin warmer, J/(m³ K).

    Args:
        celsius: Temperature, °C; any shape.
    """
    return np.asarray(np.interp(celsius, TEMPERATURES, HEAT_CAPACITIES), dtype=np.float64)
