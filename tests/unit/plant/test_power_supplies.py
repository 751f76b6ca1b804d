import numpy as np
import pytest
from plant_sites import munich

from kifabrik.errors import UsageError
from kifabrik.plant.site_file import find_site, parse_site

SUPPLIES = {"units": 6, "rating": "3.3 kW", "standing": "1 %", "linear": "1 %", "square": "2 %"}
BEHIND = {"name": "behind", "count": 1, "gpus": 8, "idle": "2.7 kW", "full": "13.6 kW", "shared": "1 kW"}


def nodes(**changes):
    return munich(it__nodes=[{**BEHIND, "supplies": SUPPLIES, **changes}]).it.nodes[0]


def at_plug(behind):
    """By hand: six supplies share the load."""
    share = behind / 6 / 3300
    return behind + 6 * 3300 * (0.01 + 0.01 * share + 0.02 * share**2)


def test_power_behind_the_supplies_becomes_power_at_the_plug():
    found = nodes().of(1)
    assert found.idle_watts == pytest.approx(at_plug(2700))
    full = found.idle_watts + found.shared_watts + 8 * found.gpu_watts
    assert full == pytest.approx(at_plug(13_600))
    assert 0.94 < 13_600 / full < 0.97


def test_without_supplies_power_is_at_the_plug_already():
    found = nodes(supplies=None).of(1)
    assert found.idle_watts + found.shared_watts + 8 * found.gpu_watts == pytest.approx(13_600)


def test_in_between_the_plug_is_off_by_no_more_than_the_curve_bends():
    found = nodes().of(1)
    busy = np.arange(9)
    linear = found.idle_watts + found.shared_watts + busy * found.gpu_watts
    exact = np.array([at_plug(3700 + gpus * (13_600 - 3700) / 8) for gpus in busy])
    bound = 0.02 * (13_600 - 2700) ** 2 / (6 * 3300) / 4
    assert (linear - exact >= -1e-9).all()
    assert (linear - exact).max() <= bound < 0.003 * 13_600


def test_supplies_that_cannot_give_the_power_are_named_with_field_and_line():
    text = find_site("munich").read_text()
    curve = "supplies: {units: 2, rating: 3.3 kW, standing: 1 %, square: 2 %}"
    text = text.replace("      full: 14.3 kW ", f"      {curve}\n      full: 14.3 kW ")
    line = next(number for number, one in enumerate(text.splitlines(), 1) if "dgx-b200" in one)
    with pytest.raises(UsageError, match=rf"line {line}: it.nodes.0: .*the supplies of dgx-b200 give 6600 W"):
        parse_site(text, "site.yaml")
    wrong = text.replace("units: 2, rating: 3.3 kW", "units: 6, rating: 3.3")
    with pytest.raises(
        UsageError, match=rf"line {line + 4}: it.nodes.0.supplies.rating: '?3.3'? is not a number with"
    ):
        parse_site(wrong, "site.yaml")
