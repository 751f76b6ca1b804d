"""`kifabrik plant schedule`, `placement` and `governor` on small inputs, as a user calls them."""

import json

import pytest
from click.testing import CliRunner

from kifabrik.cli.plant_governor import governor
from kifabrik.cli.plant_placement import placement
from kifabrik.cli.plant_schedule import schedule
from kifabrik.errors import NotFoundError, UsageError

pytestmark = pytest.mark.timeout(900)  # the first one compiles
TRACE = "submit,seconds,gpus,tenant,estimate\n0,3600,16,a,3600\n10,3600,16,a,3600\n20,600,8,b,600\n"


@pytest.fixture
def trace(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text(TRACE)
    return str(path)


def called(command, *arguments):
    found = CliRunner().invoke(command, arguments, catch_exceptions=False, standalone_mode=False)
    return found.stdout


def test_policies_are_compared_in_one_table_and_one_document(trace):
    shown = called(schedule, trace, "--gpus", "24")
    assert [line.split()[0] for line in shown.splitlines()] == ["POLICY", "fifo", "sjf", "backfill", "fair-share"]
    assert max(map(len, shown.splitlines())) <= 80
    found = json.loads(
        called(schedule, trace, "--gpus", "24", "--policy", "fifo", "--policy", "backfill", "--json")
    )
    fifo, backfill = found["policies"]
    assert fifo["waiting_mean"] == pytest.approx((0 + 3590 + 3580) / 3)
    assert backfill["waiting_mean"] == pytest.approx((0 + 3590 + 0) / 3)
    assert backfill["run_joules"] == fifo["run_joules"]


def test_the_power_of_a_schedule_is_written_for_the_physics(trace, tmp_path):
    out = tmp_path / "load.csv"
    called(schedule, trace, "--gpus", "24", "--policy", "backfill", "--out", str(out))
    lines = out.read_text().splitlines()
    assert lines[0] == "time,watts"
    assert lines[1] == f"0,{3 * 2000.0 + 16 * 1125.0}"
    assert lines[-1].endswith(",0.0")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Say where"),
        (["--gpus", "12"], "12 GPUs are not nodes of eight"),
        (["--gpus", "8"], "Job 1 of trace asks for 16 GPUs"),
        (["--gpus", "24", "--jobs", "5"], "--jobs scales a trace"),
        (["--gpus", "24", "--policy", "heat-aware"], "follows a plant"),
        (["--gpus", "24", "--shares", "c=2"], "'c=2' is not TENANT=SHARE"),
        (["--gpus", "24", "--power-limit", "0.7"], "A power limit needs measurements"),
        (["--gpus", "24", "--load", "0"], "above 0"),
        (["--gpus", "24", "--plant"], "--plant takes a whole year"),
    ],
)
def test_what_makes_no_sense_is_said(trace, arguments, said):
    with pytest.raises(UsageError, match=said):
        called(schedule, trace, *arguments)


def test_tables_that_are_not_there_are_named(tmp_path):
    with pytest.raises(NotFoundError, match="There is no table"):
        called(placement, str(tmp_path / "nodes.csv"), str(tmp_path / "pods.csv"))
    with pytest.raises(NotFoundError, match="There is no trace"):
        called(schedule, str(tmp_path / "trace.csv"), "--gpus", "8")


def test_a_forecast_governs_a_factory(tmp_path):
    forecast = tmp_path / "tomorrow.csv"
    forecast.write_text(
        "time,river_celsius,flow_m3s,limit_celsius,limit_warming_k\n"
        "2026-08-05T12:00,21.6,25,21.5,1.5\n2026-08-05T13:00,19.0,25,21.5,1.5\n2026-08-05T14:00,19.0,25,21.5,1.5\n"
    )
    arguments = ["munich", "--forecast", str(forecast), "--at", "2026-08-05T12:10", "--factory", str(tmp_path)]
    found = json.loads(called(governor, *arguments, "--ahead", "1", "--json"))
    assert found["hours"][0]["binding"] == "river temperature"
    assert found["permit"]["watts"] < found["permit"]["full_watts"]
    assert found["permit"]["reason"].startswith("The river is at its temperature limit until about 13:00 UTC")
    assert json.loads((tmp_path / "power-permit.json").read_text())["watts"] == found["permit"]["watts"]
    assert len((tmp_path / "power-permit.log").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("time,flow_m3s\n", "line 1: the column river_celsius is missing"),
        ("time,river_celsius,flow_m3s,limit_celsius,limit_warming_k\n", "has no hour"),
        (
            "time,river_celsius,flow_m3s,limit_celsius,limit_warming_k\n2026-08-05T12:00,20,-3,21,1\n",
            "line 2, field flow_m3s: '-3' is not a number from 0 on",
        ),
        (
            "time,river_celsius,flow_m3s,limit_celsius,limit_warming_k\nnoon,20,3,21,1\n",
            "line 2, field time: 'noon' is not a time",
        ),
    ],
)
def test_what_is_wrong_in_a_forecast_is_named(tmp_path, text, said):
    path = tmp_path / "f.csv"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        called(governor, "munich", "--forecast", str(path))


@pytest.mark.parametrize("moment", ["9999-12-31T23:59", "0001-01-01"])
def test_a_moment_too_far_away_is_said(moment):
    with pytest.raises(UsageError, match="is too far away"):
        called(governor, "munich", "--at", moment)
