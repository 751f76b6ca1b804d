"""The shipped site as tests change it, and conditions to ask it under."""

from pathlib import Path

import pytest

from kifabrik.plant.kernel import Outside
from kifabrik.plant.site import Site
from kifabrik.plant.site_file import load_site
from kifabrik.plant.water import heat_capacity

RIVER_TABLE = "isar_munich_daily_water_temperature_1995_2014.csv"


def shared_tables() -> Path:
    for above in Path(__file__).resolve().parents:
        if (above.parent / "shared/data/plant" / RIVER_TABLE).exists():
            return above.parent / "shared/data/plant"
    pytest.skip(f"{RIVER_TABLE} is not beside the checkout, in shared/data/plant")


def munich(**changes) -> Site:
    return load_site("munich", {key.replace("__", "."): value for key, value in changes.items()})


def outside(**changes) -> Outside:
    river = changes.get("river", 10.0)
    usual = {
        "river": river,
        "flow": 25.0,
        "capacity": float(heat_capacity(river)),
        "limit": 21.5,
        "rise_limit": 1.5,
        "air": 15.0,
        "wet_bulb": 11.0,
        "demand": 1e6,
        "network_flow": 65.0,
    }
    return Outside(**{**usual, **changes})
