"""A governor over the year 2003 of the Isar, hour by hour: the same path as in service, a simulated clock."""

from datetime import UTC, datetime

import pytest
from plant_sites import munich, shared_tables

from kifabrik.errors import UsageError
from kifabrik.factory.capacity import Demand, Gpu, Node
from kifabrik.factory.schedule import Situation, Waiting, schedule
from kifabrik.plant.governor.permit_file import LOG, read_permit, write_permit
from kifabrik.plant.governor.replaying import replay
from kifabrik.plant.governor.river import Binding, Level
from kifabrik.plant.governor.rules import Rules
from kifabrik.plant.governor.site_levels import plant_of, whole_year
from kifabrik.values import Place, Resources

pytestmark = pytest.mark.timeout(600)  # the first one compiles
HOUR = 3600.0
GB = 10**9
FLOOR = Rules(floor_watts=6e6)


@pytest.fixture(scope="module")
def hot_year():
    site = munich(river__year=2003)
    plant = plant_of(site)
    return whole_year(site, shared_tables()), {"full_watts": plant.full_watts, "idle_watts": plant.idle_watts}


@pytest.fixture(scope="module")
def played(hot_year, tmp_path_factory):
    """The year, written where a factory reads it, as the command does; what stood there after each decision.

    An hour that changes nothing is not written again: the disk would take longer than the governor.
    """
    home = tmp_path_factory.mktemp("factory")
    levels, powers = hot_year
    stood = []

    def given(permit, now):
        if not stood or permit.watts != stood[-1][1].watts:
            assert write_permit(home, permit)
            stood.append((now, read_permit(home)))
        else:
            stood.append((now, permit))

    return replay(levels, FLOOR, **powers, given=given), stood, (home / LOG).read_text().splitlines()


def test_in_a_hot_year_less_is_permitted_for_some_hours_and_all_in_most(played):
    found, _, _ = played
    assert found.hours == 8760
    assert 0 < found.held < 0.1 * found.hours
    assert found.least_watts < 0.9 * found.full_watts


def test_what_stands_where_the_factory_reads_is_what_was_decided(played):
    found, stood, _ = played
    assert len(stood) == found.hours
    assert sum(permit.watts < found.full_watts for _, permit in stood) == found.held


def test_a_permit_is_never_above_what_the_next_hours_take_but_for_the_floor(played, hot_year):
    levels, _ = hot_year
    _, stood, _ = played
    for number, (_, permit) in enumerate(stood):
        least = min(level.watts for level in levels[number : number + FLOOR.ahead_hours])
        assert permit.watts <= max(least, FLOOR.floor_watts) + 1e-6
        assert permit.watts >= FLOOR.floor_watts


def test_it_rises_only_by_more_than_a_little_or_to_all(played):
    found, _, _ = played
    for before, after in zip(found.changes, found.changes[1:], strict=False):
        if after.watts > before.watts:
            assert (
                after.watts - before.watts > FLOOR.rise_share * found.full_watts or after.watts == found.full_watts
            )


def test_every_change_stands_in_the_operators_log_with_its_time_and_reason(played):
    found, _, log = played
    assert len(log) == len(found.changes)
    for line, change in zip(log, found.changes, strict=True):
        at, megawatts, _, reason = line.split(" ", 3)
        assert at == datetime.fromtimestamp(change.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert float(megawatts) == pytest.approx(change.watts / 1e6, abs=1e-3)
        assert reason == change.reason
    held = [change for change in found.changes if change.watts < found.full_watts]
    assert all(change.reason.startswith("The river ") for change in held)
    assert all("MW are permitted" in change.reason for change in held)


def test_hysteresis_changes_the_permit_less_often_and_floor_and_look_ahead_are_not_free(hot_year, played):
    levels, powers = hot_year
    found, _, _ = played
    nervous = replay(levels, Rules(1, 0.0, 0.0, 0.0), **powers)
    assert len(found.changes) < 0.8 * len(nervous.changes)
    assert nervous.beyond == 0.0
    assert nervous.needless == pytest.approx(0.0, abs=1.0)
    assert found.needless > 0.0


def test_a_forecast_that_trembles_does_not_make_the_permit_flap():
    levels = [Level(number * HOUR, 10e6 + 1e5 * (-1) ** number, Binding.RIVER_WARMING) for number in range(200)]
    found = replay(levels, Rules(ahead_hours=1), full_watts=13e6, idle_watts=2e6)
    assert len(found.changes) == 2  # the first, and the first fall
    nervous = replay(levels, Rules(1, 0.0, 0.0, 0.0), full_watts=13e6, idle_watts=2e6)
    assert len(nervous.changes) == 200


def test_runs_that_wait_say_why_under_every_permit_of_the_year(played):
    _, stood, _ = played
    node = Node("n-1", "n1", Place("DE"), 64, 640 * GB, tuple(Gpu(at, "H200", GB) for at in range(32)), ("3.11",))
    demand = Demand(Resources(cpus=1, memory_bytes=GB, gpu_count=1), Place(), "3.11")
    waiting = [Waiting(f"r{at}", "t-a", demand, HOUR, 0, float(at), 1000) for at in range(32)]
    seen = set()
    for now, permit in stood:
        if permit.share < 1 and permit.watts not in seen:
            seen.add(permit.watts)
            found = schedule(Situation([node], waiting, [], {}, now, permit))
            assert len(found.starts) == permit.most(32)
            said = set(found.reasons.values())
            assert said <= {
                f"Waits for power{why}. {permit.reason}" for why in ("", ", which is kept for an earlier run")
            }
            assert len(found.reasons) == 32 - permit.most(32)
    assert seen


def test_hours_that_cannot_be_played_are_named():
    with pytest.raises(UsageError, match="no hours to play"):
        replay([], Rules(), full_watts=1.0, idle_watts=0.0)
    with pytest.raises(UsageError, match="700 seconds do not divide an hour"):
        replay([Level(0.0, 1.0, Binding.NOTHING)], Rules(), full_watts=1.0, idle_watts=0.0, every_s=700.0)
