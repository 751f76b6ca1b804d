"""Nothing is made of nothing and nothing is lost: per node, lane, component and period, on random networks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import Naive
from test_naive import PERIODS, SEED, networks, outside

from kifabrik.recipes.supply_chain.engine import simulate, trajectories
from kifabrik.recipes.supply_chain.network import Effect
from kifabrik.recipes.supply_chain.results import Settings

CLOSE = {"rtol": 1e-9, "atol": 1e-8}
SETTINGS = Settings(scenarios=1, periods=PERIODS, seed=SEED)
MIXED = {"bills": True, "limits": True, "lots": True, "alternatives": True, "late": 2}
FAMILIES = {
    "no trouble": MIXED,
    "echelon policies": MIXED | {"echelon": True},
    **{
        effect.value: MIXED | {"outages": (effect,)}
        for effect in (
            Effect.ORDERS_PAUSE,
            Effect.SHIPMENTS_PAUSE,
            Effect.RECEIPTS_PAUSE,
            Effect.OUTAGE,
            Effect.LANE_OUTAGE,
            Effect.SUPPLIER_OUTAGE,
            Effect.CAPACITY_LOSS,
        )
    },
}


def groups(network):
    """Lanes into each node that bring the same component."""
    found = {}
    for e, lane in enumerate(network.lanes):
        found.setdefault((lane.target, lane.component), []).append(e)
    return found


def arrived(lane, shipped):
    """Units that have reached the target by the end of each period, of a fixed lead time."""
    before = np.full(round(lane.lead_time.expected()), lane.initial_shipments)
    return np.cumsum(np.concatenate([before, shipped]))[: len(shipped)]


def assert_lanes_lose_nothing(network, course):
    """What arrived is waiting, in store, being made, or was made into what came to stock."""
    number = {node.name: at for at, node in enumerate(network.nodes)}
    for (target, _), lanes in groups(network).items():
        node = network.nodes[number[target]]
        units = network.lanes[lanes[0]].quantity / node.yields
        came = sum(arrived(network.lanes[e], course["lane_shipped"][:, e]) for e in lanes)
        waits = sum(course["lane_waiting"][:, e] for e in lanes)
        made = np.cumsum(course["made"][:, number[target]])
        used = np.roll(made, -node.making_time)[: PERIODS - node.making_time] * units
        kept = (came - waits)[: len(used)] - used
        assert kept.min() > -1e-7
        if len({component for end, component in groups(network) if end == target}) == 1:
            raw = course["raw"][: len(used), number[target]]
            np.testing.assert_allclose(kept, raw, **CLOSE)


def assert_nodes_lose_nothing(network, course):
    """Stock is what was there and was made, less what left; what is asked for is shipped, owed or lost."""
    for at, node in enumerate(network.nodes):
        out = [e for e, lane in enumerate(network.lanes) if lane.source == node.name]
        left = course["outside_shipped"][:, at] + sum(course["lane_shipped"][:, e] for e in out)
        aside = sum(course["lane_aside"][:, e] for e in out) + np.zeros(PERIODS)
        owed = course["outside_owed"][:, at] + sum(course["lane_backorder"][:, e] for e in out)
        on_hand = course["inventory_level"][:, at] + owed
        assert on_hand.min() > -1e-7
        made = Naive.start(node) + np.cumsum(course["made"][:, at])
        np.testing.assert_allclose(on_hand, made - np.cumsum(left) - aside, **CLOSE)
        asked, met = np.cumsum(course["demand"][:, at]), np.cumsum(left) + aside + owed
        lost = np.diff(asked - met, prepend=0.0)
        most = (1 - node.backorder_share) * course["demand"][:, at]
        assert lost.min() > -1e-7
        assert (lost <= most + 1e-7).all()


def assert_orders_reach_their_source(network, course, demands):
    """What a node is asked for is what its customers ordered, in its own units, once the orders' time is over."""
    number = {node.name: at for at, node in enumerate(network.nodes)}
    for node in network.nodes:
        asked = np.array(demands.get(node.name, np.zeros(PERIODS)))
        out = [e for e, lane in enumerate(network.lanes) if lane.source == node.name]
        alone = [lanes[0] for lanes in groups(network).values() if len(lanes) == 1]
        lanes = [network.lanes[e] for e in out]
        if any(e not in alone or lane.capacity < np.inf or lane.lot for e, lane in zip(out, lanes, strict=True)):
            continue
        for lane in lanes:
            target = network.nodes[number[lane.target]]
            ordered = course["order"][:, number[lane.target]] * lane.quantity / target.yields
            before = np.full(lane.order_time, lane.initial_orders)
            asked = asked + np.concatenate([before, ordered])[:PERIODS]
        np.testing.assert_allclose(course["demand"][:, number[node.name]], asked, **CLOSE)


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_made_of_nothing_and_nothing_is_lost(family):
    @settings(max_examples=30, derandomize=True)
    @given(networks(**FAMILIES[family]), st.integers(0, 2**16))
    def check(network, seed):
        demands = outside(network, np.random.default_rng(seed))
        course = trajectories(network, PERIODS, demands, {}, settings=SETTINGS)
        for what in ("order", "demand", "made", "met", "outside_shipped", "outside_owed", "lane_shipped", "raw"):
            assert course[what].min() > -1e-7, what
        assert_lanes_lose_nothing(network, course)
        assert_nodes_lose_nothing(network, course)
        assert_orders_reach_their_source(network, course, demands)

    check()


@pytest.mark.parametrize("family", FAMILIES)
def test_totals_of_a_study_are_sums_of_its_periods(family):
    @settings(max_examples=20, derandomize=True)
    @given(networks(**FAMILIES[family]))
    def check(network):
        course = trajectories(network, PERIODS, {}, {}, settings=SETTINGS)
        found = simulate(network, SETTINGS, workers=1, precision="double")
        for what in ("demand", "made", "met"):
            np.testing.assert_allclose(found.nodes[what], course[what].mean(axis=0), **CLOSE)
        outside_demand = sum(
            course["outside_shipped"][:, at].sum() + course["outside_owed"][-1, at]
            for at, node in enumerate(network.nodes)
            if node.demand
        )
        assert found.scenarios["demand"][0] == pytest.approx(outside_demand + found.scenarios["lost"][0])

    check()
