from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from plant_sites import munich, shared_tables

from kifabrik.errors import UsageError
from kifabrik.plant.comparing import compare
from kifabrik.plant.load import Fleet, NodeType, Signals
from kifabrik.plant.loads import load_of
from kifabrik.plant.physics import simulate
from kifabrik.plant.results import summarise
from kifabrik.plant.signalling import signals_under
from kifabrik.plant.spans import STEP, Span
from kifabrik.plant.tariffs import dearness, tariff_of
from kifabrik.plant.workload.policies import Policy
from kifabrik.plant.workload.scheduling import schedule
from kifabrik.plant.workload.trace import make_trace

FILE = "prices.csv"


def table(folder, value=lambda hour: 100.0, *, year=2026, minutes=60, unit="EUR/MWh", offset="+01:00", skip=()):
    """A year of prices by the step."""
    begin = datetime(year, 1, 1, tzinfo=UTC)
    count = (datetime(year + 1, 1, 1, tzinfo=UTC) - begin) // timedelta(minutes=minutes)
    rows = [f"time,{unit}"]
    for number in range(count):
        if number not in skip:
            at = begin + number * timedelta(minutes=minutes)
            rows.append(f"{at:%Y-%m-%dT%H:%M}{offset},{value(number * minutes // 60)}")
    (folder / FILE).write_text("\n".join(rows) + "\n")
    return folder


def power(year=None, **more):
    return munich(electricity__price_table={"file": FILE, "year": year, **more}).electricity


def daily(hour):
    return 40.0 if 10 <= hour % 24 < 16 else 160.0


@pytest.mark.parametrize("minutes", [60, 15])
def test_prices_hold_from_their_line_to_the_next(tmp_path, minutes):
    found = tariff_of(power(), Span(2026), table(tmp_path, daily, minutes=minutes))
    by_minute = found.price.reshape(-1, 24, 60) * 3.6e9
    assert by_minute.min(axis=0)[12].tolist() == pytest.approx([40.0] * 60)
    assert by_minute.max(axis=0)[9].tolist() == pytest.approx([160.0] * 60)
    assert found.sources[0] == "prices.csv, 2026"
    assert found.varies


def test_what_a_price_has_beyond_the_table_is_added(tmp_path):
    found = tariff_of(power(plus="70 EUR/MWh"), Span(2026), table(tmp_path))
    assert found.price[0] * 3.6e9 == pytest.approx(170.0)
    assert found.sources[0] == "prices.csv, 2026 plus 70 EUR/MWh"


def test_without_a_table_the_number_of_the_site_file_holds(tmp_path):
    found = tariff_of(munich().electricity, Span(2026))
    assert (found.price == munich().electricity.price).all()
    assert not found.varies
    assert tariff_of(power(), Span(2026), tmp_path).sources[0] == "constant: its table was not found"


def test_a_leap_day_is_left_out_or_repeated(tmp_path):
    table(tmp_path, lambda hour: hour // 24, year=2024)
    short = tariff_of(power(2024), Span(2026), tmp_path).price.reshape(365, -1)[:, 0] * 3.6e9
    assert short[57:61].tolist() == pytest.approx([57, 58, 60, 61])
    table(tmp_path, lambda hour: hour // 24, year=2023)
    long = tariff_of(power(2023), Span(2028), tmp_path).price.reshape(366, -1)[:, 0] * 3.6e9
    assert long[57:61].tolist() == pytest.approx([57, 58, 58, 59])


def test_local_times_with_their_offsets_give_the_same_year(tmp_path):
    """25 October 2026 has 25 hours by the clock; with offsets they are one after the other."""
    begin = datetime(2025, 12, 31, 23, tzinfo=UTC)
    rows = ["time,EUR/MWh"]
    for number in range(8760):
        at = begin + timedelta(hours=number)
        summer = datetime(2026, 3, 29, 1, tzinfo=UTC) <= at < datetime(2026, 10, 25, 1, tzinfo=UTC)
        local = at + timedelta(hours=2 if summer else 1)
        rows.append(f"{local:%Y-%m-%dT%H:%M}{'+02:00' if summer else '+01:00'},{number}")
    (tmp_path / FILE).write_text("\n".join(rows))
    found = tariff_of(power(), Span(2026), tmp_path).price.reshape(8760, 60)[:, 0] * 3.6e9
    assert found.tolist() == pytest.approx(list(range(8760)))


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        (["zeit,EUR/MWh"], "line 1: the column time is missing"),
        (["time,price"], "line 1: one column must be named by its unit"),
        (["time,EUR/MWh", "yesterday,1"], "line 2, field time: 'yesterday' is not a time"),
        (["time,EUR/MWh", "2026-01-01T00:00,12,5"], "does not have all of 2026; it has 2026-01-01T00:00"),
        (["time,EUR/MWh", "2026-01-01T00:00,1.234.5"], "line 2, field EUR/MWh: '1.234.5' is not a number"),
        (["time,EUR/MWh", "2026-01-01T00:00,nan"], "line 2, field EUR/MWh: 'nan' is not a number"),
        (["time,EUR/kWh", "2026-01-01T00:00,84"], "line 2, field EUR/kWh: 84 EUR/kWh is beyond anything known"),
        (["time,EUR/MWh", "2026-01-01T00:00,1", "2026-01-01T00:30,1"], "line 3, field time: 30 minutes after"),
        (
            ["time,EUR/MWh", "2026-01-01T00:00,1", "2026-01-01T01:00,1", "2026-01-01T03:00,1"],
            r"line 4, field time: 120 minutes after the line before \(2026-01-01T01:00\+01:00\), not 60",
        ),
        (
            ["time,EUR/MWh", "2026-10-25T02:00,1", "2026-10-25T03:00,1", "2026-10-25T02:00,1"],
            "line 4, field time: not later than the line before",
        ),
        (["time,EUR/MWh"], "does not have all of 2026; it has nothing"),
    ],
)
def test_a_bad_line_is_named(tmp_path, rows, told):
    (tmp_path / FILE).write_text("\n".join(rows))
    with pytest.raises(UsageError, match=told):
        tariff_of(power(), Span(2026), tmp_path)


def test_carbon_is_never_negative_and_has_its_own_units(tmp_path):
    site = munich(electricity__carbon_location_table={"file": FILE})
    with pytest.raises(UsageError, match="line 2, field g/kWh: -3 is negative"):
        tariff_of(site.electricity, Span(2026), table(tmp_path, lambda _: -3, unit="g/kWh"))
    with pytest.raises(UsageError, match="must be named by its unit: g/kWh or kg/kWh"):
        tariff_of(site.electricity, Span(2026), table(tmp_path))
    with pytest.raises(UsageError, match="plus belongs to price_table only"):
        munich(electricity__carbon_market_table={"file": FILE, "plus": "1 EUR/MWh"})


def test_cost_and_carbon_are_those_of_each_minutes_electricity(tmp_path):
    table(tmp_path, daily)
    site = munich(
        electricity__price_table={"file": FILE}, electricity__carbon_location_table={"file": "carbon.csv"}
    )
    (tmp_path / "carbon.csv").write_text((tmp_path / FILE).read_text().replace("EUR/MWh", "g/kWh"))
    year = simulate(site, load_of("daily:0.2-0.9", site.fleet(), Span(site.year)), folder=tmp_path)
    by_hour = year.electricity.reshape(8760, 60).mean(axis=1) / 1e6  # MWh
    prices = np.array([daily(hour) for hour in range(8760)])
    summary = summarise(year)
    assert summary.cost == pytest.approx(float(by_hour @ prices))
    assert summary.carbon_location == pytest.approx(float(by_hour @ prices))  # g/kWh are kg/MWh
    inner = (year.electricity - year.series["heat_pump"] - year.series["network_pump"]).reshape(8760, 60)
    assert summary.cue_location == pytest.approx(float(inner.mean(axis=1) @ prices) / 1e6 / summary.it)
    assert summary.carbon_market == 0.0


def test_a_constant_costs_what_it_did():
    site = munich()
    year = simulate(site, load_of("constant:0.8", site.fleet(), Span(site.year)))
    summary = summarise(year)
    assert summary.cost == pytest.approx(float(year.electricity.sum()) * STEP * site.electricity.price)
    assert signals_under(site, year.conditions).dear is None


def test_an_hour_is_dear_by_what_its_heat_is_sold_for(tmp_path):
    table(tmp_path, daily)
    found = tariff_of(power(), Span(2026), tmp_path)
    dear = dearness(power(), munich().heat.price, found)  # 60 EUR/MWh; the mean is 130
    assert (dear[12], dear[0]) == (pytest.approx(-1.5), pytest.approx(0.5))
    assert dear.mean() == pytest.approx(0.0, abs=1e-9)


def test_a_tonne_of_carbon_counts_with_its_worth(tmp_path):
    table(tmp_path, lambda hour: 100.0 + 400.0 * (hour % 2), unit="g/kWh")
    site = munich(electricity__carbon_location_table={"file": FILE}, electricity__carbon_worth="60 EUR/t")
    found = tariff_of(site.electricity, Span(2026), tmp_path)
    dear = dearness(site.electricity, site.heat.price, found)  # 0.4 kg more are 2.4 ct, 0.4 of the heat's 6 ct
    assert dear[1] - dear[0] == pytest.approx(0.4)
    worthless = munich(electricity__carbon_location_table={"file": FILE})
    assert dearness(worthless.electricity, site.heat.price, found).max() == 0.0


def test_work_that_may_wait_goes_to_the_cheap_hours():
    fleet = Fleet((NodeType("one", 1, 1, 100.0, 900.0),))
    dear = np.full(48, 0.5)
    dear[30] = -1.5
    trace = make_trace("one", [0], [3600], [1], until=[40 * 3600.0])
    plain = Signals(np.full(48, 1000.0), np.zeros(48))
    assert schedule(trace, fleet, Policy.HEAT_AWARE, signals=plain).start[0] == 0.0
    priced = Signals(np.full(48, 1000.0), np.zeros(48), dear)
    assert schedule(trace, fleet, Policy.HEAT_AWARE, signals=priced).start[0] == 30 * 3600.0


@pytest.mark.parametrize(
    ("variations", "told"),
    [
        ({"river.year": [2003, 2015]}, "has no year 2015; it has 1995 to 2014"),
        ({"policy": ["backfill", "lifo"]}, "There is no policy lifo"),
    ],
)
def test_what_is_missing_is_said_before_any_year_is_simulated(variations, told):
    done = []
    jobs = object() if "policy" in variations else None
    with pytest.raises(UsageError, match=told):
        compare(
            "munich",
            variations,
            changes={},
            load="constant:0.8",
            jobs=jobs,
            folder=shared_tables(),
            progress=done.append,
        )
    assert done == []
