import numba
import numpy as np
import pytest

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain import luck
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.engine import simulate, trajectories
from kifabrik.recipes.supply_chain.network import Disruption, Effect, Lane, Network, Node, Policy, Rule
from kifabrik.recipes.supply_chain.results import Settings


def shop(each, *, level=50.0, lead=0, policy=None, **node):
    return Network(
        name="shop",
        nodes=(Node(product="p", site="s", policy=policy or Policy(level=level), demand=_demand(each), **node),),
        lanes=(Lane(source="", target="p@s", component="p", supplier="maker", lead_time=fixed(lead)),),
    )


def _demand(each):
    from kifabrik.recipes.supply_chain.network import Demand

    return Demand(each=each)


@pytest.mark.parametrize(
    ("key", "count", "wanted"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_random_numbers_are_those_published_with_random123(key, count, wanted):
    threefry = luck.threefry

    @numba.njit
    def draw(a, b, c, d):
        return threefry(a, b, c, d)

    assert draw(*map(np.uint32, (*key, *count))) == wanted


def test_the_newsvendor_costs_what_theory_says():
    # Snyder and Shen, Fundamentals of Supply Chain Theory (2nd ed.), example 4.1: S 56.604 costs 1.9976 a period
    each = Distribution(kind=Kind.NORMAL, mean=50, sd=8)
    network = shop(each, level=56.604, lead=1, holding_cost=0.18, stockout_cost=0.70)
    found = simulate(network, Settings(scenarios=2048, periods=200))
    mean, low, high = (figure / 200 for figure in found.interval("cost", 0.999))
    assert low <= 1.9976 <= high
    assert high - low < 0.02
    assert mean == pytest.approx(1.9976, rel=0.005)


@pytest.mark.parametrize(
    "each",
    [
        Distribution(kind=Kind.NORMAL, mean=50, sd=8),
        Distribution(kind=Kind.POISSON, mean=3.5),
        Distribution(kind=Kind.POISSON, mean=50_000),
        Distribution(kind=Kind.NEGATIVE_BINOMIAL, mean=6, sd=4),
        Distribution(kind=Kind.GAMMA, mean=20, sd=15),
        Distribution(kind=Kind.LOGNORMAL, mean=20, sd=10),
        Distribution(kind=Kind.UNIFORM, values=(3.0, 9.0)),
        Distribution(kind=Kind.INTERMITTENT, chance=0.2, mean=30, sd=10),
        Distribution(kind=Kind.EMPIRICAL, values=(0.0, 2.0, 10.0), weights=(0.5, 0.3, 0.2)),
    ],
    ids=lambda each: f"{each.kind}-{each.mean:g}",
)
def test_drawn_demand_has_the_moments_of_its_distribution(each):
    found = simulate(shop(each, level=1e7), Settings(scenarios=4096, periods=64), precision="double")
    demand = found.scenarios["demand"] / 64
    assert demand.mean() == pytest.approx(each.expected(), abs=5 * each.deviation() / 512)
    assert demand.std() * 8 == pytest.approx(each.deviation(), rel=0.06)


def test_results_depend_neither_on_workers_nor_on_how_a_study_is_cut():
    network = shop(Distribution(kind=Kind.GAMMA, mean=20, sd=9), level=70, lead=2, holding_cost=1, stockout_cost=5)
    whole = simulate(network, Settings(scenarios=160, periods=50), workers=1)
    again = simulate(network, Settings(scenarios=160, periods=50), workers=2)
    first = simulate(network, Settings(scenarios=96, periods=50))
    rest = simulate(network, Settings(scenarios=64, periods=50, first=96))
    for name, values in whole.scenarios.items():
        assert np.array_equal(values, again.scenarios[name])
        assert np.array_equal(values, np.concatenate([first.scenarios[name], rest.scenarios[name]]))
    for name, values in whole.nodes.items():
        assert np.array_equal(values, again.nodes[name], equal_nan=True)


def test_a_sale_that_nobody_waits_for_is_lost():
    network = shop(fixed(10.0), level=6, lead=1, backorder_share=0.25, lost_sale_cost=2, price=1)
    course = trajectories(network, 4, {}, {})
    # 6 of 10 at once; of the 4 missing one waits, three are lost; the order brings 6 and what is owed
    assert course["outside_shipped"][0, 0] == 6
    assert course["outside_owed"][0, 0] == 1
    found = simulate(network, Settings(scenarios=1, periods=4), precision="double")
    asked, shipped = found.scenarios["demand"][0], found.scenarios["revenue"][0]
    assert asked == shipped + found.scenarios["lost"][0] + course["outside_owed"][-1, 0]


def test_several_lots_are_ordered_where_one_would_not_do():
    policy = Policy(rule=Rule.FIXED_LOT, reorder_point=5, quantity=4)
    course = trajectories(shop(fixed(13.0), policy=policy, initial_stock=10.0), 3, {}, {})
    assert course["order"][0, 0] == 12  # from -3 to 9, the first position above 5


def test_an_outage_stops_what_a_supplier_ships_and_nothing_is_lost():
    network = shop(fixed(5.0), level=5)
    out = Disruption(name="fire", effect=Effect.SUPPLIER_OUTAGE, target="maker", start=2, duration=3)
    network = Network(name="shop", nodes=network.nodes, lanes=network.lanes, disruptions=(out,))
    course = trajectories(network, 10, {}, {})
    assert course["outside_owed"][:, 0].tolist() == [0, 0, 0, 5, 10, 0, 0, 0, 0, 0]
    assert course["outside_shipped"].sum() == 50


def test_a_disruption_of_nothing_is_refused():
    out = Disruption(name="fire", effect=Effect.OUTAGE, target="q@s", start=2, duration=3)
    network = shop(fixed(5.0), level=5)
    with pytest.raises(UsageError, match="fire is to hit q@s"):
        simulate(
            Network(name="shop", nodes=network.nodes, lanes=network.lanes, disruptions=(out,)),
            Settings(scenarios=1, periods=2),
        )


def test_what_was_under_way_before_the_start_is_charged():
    nodes = (
        Node(product="a", site="s", policy=Policy(level=30), holding_cost=2),
        Node(product="b", site="s", policy=Policy(level=40), demand=_demand(fixed(10.0)), holding_cost=3),
    )
    lanes = (
        Lane(source="", target="a@s", component="x"),
        Lane(source="a@s", target="b@s", component="a", lead_time=fixed(3), initial_shipments=7),
    )
    network = Network(name="two", nodes=nodes, lanes=lanes)
    course = trajectories(network, 12, {}, {})
    found = simulate(network, Settings(scenarios=1, periods=12), precision="double")
    assert found.scenarios["in_transit"][0] == pytest.approx(course["in_transit_cost"].sum(), rel=1e-12)
