from dataclasses import replace

import numpy as np
import pytest

from kifabrik.recipes.supply_chain.distributions import fixed
from kifabrik.recipes.supply_chain.network import Demand, Lane, Network, Node, Policy
from kifabrik.recipes.supply_chain.recovering import recovery_of, recovery_times, slowest_way, window_of

QUIET = np.zeros((30, 1))


def extra(*spells):
    """Backlog of one scenario: (from, to, units)."""
    backlog = QUIET.copy()
    for start, stop, units in spells:
        backlog[start:stop] = units
    return backlog


def time_of(backlog, **more):
    return recovery_times(backlog, QUIET, **{"end": 10, "allowed": 1.0, **more}).tolist()


@pytest.mark.parametrize(
    ("backlog", "time"),
    [
        (extra((8, 14, 5)), [4]),
        (extra((8, 10, 5)), [0]),
        (QUIET, [0]),
        (extra((8, 30, 5)), [np.inf]),
        (extra((8, 12, 5), (20, 22, 5)), [12]),
    ],
)
def test_recovery_for_good_is_counted_from_the_end_to_the_last_period_above(backlog, time):
    assert time_of(backlog) == time


def test_what_comes_after_the_outage_can_no_longer_be_felt_does_not_count():
    late = extra((8, 12, 5), (20, 22, 5))
    assert time_of(late, quiet=7) == [2]
    assert time_of(late, quiet=8) == [12]


def test_a_delayed_effect_counts_while_the_outage_can_still_be_felt():
    delayed = extra((15, 18, 5))
    assert time_of(delayed, quiet=6) == [8]
    assert time_of(delayed, quiet=3) == [0]


def test_a_shifted_rhythm_is_no_backlog_where_the_mean_is_none():
    rhythm = np.where(np.arange(30) % 2 == 0, 5.0, -5.0)[:, None]
    assert time_of(rhythm) == [19]  # above in the last but one
    assert time_of(rhythm, window=2) == [0]


def test_an_end_within_the_last_window_is_judged_by_that_window():
    assert time_of(extra((5, 30, 5)), end=29, window=4) == [np.inf]
    assert time_of(QUIET, end=29, window=4) == [0]


def test_scenarios_that_did_not_recover_are_a_share_and_spoil_no_median():
    found = recovery_of(np.array([1.0, 2.0, 9.0, np.inf]))
    assert (found.median, found.p95, found.unrecovered) == (2, np.inf, 0.25)
    assert np.isnan(recovery_of(np.array([np.inf])).median)


def test_the_slowest_way_adds_up_what_lasts_on_it():
    nodes = (
        Node(product="a", site="s", policy=Policy(level=30, review=5), making_time=2),
        Node(product="b", site="s", policy=Policy(level=20), demand=Demand(each=fixed(10))),
    )
    lanes = (
        Lane(source="", target="a@s", component="x", order_time=1, lead_time=fixed(4)),
        Lane(source="", target="b@s", component="y", lead_time=fixed(3)),
        Lane(source="a@s", target="b@s", component="a", lead_time=fixed(6)),
    )
    network = Network(name="two", nodes=nodes, lanes=lanes)
    # 5 to a, 2 of making, 5 to the next order, 3 in stock; 6 to b, 1 to the next order, 2 in stock
    assert slowest_way(network) == 5 + 2 + 5 + 3 + 6 + 1 + 2
    assert window_of(network) == 28
    assert window_of(replace(network, period_days=7)) == 4
    assert window_of(replace(network, period_days=365)) == 1
