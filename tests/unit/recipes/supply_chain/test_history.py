from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from studied import network_of

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.calibrating import calibrate_series
from kifabrik.recipes.supply_chain.history import with_history
from kifabrik.recipes.supply_chain.past import Series

NETWORK = network_of([1, 1])
ASKED = NETWORK.nodes[-1].name
MONDAY = date(2026, 1, 5)


def calibrated(values, name=ASKED, first=MONDAY):
    return calibrate_series(Series(name=name, values=np.array(values, dtype=float), first=first))


def weekly(days):
    """Sundays sell ten times what other days do."""
    luck = np.random.default_rng(3)
    return [luck.poisson(50 if day % 7 == 6 else 5) for day in range(days)]


def demand(network):
    return network.nodes[-1].demand


def test_the_fitted_demand_takes_the_place_of_the_tables():
    found = calibrated([5, 4, 6, 5] * 20)
    changed = with_history(NETWORK, [found])
    assert demand(changed).each == found.fit.distribution
    assert demand(changed).each != demand(NETWORK).each
    assert changed.nodes[0] == NETWORK.nodes[0]


@pytest.mark.parametrize("days", [140, 143])
def test_a_week_goes_on_where_the_history_ends(days):
    factors = demand(with_history(NETWORK, [calibrated(weekly(days))])).factors
    assert len(factors) == 7
    # The history begins on a Monday; its first period simulated is day `days`.
    assert np.argmax(factors) == (6 - days) % 7


def test_months_go_on_where_the_history_ends():
    luck = np.random.default_rng(1)
    first, days = date(2023, 1, 1), 2 * 365 + 31
    december = [(first.toordinal() + day) for day in range(days)]
    values = [luck.poisson(60 if date.fromordinal(day).month == 12 else 6) for day in december]
    factors = demand(with_history(NETWORK, [calibrated(values, first=first)])).factors
    assert len(factors) == 365
    end = first.toordinal() + days
    assert {date.fromordinal(end + day).month for day in np.flatnonzero(np.array(factors) > 3)} == {12}


def test_a_history_of_days_needs_periods_of_a_day():
    values = [60 if date.fromordinal(MONDAY.toordinal() + day).month == 12 else 6 for day in range(800)]
    with pytest.raises(UsageError, match="by days, and periods of the network have 7 days"):
        with_history(replace(NETWORK, period_days=7.0), [calibrated(values)])


def test_a_history_of_nothing_in_the_network_is_named():
    with pytest.raises(UsageError, match="demand of gadget@moon: the network has no such"):
        with_history(NETWORK, [calibrated([5, 4, 6, 5] * 20, name="gadget@moon")])
