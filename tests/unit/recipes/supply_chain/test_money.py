"""What a study charges and counts, against the naive simulator's units and the prices of `network.py`.

Demand is certain here: a season as long as the study, drawn beforehand.
"""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import Naive
from test_naive import PERIODS, SEED, drawn_leads, networks, outside

from kifabrik.recipes.supply_chain.distributions import fixed
from kifabrik.recipes.supply_chain.engine import simulate
from kifabrik.recipes.supply_chain.network import Demand, Effect
from kifabrik.recipes.supply_chain.results import Settings

MIXED = {"bills": True, "limits": True, "lots": True, "alternatives": True, "late": 2}
FAMILIES = {
    "no trouble": MIXED,
    "random lead times": {"random": True, "late": 2, "alternatives": True},
    "all troubles": MIXED | {"outages": tuple(Effect), "echelon": True},
}


def priced(network, luck, demands):
    """The same network with a price on everything, some of them nothing."""

    def price():
        return float(luck.integers(0, 4))

    def maybe():
        return price() if luck.random() < 0.5 else None

    nodes = [
        replace(
            node,
            demand=node.demand and Demand(each=fixed(1.0), factors=tuple(demands[node.name])),
            holding_cost=price(), in_transit_cost=maybe(), stockout_cost=price(), lost_sale_cost=price(),
            order_cost=price(), price=price(), value=price(),
        )
        for node in network.nodes
    ]  # fmt: skip
    lanes = [
        replace(lane, unit_cost=price(), order_cost=price(), in_transit_cost=maybe()) for lane in network.lanes
    ]
    return replace(network, nodes=tuple(nodes), lanes=tuple(lanes))


def charged(network, books, warm_up):
    """Money and units of a study, from where the naive simulator has every unit."""
    nodes, lanes = network.nodes, network.lanes
    sums = {what: values[warm_up:].sum(axis=0) for what, values in books.items()}
    number = {node.name: at for at, node in enumerate(nodes)}

    def of_nodes(name, values):
        return sum(getattr(node, name) * value for node, value in zip(nodes, values, strict=True))

    def usual(lane, name):
        return getattr(nodes[number[lane.source]], name) if lane.source else 0.0

    transit, elsewhere, moving = 0.0, 0.0, np.zeros(len(nodes))
    for e, lane in enumerate(lanes):
        rate = usual(lane, "holding_cost")
        if lane.source and nodes[number[lane.source]].in_transit_cost is not None:
            rate = nodes[number[lane.source]].in_transit_cost
        rate = rate if lane.in_transit_cost is None else lane.in_transit_cost
        transit += rate * sums["lane_under_way"][e]
        elsewhere += usual(lane, "holding_cost") * (sums["lane_aside"][e] + sums["lane_waiting"][e])
        if lane.source:
            moving[number[lane.source]] += sums["lane_under_way"][e]
    counted = PERIODS - warm_up
    asks = [at for at, node in enumerate(nodes) if node.demand]
    short = books["met"] * 1.00001 < books["demand"]
    return {
        "holding": of_nodes("holding_cost", sums["on_hand"]) + elsewhere + sums["raw_cost"].sum(),
        "in_transit": transit,
        "stockout": of_nodes("stockout_cost", sums["owed"]),
        "lost_sales": of_nodes("lost_sale_cost", sums["lost"]),
        "ordering": of_nodes("order_cost", (books["order"] > 1e-9)[warm_up:].sum(axis=0))
        + sum(lane.order_cost * (books["lane_order"] > 1e-9)[warm_up:, e].sum() for e, lane in enumerate(lanes)),
        "transport": sum(lane.unit_cost * sums["lane_shipped"][e] for e, lane in enumerate(lanes)),
        "revenue": of_nodes("price", sums["outside_shipped"]),
        "lost": sums["lost"].sum(),
        "stock_value": of_nodes("value", sums["on_hand"] + moving) / counted,
        "backlog": sums["owed"][asks].sum() / counted,
        "alpha": 1 - short[warm_up:, asks].sum() / (len(asks) * counted),
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_a_study_charges_for_every_unit_where_it_is(family):
    @settings(max_examples=20, deadline=None, derandomize=True)
    @given(networks(**FAMILIES[family]), st.integers(0, 2**16), st.sampled_from([0, 7]))
    def check(network, seed, warm_up):
        assert_charged(network, seed, warm_up)

    check()


def assert_charged(network, seed, warm_up):
    luck = np.random.default_rng(seed)
    demands = outside(network, luck)
    network = priced(network, luck, demands)
    books = Naive(network, demands, drawn_leads(network)).run(PERIODS)
    wanted = charged(network, books, warm_up)
    study = Settings(scenarios=1, periods=PERIODS, warm_up=warm_up, seed=SEED)
    found = simulate(network, study, workers=1, precision="double")
    for what, value in wanted.items():
        assert found.scenarios[what][0] == pytest.approx(value, rel=1e-9, abs=1e-7), what
    whole = sum(
        found.scenarios[part][0] for part in ("holding", "in_transit", "stockout", "lost_sales", "ordering")
    )
    whole += found.scenarios["transport"][0]
    assert found.scenarios["cost"][0] == pytest.approx(whole)
    assert found.nodes["cost"].sum() * (PERIODS - warm_up) == pytest.approx(whole, rel=1e-9, abs=1e-6)
    np.testing.assert_allclose(found.lanes["shipped"], books["lane_shipped"][warm_up:].mean(axis=0), atol=1e-9)
