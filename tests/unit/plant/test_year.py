import numpy as np
import pytest
from plant_sites import munich, shared_tables

from kifabrik.errors import UsageError
from kifabrik.plant.load import Load
from kifabrik.plant.loads import constant, daily, load_of, read_load
from kifabrik.plant.physics import simulate
from kifabrik.plant.results import summarise
from kifabrik.plant.saving import load, save
from kifabrik.plant.signalling import signals
from kifabrik.plant.site_file import open_site
from kifabrik.plant.spans import Span
from kifabrik.plant.studies import study_of

SPAN = Span(2026)


@pytest.fixture(scope="module")
def year(tmp_path_factory):
    site = munich()
    return simulate(site, daily(site.fleet(), 0.5, 1.0, SPAN), folder=tmp_path_factory.mktemp("empty"))


def test_a_year_closes_its_balance_and_keeps_it_energy(year):
    summary = summarise(year)
    assert summary.closed
    wanted = daily(munich().fleet(), 0.5, 1.0, SPAN).joules() / 3.6e6
    assert summary.it + summary.curtailed == pytest.approx(wanted, rel=1e-12)


def test_figures_of_merit_follow_their_definitions(year):
    summary = summarise(year)
    assert summary.pue == pytest.approx((summary.electricity - summary.upgrade) / summary.it)
    assert summary.erf == pytest.approx(summary.source_heat / (summary.electricity - summary.upgrade))
    assert 1 < summary.pue < summary.pue_all < 1.2
    assert summary.wue_withdrawn > 1000 * summary.wue_consumed
    assert summary.covered == pytest.approx(1 - summary.backup / summary.demand, abs=0.02)


def test_a_study_comes_back_as_it_was_written(year, tmp_path):
    study = study_of(year, open_site("munich"), "daily:0.5-1")
    save(study, tmp_path / "out", year)
    again = load(tmp_path / "out")
    assert again.summary == study.summary
    assert again.site == study.site
    assert all(np.array_equal(again.hourly[name], values, equal_nan=True) for name, values in study.hourly.items())


def test_a_study_cut_short_is_none(year, tmp_path):
    save(study_of(year, open_site("munich"), "x"), tmp_path)
    (tmp_path / "hours.parquet").write_bytes(b"PAR1")
    with pytest.raises(UsageError, match="cannot be read"):
        load(tmp_path)
    (tmp_path / "study.json").unlink()
    with pytest.raises(UsageError, match="There is no study"):
        load(tmp_path)


def test_in_the_summer_of_2003_the_river_cuts_permitted_power():
    told = signals(munich(), 2003, folder=shared_tables())
    july = told.permitted_watts[181 * 24 : 243 * 24]
    assert july.min() < 0.7 * munich().fleet().full_watts
    assert told.permitted_watts[:24].min() == munich().fleet().full_watts
    assert told.heat_wanted[: 31 * 24].mean() > 3 * told.heat_wanted[181 * 24 : 212 * 24].mean()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("when,watts\n0,1", "line 1: the column time is missing"),
        ("time,watts\n0,5\n60,-3\n120,0", "line 3: power is -3"),
        ("time,watts\n0,5\n60,nan\n", "line 3: power is nan"),
        ("time,watts\n0,5\n60,x\n", "line 3: 'x' is no power"),
        ("time,watts\nlunch,5\n", "line 2: 'lunch' is no time"),
        ("time,watts\n60,5\n60,5\n", "line 3: 60 is not after the line before"),
        ("time,watts\n2026-10-25T02:00,5\n2026-10-25T02:30,5\n2026-10-25T02:00,5\n", "line 4: .* is not after"),
        ("time,watts\n2025-01-01,5\n2026-01-02,5\n", "begins before the year 2026"),
        ("time,watts\n", "has no piece of time"),
    ],
)
def test_a_bad_load_is_named_by_line(tmp_path, text, told):
    path = tmp_path / "power.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=told):
        read_load(path, SPAN)


def test_a_day_of_25_hours_is_read_with_its_offsets(tmp_path):
    path = tmp_path / "power.csv"
    hours = ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T03:00+01:00"]
    path.write_text("time,watts\n" + "\n".join(f"{hour},3600" for hour in hours))
    assert np.diff(read_load(path, SPAN).edges).tolist() == [3600.0, 3600.0]


@pytest.mark.parametrize("text", ["constant:1.1", "daily:0.1-2", "nothing", "constant:", "constant:-1"])
def test_no_load_is_said_to_be_none(text):
    with pytest.raises(UsageError):
        load_of(text, munich().fleet(), SPAN)


@pytest.mark.parametrize(
    ("edges", "watts", "told"),
    [([0.0], [], "empty"), ([0.0, 60.0], [-1.0], "negative"), ([0.0, 0.0], [1.0], "do not rise"),
     ([0.0, 4e7], [1.0], "lasts 463.0 days")],
)  # fmt: skip
def test_a_load_that_is_none_is_refused(edges, watts, told, tmp_path):
    with pytest.raises(UsageError, match=told):
        simulate(munich(), Load(np.array(edges), np.array(watts)), folder=tmp_path)


def test_without_a_heat_pump_nothing_is_reused_and_no_network_runs(tmp_path):
    site = munich(heat__pump__heat="0 kW")
    summary = summarise(simulate(site, constant(site.fleet(), 0.5, SPAN), folder=tmp_path))
    assert summary.erf == summary.upgrade == summary.to_customers == 0
    assert summary.backup > summary.demand
    assert summary.closed


def test_a_site_twice_its_cooling_is_cut_to_what_can_be_taken_away(tmp_path):
    site = munich(it__gpus=20_000)
    summary = summarise(simulate(site, constant(site.fleet(), 1.0, SPAN), folder=tmp_path))
    assert summary.curtailed == pytest.approx(summary.wanted - summary.it)
    assert summary.curtailed > 0.3 * summary.wanted
    assert summary.closed


def test_half_a_year_of_load_leaves_the_rest_idle_of_it(tmp_path):
    whole = constant(munich().fleet(), 0.5, SPAN)
    half = Load(np.array([0.0, SPAN.seconds / 2]), whole.watts)
    summary = summarise(simulate(munich(), half, folder=tmp_path))
    assert summary.it == pytest.approx(whole.joules() / 2 / 3.6e6)
