import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plant_sites import munich, outside
from scipy.interpolate import RegularGridInterpolator

from kifabrik.plant.heat_pump.map import shipped_map
from kifabrik.plant.kernel import cop_at, cube, loss
from kifabrik.plant.physics import ELECTRIC, HEAT_OUT, once, permitted_at, plant_of
from kifabrik.plant.water import heat_capacity

SITE = munich()
FULL = SITE.fleet().full_watts

conditions = st.builds(
    lambda river, flow, over, rise, air, dew, demand, network: outside(
        river=river, flow=flow, limit=river + over, rise_limit=rise, air=air, wet_bulb=air - dew, demand=demand,
        network_flow=network,
    ),
    st.floats(0, 25), st.floats(0.5, 60), st.floats(-2, 12), st.floats(0, 3), st.floats(-20, 40), st.floats(0, 15),
    st.floats(0, 9e6), st.floats(55, 90),
)  # fmt: skip


@settings(max_examples=300)
@given(conditions, st.floats(0, FULL), st.floats(0, 1.6e10))
def test_what_comes_in_as_electricity_leaves_as_heat(now, it, stored):
    step = once(SITE, now, it, stored)
    unmet = max(step["unmet"], 0.0)
    taken_in = sum(step[name] for name in ELECTRIC)
    given_off = sum(step[name] for name in HEAT_OUT)
    # heat that nothing takes is said, never lost; the connection may be what is short instead
    assert taken_in - given_off == pytest.approx(0, abs=unmet + 1e-6 * taken_in)


@settings(max_examples=300)
@given(conditions, st.floats(0, FULL), st.floats(0, 1.6e10))
def test_heat_adds_up_on_each_side_of_the_heat_pump(now, it, stored):
    step = once(SITE, now, it, stored)
    network = SITE.heat.network
    # evaporator and drive against condenser
    shaft = step["heat_pump"] * SITE.heat.pump.drive
    assert step["pump_heat"] == pytest.approx(step["source_heat"] + shaft, rel=1e-9, abs=1e-3)
    # the network's own balance: heat pump, backup and tank against customers and ground
    lost = network.leak * (0.5 * (now.network_flow + network.back) - network.ground)
    drawn = step["pump_heat"] + step["backup"] + step["network_pump"] - (now.demand + lost)
    assert drawn == pytest.approx(step["to_store"] + tank_loss(now, stored), abs=1.0)
    # river: what the water carries is what the mixed river gets warmer by
    carried = (step["river_mixed"] - now.river) * now.capacity * now.flow * SITE.river.mixing
    assert carried == pytest.approx(step["to_river"], rel=1e-6, abs=1.0)


def tank_loss(now, stored):
    plant = plant_of(SITE)
    full = plant.store_leak * (now.network_flow - plant.ground) * stored / plant.store_capacity
    return min(full, stored / 60)


@settings(max_examples=200)
@given(conditions, st.floats(0, FULL))
def test_the_river_is_never_warmed_beyond_its_permit(now, it):
    step = once(SITE, now, it)
    warming = step["river_mixed"] - now.river
    assert warming <= max(min(now.rise_limit, now.limit - now.river), 0) + 1e-9


@settings(max_examples=100)
@given(conditions)
def test_permitted_power_is_the_most_that_can_be_taken_away(now):
    most = permitted_at(SITE, now)
    if most > 0:
        assert once(SITE, now, most)["unmet"] <= 0
    if most < FULL * 0.999:
        assert once(SITE, now, min(most + 0.001 * FULL, FULL))["unmet"] > 0


def test_fifteen_megawatts_warm_a_river_as_worked_out_by_hand():
    for flow, kelvin in ((25.0, 0.14), (2.0, 1.8)):
        assert 15e6 / (float(heat_capacity(15.0)) * flow) == pytest.approx(kelvin, abs=0.01)
    site = munich(heat__customers=[], river__withdrawable="100 %")
    for flow in (25.0, 9.0):
        step = once(site, outside(flow=flow, demand=0.0, rise_limit=10.0), FULL)
        by_hand = step["to_river"] / (4.19e6 * flow)
        assert step["river_mixed"] - 10.0 == pytest.approx(by_hand, rel=0.01)


def test_a_kilowatt_hour_takes_about_a_hundred_and_eighty_litres_at_five_kelvin():
    step = once(SITE, outside(demand=0.0, network_flow=55.0), FULL)
    heat = step["to_river"] - step["river_pump"]
    litres = step["river_water"] * 1000 * 3600 / (heat / 1000)
    assert litres == pytest.approx(172, abs=1)  # of heat; of IT it is 180 if losses and cooling add a twentieth


def test_pumps_follow_the_cube_law_down_to_their_least_speed():
    assert cube(0.5, 100.0, 0.3) == pytest.approx(12.5)
    assert cube(0.1, 100.0, 0.3) == pytest.approx(2.7)


def test_losses_follow_their_curve():
    assert loss(8e6, (16e6, 0.005, 0.01, 0.01)) == pytest.approx(16e6 * (0.005 + 0.005 + 0.0025))


@given(st.floats(0, 60), st.floats(50, 100), st.floats(0, 1.2))
def test_the_compiled_map_is_scipys(source, flow, load):
    shipped = shipped_map()
    axes = (shipped.source, shipped.flow, shipped.load)
    within = [np.clip(value, axis[0], axis[-1]) for value, axis in zip((source, flow, load), axes, strict=True)]
    wanted = RegularGridInterpolator(axes, shipped.cop)(within).item()
    assert cop_at(plant_of(SITE), source, flow, load) == pytest.approx(wanted)


def test_water_is_what_coolprop_says():
    from CoolProp.CoolProp import PropsSI

    for celsius in np.linspace(2, 95, 20):
        density, heat = (PropsSI(what, "T", celsius + 273.15, "P", 101_325, "Water") for what in ("D", "C"))
        assert heat_capacity(celsius) == pytest.approx(density * heat, rel=1e-3)
