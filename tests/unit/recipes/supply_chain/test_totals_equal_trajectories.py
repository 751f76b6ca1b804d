"""Totals of a study against the sum over one scenario's periods, which the simulator books in another way."""

import numpy as np
import pytest

from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.engine import simulate, trajectories
from kifabrik.recipes.supply_chain.network import (
    Allocation,
    Demand,
    Disruption,
    Effect,
    Lane,
    Network,
    Node,
    Policy,
    Rule,
    Semantics,
)
from kifabrik.recipes.supply_chain.results import Settings

PERIODS = 40
MONEY = {
    "holding": "holding_cost", "in_transit": "in_transit_cost", "stockout": "stockout_cost", "revenue": "revenue",
}  # fmt: skip
PAUSES = (Effect.ORDERS_PAUSE, Effect.SHIPMENTS_PAUSE, Effect.TRANSIT_PAUSE, Effect.RECEIPTS_PAUSE)


def drawn_network(luck, effects, *, random_lead_times=True):
    """A random network; each node of it may be hit by one of the effects."""
    count = int(luck.integers(2, 7))
    nodes = [node(luck, number, is_last=number == count - 1) for number in range(count)]
    lanes = []
    for number in range(count):
        before = [x for x in range(number) if luck.random() < 0.4 or x == number - 1]
        lanes += [lane(luck, nodes[x].name, nodes[number].name, random=random_lead_times) for x in before]
        if not before:
            lanes.append(lane(luck, "", nodes[number].name, random=random_lead_times))
    troubles = [
        Disruption(name=f"{effect} {each.product}", effect=effect, target=each.name, probability=0.2, recovery=0.4)
        for each in nodes
        for effect in effects
        if luck.random() < 0.6
    ]
    semantics = Semantics.STOCKPYL if luck.random() < 0.5 else Semantics.KIFABRIK
    return Network(
        name="drawn", nodes=tuple(nodes), lanes=tuple(lanes), disruptions=tuple(troubles), semantics=semantics
    )


def node(luck, number, *, is_last):
    level = float(luck.uniform(30, 160))
    return Node(
        product=f"p{number}",
        site="s",
        policy=Policy(
            rule=luck.choice([Rule.BASE_STOCK, Rule.MIN_MAX, Rule.FIXED_LOT, Rule.ECHELON_BASE_STOCK]),
            level=level,
            reorder_point=level / 2,
            quantity=45.5,
        ),
        demand=Demand(each=Distribution(kind=Kind.NORMAL, mean=20, sd=6))
        if is_last or luck.random() < 0.3
        else None,
        allocation=luck.choice(list(Allocation)),
        initial_stock=float(luck.uniform(0, 60)) if luck.random() < 0.5 else None,
        holding_cost=float(luck.integers(1, 9)),
        in_transit_cost=float(luck.integers(0, 5)) if luck.random() < 0.5 else None,
        stockout_cost=float(luck.integers(5, 50)),
        price=float(luck.integers(0, 5)),
        making_time=int(luck.integers(0, 2)),
    )


def lane(luck, source, target, *, random):
    values = tuple(float(x) for x in sorted(luck.choice(5, size=2, replace=False)))
    lead = Distribution(kind=Kind.EMPIRICAL, values=values, weights=(0.7, 0.3))
    return Lane(
        source=source,
        target=target,
        component=source or "raw",
        quantity=float(luck.integers(1, 3)),
        order_time=int(luck.integers(0, 3)),
        lead_time=lead if random and luck.random() < 0.4 else fixed(int(luck.integers(0, 4))),
        crossing=bool(luck.random() < 0.5),
        in_transit_cost=float(luck.integers(1, 9)) if source and luck.random() < 0.3 else None,
        initial_shipments=float(luck.uniform(0, 15)) if luck.random() < 0.3 else 0.0,
        initial_orders=float(luck.uniform(0, 15)) if luck.random() < 0.3 else 0.0,
    )


def assert_books_agree(network, settings):
    course = trajectories(network, settings.periods, {}, {}, settings=settings)
    total = simulate(network, settings, workers=1, precision="double").scenarios
    for name, by_period in MONEY.items():
        counted = course[by_period][settings.warm_up :].sum()
        assert total[name][0] == pytest.approx(counted, rel=1e-9, abs=1e-6), name


@pytest.mark.parametrize("warm_up", [0, 11])
@pytest.mark.parametrize("seed", range(8))
def test_what_lanes_ship_is_what_they_ship_in_each_period(seed, warm_up):
    # most lanes have no books of their own: what they ship follows from what is made, raw and under way
    network = drawn_network(np.random.default_rng(300 + seed), [Effect.TRANSIT_PAUSE] if seed % 2 else [])
    settings = Settings(scenarios=1, periods=PERIODS, seed=seed, warm_up=warm_up)
    course = trajectories(network, PERIODS, {}, {}, settings=settings)
    found = simulate(network, settings, precision="double").lanes
    # stockpyl's outside suppliers never ship what was ordered before the start
    inner = [bool(each.source) or network.semantics is Semantics.KIFABRIK for each in network.lanes]
    shipped, under_way = (course[name][warm_up:].mean(axis=0) for name in ("lane_shipped", "lane_under_way"))
    np.testing.assert_allclose(found["shipped"][inner], shipped[inner], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found["in_transit"][inner], under_way[inner], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("effect", [None, *PAUSES, Effect.OUTAGE, Effect.STOCK_LOSS])
@pytest.mark.parametrize("seed", range(12))
def test_a_study_charges_what_its_periods_charge(effect, seed):
    network = drawn_network(np.random.default_rng(seed), [effect] if effect else [])
    assert_books_agree(network, Settings(scenarios=1, periods=PERIODS, seed=5 + seed))


@pytest.mark.parametrize("seed", range(12))
def test_a_study_charges_what_its_periods_charge_when_all_troubles_meet(seed):
    network = drawn_network(np.random.default_rng(100 + seed), PAUSES)
    assert_books_agree(network, Settings(scenarios=1, periods=PERIODS, seed=5 + seed))


@pytest.mark.parametrize("seed", range(12))
def test_what_left_during_the_warm_up_is_charged_for_the_periods_counted(seed):
    network = drawn_network(np.random.default_rng(200 + seed), [Effect.TRANSIT_PAUSE] if seed % 2 else [])
    assert_books_agree(network, Settings(scenarios=1, periods=PERIODS, seed=5 + seed, warm_up=int(10 + seed)))


def test_set_aside_goods_are_charged_at_their_source_and_waiting_ones_at_their_target():
    for effect, who in ((Effect.SHIPMENTS_PAUSE, 0), (Effect.RECEIPTS_PAUSE, 1)):
        network = two_nodes(effect)
        settings = Settings(scenarios=1, periods=6)
        calm = simulate(Network(name="calm", nodes=network.nodes, lanes=network.lanes), settings)
        found = simulate(network, settings)
        # ten units a period do not come in periods 2 and 3: 10 + 20 unit-periods at 2 each; the buyer lacks them
        elsewhere = (found.nodes["cost"] - calm.nodes["cost"])[who] * 6
        buyer = (found.nodes["on_hand"] - calm.nodes["on_hand"])[1] * 6 * 3
        assert elsewhere - (buyer if who == 1 else 0) == pytest.approx(60)


def two_nodes(effect):
    nodes = (
        Node(product="a", site="s", policy=Policy(level=10), holding_cost=2),
        Node(product="b", site="s", policy=Policy(level=50), demand=Demand(each=fixed(10.0)), holding_cost=3),
    )
    lanes = (
        Lane(source="", target="a@s", component="x"),
        Lane(source="a@s", target="b@s", component="a"),
    )
    out = Disruption(name="out", effect=effect, target="b@s", start=2, duration=2)
    return Network(name="two", nodes=nodes, lanes=lanes, disruptions=(out,))


@pytest.mark.parametrize("seed", range(6))
def test_shipments_that_may_not_overtake_do_not_after_a_standstill(seed):
    lead = Distribution(kind=Kind.EMPIRICAL, values=(1.0, 4.0), weights=(0.5, 0.5))
    demand = Demand(each=Distribution(kind=Kind.NORMAL, mean=20, sd=6))
    network = Network(
        name="one",
        nodes=(
            Node(product="a", site="s", policy=Policy(level=1e5)),
            Node(product="b", site="s", policy=Policy(level=200), demand=demand),
        ),
        lanes=(
            Lane(source="", target="a@s", component="x"),
            Lane(source="a@s", target="b@s", component="a", lead_time=lead, crossing=False),
        ),
        disruptions=(
            Disruption(name="still", effect=Effect.TRANSIT_PAUSE, target="b@s", probability=0.2, recovery=0.4),
        ),
    )
    course = trajectories(network, PERIODS, {}, {}, settings=Settings(scenarios=1, periods=PERIODS, seed=seed))
    shipped, came = course["lane_shipped"][:, 1], course["made"][:, 1]
    sent, received = np.cumsum(shipped), np.cumsum(came)
    # in order: what has come is always all that left until some period, whole shipments
    assert all(np.isclose(sent, x).any() or x == 0 for x in received)
    np.testing.assert_allclose(course["lane_under_way"][:, 1], sent - received, atol=1e-9)
