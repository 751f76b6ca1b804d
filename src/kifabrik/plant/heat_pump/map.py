"""The map of the heat pump's COP, as `kifabrik.plant.heat_pump.making` wrote it."""

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

import numpy as np

from kifabrik.plant.load import Floats

MAP_FILE: Final = Path(str(resources.files("kifabrik.plant.heat_pump"))) / "cop_map.json"


@dataclass(frozen=True)
class CopMap:
    """COP over three axes, all rising.

    Attributes:
        source: Temperature of the source water coming in, °C; shape (sources,).
        flow: Temperature to the network, °C; shape (flows,).
        load: Of one machine, as a share of its rating; shape (loads,).
        cop: Shape (sources, flows, loads).
    """

    source: Floats
    flow: Floats
    load: Floats
    cop: Floats


@cache
def shipped_map() -> CopMap:
    """The map that comes with kifabrik: a two-stage ammonia machine for the heat of a cooling loop."""
    document = json.loads(MAP_FILE.read_text(encoding="utf-8"))
    return CopMap(*(np.array(document[name], dtype=np.float64) for name in ("source", "flow", "load", "cop")))
