"""Clocks that go wrong, one party's at a time."""

from contextlib import contextmanager

import pytest

from kifabrik.values import format_time, now_utc
from players import eventually

pytestmark = pytest.mark.xdist_group("acceptance")

WRONG = """
import kifabrik.values as values
from datetime import timedelta

right = values.now_utc
values.now_utc = lambda: right() + timedelta(days={days})
"""


@pytest.fixture
def wrong_clock(tmp_path, monkeypatch):
    """Commands that are started within go by a clock that is days off."""

    @contextmanager
    def off(days):
        folder = tmp_path / f"clock{days}"
        folder.mkdir()
        (folder / "sitecustomize.py").write_text(WRONG.format(days=days))
        with monkeypatch.context() as patch:
            patch.setenv("PYTHONPATH", str(folder))
            yield

    return off


@pytest.mark.parametrize(
    ("days", "status", "said"), [(-30, 4, "deadline, "), (2, 6, "the order was made at ")], ids=["behind", "ahead"]
)
def test_an_order_by_a_wrong_clock_is_refused_with_both_times(stage, tmp_path, wrong_clock, days, status, said):
    name = stage.name(f"clock{days}")
    job = stage.job(tmp_path / "job", "print('done')", name=name)
    today = {format_time(now_utc())[:10]}
    with wrong_clock(days):
        error = stage.customer.kifabrik("apply", job, "--yes", expect=status).err
        doctor = stage.customer.kifabrik("doctor", expect=7)
    assert said in error
    today.add(format_time(now_utc())[:10])
    assert any(day in error for day in today)  # the factory's own time, beside the one the order names
    assert "kifabrik doctor" in error
    hours = abs(days) * 24
    told = (f"{hours}h 00m", f"{hours - 1}h 59m")  # the question takes its time, too
    assert any(f"this machine's clock is {one}" in doctor.out for one in told)
    assert ("behind" if days < 0 else "ahead of") in doctor.out
    assert not [run for run in stage.sdk.session.catalogue().runs() if run.name == name]
    stage.customer.kifabrik("doctor")


def test_a_clock_a_day_behind_does_no_harm(stage, tmp_path, wrong_clock):
    job = stage.job(tmp_path / "job", "print('done')", name=stage.name("day-behind"))
    with wrong_clock(-1):
        stage.customer.kifabrik("apply", job, "--yes")
        assert "done" in stage.customer.kifabrik("logs", stage.name("day-behind")).out


def test_a_factory_whose_clock_ran_ahead_goes_on_where_it_was_once_it_is_right(stage, tmp_path, wrong_clock):
    stage.kill_service()
    with wrong_clock(2):
        stage.start_service()
        future = stage.order(tmp_path, "print('done')", name=stage.name("ahead"))
        stage.wait_until(future.run, lambda view: "No answer yet" in view.reason, "told that no answer came")
        log = stage.customer.home / "keyholder.log"
        eventually(lambda: "by the clock here it is" in log.read_text())
        assert "the lease expired at" in log.read_text()
    stage.kill_service()
    stage.start_service()
    assert [line.text for line in future.result(120).log()] == ["done"]
    stage.customer.kifabrik("ledger", "show")
    assert stage.customer.kifabrik("ledger", "verify", "--json").json()["ok"]


def test_a_factory_whose_clock_fell_behind_says_so_to_whoever_orders(stage, tmp_path, wrong_clock):
    job = stage.job(tmp_path / "job", "print('done')", name=stage.name("fell-behind"))
    stage.kill_service()
    with wrong_clock(-2):
        stage.start_service()
    assert "the factory's clock says" in stage.customer.kifabrik("apply", job, "--yes", expect=6).err
    stage.kill_service()
    stage.start_service()
    stage.customer.kifabrik("apply", job, "--yes")


def test_a_keyholder_whose_clock_fell_behind_says_so_and_goes_by_the_later_time(stage, tmp_path, wrong_clock):
    stage.kill_keyholder()
    with wrong_clock(-2):
        stage.start_keyholder()
        future = stage.order(tmp_path, "print('done')", name=stage.name("late-keyholder"))
        assert [line.text for line in future.result(120).log()] == ["done"]
    stage.kill_keyholder()
    stage.start_keyholder()
    assert "clock is" in (stage.customer.home / "keyholder.log").read_text()
