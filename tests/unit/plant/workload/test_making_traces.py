"""Scaling, making up and capping traces."""

import numpy as np
import pytest

from kifabrik.errors import NotFoundError, UsageError
from kifabrik.plant.workload.capping import cap, read_measured
from kifabrik.plant.workload.filling import WEEK, fill
from kifabrik.plant.workload.synthetic import read_mix, synthesise
from kifabrik.plant.workload.trace import make_trace

DAY = 86400.0
MIX = """\
tenants:
  - {name: vision, jobs_per_day: 200, median_hours: 1, p95_hours: 10, gpus: {1: 3, 8: 1}, deferrable: 0.5}
  - {name: text, jobs_per_day: 20, weekend: 0, median_hours: 5, p95_hours: 5, gpus: {16: 1}, estimate: 2}
"""
HEAD = "dataset,network,batch_size,optimizer,power_limit,time_per_epoch,average_power\n"


def some(count=500):
    luck = np.random.default_rng(1)
    return make_trace(
        "some", luck.uniform(0, 3 * WEEK, count), luck.lognormal(7, 2, count), luck.choice([1, 2, 8], count),
        tenant=luck.integers(0, 2, count), tenants=("a", "b"),
    )  # fmt: skip


@pytest.mark.parametrize("jobs", [None, 300, 20_000])
def test_a_scaled_trace_asks_for_the_share_that_was_wanted(jobs):
    found = fill(some(), 256, span=8 * WEEK, share=0.7, jobs=jobs)
    assert found.gpu_seconds / (256 * 8 * WEEK) == pytest.approx(0.7, rel=0.02)
    assert jobs is None or found.jobs == jobs
    assert found.gpus.max() <= 64
    assert (np.diff(found.submit) >= 0).all()
    assert found.submit[-1] < 8 * WEEK
    assert (found.estimate >= found.seconds).all()


def test_scaled_jobs_keep_their_place_in_the_week():
    monday = make_trace("m", np.arange(10) * 60.0, np.full(10, 600.0), np.full(10, 1))
    assert (fill(monday, 8, span=4 * WEEK, share=0.5).submit % WEEK < 600).all()


def test_the_same_seed_draws_the_same_jobs():
    one, other = (fill(some(), 64, span=WEEK, seed=5) for _ in range(2))
    assert one.submit.tolist() == other.submit.tolist()
    assert fill(some(), 64, span=WEEK, seed=6).submit.tolist() != one.submit.tolist()


def test_what_a_mix_of_tenants_orders_follows_it(tmp_path):
    path = tmp_path / "mix.yaml"
    path.write_text(MIX)
    found = synthesise(read_mix(path), 20 * WEEK, seed=3)
    vision = found.tenant == 0
    assert vision.sum() == pytest.approx(200 * 20 * (5 + 2 * 0.4), rel=0.03)
    weekend = found.submit // DAY % 7 >= 5
    assert not (weekend & ~vision).any()
    hour = found.submit / 3600 % 24
    assert ((hour >= 8) & (hour < 18))[vision].mean() == pytest.approx(0.7, abs=0.02)
    assert np.median(found.seconds[vision]) == pytest.approx(3600, rel=0.05)
    assert (found.gpus[vision] == 8).mean() == pytest.approx(0.25, abs=0.02)
    assert (found.estimate / found.seconds)[~vision] == pytest.approx(2.0)
    assert np.isfinite(found.until)[vision].mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tenants: []", "tenants: List should have at least 1 item"),
        (MIX.replace("200", "-1"), r"tenants\.1\.jobs_per_day: Input should be greater than 0"),
        (MIX + "speed: 3", "speed: Extra inputs"),
        ("a: [", "is no YAML"),
    ],
)
def test_what_is_wrong_in_a_mix_is_named(tmp_path, text, said):
    path = tmp_path / "mix.yaml"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_mix(path)


@pytest.fixture
def measured(tmp_path):
    path = tmp_path / "summary_power_x9.csv"
    path.write_text(
        HEAD + "d,n,1,o,100,20,80\nd,n,1,o,200,10,160\nd,n,2,o,100,12,90\nd,n,2,o,200,10,180\nd,n,4,o,100,9,9\n"
    )
    return read_measured(path)


def test_under_a_lower_limit_jobs_take_longer_and_draw_less_as_measured(measured):
    assert measured.name == "X9"
    found = cap(some(), measured, 0.5)
    pairs = {(round(t, 1), p) for t, p in zip(found.seconds / some().seconds, found.intensity, strict=True)
             if t < 3}  # fmt: skip
    assert {p for _, p in pairs} == {0.5}
    time, power = measured.at(0.75)
    assert time.tolist() == [1.5, 1.1]
    assert power.tolist() == [0.75, 0.75]
    assert (cap(some(), measured, 1.0).seconds == some().seconds).all()


def test_a_limit_that_was_not_measured_and_files_that_are_none_are_named(measured, tmp_path):
    with pytest.raises(UsageError, match=r"40% was not measured for X9"):
        measured.at(0.4)
    with pytest.raises(NotFoundError):
        read_measured(tmp_path / "none.csv")
    path = tmp_path / "bad.csv"
    path.write_text(HEAD + "d,n,1,o,100,-20,80\n")
    with pytest.raises(UsageError, match="line 2, field time_per_epoch: '-20' is not a number above 0"):
        read_measured(path)
