"""Correlations of demands: against closed forms, scipy's bivariate normal, and what the simulator draws."""

import math

import numpy as np
import pytest
from scipy import special, stats

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.correlating import demand_correlation, score_correlation, score_weights
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.engine import trajectories
from kifabrik.recipes.supply_chain.network import Correlation, Demand, Lane, Network, Node, Policy
from kifabrik.recipes.supply_chain.results import Settings

PERIODS = 20_000
NORMAL = Distribution(kind=Kind.NORMAL, mean=20, sd=4)
POISSON = Distribution(kind=Kind.POISSON, mean=2.5)
GAMMA = Distribution(kind=Kind.GAMMA, mean=10, sd=7)
INTERMITTENT = Distribution(kind=Kind.INTERMITTENT, mean=12, sd=5, chance=0.4)
COIN = Distribution(kind=Kind.EMPIRICAL, values=(0.0, 1.0), weights=(0.5, 0.5))
WIDE = Distribution(kind=Kind.LOGNORMAL, mean=10, sd=9)


def correlated(demands, *coefficients):
    """Nodes a, b, c, … with these demands, and correlations such as ("ab", 0.5)."""
    letters = [chr(ord("a") + at) for at in range(len(demands))]
    nodes = [
        Node(product=x, site="s", policy=Policy(level=50.0), demand=Demand(each=each))
        for x, each in zip(letters, demands, strict=True)
    ]
    lanes = [Lane(source="", target=f"{x}@s", component="raw") for x in letters]
    pairs = [Correlation(one=f"{two[0]}@s", other=f"{two[1]}@s", coefficient=x) for two, x in coefficients]
    return Network(name="correlated", nodes=tuple(nodes), lanes=tuple(lanes), correlations=tuple(pairs))


def drawn(network, periods=PERIODS, seed=3):
    found = trajectories(network, periods, {}, {}, settings=Settings(scenarios=1, periods=periods, seed=seed))
    return found["demand"]


@pytest.mark.parametrize("score", [-1, -0.7, -0.2, 0, 0.4, 0.9, 0.99, 1])
def test_lognormal_demands_correlate_as_the_closed_form_says(score):
    one, other = WIDE, Distribution(kind=Kind.LOGNORMAL, mean=3, sd=1)
    spread = [math.sqrt(math.log1p((each.sd / each.mean) ** 2)) for each in (one, other)]
    wanted = math.expm1(score * spread[0] * spread[1])
    wanted /= math.sqrt(math.expm1(spread[0] ** 2) * math.expm1(spread[1] ** 2))
    assert demand_correlation(one, other, score) == pytest.approx(wanted, abs=2e-6)


@pytest.mark.parametrize("score", [-0.99, -0.5, 0.3, 0.95, 1])
def test_coins_correlate_as_the_arc_sine_law_says(score):
    assert demand_correlation(COIN, COIN, score) == pytest.approx(2 / math.pi * math.asin(score), abs=1e-6)


@pytest.mark.parametrize("score", [-0.8, 0.35, 0.9])
def test_counts_correlate_as_the_bivariate_normal_of_scipy_says(score):
    other = Distribution(kind=Kind.NEGATIVE_BINOMIAL, mean=1.5, sd=1.8)
    success = other.mean / other.sd**2
    laws = stats.poisson(POISSON.mean), stats.nbinom(other.mean * success / (1 - success), success)
    above = [special.ndtri(law.sf(np.arange(30))) for law in laws]
    # E[XY] is the sum of P(X > i, Y > j); P(X > i) is a normal score below a bound
    normal = stats.multivariate_normal(cov=[[1, score], [score, 1]])
    grid = np.array([[x, y] for x in above[0][:14] for y in above[1][:24]])
    product = normal.cdf(grid).sum()
    means, sds = zip(*((law.mean(), law.std()) for law in laws), strict=True)
    wanted = (product - means[0] * means[1]) / (sds[0] * sds[1])
    assert demand_correlation(POISSON, other, score) == pytest.approx(wanted, abs=2e-4)


@pytest.mark.parametrize("one", [NORMAL, POISSON, GAMMA, INTERMITTENT, WIDE])
@pytest.mark.parametrize("wanted", [-0.35, 0.1, 0.6])
def test_the_score_found_gives_the_correlation_wanted(one, wanted):
    score = score_correlation(one, POISSON, wanted)
    assert demand_correlation(one, POISSON, score) == pytest.approx(wanted, abs=1e-8)
    assert abs(score) > abs(wanted)


def test_what_two_distributions_cannot_do_is_said_with_what_they_can():
    network = correlated([WIDE, INTERMITTENT], ("ab", -0.9))
    with pytest.raises(UsageError, match=r"a@s and b@s cannot be had.*can be -0\.\d+ to 0\.\d+, not -0\.9"):
        score_weights(network.nodes, network.correlations)


def test_the_demands_drawn_correlate_as_wanted_and_keep_their_distributions():
    families = [NORMAL, POISSON, GAMMA, INTERMITTENT]
    wanted = {"ab": 0.6, "ac": -0.3, "bc": -0.25, "cd": 0.4}
    found = drawn(correlated(families, *wanted.items()))
    for at in range(4):
        for other in range(at):
            pair = "abcd"[other] + "abcd"[at]
            seen = np.corrcoef(found[:, other], found[:, at])[0, 1]
            # Fisher's z has the deviation 1 / sqrt(n - 3) for normal demands; for skew ones about twice that
            assert abs(np.arctanh(seen) - np.arctanh(wanted.get(pair, 0.0))) < 8 / math.sqrt(PERIODS), pair
    for at, each in enumerate(families):
        assert found[:, at].mean() == pytest.approx(each.expected(), abs=4 * each.deviation() / math.sqrt(PERIODS))
    assert stats.kstest(found[:, 0], stats.norm(20, 4).cdf).pvalue > 1e-3
    shape = (GAMMA.mean / GAMMA.sd) ** 2
    assert stats.kstest(found[:, 2], stats.gamma(shape, scale=GAMMA.mean / shape).cdf).pvalue > 1e-3


def test_who_is_not_correlated_has_the_luck_it_had():
    families = [NORMAL, POISSON, GAMMA]
    alone, together = drawn(correlated(families), 50), drawn(correlated(families, ("ac", 0.5)), 50)
    np.testing.assert_array_equal(alone[:, :2], together[:, :2])
    assert np.abs(alone[:, 2] - together[:, 2]).max() > 0.1


def test_demands_may_be_always_alike():
    found = drawn(correlated([GAMMA, GAMMA, NORMAL], ("ab", 1.0), ("ac", 0.5), ("bc", 0.5)), 200)
    np.testing.assert_allclose(found[:, 0], found[:, 1], rtol=1e-3, atol=2e-3)


def test_correlations_that_contradict_each_other_are_named_with_what_would_do():
    network = correlated([NORMAL] * 4, ("ab", 0.9), ("bc", 0.9), ("cd", 0.1))
    with pytest.raises(UsageError, match=r"contradict each other.*b@s, [ac]@s, [ac]@s .*semidef") as error:
        score_weights(network.nodes, network.correlations)
    most = float(error.value.hint.split()[-1].rstrip("."))
    tamer = [Correlation(one=x.one, other=x.other, coefficient=most * x.coefficient) for x in network.correlations]
    names, weights = score_weights(network.nodes, tamer)
    assert names == ["a@s", "b@s", "c@s", "d@s"]
    np.testing.assert_allclose((weights @ weights.T)[1, 2], most * 0.9, atol=1e-6)


@pytest.mark.parametrize(
    ("pairs", "said"),
    [
        ([("az", 0.5)], "z@s is no node with outside demand"),
        ([("ad", 0.5)], "the demand of d@s is always the same"),
        ([("aa", 0.5)], "one and the same"),
        ([("ab", 0.5), ("ba", 0.4)], "is given twice"),
        ([("ab", 1.5)], "it can be -1 to 1"),
    ],
)
def test_correlations_of_what_cannot_correlate_are_refused(pairs, said):
    network = correlated([NORMAL, NORMAL, NORMAL, fixed(3)], *pairs)
    with pytest.raises(UsageError, match=said):
        score_weights(network.nodes, network.correlations)
