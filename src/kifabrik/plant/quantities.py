"""Quantities with units, as they stand in a site file: `14.3 kW`, `25 m³/s`, `21.5 °C`.

Numbers without a unit are refused. What comes out is SI, or °C for temperatures at an edge.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from pydantic import BeforeValidator

_FORM: Final = re.compile(r"^\s*([-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*(\S.*?)?\s*$")
_POWER: Final = {"W": 1.0, "kW": 1e3, "MW": 1e6}
_ENERGY: Final = {"kWh": 3.6e6, "MWh": 3.6e9, "GWh": 3.6e12}
_FLOW: Final = {"m³/s": 1.0, "m3/s": 1.0, "l/s": 1e-3, "m³/h": 1 / 3600, "m3/h": 1 / 3600}
_VOLUME: Final = {"m³": 1.0, "m3": 1.0, "l": 1e-3}
_AREA: Final = {"m²": 1.0, "m2": 1.0}
_CELSIUS: Final = {"°C": 1.0, "C": 1.0}
_KELVIN: Final = {"K": 1.0}
_LEAK: Final = {"W/K": 1.0, "kW/K": 1e3}
_SHARE: Final = {"%": 0.01}
_WORTH: Final = {"EUR/t": 1e-3}
PRICE_UNITS: Final = {"EUR/MWh": 1 / 3.6e9, "EUR/kWh": 1 / 3.6e6, "ct/kWh": 0.01 / 3.6e6}
CARBON_UNITS: Final = {"g/kWh": 1e-3 / 3.6e6, "kg/kWh": 1 / 3.6e6, "kg/MWh": 1 / 3.6e9}


def _reader(units: Mapping[str, float], least: float | None) -> Callable[[Any], float]:
    def read(value: Any) -> float:
        found = _FORM.match(value) if isinstance(value, str) else None
        offered = " or ".join(list(units)[:3])
        if found is None or not found[2]:
            message = f"{value!r} is not a number with its unit: {offered}"
            raise ValueError(message)
        if found[2] not in units:
            message = f"{found[2]!r} is not a unit for this: {offered}"
            raise ValueError(message)
        number = float(found[1]) * units[found[2]]
        if not math.isfinite(number):
            message = f"{value!r} is beyond all numbers"
            raise ValueError(message)
        if least is not None and number < least:
            message = f"{value!r} must not be less than {least:g}"
            raise ValueError(message)
        return number

    return read


Power = Annotated[float, BeforeValidator(_reader(_POWER, 0))]
"""W."""
Energy = Annotated[float, BeforeValidator(_reader(_ENERGY, 0))]
"""J."""
Flow = Annotated[float, BeforeValidator(_reader(_FLOW, 0))]
"""m³/s."""
Volume = Annotated[float, BeforeValidator(_reader(_VOLUME, 0))]
"""m³."""
Area = Annotated[float, BeforeValidator(_reader(_AREA, 0))]
"""m²."""
Celsius = Annotated[float, BeforeValidator(_reader(_CELSIUS, -273.15))]
"""°C."""
Kelvin = Annotated[float, BeforeValidator(_reader(_KELVIN, 0))]
"""K, a difference."""
Leak = Annotated[float, BeforeValidator(_reader(_LEAK, 0))]
"""W/K."""
Share = Annotated[float, BeforeValidator(_reader(_SHARE, 0))]
"""Of one: `98 %` is 0.98."""
Price = Annotated[float, BeforeValidator(_reader(PRICE_UNITS, None))]
"""EUR/J; it may be negative."""
CarbonWorth = Annotated[float, BeforeValidator(_reader(_WORTH, 0))]
"""EUR for a kilogram of CO₂ equivalent."""
Carbon = Annotated[float, BeforeValidator(_reader(CARBON_UNITS, 0))]
"""kg of CO₂ equivalent for a joule."""
