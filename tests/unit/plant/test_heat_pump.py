import json

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from kifabrik.plant.heat_pump.cycle import EBSILON, EBSILON_COP
from kifabrik.plant.heat_pump.map import MAP_FILE, shipped_map


def recorded():
    return json.loads(MAP_FILE.read_text(encoding="utf-8"))


def test_the_model_is_within_seven_per_cent_of_ebsilon_at_all_published_points():
    points = {(one["flow"], one["source_flow"]): one for one in recorded()["ebsilon"]}
    published = {(flow, water): cop for flow, row in EBSILON_COP.items() for water, cop in row}
    assert set(points) == set(published)
    for point, cop in published.items():
        assert points[point]["ours"] == pytest.approx(cop, rel=0.07), point


@pytest.mark.filterwarnings("ignore")  # TESPy's and pandas' own
def test_the_record_of_the_comparison_is_what_the_model_gives():
    from kifabrik.plant.heat_pump.cycle import Machine

    machine = Machine(EBSILON)
    by_point = {(one["flow"], one["source_flow"]): one["ours"] for one in recorded()["ebsilon"]}
    assert machine.held(105, 20) == pytest.approx(by_point[105, 20], rel=1e-3)
    assert machine.held(105, 18) == pytest.approx(by_point[105, 18], rel=1e-3)


@pytest.mark.filterwarnings("ignore")
def test_the_map_is_what_the_model_gives():
    from kifabrik.plant.heat_pump.cycle import WASTE_HEAT, Machine

    machine, shipped = Machine(WASTE_HEAT), shipped_map()
    at = RegularGridInterpolator((shipped.source, shipped.flow, shipped.load), shipped.cop)
    assert machine.floating(35, 70, 1.0) == pytest.approx(at((35, 70, 1.0)).item(), rel=1e-3)


def test_cop_falls_with_the_lift_everywhere_and_stays_below_carnot():
    cops = shipped_map()
    assert (np.diff(cops.cop, axis=0) > 0).all()
    assert (np.diff(cops.cop, axis=1) < 0).all()
    source, flow = np.meshgrid(cops.source, cops.flow, indexing="ij")
    # Lorenz: the network's water is heated from 45 °C on, so its mean temperature counts
    warm = (flow - 45) / np.log((flow + 273.15) / (45 + 273.15))
    carnot = warm / np.maximum(warm - (source + 273.15), 1.0)
    assert (cops.cop.max(axis=2) < carnot).all()
