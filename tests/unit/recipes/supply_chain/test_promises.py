"""What docs/supply-chain.md and `network.py` promise, each promise in a case small enough to do by hand."""

from dataclasses import replace

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
)
from kifabrik.recipes.supply_chain.results import Settings


def node(name, *, asks=False, **told):
    return Node(product=name, site="s", demand=Demand(each=fixed(1)) if asks else None, **told)


def lane(source, target, **told):
    told = {"supplier": "" if source else "maker", **told}
    return Lane(source=source and f"{source}@s", target=f"{target}@s", component=source or "raw", **told)


def dated(effect, target, start, duration=1, share=1.0):
    name = f"{effect} {start} {share}"
    return Disruption(name=name, effect=effect, target=target, start=start, duration=duration, share=share)


def course(nodes, lanes, troubles=(), periods=8, **demands):
    network = Network(name="small", nodes=tuple(nodes), lanes=tuple(lanes), disruptions=tuple(troubles))
    asked = {f"{name}@s": np.broadcast_to(np.array(values, float), periods) for name, values in demands.items()}
    found = trajectories(network, periods, asked, {})
    return {what: values[:, 0] if values.shape[1] == 1 else values for what, values in found.items() if values.size}


def test_of_two_capacity_losses_only_those_that_are_there_count():
    troubles = [
        dated(Effect.CAPACITY_LOSS, "a@s", 1, 3, share=1.0),
        dated(Effect.CAPACITY_LOSS, "a@s", 3, 3, share=0.5),
    ]
    found = course([node("a", asks=True, making_capacity=8.0)], [lane("", "a")], troubles, a=9)
    np.testing.assert_allclose(found["made"], [8, 0, 0, 0, 4, 4, 8, 8])


def test_an_echelon_position_does_not_count_orders_inside():
    # the shop's lot of 50 leaves the echelon as it was; only what customers took is replaced
    policies = {
        "depot": Policy(rule=Rule.ECHELON_BASE_STOCK, level=100.0),
        "shop": Policy(rule=Rule.FIXED_LOT, reorder_point=10.0, quantity=50.0),
    }
    nodes = [
        node("depot", policy=policies["depot"], initial_stock=60.0),
        node("shop", policy=policies["shop"], initial_stock=40.0, asks=True),
    ]
    found = course(nodes, [lane("", "depot"), lane("depot", "shop")], shop=8)
    np.testing.assert_allclose(found["order"][:, 1], [0, 0, 0, 50, 0, 0, 0, 0])
    np.testing.assert_allclose(found["order"][:, 0], 8)


def test_an_echelon_position_counts_components_in_store_downstream():
    # the other component never comes: what is sent waits in store, and is not ordered again
    nodes = [
        node("depot", policy=Policy(rule=Rule.ECHELON_BASE_STOCK, level=30.0), initial_stock=30.0),
        node("shop", policy=Policy(level=10.0), initial_stock=0.0, asks=True),
    ]
    lanes = [lane("", "depot"), lane("depot", "shop"), lane("", "shop", lead_time=fixed(20))]
    found = course(nodes, lanes, shop=0)
    np.testing.assert_allclose(found["raw"][:, 1], 10)
    np.testing.assert_allclose(found["order"][:, 0], 0)


def test_of_a_component_from_two_depots_a_unit_holds_one():
    plant = node("plant", policy=Policy(rule=Rule.ECHELON_BASE_STOCK, level=100.0), initial_stock=80.0)
    depots = [node(name, policy=Policy(level=0.0)) for name in ("east", "west")]
    shop = node("shop", policy=Policy(level=20.0), initial_stock=20.0, asks=True)
    lanes = [lane("", "plant"), *(lane("plant", name) for name in ("east", "west"))]
    ways = [Lane(source=f"{name}@s", target="shop@s", component="c", quota=1.0) for name in ("east", "west")]
    found = course([plant, *depots, shop], [*lanes, *ways], shop=6)
    np.testing.assert_allclose(found["order"][:, 0], 6)


def test_lost_stock_is_gone_before_customers_come():
    troubles = [dated(Effect.STOCK_LOSS, "a@s", 0, share=0.5)]
    found = course([node("a", asks=True, initial_stock=10.0)], [lane("", "a", lead_time=fixed(9))], troubles, a=4)
    np.testing.assert_allclose(found["on_hand"], [1, 0, 0, 0, 0, 0, 0, 0])


def test_each_loss_of_stock_takes_its_share_of_what_is_left():
    troubles = [dated(Effect.STOCK_LOSS, "a@s", 2, share=0.5), dated(Effect.STOCK_LOSS, "*@s", 2, 3, share=0.1)]
    given = {name: np.arange(8) == 2 for name in (trouble.name for trouble in troubles)}
    network = Network(
        name="small",
        nodes=(node("a", policy=Policy(level=-1e9), initial_stock=100.0),),
        lanes=(lane("", "a"),),
        disruptions=tuple(troubles),
    )
    for disrupted in ({}, given):
        found = trajectories(network, 8, {}, disrupted)["on_hand"][:, 0]
        np.testing.assert_allclose(found, [100, 100, 45, 45, 45, 45, 45, 45])


def test_the_first_stock_of_a_fixed_lot_is_as_many_lots_as_it_takes():
    policy = Policy(rule=Rule.FIXED_LOT, reorder_point=5.0, quantity=4.0)
    found = course([node("a", policy=policy)], [lane("", "a")], a=0)
    np.testing.assert_allclose(found["on_hand"], 8)
    np.testing.assert_allclose(found["order"], 0)


def test_an_order_is_no_smaller_than_the_minimum_and_a_multiple_of_the_lot():
    policy = Policy(level=3.0, minimum=15.0, lot=10.0)
    found = course([node("a", policy=policy, initial_stock=0.0)], [lane("", "a", lead_time=fixed(5))], a=0)
    np.testing.assert_allclose(found["order"], [20, 0, 0, 0, 0, 0, 0, 0])


def test_an_order_waits_for_a_supplier_who_is_out_when_it_comes():
    troubles = [dated(Effect.SUPPLIER_OUTAGE, "maker", 2, 3)]
    ways = [lane("", "a", order_time=2, initial_orders=1.0)]
    found = course([node("a", asks=True, initial_stock=0.0)], ways, troubles, a=[4, 5, 6, 0, 0, 0, 0, 0])
    np.testing.assert_allclose(found["lane_shipped"], [1, 1, 0, 0, 0, 15 - 2, 0, 0])


def test_what_is_set_aside_is_met_and_outside_suppliers_pause_too():
    nodes = [
        node("a", policy=Policy(level=20.0)),
        node("b", policy=Policy(level=5.0), asks=True),
    ]
    ways = [lane("", "a"), lane("a", "b"), lane("", "b")]
    found = course(nodes, ways, [dated(Effect.SHIPMENTS_PAUSE, "b@s", 1, 2)], b=3)
    np.testing.assert_allclose(found["met"][:, 0], 3)
    np.testing.assert_allclose(found["lane_shipped"][:, 2], [3, 0, 0, 9, 3, 3, 3, 3])


def test_who_cannot_be_reached_keeps_nothing_from_the_others():
    nodes = [
        node("depot", policy=Policy(level=0.0), initial_stock=10.0, allocation=Allocation.PROPORTIONAL),
        *(node(name, policy=Policy(level=10.0), initial_stock=0.0) for name in ("near", "far")),
    ]
    lanes = [lane("", "depot", lead_time=fixed(9)), lane("depot", "near"), lane("depot", "far")]
    found = course(nodes, lanes, [dated(Effect.LANE_OUTAGE, "depot@s → far@s", 0, 9)])
    np.testing.assert_allclose(found["lane_shipped"][:, 1], [10, 0, 0, 0, 0, 0, 0, 0])


def test_a_shipment_of_nothing_holds_nothing_up():
    drawn = Distribution(kind=Kind.EMPIRICAL, values=(1.0, 6.0), weights=(0.5, 0.5))
    policy = Policy(rule=Rule.FIXED_QUANTITY, quantity=1.0, review=8)
    ways = [lane("", "a", lead_time=drawn, crossing=crossing, mode="m") for crossing in (True, False)]
    came = [course([node("a", policy=policy)], [way], periods=40)["made"] for way in ways]
    np.testing.assert_allclose(*came)


def test_the_course_of_the_value_of_stock_has_what_a_blocked_node_holds():
    out = (dated(Effect.OUTAGE, "a@s", 2, 3),)
    a = node("a", asks=True, initial_stock=10.0, value=2.0)
    network = Network(name="small", nodes=(a,), lanes=(lane("", "a", lead_time=fixed(20)),), disruptions=out)
    found = simulate(network, Settings(scenarios=1, periods=8), watch=("a@s",)).courses
    np.testing.assert_allclose(found["stock_value"][:, 0], [18, 16, 16, 16, 16, 8, 6, 4])
    np.testing.assert_allclose(found["on_hand a@s"][:, 0], [9, 8, 8, 8, 8, 4, 3, 2])
    np.testing.assert_allclose(found["backlog a@s"][:, 0], [0, 0, 1, 2, 3, 0, 0, 0])


@pytest.mark.parametrize("effect", [None, Effect.SUPPLIER_OUTAGE])
def test_what_an_outside_supplier_ships_counts_when_it_leaves(effect):
    troubles = [dated(effect, "maker", 100)] if effect else []
    a = node("a", asks=True, initial_stock=0.0)
    ways = (lane("", "a", order_time=3, lead_time=fixed(2), initial_orders=5.0, unit_cost=1.0),)
    network = Network(name="small", nodes=(a,), lanes=ways, disruptions=tuple(troubles))
    found = simulate(network, Settings(scenarios=1, periods=8, warm_up=1))
    # three fives leave in periods 0, 1 and 2, the last two of them while it counts; more is not ordered
    assert found.scenarios["transport"][0] == pytest.approx(10)
    assert found.lanes["shipped"][0] * 7 == pytest.approx(10)


@pytest.mark.parametrize("precision", ["single", "double"])
def test_orders_on_a_lane_are_charged_and_rounding_orders_nothing(precision):
    # a shop of thirds, asked for every third period; what rounding leaves of its position is no order
    a = node("a", policy=Policy(level=100 / 3, minimum=1 / 7), order_cost=1.0)
    demand = Demand(each=fixed(10 / 3), factors=(1.0, 0.0, 0.0))
    ways = (lane("", "a", order_cost=7.0), lane("", "a", supplier="other", order_cost=50.0, rank=1))
    network = Network(name="small", nodes=(replace(a, demand=demand),), lanes=ways)
    found = simulate(network, Settings(scenarios=1, periods=90, warm_up=9), precision=precision)
    assert found.scenarios["ordering"][0] == pytest.approx(27 * (7 + 1))
    assert found.nodes["cost"][0] * 81 == pytest.approx(27 * 8)
    np.testing.assert_allclose(found.lanes["cost"] * 81, [27 * 7, 0])
