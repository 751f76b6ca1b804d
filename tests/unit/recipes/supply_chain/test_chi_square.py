import math

import numpy as np
import pytest
from scipy import stats

from kifabrik.recipes.supply_chain.chi_square import agreement
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind
from kifabrik.recipes.supply_chain.fitting import fit

POISSON = Distribution(kind=Kind.POISSON, mean=6.0)


def counts(seed, size=300, mean=6.0):
    return np.random.default_rng(seed).poisson(mean, size).astype(float)


def test_the_statistic_is_that_of_scipy_on_the_same_classes():
    found = agreement(counts(1), POISSON)
    assert found.statistic == pytest.approx(stats.chisquare(found.seen, found.expected).statistic, rel=1e-9)


def test_classes_hold_every_value_once_and_expect_at_least_five():
    values = counts(2)
    found = agreement(values, POISSON)
    assert sum(found.seen) == len(values)
    assert sum(found.expected) == pytest.approx(len(values))
    assert min(found.expected) >= 5
    assert found.seen[0] == np.sum(values <= found.upto[0])
    assert found.seen[-1] == np.sum(values > found.upto[-1])


def test_of_a_family_that_is_known_the_statistic_follows_chi_square():
    found = [agreement(counts(seed), POISSON) for seed in range(400)]
    p_values = [stats.chi2.sf(one.statistic, len(one.seen) - 1) for one in found]
    assert stats.kstest(p_values, "uniform").pvalue > 0.001


def test_too_few_values_have_no_classes():
    assert agreement(counts(3, size=10), POISSON) is None
    assert agreement(np.array([0.0, 1.0] * 30), Distribution(kind=Kind.POISSON, mean=0.05)) is None


def test_true_families_are_seldom_doubted():
    p_values = [fit(counts(seed, size=120), bootstraps=99).chi_square_p for seed in range(20)]
    assert np.mean(p_values) == pytest.approx(0.5, abs=0.2)
    assert sum(value < 0.05 for value in p_values) <= 4


def test_odd_numbers_that_nobody_orders_are_doubted_by_chi_square_more_than_by_kolmogorov():
    luck = np.random.default_rng(5)
    odd = np.concatenate([2.0 * luck.poisson(6, 380), luck.integers(0, 25, 20).astype(float)])
    found = fit(odd)
    assert found.is_doubtful
    assert found.chi_square_p <= found.p_value
    assert found.distribution.kind is Kind.EMPIRICAL


def test_what_is_no_whole_number_has_no_chi_square():
    found = fit(np.random.default_rng(6).normal(50, 5, 100))
    assert found.chi_square is None
    assert math.isnan(found.chi_square_p)
