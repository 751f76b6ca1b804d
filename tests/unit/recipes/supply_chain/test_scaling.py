import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.recipes.supply_chain.scaling import MOST, Scaling


def always():
    return True


@given(rate=st.floats(0.3, 30), bend=st.floats(0.5, 2), base=st.floats(0, 0.7), beta=st.floats(0.75, 0.999))
def test_the_least_scale_that_serves_is_found_in_few_looks(rate, bend, base, beta):
    scaling = Scaling(lambda scale: 1 - (1 - base) * math.exp(-rate * scale**bend))
    exact = (math.log((1 - base) / (1 - beta)) / rate) ** (1 / bend)
    found = scaling.least(beta, within=0.005, go_on=always)
    if exact > MOST:
        assert found == MOST
        assert scaling.at(found) < beta
    else:
        assert exact - 1e-9 <= found <= exact + 0.005 + 1e-9
        assert scaling.at(found) >= beta
    assert len(scaling.known) <= 24


def test_a_smooth_fill_rate_takes_fewer_looks_than_halving():
    scaling = Scaling(lambda scale: 1 - 0.4 * math.exp(-3 * scale))
    scaling.least(0.97, within=0.005, go_on=always)
    assert len(scaling.known) <= 6


def test_steps_in_the_fill_rate_do_no_harm():
    scaling = Scaling(lambda scale: 0.9 if scale < 0.7 else 0.99)
    assert scaling.least(0.95, within=0.005, go_on=always) == pytest.approx(0.7, abs=0.005)
    assert len(scaling.known) <= 24


def test_what_one_target_found_out_is_known_to_the_next():
    scaling = Scaling(lambda scale: 1 - 0.4 * math.exp(-3 * scale))
    scaling.least(0.97, within=0.02, go_on=always)
    before = len(scaling.known)
    scaling.least(0.975, within=0.02, go_on=always)
    assert len(scaling.known) <= before + 3


def test_looking_ends_when_told_to_and_what_served_is_kept():
    looks = iter([True, False])
    scaling = Scaling(lambda scale: 1 - 0.4 * math.exp(-3 * scale))
    assert scaling.at(scaling.least(0.8, within=1e-9, go_on=lambda: next(looks))) >= 0.8
    assert len(scaling.known) == 2
