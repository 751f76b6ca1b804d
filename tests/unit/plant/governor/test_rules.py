import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import UsageError
from kifabrik.plant.governor.permit_file import LOG, STALE_S, read_permit, standing_permit, write_permit
from kifabrik.plant.governor.river import Binding, Hour, Level, Plant, permitted
from kifabrik.plant.governor.rules import Permit, Rules
from kifabrik.plant.governor.rules import decide as decide_levels

PLANT = Plant(full_watts=13e6, idle_watts=2.6e6, heat_per_watt=1.05, other_watts=2e6, river_watts=15e6)
COOL = {"river_celsius": 12.0, "flow": 25.0, "limit_celsius": 21.5, "limit_warming": 1.5}


def hours(*celsius, start=0.0, **more):
    return [
        Hour(at=start + 3600.0 * number, **{**COOL, "river_celsius": each, **more})
        for number, each in enumerate(celsius)
    ]


def decide(plant, coming, now, rules, before=None):
    levels = [permitted(plant, hour) for hour in coming]
    return decide_levels(
        levels, now, rules, full_watts=plant.full_watts, idle_watts=plant.idle_watts, before=before
    )


def test_fifteen_megawatts_warm_the_river_as_reckoned_by_hand():
    tight = dataclasses.replace(PLANT, full_watts=1e9, river_watts=1e9, other_watts=0.0, heat_per_watt=1.0)
    one = Hour(at=0, **{**COOL, "limit_warming": 0.1432})
    assert permitted(tight, one).watts == pytest.approx(15e6, rel=1e-3)
    assert permitted(tight, dataclasses.replace(one, flow=2.0, limit_warming=1.79)).watts == pytest.approx(
        15e6, rel=1e-3
    )


def test_what_binds_is_named():
    assert permitted(PLANT, hours(12.0)[0]) == Level(0.0, 13e6, Binding.NOTHING)
    warm = permitted(PLANT, hours(21.45)[0])
    assert warm.watts == pytest.approx((25 * 4.19e6 * 0.05 + 2e6) / 1.05)
    assert warm.binding is Binding.RIVER_TEMPERATURE
    assert permitted(PLANT, hours(22.0)[0]).watts == pytest.approx(2e6 / 1.05)
    assert permitted(PLANT, hours(12.0, flow=1.0)[0]).binding is Binding.RIVER_WARMING


def test_heat_that_customers_want_is_permitted_on_top():
    assert permitted(PLANT, hours(22.0, heat_wanted=1.05e6)[0]).watts == pytest.approx(2e6 / 1.05 + 1e6)


def test_a_permit_falls_before_the_warm_hour_comes_and_says_when_it_ends():
    found = decide(PLANT, hours(12.0, 12.0, 22.0, 22.0, 12.0, 12.0, 12.0), 0.0, Rules(ahead_hours=3))
    assert found.watts == pytest.approx(2e6 / 1.05)
    assert found.until == 4 * 3600.0
    assert "The river is at its temperature limit until about" in found.reason
    assert "of 13 MW are permitted" in found.reason
    assert decide(PLANT, hours(12.0, 12.0, 22.0), 0.0, Rules(ahead_hours=2)).watts == 13e6


def test_a_permit_rises_only_after_it_has_settled():
    low = decide(PLANT, hours(22.0, 12.0, 12.0, 12.0, 12.0), 0.0, Rules(ahead_hours=1, settle_s=5400.0))
    rules = Rules(ahead_hours=1, settle_s=5400.0)
    assert decide(PLANT, hours(12.0, 12.0, start=3600.0), 3700.0, rules, low).watts == low.watts
    assert decide(PLANT, hours(12.0, 12.0, start=3600.0), 5500.0, rules, low).watts == 13e6


def test_a_permit_does_not_rise_by_a_little():
    rules = Rules(ahead_hours=1, settle_s=0.0)
    low = decide(PLANT, hours(21.45), 0.0, rules)
    assert decide(PLANT, hours(21.449), 10.0, rules, low).watts == low.watts
    assert decide(PLANT, hours(21.40), 10.0, rules, low).watts > low.watts


def test_a_permit_never_falls_below_the_floor():
    found = decide(PLANT, hours(25.0), 0.0, Rules(floor_watts=4e6))
    assert found.watts == 4e6
    assert "the least that always is" in found.reason


@given(st.lists(st.floats(0, 30), min_size=1, max_size=30), st.floats(0, 13e6), st.integers(1, 6))
def test_a_permit_is_never_above_what_the_hours_heeded_permit_but_for_the_floor(celsius, floor, ahead):
    rules = Rules(ahead_hours=ahead, floor_watts=floor, settle_s=0.0)
    before = None
    for now in range(len(celsius)):
        before = decide(PLANT, hours(*celsius), now * 3600.0, rules, before)
        least = min(permitted(PLANT, hour).watts for hour in hours(*celsius)[now : now + ahead])
        assert before.watts <= max(least, floor) + 1e-6
        assert before.watts >= floor


def test_a_permit_says_how_many_gpus_may_work():
    half = Permit(watts=7.8e6, full_watts=13e6, idle_watts=2.6e6, since=0, until=0, reason="")
    assert half.most(1000) == 500
    assert half.most(3) == 1
    assert dataclasses.replace(half, watts=13e6).most(7) == 7
    assert dataclasses.replace(half, watts=1e6).most(7) == 0


def test_a_forecast_that_has_ended_and_rules_without_sense_are_refused():
    with pytest.raises(UsageError, match="The forecast has ended"):
        decide(PLANT, hours(12.0), 3601.0, Rules())
    with pytest.raises(UsageError, match="make no sense"):
        Rules(ahead_hours=0)
    with pytest.raises(UsageError, match="Full power must be above idle power"):
        dataclasses.replace(PLANT, full_watts=1.0)


def test_a_factory_reads_what_was_permitted_and_every_change_is_logged_once(tmp_path: Path):
    permit = Permit(watts=7.8e6, full_watts=13e6, idle_watts=2.6e6, since=0, until=0, reason="The river is warm.")
    assert read_permit(tmp_path) is None
    assert write_permit(tmp_path, permit)
    assert not write_permit(tmp_path, permit)
    assert write_permit(tmp_path, dataclasses.replace(permit, watts=13e6, reason="All is well."))
    assert read_permit(tmp_path).watts == 13e6
    assert (tmp_path / LOG).read_text().splitlines() == [
        "1970-01-01T00:00:00Z 7.800 MW. The river is warm.",
        "1970-01-01T00:00:00Z 13.000 MW. All is well.",
    ]


def test_a_permit_nobody_renews_does_not_hold_for_ever(tmp_path: Path):
    write_permit(tmp_path, Permit(1e6, 13e6, 2.6e6, 0, 0, "Old."))
    written = (tmp_path / "power-permit.json").stat().st_mtime
    assert standing_permit(tmp_path, written + 10).watts == 1e6
    assert standing_permit(tmp_path, written + STALE_S) is None


def test_a_permit_that_makes_no_sense_and_a_folder_that_is_none_do_no_harm(tmp_path: Path):
    (tmp_path / "power-permit.json").write_text("{}")
    assert read_permit(tmp_path) is None
    with pytest.raises(UsageError, match="cannot be written"):
        write_permit(tmp_path / "none", Permit(1e6, 13e6, 2.6e6, 0, 0, "Old."))
