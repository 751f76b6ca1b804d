import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.plant.exchange import design_transfer, effectiveness, resistance, river_flow, transferred
from kifabrik.plant.site import Exchanger


@pytest.mark.parametrize(
    ("units", "ratio", "expected"),
    # Incropera et al., figure 11.11 and equation 11.29a: worked out from the equation, and its known limits
    [(1.0, 1.0, 0.5), (4.0, 1.0, 0.8), (1.0, 0.0, 0.6321), (2.0, 0.5, 0.7746), (3.0, 0.25, 0.9188)],
)
def test_effectiveness_is_that_of_the_textbook(units, ratio, expected):
    assert effectiveness(units, ratio) == pytest.approx(expected, abs=2e-4)


@given(st.floats(0.01, 30), st.floats(0, 1))
def test_effectiveness_lies_between_parallel_flow_and_one(units, ratio):
    parallel = (1 - math.exp(-units * (1 + ratio))) / (1 + ratio)
    assert parallel - 1e-9 <= effectiveness(units, ratio) <= 1


def design():
    parts = {"hot_in": "35 °C", "hot_out": "27 °C", "cold_in": "20 °C", "cold_out": "25 °C"}
    return Exchanger(heat="15 MW", **parts)


def test_an_exchanger_passes_on_its_design_heat_at_its_design_point():
    hot, cold = 15e6 / 8, 15e6 / 5
    assert transferred(design_transfer(design()), hot, cold, resistance(1.0), 1.0, 15.0) == pytest.approx(15e6)


@given(heat=st.floats(1e5, 14e6), pinch=st.floats(3, 30))
def test_the_river_water_asked_for_takes_the_heat_and_no_less_would(heat, pinch):
    ua, hot, rated = design_transfer(design()), 15e6 / 8, 15e6 / 5 / 4.18e6
    water, taken = river_flow(heat, ua, hot, resistance(1.0), pinch, 4.18e6, rated, 0.01, 0.8)
    able = transferred(ua, hot, water * 4.18e6, resistance(1.0), water / rated, pinch)
    assert taken == pytest.approx(min(heat, able), rel=1e-6)
    if 0.01 < water < 0.8:
        assert able == pytest.approx(heat, rel=1e-6)


def test_water_warmer_than_the_loop_takes_nothing():
    assert transferred(1e6, 1e6, 1e6, 1.0, 1.0, -2.0) == 0.0
