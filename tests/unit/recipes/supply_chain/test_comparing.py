import numpy as np
import pytest

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.comparing import compare, difference, stress
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.network import Demand, Disruption, Effect, Lane, Network, Node, Policy
from kifabrik.recipes.supply_chain.results import Settings

SETTINGS = Settings(scenarios=64, periods=120, warm_up=20)


def chain(level=40.0, name="chain"):
    """A maker who supplies a shop, and one who supplies nearly nobody."""
    normal = Demand(each=Distribution(kind=Kind.NORMAL, mean=10, sd=3))
    rare = Demand(each=Distribution(kind=Kind.NORMAL, mean=0.1, sd=0.01))
    money = {"holding_cost": 1.0, "stockout_cost": 10.0, "value": 5.0}
    return Network(
        name=name,
        nodes=(
            Node(product="p", site="maker", policy=Policy(level=45), **money),
            Node(product="p", site="shop", policy=Policy(level=level), demand=normal, **money),
            Node(product="q", site="shop", policy=Policy(level=1), demand=rare, **money),
        ),
        lanes=(
            Lane(source="", target="p@maker", component="raw", lead_time=fixed(3)),
            Lane(source="p@maker", target="p@shop", component="p", lead_time=fixed(2)),
            Lane(source="", target="q@shop", component="raw", lead_time=fixed(3)),
        ),
    )


def outage(**more):
    return Disruption(name="fire", effect=Effect.OUTAGE, target="p@maker", **{"start": 50, "duration": 10, **more})


def test_a_network_does_not_differ_from_itself():
    (same,) = compare([chain(), chain(name="twin")], SETTINGS)
    for each in same.differences:
        assert each.difference.mean == 0
        assert each.p_value == 1


def test_more_stock_serves_better_and_the_pairs_show_it():
    (more,) = compare([chain(22), chain(28, "more")], SETTINGS)
    beta = next(each for each in more.differences if each.figure == "beta")
    assert beta.difference.low > 0
    assert beta.p_value < 1e-6
    spread = beta.base.high - beta.base.low + beta.changed.high - beta.changed.low
    assert beta.difference.high - beta.difference.low < spread


def test_p_values_of_pure_luck_are_uniform():
    luck = np.random.default_rng(3)
    values = [difference("x", luck.normal(size=20), luck.normal(size=20)).p_value for _ in range(400)]
    assert np.mean(np.array(values) < 0.1) == pytest.approx(0.1, abs=0.05)
    assert np.mean(values) == pytest.approx(0.5, abs=0.05)


def test_one_network_cannot_be_compared():
    with pytest.raises(UsageError, match="two networks"):
        compare([chain()], SETTINGS)


def test_an_outage_costs_and_recovers_and_a_longer_one_more_so():
    short, long = stress(chain(), [outage(), outage(duration=20)], SETTINGS)
    assert short.cost_difference.low > 0
    assert long.cost_difference.low > short.cost_difference.high
    assert 0 < short.recovery.median <= long.recovery.median < np.inf
    assert short.recovery.unrecovered == 0
    assert short.beta_difference is not None
    assert short.beta_difference.high < 0
    assert np.array_equal(short.backlog_with[:50], short.backlog_without[:50])
    assert short.backlog_with[60] > short.backlog_without[60] + 10


def test_an_outage_that_does_not_happen_changes_nothing():
    (none,) = stress(chain(), [outage(chance=0.0)], SETTINGS)
    assert none.cost_difference.mean == 0
    assert none.recovery.p95 == 0


def test_an_outage_without_a_date_is_refused():
    with pytest.raises(UsageError, match="fire has no start"):
        stress(chain(), [outage(start=None)], SETTINGS)


def test_an_outage_beyond_the_end_is_refused():
    with pytest.raises(UsageError, match="of 120"):
        stress(chain(), [outage(start=115)], SETTINGS)
