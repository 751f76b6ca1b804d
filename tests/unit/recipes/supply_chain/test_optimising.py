from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain import optimising, plan_frontier
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.engine import simulate
from kifabrik.recipes.supply_chain.guaranteed_service import place_safety_stock, stock_everywhere
from kifabrik.recipes.supply_chain.network import Demand, Lane, Network, Node, Policy, Rule
from kifabrik.recipes.supply_chain.optimising import optimise, searched_on
from kifabrik.recipes.supply_chain.optimum import Start
from kifabrik.recipes.supply_chain.results import Settings
from kifabrik.recipes.supply_chain.safety_stocks import base_stocks, from_network, present_placement
from kifabrik.recipes.supply_chain.work_left import Stage

SETTINGS = Settings(scenarios=96, periods=200, warm_up=40)


def one(lead=4, **more):
    """A shop with normal demand."""
    demand = Demand(each=Distribution(kind=Kind.NORMAL, mean=100, sd=20))
    node = Node(product="p", site="shop", demand=demand, holding_cost=1, value=10, policy=Policy(level=900), **more)
    return Network(
        name="one", nodes=(node,), lanes=(Lane(source="", target="p@shop", component="raw", lead_time=fixed(lead)),)
    )


def split(rule=Rule.BASE_STOCK):
    """A depot with two shops."""
    demand = Demand(each=Distribution(kind=Kind.NORMAL, mean=50, sd=15))
    policy = Policy(rule=rule, level=500, reorder_point=400)
    nodes = (
        Node(product="p", site="depot", holding_cost=1, value=10, policy=policy),
        Node(product="p", site="a", demand=demand, holding_cost=1.5, value=12, policy=policy),
        Node(product="p", site="b", demand=demand, holding_cost=1.5, value=12, policy=policy),
    )
    lanes = (
        Lane(source="", target="p@depot", component="raw", lead_time=fixed(6)),
        Lane(source="p@depot", target="p@a", component="p", lead_time=fixed(2)),
        Lane(source="p@depot", target="p@b", component="p", lead_time=fixed(3)),
    )
    return Network(name="split", nodes=nodes, lanes=lanes)


def _placed(network, **more):
    inputs = from_network(network, **more)
    return place_safety_stock(inputs.stages, inputs.arcs)


def test_a_single_node_gets_the_textbook_level_and_its_cycle_service():
    answer = _placed(one(), service=0.95)
    level = 4 * 100 + stats.norm.ppf(0.95) * 20 * 2
    network = base_stocks(one(), answer)
    assert network.nodes[0].policy.level == pytest.approx(level)
    results = simulate(network, replace(SETTINGS, scenarios=512))
    assert results.scenarios["alpha"].mean() == pytest.approx(0.95, abs=0.01)


def test_an_echelon_level_is_the_sum_of_local_levels_it_feeds():
    answer = _placed(split())
    local = [node.policy.level for node in base_stocks(split(), answer).nodes]
    echelon = [node.policy.level for node in base_stocks(split(Rule.ECHELON_BASE_STOCK), answer).nodes]
    assert echelon == pytest.approx([sum(local), local[1], local[2]])


def test_a_reorder_point_moves_and_the_order_up_to_level_keeps_its_distance():
    answer = _placed(split())
    local = [node.policy.level for node in base_stocks(split(), answer).nodes]
    for level, node in zip(local, base_stocks(split(Rule.MIN_MAX), answer).nodes, strict=True):
        assert node.policy.reorder_point == pytest.approx(level)
        assert node.policy.level == pytest.approx(level + 100)


def test_units_needed_follow_quantities_yields_and_quotas():
    base = split()
    lanes = (base.lanes[0], replace(base.lanes[1], quantity=3, quota=1), replace(base.lanes[2], quantity=2))
    lanes = (*lanes, Lane(source="", target="p@a", component="p", quota=3))
    nodes = (*base.nodes[:2], replace(base.nodes[2], yields=0.5))
    inputs = from_network(replace(base, nodes=nodes, lanes=lanes))
    assert {(arc.target, arc.quantity) for arc in inputs.arcs} == {("p@a", 0.75), ("p@b", 4.0)}


def test_the_fill_rate_is_met_at_the_least_stock_and_holds_on_fresh_luck():
    found = optimise(one(), SETTINGS, beta=0.98)
    assert found.is_reached
    assert found.holds
    assert found.proposed.beta.low >= 0.98
    assert found.proposed.beta.mean == pytest.approx(0.98, abs=0.004)
    spread = 20 * 2
    loss = lambda z: stats.norm.pdf(z) - z * stats.norm.sf(z)  # noqa: E731
    short = lambda z: spread * loss(z) - 20 * np.sqrt(3) * loss((z * spread + 100) / (20 * np.sqrt(3)))  # noqa: E731
    exact = next(z for z in np.arange(-1, 4, 0.001) if short(z) <= 0.02 * 100)
    assert found.nodes[0].safety == pytest.approx(exact * spread, abs=4)
    assert found.nodes[0].safety_now == pytest.approx(500)
    assert found.proposed.stock_difference.high < 0


def test_the_frontier_rises_and_knows_today_and_the_choice():
    found = optimise(split(), SETTINGS, beta=0.97, simulations=40)
    points = found.frontier.points
    assert sum(point.is_current for point in points) == sum(point.is_chosen for point in points) == 1
    scaled = [point.beta.mean for point in points if not point.is_current]
    assert scaled == sorted(scaled)
    assert found.simulations <= 40 + 3 * 2 + 2 + 6 * 11
    assert found.holds
    for point in points:
        assert point.target is None or point.beta.high >= point.target


def test_refining_is_no_dearer_than_scaling_all_alike():
    plain = optimise(split(), SETTINGS, beta=0.97, simulations=12)
    refined = optimise(split(), SETTINGS, beta=0.97, simulations=60)
    assert refined.proposed.cost.mean <= plain.proposed.cost.mean * 1.005
    assert refined.holds


def test_a_fill_rate_out_of_reach_is_said():
    found = optimise(one(making_capacity=50.0, initial_stock=0.0), SETTINGS, beta=0.99, simulations=8)
    assert not found.is_reached
    assert not found.holds


@pytest.mark.parametrize("beta", [0, 1, 98])
def test_a_fill_rate_outside_zero_and_one_is_refused(beta):
    with pytest.raises(UsageError, match="not between 0 and 1"):
        optimise(one(), SETTINGS, beta=beta)


def test_without_outside_demand_there_is_nothing_to_do():
    network = replace(one(), nodes=(replace(one().nodes[0], demand=None),))
    with pytest.raises(UsageError, match="nothing to serve"):
        optimise(network, SETTINGS)


@pytest.mark.parametrize(("shops", "scenarios", "on"), [(1, 1000, 1000), (5000, 1000, 256), (20_000, 1000, 64)])
def test_the_search_takes_bounded_work(shops, scenarios, on):
    base = one()
    nodes = tuple(replace(base.nodes[0], site=f"shop {n}") for n in range(shops))
    lanes = tuple(replace(base.lanes[0], target=node.name) for node in nodes)
    large = replace(base, nodes=nodes, lanes=lanes)
    assert searched_on(large, Settings(scenarios=scenarios), 60) == on


def test_a_search_on_few_scenarios_is_checked_on_all(monkeypatch):
    monkeypatch.setattr(optimising, "_MOST_WORK", 1.0)
    found = optimise(one(), replace(SETTINGS, scenarios=192), beta=0.95)
    assert found.searched == 64
    assert found.fresh.scenarios == found.frontier.scenarios == 192
    assert found.holds


@pytest.mark.parametrize("rule", [Rule.BASE_STOCK, Rule.MIN_MAX])
@pytest.mark.parametrize("level", [500, 120])
def test_todays_levels_are_a_start_that_changes_nothing(rule, level):
    base = split(rule)
    policy = replace(base.nodes[0].policy, level=level + 80, reorder_point=level)
    network = replace(base, nodes=tuple(replace(node, policy=policy) for node in base.nodes))
    inputs = from_network(network)
    today = present_placement(network, stock_everywhere(inputs.stages, inputs.arcs))
    for node, new in zip(network.nodes, base_stocks(network, today).nodes, strict=True):
        assert new.policy.level == pytest.approx(node.policy.level)
        assert new.policy.reorder_point == pytest.approx(node.policy.reorder_point)
    assert (today.safety_stocks >= 0).all()


def seasonal():
    """Parts for a product whose demand comes in a tenth of the year, with stock for it today."""
    demand = Demand(each=Distribution(kind=Kind.NORMAL, mean=50, sd=10), factors=(0.5,) * 18 + (5.5,) * 2)
    names = [f"part {n}" for n in range(4)]
    nodes = [
        Node(product=name, site="works", holding_cost=0.2, value=2, policy=Policy(level=900)) for name in names
    ]
    product = Node(product="p", site="works", holding_cost=1, value=20, policy=Policy(level=700))
    nodes += [product, replace(product, site="shop", holding_cost=1.3, demand=demand)]
    late = Distribution(kind=Kind.NEGATIVE_BINOMIAL, mean=5, sd=4)
    lanes = [Lane(source="", target=f"{name}@works", component="raw", lead_time=late) for name in names]
    lanes += [Lane(source=f"{name}@works", target="p@works", component=name, lead_time=fixed(1)) for name in names]
    lanes.append(Lane(source="p@works", target="p@shop", component="p", lead_time=fixed(2)))
    return Network(name="seasonal", nodes=tuple(nodes), lanes=tuple(lanes))


def test_the_cheapest_of_three_starts_counts():
    more = optimise(seasonal(), SETTINGS, beta=0.95, simulations=90)
    placed = optimise(seasonal(), SETTINGS, beta=0.95, simulations=30)
    assert placed.start is Start.GUARANTEED_SERVICE
    assert more.start is Start.TODAY
    assert more.holds
    assert more.proposed.cost.high < placed.proposed.cost.low
    assert more.proposed.cost_difference.high < 0


def test_what_is_left_at_most_never_grows_and_what_is_done_is_counted():
    told = []
    found = optimise(split(), SETTINGS, beta=0.97, simulations=40, progress=lambda *news: told.append(news))
    stages = [stage for stage, _, _ in told]
    assert list(dict.fromkeys(stages)) == list(Stage)
    assert [stages.index(stage) for stage in Stage] == sorted(stages.index(stage) for stage in Stage)
    assert told[0] == (Stage.PLACING, 0, None)  # nobody knows yet
    done = [done for _, done, _ in told]
    assert done == sorted(done)
    assert done[-1] == found.simulations * SETTINGS.scenarios
    most = [most for _, _, most in told[1:]]
    assert most == sorted(most, reverse=True)
    assert most[-1] >= done[-1]
    assert most[-1] < most[0]  # it learnt what it could spare


def test_starts_sought_side_by_side_find_what_they_find_one_by_one():
    alone, together = (optimise(seasonal(), SETTINGS, beta=0.95, simulations=90, workers=n) for n in (1, 3))
    assert alone.scales == together.scales
    assert alone.frontier == together.frontier


def test_other_fill_rates_of_large_networks_are_compared_on_the_first_of_the_fresh_scenarios(monkeypatch):
    usual = optimise(split(), SETTINGS, beta=0.97, simulations=22)
    monkeypatch.setattr(plan_frontier, "_MOST_WORK", 1.0)
    few = optimise(split(), SETTINGS, beta=0.97, simulations=22)
    assert (usual.frontier.compared, few.frontier.compared) == (SETTINGS.scenarios, 64)
    assert (few.now, few.proposed) == (usual.now, usual.proposed)  # checked on all
    pairs = zip(usual.frontier.points, few.frontier.points, strict=True)
    others = [(one, other) for one, other in pairs if not one.is_current and not one.is_chosen]
    assert others
    for one, other in others:
        assert other.name == one.name
        assert other != one
        assert other.cost_difference.low < one.cost_difference.mean < other.cost_difference.high


def test_simulations_that_the_other_starts_left_make_the_best_plan_cheaper(monkeypatch):
    polished = optimise(seasonal(), SETTINGS, beta=0.95, simulations=140)
    monkeypatch.setattr(optimising, "_FINER", ())
    once = optimise(seasonal(), SETTINGS, beta=0.95, simulations=140)
    assert once.start is polished.start
    assert polished.holds
    assert polished.proposed.cost.mean < once.proposed.cost.mean
    assert polished.simulations > once.simulations
