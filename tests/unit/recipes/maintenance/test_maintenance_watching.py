"""What is usual, which sensors make an alarm, how often there is one for nothing, how early the right ones come."""

import math
from dataclasses import replace

import numpy as np
import pytest

from kifabrik.errors import IntegrityError, NotFoundError, UsageError
from kifabrik.recipes.maintenance.alarms import MONTH, Span, limit_for, smooth, spans_above
from kifabrik.recipes.maintenance.causes import causes
from kifabrik.recipes.maintenance.faults import Fault
from kifabrik.recipes.maintenance.judging import judge, poisson_upper
from kifabrik.recipes.maintenance.model import distances, expected_by, explained, learn
from kifabrik.recipes.maintenance.reading import Readings, Reason
from kifabrik.recipes.maintenance.saving import load_watcher, save_watcher
from kifabrik.recipes.maintenance.watching import Wishes, check, watch

MINUTE, HOUR = np.timedelta64(60, "s"), np.timedelta64(3600, "s")
START = np.datetime64("2026-01-05T00:00:00")
SENSORS = ("load", "heat", "sound", "oil")


def machine(rows, seed=1):
    """A machine whose heat and sound follow its load."""
    random = np.random.default_rng(seed)
    load = 50 + 15 * np.sin(np.arange(rows) / 200) + random.normal(0, 3, rows)
    heat = 20 + 0.8 * load + random.normal(0, 1, rows)
    sound = 1 + 0.05 * load + random.normal(0, 0.1, rows)
    return np.column_stack([load, heat, sound, random.normal(5, 0.2, rows)])


def readings(values, every=10 * MINUTE, label=None):
    times = START + np.arange(len(values)) * every
    return Readings(times, True, SENSORS[: values.shape[1]], values, label, (), 1)


def test_distances_are_those_of_mahalanobis():
    values = machine(3000)
    usual = learn(values)
    row = usual.scaled(values[7])
    known = float(row @ np.linalg.inv(usual.covariance) @ row) / 4
    assert distances(usual, values)[7] == pytest.approx(known)


def test_what_the_others_let_expect_is_the_conditional_mean():
    values = machine(3000)
    usual = learn(values)
    _, expected = explained(usual, values[:5])
    for sensor in range(4):
        assert expected_by(usual, values[:5], [sensor])[:, sensor] == pytest.approx(expected[:, sensor])
    assert np.isnan(expected_by(usual, values[:5], [1])[:, 0]).all()
    assert expected[:, 1] == pytest.approx(20 + 0.8 * values[:5, 0], abs=3)


def test_an_empty_cell_raises_no_distance():
    values = machine(3000)
    usual = learn(values)
    holed = values.copy()
    holed[::2, 1] = np.nan
    assert distances(usual, holed).max() < 1.5 * distances(usual, values).max()
    assert distances(usual, np.full((2, 4), np.nan)).tolist() == [0, 0]


def test_two_sensors_that_copy_each_other_do_no_harm():
    values = machine(3000)
    doubled = np.column_stack([values, values[:, 1]])
    usual = learn(doubled)
    assert np.isfinite(distances(usual, doubled)).all()
    slightly = doubled.copy()
    slightly[:, 4] += 0.5  # a twentieth of its spread
    assert np.median(distances(usual, slightly)) < 3 * np.median(distances(usual, doubled))


def test_the_fewest_sensors_that_explain_an_alarm_are_named():
    values = machine(3000)
    usual = learn(values)
    limit = float(distances(usual, values).max())
    rows = values[100:105].copy()
    rows[:, 3] += 3
    assert [one.sensor for one in causes(usual, rows, limit)] == [3]
    rows = values[100:105].copy()
    rows[:, 1] += 30
    rows[:, 2] -= 3
    found = causes(usual, rows, limit)
    assert sorted(one.sensor for one in found) == [1, 2]
    heat = next(one for one in found if one.sensor == 1)
    assert heat.expected == pytest.approx(np.median(values[100:105, 1]), abs=2)


def test_a_sensor_that_is_given_explains_and_is_never_blamed():
    values = machine(3000)
    usual = learn(values)
    limit = float(distances(usual, values).max())
    rows = values[100:105].copy()
    rows[:, 1] += 20
    rows[:, 2] += 1.25  # both as if the load were higher
    assert [one.sensor for one in causes(usual, rows, limit)] == [0]
    assert 0 not in [one.sensor for one in causes(usual, rows, limit, given=(0,))]


def test_one_row_alone_is_no_alarm_and_the_median_looks_back_only():
    distance = np.zeros(20)
    distance[5] = 100
    assert smooth(distance, 5).max() == 0
    distance[10:15] = 100
    assert smooth(distance, 5).nonzero()[0].tolist() == [12, 13, 14, 15, 16]
    assert smooth(np.full(3, 100.0), 5).tolist() == [0, 0, 0]
    assert (smooth(distance, 1) == distance).all()


def test_the_first_rows_of_a_file_raise_no_alarm_of_their_own():
    study = watch(readings(machine(3000)))
    for start in range(0, 300, 3):
        values = machine(3000)[start : start + 40]
        values[0] += 30  # one row, the first of the day
        alarms, strength = check(study.watcher, readings(values))
        assert strength[:4].tolist() == [0, 0, 0, 0]
        assert all(alarm.span.first >= 4 for alarm in alarms)
    with pytest.raises(UsageError, match="3 rows are too few to check"):
        check(study.watcher, readings(machine(3000)[:3]))


def test_exceedances_near_each_other_are_one_alarm():
    distance = np.zeros(100)
    distance[[10, 12, 50]] = [2, 3, 2]
    times = START + np.arange(100) * MINUTE
    assert spans_above(distance, 1, times, 5 * MINUTE) == (Span(10, 12, 12), Span(50, 50, 50))


DISTANCES = {
    "light": lambda random, rows: random.chisquare(4, rows) / 4,
    "exponential": lambda random, rows: random.exponential(1, rows),
    "heavy": lambda random, rows: random.pareto(4, rows),
}


@pytest.mark.parametrize("wished", [1.0, 4.0])
@pytest.mark.parametrize("kind", DISTANCES)
def test_the_limit_lets_about_as_many_false_alarms_through_as_wished(wished, kind):
    random, months, counted = np.random.default_rng(4), 0.0, 0
    for _ in range(60):
        far = DISTANCES[kind](random, 6000)
        times = START + np.arange(6000) * 10 * MINUTE
        limit, _ = limit_for(far[:3000], times[:3000], wished, HOUR)
        counted += len(spans_above(far[3000:], limit, times[3000:], HOUR))
        months += float(3000 * 10 * MINUTE / MONTH)
    assert wished / 3 < counted / months < wished * 3


def test_a_fault_counts_as_announced_only_by_an_alarm_before_it_and_not_too_early():
    times = START + np.arange(1000) * MINUTE
    faults = [Fault(times[at], times[at + 10], f"f{at}") for at in (300, 500, 700, 900)]
    alarms = [Span(100, 110, 105), Span(280, 305, 300), Span(503, 504, 503), Span(600, 601, 600)]
    found = judge(alarms, faults, times, 50 * MINUTE, watched=50)
    assert [one.lead for one in found.seen] == [20 * MINUTE, None, None, None]
    assert [one.late for one in found.seen] == [False, True, False, False]
    assert found.false == (0, 3)
    assert found.months == pytest.approx((949 - 4 * 61) * 60 / float(MONTH.astype(float)), rel=0.01)


def test_the_most_false_alarms_that_fit_a_count_are_those_of_garwood():
    # Chi-square quantiles at 95 %, halved (Garwood, Biometrika 28, 1936)
    for count, known in ((0, 2.9957), (1, 4.7439), (5, 10.5130), (20, 29.0620)):
        assert poisson_upper(count) == pytest.approx(known, abs=1e-3)
    assert poisson_upper(401) == pytest.approx(401 + 1.645 * math.sqrt(401))


def worn(rows=4000):
    """Heat rises for ten hours before a fault at row 3500."""
    values = machine(rows)
    values[3440:3500, 1] += np.linspace(0, 30, 60)
    values[3500:3510, 1] += 60
    label = np.zeros(rows, dtype=bool)
    label[3500:3510] = True
    return readings(values, label=label)


def test_a_fault_that_announces_itself_is_announced_with_its_sensor():
    study = watch(worn())
    [one] = study.verdict.seen
    assert 3 * HOUR < one.lead <= 10 * HOUR
    [alarm] = [alarm for alarm in study.alarms if alarm.start < one.fault.start <= alarm.end]
    assert [SENSORS[cause.sensor] for cause in alarm.causes] == ["heat"]
    assert alarm.causes[0].value > alarm.causes[0].expected + 10
    assert study.simple.middle_lead is None or study.simple.middle_lead < one.lead


def test_faults_and_the_time_before_them_are_not_learnt_from():
    values = machine(4000)
    values[1000:1200, 1] += 40
    fault = Fault(START + 1150 * 10 * MINUTE, START + 1199 * 10 * MINUTE)
    with_it, without = watch(readings(values)), watch(readings(values), [fault], Wishes(before=26 * HOUR))
    assert without.good < with_it.good
    assert without.watcher.usual.high[1] < 90 < with_it.watcher.usual.high[1]


def test_an_alarm_that_goes_on_as_the_readings_end_is_said_to_last():
    values = machine(4000)
    values[3900:, 3] += 5
    assert watch(readings(values)).alarms[-1].lasts
    values[3950:, 3] -= 5
    assert not watch(readings(values)).alarms[-1].lasts


def test_a_sensor_that_never_moved_while_learning_is_left_out_and_named():
    values = machine(1000)
    values[:, 3] = np.where(np.arange(1000) < 900, 0, 1)
    study = watch(readings(values))
    assert study.readings.names == SENSORS[:3]
    assert [(one.name, one.reason) for one in study.readings.left_out] == [("oil", Reason.SILENT)]
    assert max([alarm.strength for alarm in study.alarms], default=0) < 10


def test_too_little_to_learn_from_is_said():
    with pytest.raises(UsageError, match="30 good rows of 50"):
        watch(readings(machine(50)))


def test_faults_that_leave_nothing_to_learn_from_are_said():
    faults = [Fault(START + at * 10 * MINUTE, START + at * 10 * MINUTE) for at in range(0, 1000, 10)]
    with pytest.raises(UsageError, match="0 good rows of 1,000") as caught:
        watch(readings(machine(1000)), faults)
    assert "600 of the first 600 rows are in one of 100 faults or close before" in caught.value.hint


def test_a_name_that_is_no_sensor_cannot_be_given():
    with pytest.raises(NotFoundError, match="no sensor is called 'Last'"):
        watch(readings(machine(1000)), wishes=Wishes(given=("Last",)))


def test_what_was_learnt_finds_the_same_alarms_when_it_is_read_again(tmp_path):
    study = watch(worn(), wishes=Wishes(given=("load",)))
    save_watcher(study.watcher, tmp_path / "model.json")
    again = load_watcher(tmp_path)
    assert replace(again, usual=study.watcher.usual) == study.watcher
    alarms, strength = check(again, worn())
    assert strength == pytest.approx(study.strength)
    assert {alarm.span for alarm in study.alarms} <= {alarm.span for alarm in alarms}


@pytest.mark.parametrize(
    "content", ["", "{}", '{"format": "other"}', "[1]", '{"format": "kifabrik-machine-watch/v1"}']
)
def test_what_is_no_model_of_a_machine_is_refused(tmp_path, content):
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(IntegrityError, match="holds no model"):
        load_watcher(tmp_path)
    with pytest.raises(NotFoundError, match="there is no"):
        load_watcher(tmp_path / "other")
