import gzip
from datetime import date, timedelta

import numpy as np
import pytest
from plant_sites import RIVER_TABLE, munich, shared_tables

from kifabrik.errors import UsageError
from kifabrik.plant.conditions import conditions_of
from kifabrik.plant.courses import river_of, weather_of, wet_bulb
from kifabrik.plant.spans import Span

RIVER = munich().river.temperature.model_copy(update={"year": None})
WEATHER = munich().weather


def river_table(folder, *, without=(), header="date,temp_mean_c,temp_max_c,temp_min_c", year=2003, extra=()):
    days = [date(year, 1, 1) + timedelta(number) for number in range(365)]
    rows = [header, *(f"{day},10.0,12.0,8.0" if day not in without else f"{day},,," for day in days), *extra]
    (folder / RIVER_TABLE).write_text("\n".join(rows))
    return folder


def weather_table(folder, hours=8760, row="0 0 1 1 1 20.0 950 0 1.0 0 5.0 50 0 0 300 -300 1"):
    with gzip.open(folder / WEATHER.file, "wt") as file:
        file.write("head\n***\n" + f"{row}\n" * hours)
    return folder


def test_the_mean_of_each_day_is_kept(tmp_path):
    river = river_of(RIVER, Span(2026), river_table(tmp_path), 2003)
    assert river.measured
    days = river.celsius.reshape(365, -1)
    assert days.mean(axis=1) == pytest.approx(np.full(365, 10.0), abs=0.01)
    assert days.max(axis=1) == pytest.approx(np.full(365, 12.0), abs=0.01)


def test_short_holes_are_bridged_and_counted(tmp_path):
    missing = [date(2003, 5, number) for number in range(1, 8)]
    assert river_of(RIVER, Span(2026), river_table(tmp_path, without=missing), 2003).bridged == 7


def test_a_long_hole_is_named(tmp_path):
    missing = [date(2003, 5, number) for number in range(1, 12)]
    with pytest.raises(UsageError, match="no values for 11 days from 2003-05-01"):
        river_of(RIVER, Span(2026), river_table(tmp_path, without=missing), 2003)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ({"header": "date,temp_mean_c"}, "line 1: the column temp_max_c is missing"),
        ({"extra": ["2003-13-01,1,2,3"]}, "line 367: month must be in 1..12"),
        ({"extra": ["2003-01-01,1,2,3"]}, "line 367: 2003-01-01 stands there twice"),
        ({"extra": ["2004-01-01,1,273.15,3"]}, "line 367: no river is so cold or so warm"),
        ({"extra": ["2004-01-01,1,x,3"]}, "line 367: could not convert string to float: 'x'"),
    ],
)
def test_a_bad_line_is_named(tmp_path, table, told):
    with pytest.raises(UsageError, match=told):
        river_of(RIVER, Span(2026), river_table(tmp_path, **table), 2003)


def test_a_year_that_is_not_there_is_named_with_those_that_are(tmp_path):
    with pytest.raises(UsageError, match="has no year 2015; it has 2003 to 2003"):
        river_of(RIVER, Span(2026), river_table(tmp_path), 2015)


def test_a_year_without_a_table_is_refused_and_not_set_aside(tmp_path):
    with pytest.raises(UsageError, match=r"river\.year is 2003, but .* was not found") as refused:
        river_of(RIVER, Span(2026), tmp_path, 2003)
    assert "--data" in refused.value.hint


def test_without_a_table_the_course_stands_in_and_is_said_to(tmp_path):
    river = river_of(RIVER, Span(2026), tmp_path)
    assert not river.measured
    assert "yearly course" in river.source
    assert river.celsius.mean() == pytest.approx(RIVER.otherwise.mean, abs=0.01)


@pytest.mark.parametrize(("hours", "told"), [(8761, "has 8761 hours"), (8759, "has 8759 hours")])
def test_a_year_with_summer_time_is_refused(tmp_path, hours, told):
    with pytest.raises(UsageError, match=told) as caught:
        weather_of(WEATHER, Span(2026), weather_table(tmp_path, hours))
    assert "23 or 25 hours" in caught.value.hint


def test_a_leap_year_has_a_day_more(tmp_path):
    weather = weather_of(WEATHER, Span(2024), weather_table(tmp_path))
    assert len(weather.celsius) == 366 * 1440


def test_a_broken_weather_line_is_named(tmp_path):
    with pytest.raises(UsageError, match="line 3: 3 columns"):
        weather_of(WEATHER, Span(2026), weather_table(tmp_path, row="1 2 3"))


def test_wet_bulb_is_that_of_the_paper():
    # Stull 2011: 20 °C at 50 % gives 13.7 °C
    assert wet_bulb(np.array([20.0]), 50.0)[0] == pytest.approx(13.7, abs=0.05)


def test_a_limit_that_can_never_hold_is_refused(tmp_path):
    limits = [{"months": list(range(1, 13)), "temperature": "1 °C", "rise": "1 K"}]
    with pytest.raises(UsageError, match=r"river\.limits\.0: a limit of 1 °C can never hold"):
        conditions_of(munich(river__limits=limits, river__year=2003), river_table(tmp_path))


def test_the_cleaning_days_are_those_of_the_calendar(tmp_path):
    flow = conditions_of(munich(), tmp_path).flow.reshape(365, -1)[:, 0]
    low = [str(date(2026, 1, 1) + timedelta(int(day))) for day in np.flatnonzero(flow < 25)]
    assert (low[0], low[-1], len(low)) == ("2026-10-17", "2026-10-31", 15)


def test_customers_get_their_annual_heat(tmp_path):
    demand = conditions_of(munich(), tmp_path).demand
    assert demand.sum() * 60 / 3.6e12 == pytest.approx(9.6)


def test_the_summer_of_2003_was_warmer_than_the_limit():
    river = river_of(RIVER, Span(2026), shared_tables(), 2003)
    assert river.celsius.max() > 21.5


def test_a_limit_of_some_months_that_can_never_hold_is_refused(tmp_path):
    summer = {"months": [4, 5, 6, 7, 8, 9, 10, 11], "temperature": "0 °C", "rise": "1.5 K"}
    winter = {"months": [12, 1, 2, 3], "temperature": "10 °C", "rise": "1.5 K"}
    with pytest.raises(UsageError, match=r"river\.limits\.1: a limit of 0 °C can never hold"):
        conditions_of(munich(river__limits=[winter, summer]), tmp_path)
