import pytest
from plant_sites import munich

from kifabrik.errors import UsageError
from kifabrik.plant.governor.flexible import best_start
from kifabrik.plant.governor.forecast import read_forecast
from kifabrik.plant.governor.rules import Rules, decide
from kifabrik.plant.governor.site_levels import forecast_levels, plant_of

HEAD = "time,river_celsius,flow_m3s,limit_celsius,limit_warming_k"
HOUR = 3600.0


def forecast(folder, *prices, head=f"{HEAD},price_eur_mwh"):
    lines = [head, *(f"2026-06-01T{hour:02}:00,12,25,21.5,1.5,{price}" for hour, price in enumerate(prices))]
    path = folder / "forecast.csv"
    path.write_text("\n".join(lines))
    return path


def outlook(folder, *prices):
    site = munich()
    plant = plant_of(site)
    hours = read_forecast(forecast(folder, *prices))
    levels = forecast_levels(site, hours)
    powers = {"full_watts": plant.full_watts, "idle_watts": plant.idle_watts}
    return hours[0].at, decide(levels, hours[0].at, Rules(), **powers).outlook


def test_work_that_may_wait_is_put_into_the_cheap_hour_of_a_forecast(tmp_path):
    now, hours = outlook(tmp_path, 120, 110, 20, 120, 130)
    assert best_start(hours, now, HOUR, now + 5 * HOUR) == now + 2 * HOUR
    assert best_start(hours, now, HOUR, now + 2 * HOUR) == now + HOUR  # the second must be over by then


def test_prices_that_hardly_differ_make_nothing_wait(tmp_path):
    now, hours = outlook(tmp_path, 101, 100, 99, 100, 101)
    assert best_start(hours, now, HOUR, now + 5 * HOUR) == now


def test_a_price_counts_in_units_of_what_heat_is_sold_for(tmp_path):
    _, hours = outlook(
        tmp_path, 130, 70
    )  # 100 on average; heat brings 60: half a unit either way, and half of that
    assert hours[1][1] - hours[0][1] == pytest.approx(0.5)


def test_without_prices_every_hour_of_a_cool_river_is_worth_the_same(tmp_path):
    path = forecast(tmp_path, "", "", head=f"{HEAD},note")
    levels = forecast_levels(munich(), read_forecast(path))
    assert {level.dear for level in levels} == {0.0}


def test_a_price_that_is_none_is_named(tmp_path):
    with pytest.raises(UsageError, match="line 3, field price_eur_mwh: 'dear' is not a number"):
        read_forecast(forecast(tmp_path, 100, "dear"))


def test_a_forecast_by_every_third_hour_binds_in_all_three(tmp_path):
    path = tmp_path / "forecast.csv"
    rows = ("2026-06-01T12:00,22,25,21.5,1.5", "2026-06-01T15:00,12,25,21.5,1.5")
    path.write_text("\n".join([HEAD, *rows]))
    hours = read_forecast(path)
    assert [hour.at - hours[0].at for hour in hours] == [0, HOUR, 2 * HOUR, 3 * HOUR]
    site = munich()
    plant = plant_of(site)
    levels = forecast_levels(site, hours)
    powers = {"full_watts": plant.full_watts, "idle_watts": plant.idle_watts}
    now = hours[0].at + 1.5 * HOUR
    assert decide(levels, now, Rules(ahead_hours=1), **powers).watts == levels[0].watts < plant.full_watts
    assert decide(levels, hours[0].at + 3 * HOUR, Rules(ahead_hours=1), **powers).watts == plant.full_watts


def test_a_forecast_with_a_hole_of_more_than_a_day_is_refused(tmp_path):
    path = tmp_path / "forecast.csv"
    path.write_text(f"{HEAD}\n2026-06-01T12:00,22,25,21.5,1.5\n2026-06-02T13:00,12,25,21.5,1.5")
    with pytest.raises(UsageError, match="line 3: 2026-06-02T13:00 is more than a day after the last"):
        read_forecast(path)
