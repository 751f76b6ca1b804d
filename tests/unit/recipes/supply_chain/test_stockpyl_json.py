"""Files of stockpyl, good and broken."""

import copy
import json

import numpy as np
import pytest
from scipy import stats

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.distributions import Kind
from kifabrik.recipes.supply_chain.engine import simulate
from kifabrik.recipes.supply_chain.network import Effect
from kifabrik.recipes.supply_chain.results import Settings
from kifabrik.recipes.supply_chain.stockpyl_json import from_dict, read
from kifabrik.recipes.supply_chain.tables import read_network
from kifabrik.recipes.supply_chain.tables.write import write_tables


def network(**demand):
    """Node 2 supplies node 1."""

    def node(index, before, after, level, **more):
        return {
            "_index": index,
            "name": None,
            "_product_indices": [-index],
            "_predecessor_indices": before,
            "_successor_indices": after,
            "local_holding_cost": 1,
            "stockout_cost": None,
            "shipment_lead_time": 1,
            "order_lead_time": None,
            "supply_type": None if before else "U",
            "_inventory_policy": {"type": "BS", "base_stock_level": level, "dict_type": "singleton_attribute"},
            "disruption_process": {"random_process_type": None, "dict_type": "singleton_attribute"},
            **more,
        }

    asks = {"type": "N", "mean": 5, "standard_deviation": 1, "dict_type": "singleton_attribute"} | demand
    products = [{"_index": -1, "_bill_of_materials": {}}, {"_index": -2, "_bill_of_materials": {}}]
    return {"_nodes": [node(2, [], [1], 20), node(1, [2], [], 10, demand_source=asks)], "_products": products}


def demand(**more):
    return lambda data: data["_nodes"][1]["demand_source"].update(more)


def node(at, **more):
    return lambda data: data["_nodes"][at].update(more)


def policy(**more):
    return lambda data: data["_nodes"][0]["_inventory_policy"].update(more)


def disruption(**more):
    return lambda data: data["_nodes"][0]["disruption_process"].update(more)


BROKEN = {
    "lists of unequal length": (
        demand(type="CD", demand_list=[1, 2], probabilities=[1]),
        "Node 1: the demand list has 2 entries and the probabilities have 1",
    ),
    "chances that do not add up": (
        demand(type="CD", demand_list=[1, 2], probabilities=[0.5, 0.4]),
        "Node 1: the probabilities add up to 0.9, not to 1",
    ),
    "a custom demand without list": (demand(type="CD"), "Node 1: the demand list is missing"),
    "negative binomial, no n": (demand(type="NB", p=0.5), "Node 1: the n is missing"),
    "negative binomial, p 0": (demand(type="NB", n=3, p=0), "Node 1: the p 0 must be above zero"),
    "negative binomial, p 2": (demand(type="NB", n=3, p=2), "Node 1: the p 2 is not between 0 and 1"),
    "lo above hi": (demand(type="UD", lo=5, hi=1), "Node 1: the lo 5 is above the hi 1"),
    "lo below zero": (demand(type="UC", lo=-5, hi=1), "Node 1: the lo -5 is below zero"),
    "a wide range": (demand(type="UD", lo=0, hi=10**7), "takes 10000001 whole numbers; at most 100000"),
    "text as mean": (demand(mean="x"), "Node 1: the mean 'x' is not a number"),
    "true as mean": (demand(mean=True), "Node 1: the mean True is not a number"),
    "no mean": (demand(mean=None), "Node 1: the mean is missing"),
    "infinite mean": (demand(mean=float("inf")), "Node 1: the mean inf is not a number"),
    "a mean below zero": (demand(mean=-3), "Node 1: the mean -3 is below zero"),
    "an empty list": (demand(type="D", demand_list=[]), "Node 1: the demand list [] is empty"),
    "text in a list": (demand(type="D", demand_list=[1, "x"]), "Node 1: entry 2 of the demand list is 'x'"),
    "less than nothing": (demand(type="D", demand_list=[1, -2]), "Node 1: entry 2 of the demand list is -2"),
    "unknown demand": (demand(type="Q"), "Node 1: demand of the type 'Q' cannot be read"),
    "a demand that is a list": (node(1, demand_source=[]), "Node 1: the demand source … is not a dictionary"),
    "an unknown predecessor": (
        lambda data: (node(1, _predecessor_indices=[99])(data), node(0, _successor_indices=[])(data)),
        "Node 1 has the predecessor 99, which is not there",
    ),
    "a predecessor that is text": (node(1, _predecessor_indices=["x"]), "Node 1: the predecessor indices"),
    "predecessors that are no list": (node(1, _predecessor_indices=2), "Node 1: the predecessor indices 2"),
    "a link that only one end knows": (
        node(0, _successor_indices=[]),
        "Node 1 has the predecessor 2, but is not among its successors",
    ),
    "a link that only the other end knows": (
        node(1, _predecessor_indices=[]),
        "Node 2 has the successor 1, which does not have it as predecessor",
    ),
    "a node that is text": (lambda data: data["_nodes"].append("x"), "Entry 3 of the nodes of x has no index"),
    "a node without index": (lambda data: data["_nodes"][0].pop("_index"), "Entry 1 of the nodes"),
    "a node that is there twice": (node(0, _index=1), "Node 1 is there twice"),
    "a cycle": (
        lambda data: (
            node(0, _predecessor_indices=[1])(data),
            node(1, _successor_indices=[2])(data),
        ),
        "cycle",
    ),
    "a node that nothing supplies": (node(0, supply_type=None), "Node 2 has neither a predecessor nor a supply"),
    "half a period": (node(0, shipment_lead_time=1.5), "Node 2: the shipment lead time 1.5 is not a whole number"),
    "an order that arrives before": (node(0, order_lead_time=-1), "Node 2: the order lead time -1 is below zero"),
    "a lead time without end": (node(0, shipment_lead_time=10**9), "is more than 4096 periods"),
    "a policy that is a list": (node(0, _inventory_policy=[{}]), "Node 2: the inventory policy"),
    "no policy": (policy(type=None), "Node 2 has no policy"),
    "an unknown policy": (policy(type="BEBS"), "Node 2 has the policy 'BEBS', which cannot be read"),
    "a policy that is a number": (policy(type=7), "Node 2 has the policy 7"),
    "no level": (policy(base_stock_level=None), "Node 2: the base stock level is missing"),
    "s above S": (
        policy(type="sS", reorder_point=9, order_up_to_level=8),
        "Node 2: the reorder point 9 is above the order-up-to level 8",
    ),
    "a lot of nothing": (policy(type="rQ", reorder_point=1, order_quantity=0), "order quantity 0 is not above"),
    "a cost that is a function": (node(0, stockout_cost_function="f"), "only linear costs can be read"),
    "a cost below zero": (node(0, local_holding_cost=-1), "Node 2: the local holding cost -1 is below zero"),
    "several products": (node(0, _product_indices=[1, 2]), "Node 2 has several products"),
    "an unknown disruption": (
        disruption(random_process_type="M", disruption_type="XX"),
        "Node 2: the disruption type 'XX' cannot be read",
    ),
    "an unknown process": (disruption(random_process_type="Z"), "Node 2: the random process type 'Z'"),
    "no chance": (disruption(random_process_type="M"), "Node 2: the disruption probability is missing"),
    "a chance of 2": (
        disruption(random_process_type="M", disruption_probability=2),
        "Node 2: the disruption probability 2 is not between 0 and 1",
    ),
    "no states": (disruption(random_process_type="E", disruption_state_list=[]), "state list … is empty"),
    "states that are text": (disruption(random_process_type="E", disruption_state_list=["x"]), "true and false"),
    "a bill that is a list": (
        lambda data: data["_products"][0].update(_bill_of_materials=[1]),
        "Node 1: the bill of materials of its product is not a dictionary",
    ),
    "a bill that nobody fills": (
        lambda data: data["_products"][0].update(_bill_of_materials={"7": 2}),
        "Node 1 needs product 7, which none of its predecessors has",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_broken_is_said_in_one_sentence(case):
    spoil, says = BROKEN[case]
    data = network()
    spoil(data)
    with pytest.raises(UsageError) as caught:
        from_dict(data, "x")
    for part in says.split(" … "):
        assert part in caught.value.message
    assert caught.value.message.endswith(".")
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("[]", "it has no list 'instances'"),
        ('{"instances": 3}', "it has no list 'instances'"),
        ('{"instances": [3]}', "entry 1 has no name or no data"),
        ('{"instances": []}', "has no networks"),
        ('{"instances": [{"name": "a", "data": {"holding_cost": 1}}]}', "has no networks"),
    ],
)
def test_a_file_that_is_none_of_stockpyls_is_refused(tmp_path, text, says):
    file = tmp_path / "file.json"
    file.write_text(text)
    with pytest.raises(UsageError, match=says):
        read(file)


def test_without_a_name_the_only_network_is_read_and_of_several_the_names_are_said(tmp_path):
    file = tmp_path / "file.json"
    single = {"name": "only", "data": network()}
    file.write_text(json.dumps({"instances": [single, {"name": "scalar", "data": {"holding_cost": 1}}]}))
    assert read(file).name == "only"
    file.write_text(json.dumps({"instances": [single, {"name": "other", "data": network()}]}))
    with pytest.raises(UsageError, match="has 2 networks") as caught:
        read(file)
    assert caught.value.hint == "Name one: --name only | other"
    assert read(file, "other").name == "other"
    with pytest.raises(UsageError, match="no instance third"):
        read(file, "third")


def test_a_network_saved_alone_is_read(tmp_path):
    file = tmp_path / "alone.json"
    file.write_text(json.dumps(network()))
    assert read(file).name == "alone"


def test_attributes_of_products_and_by_product_count_as_in_stockpyl():
    data = network()
    data["_nodes"][0]["shipment_lead_time"] = None
    data["_nodes"][0]["local_holding_cost"] = {"-2": 7, "-9": 8}
    data["_products"][1] |= {"shipment_lead_time": 3, "local_holding_cost": 5}
    read_in = from_dict(data, "x")
    assert read_in.lanes[0].lead_time.mean == 3
    assert read_in.nodes[0].holding_cost == 7


@pytest.mark.parametrize(
    ("asks", "law"),
    [
        ({"type": "N", "mean": 5, "standard_deviation": 3}, stats.norm(5, 3)),
        ({"type": "UC", "lo": 2.2, "hi": 9.9}, stats.uniform(2.2, 7.7)),
    ],
)
def test_continuous_demand_that_is_rounded_keeps_the_chance_of_each_whole_number(asks, law):
    each = from_dict(network(**asks, round_to_int=True), "x").nodes[1].demand.each
    assert each.kind is Kind.EMPIRICAL
    values = np.array(each.values)
    below = np.where(values == 0, 0.0, law.cdf(values - 0.5))
    np.testing.assert_allclose(each.weights, law.cdf(values + 0.5) - below, rtol=1e-9, atol=1e-15)
    drawn = np.rint(np.maximum(0, law.rvs(100_000, random_state=3)))
    assert each.expected() == pytest.approx(drawn.mean(), abs=0.03)


def test_lists_that_are_rounded_are_rounded():
    assert from_dict(network(type="D", demand_list=[1.4, 1.6], round_to_int=True), "x").nodes[1].demand.factors == (
        1.0,
        2.0,
    )
    each = from_dict(
        network(type="CD", demand_list=[1.4, 0.6, 3], probabilities=[0.2, 0.3, 0.5], round_to_int=True), "x"
    )
    assert each.nodes[1].demand.each.values == (1.0, 3.0)
    assert each.nodes[1].demand.each.weights == pytest.approx((0.5, 0.5))


def test_negative_binomial_demand_keeps_its_moments():
    each = from_dict(network(type="NB", n=4, p=0.25), "x").nodes[1].demand.each
    law = stats.nbinom(4, 0.25)
    assert (each.mean, each.sd) == pytest.approx((law.mean(), law.std()))
    assert from_dict(network(type="NB", n=4, p=1), "x").nodes[1].demand.each.is_certain


def test_a_list_of_disruptions_is_repeated_to_the_last_period():
    data = network()
    states = [False, True, True, False, True]
    disruption(random_process_type="E", disruption_state_list=states, disruption_type="RP")(data)
    found = from_dict(data, "x", periods=13).disruptions
    assert {each.effect for each in found} == {Effect.RECEIPTS_PAUSE}
    disrupted = [any(each.start <= t < each.start + each.duration for each in found) for t in range(13)]
    assert disrupted == [states[t % 5] for t in range(13)]
    disruption(disruption_state_list=True)(data)
    assert [(each.start, each.duration) for each in from_dict(data, "x", periods=13).disruptions] == [(0, 13)]


def test_an_imported_network_written_as_tables_simulates_the_same(tmp_path):
    data = network(round_to_int=True)
    disruption(random_process_type="E", disruption_state_list=[0, 0, 1])(data)
    here = from_dict(copy.deepcopy(data), "x", periods=30)
    write_tables(here, tmp_path / "x")
    settings = Settings(scenarios=32, periods=30)
    there = simulate(read_network(tmp_path / "x"), settings, workers=1)
    np.testing.assert_array_equal(simulate(here, settings, workers=1).scenarios["cost"], there.scenarios["cost"])
