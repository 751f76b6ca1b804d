from hypothesis import given
from hypothesis import strategies as st

from kifabrik.plant.governor.flexible import best_start, waits_until, worth
from kifabrik.plant.governor.river import Binding, Level

HOUR = 3600.0


def outlook(*values):
    return [(number * HOUR, value) for number, value in enumerate(values)]


def test_work_that_may_wait_starts_in_the_best_hour():
    assert best_start(outlook(0.5, 0.5, 0.9, 0.5), 100.0, HOUR, 10 * HOUR) == 2 * HOUR


def test_nothing_waits_for_an_hour_that_is_hardly_better():
    assert best_start(outlook(0.5, 0.52, 0.54), 0.0, HOUR, 10 * HOUR) == 0.0


def test_of_equally_good_hours_the_earliest_is_taken():
    assert best_start(outlook(0.2, 0.9, 0.9), 0.0, HOUR, 10 * HOUR) == HOUR


def test_it_ends_in_time_even_if_a_better_hour_comes_later():
    assert best_start(outlook(0.1, 0.3, 0.9, 0.9), 0.0, 2 * HOUR, 3 * HOUR) == HOUR
    assert best_start(outlook(0.1, 0.9), 0.0, 2 * HOUR, 1 * HOUR) == 0.0


def test_without_an_outlook_nothing_waits():
    assert best_start([], 5.0, HOUR, 10 * HOUR) == 5.0


def test_who_waits_says_until_when():
    assert waits_until(outlook(0.1, 0.1, 0.9), 0.0, HOUR, 9 * HOUR) == (
        "May wait, and does: from about 02:00 UTC its heat is wanted more, the river is cooler or power is cheaper."
    )
    assert waits_until(outlook(0.9, 0.1), 0.0, HOUR, 9 * HOUR) == ""


def test_an_hour_is_worth_half_its_wanted_heat_and_half_its_permitted_power():
    assert worth(Level(0.0, 13e6, Binding.NOTHING, 1.0), 13e6) == 1.0
    assert worth(Level(0.0, 6.5e6, Binding.RIVER_WARMING, 0.0), 13e6) == 0.25


@given(
    st.lists(st.floats(0, 1), max_size=30),
    st.floats(0, 20 * HOUR),
    st.floats(1, 10 * HOUR),
    st.floats(0, 40 * HOUR),
)
def test_a_start_is_now_or_early_enough(values, now, lasting, until):
    start = best_start(outlook(*values), now, lasting, until)
    assert start == now or now < start <= until - lasting
