"""Period by period against stockpyl 1.0.2 (L. V. Snyder), an independent implementation of the same model."""

import warnings

import numpy as np
import pytest

from kifabrik.recipes.supply_chain.distributions import fixed
from kifabrik.recipes.supply_chain.engine import trajectories
from kifabrik.recipes.supply_chain.network import (
    Disruption,
    Effect,
    Lane,
    Network,
    Node,
    Policy,
    Rule,
    Semantics,
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from stockpyl.demand_source import DemandSource
    from stockpyl.disruption_process import DisruptionProcess
    from stockpyl.instances import load_instance
    from stockpyl.policy import Policy as Theirs
    from stockpyl.sim import simulation
    from stockpyl.supply_chain_network import network_from_edges

pytestmark = pytest.mark.filterwarnings("ignore")
PERIODS = 60
EDGES = {
    "serial": [(0, 1), (1, 2)],
    "assembly": [(0, 2), (1, 2)],
    "distribution": [(0, 1), (0, 2), (0, 3)],
    "graph": [(0, 2), (1, 2), (1, 3), (2, 4), (3, 4), (2, 5)],
}
RULES = {
    "BS": Rule.BASE_STOCK,
    "EBS": Rule.ECHELON_BASE_STOCK,
    "sS": Rule.MIN_MAX,
    "rQ": Rule.FIXED_LOT,
}


def ours(theirs):
    """The same network in our words."""
    nodes, lanes, troubles = [], [], []
    for node in theirs.nodes:
        policy = node.inventory_policy
        level = policy.order_up_to_level if policy.type == "sS" else policy.base_stock_level
        name = f"{node.index}@x"
        nodes.append(
            Node(
                product=str(node.index),
                site="x",
                policy=Policy(
                    rule=RULES[policy.type],
                    level=level or 0.0,
                    reorder_point=policy.reorder_point or 0.0,
                    quantity=policy.order_quantity or 0.0,
                ),
                demand=None,
                initial_stock=node.initial_inventory_level,
                holding_cost=node.local_holding_cost or 0.0,
                in_transit_cost=node.in_transit_holding_cost,
                stockout_cost=node.stockout_cost or 0.0,
                price=node.revenue or 0.0,
                order_capacity=node.order_capacity or float("inf"),
            )
        )
        for before in node.predecessors(include_external=True):
            material = before.product_indices[0] if before else node._external_supplier_dummy_product.index
            lanes.append(
                Lane(
                    source=f"{before.index}@x" if before else "",
                    target=name,
                    component=str(material),
                    quantity=node.NBOM(product=node.product_indices[0], predecessor=None, raw_material=material),
                    customer_rank=node.index,
                    order_time=node.order_lead_time or 0,
                    lead_time=fixed(node.shipment_lead_time or 0),
                    initial_orders=node.initial_orders or 0,
                    initial_shipments=node.initial_shipments or 0,
                )
            )
        if node.disruption_process and node.disruption_process.random_process_type:
            troubles.append(
                Disruption(name=name, effect=Effect(node.disruption_process.disruption_type), target=name)
            )
    return Network(
        name="theirs",
        nodes=tuple(nodes),
        lanes=tuple(lanes),
        disruptions=tuple(troubles),
        semantics=Semantics.STOCKPYL,
    )


def assert_same(theirs, seed=1, *, in_transit=True):
    simulation(theirs, PERIODS, rand_seed=seed, progress_bar=False, consistency_checks="N")
    product = {node.index: node.product_indices[0] for node in theirs.nodes}
    demands = {
        f"{node.index}@x": np.array(
            [node.state_vars[t].inbound_order[None][product[node.index]] for t in range(PERIODS)]
        )
        for node in theirs.nodes
        if node.demand_source is not None and node.demand_source.type is not None
    }
    network = ours(theirs)
    states = {
        f"{node.index}@x": np.array([node.state_vars[t].disrupted for t in range(PERIODS)])
        for node in theirs.nodes
        if f"{node.index}@x" in {trouble.name for trouble in network.disruptions}
    }
    found = trajectories(network, PERIODS, demands, states)
    for place, node in enumerate(theirs.nodes):
        index = product[node.index]
        wanted = {
            "inventory_level": [node.state_vars[t].inventory_level[index] for t in range(PERIODS)],
            "order": [node.state_vars[t].order_quantity_fg[index] for t in range(PERIODS)],
            "fill_rate": [node.state_vars[t].fill_rate[index] for t in range(PERIODS)],
            "shipped": [
                sum(out[index] for out in node.state_vars[t].outbound_shipment.values()) for t in range(PERIODS)
            ],
            "holding_cost": [node.state_vars[t].holding_cost_incurred for t in range(PERIODS)],
            "stockout_cost": [node.state_vars[t].stockout_cost_incurred for t in range(PERIODS)],
        }
        if in_transit:
            wanted["in_transit_cost"] = [
                node.state_vars[t].in_transit_holding_cost_incurred for t in range(PERIODS)
            ]
            wanted["cost"] = [node.state_vars[t].total_cost_incurred for t in range(PERIODS)]
        for figure, values in wanted.items():
            np.testing.assert_allclose(
                found[figure][:, place], values, rtol=1e-9, atol=1e-9, err_msg=f"{figure} of node {node.index}"
            )


def made(edges, rng, *, policy="BS", disruption="", capacity=0.0, orders=0, initial=False):
    indices = sorted({i for edge in edges for i in edge})
    sinks = [i for i in indices if not any(edge[0] == i for edge in edges)]
    network = network_from_edges(
        edges=edges,
        node_order_in_lists=indices,
        shipment_lead_time=[int(rng.integers(0, 4)) for _ in indices],
        order_lead_time=[int(rng.integers(0, orders + 1)) for _ in indices],
        local_holding_cost=[float(rng.integers(1, 9)) for _ in indices],
        stockout_cost=[float(rng.integers(5, 50)) for _ in indices],
        revenue=[float(rng.integers(0, 5)) for _ in indices],
        demand_source=[
            DemandSource(type="N", mean=20, standard_deviation=6) if i in sinks else None for i in indices
        ],
    )
    for node in network.nodes:
        level = float(rng.uniform(30, 110))
        node.inventory_policy = {
            "BS": lambda node=node, level=level: Theirs(type="BS", base_stock_level=level, node=node),
            "EBS": lambda node=node, level=level: Theirs(type="EBS", base_stock_level=2 * level, node=node),
            "sS": lambda node=node, level=level: Theirs(
                type="sS", reorder_point=level / 2, order_up_to_level=level, node=node
            ),
            "rQ": lambda node=node, level=level: Theirs(
                type="rQ", reorder_point=level / 2, order_quantity=45.5, node=node
            ),
        }[policy]()
        if capacity:
            node.order_capacity = capacity
        if initial:
            node.initial_inventory_level = float(rng.uniform(0, 40))
            node.initial_shipments = float(rng.uniform(0, 15))
            node.initial_orders = float(rng.uniform(0, 15)) if node.predecessors() else 0.0
    if disruption:
        for node in network.nodes[:: 2 if len(network.nodes) > 3 else 1]:
            node.disruption_process = DisruptionProcess(
                random_process_type="M",
                disruption_type=disruption,
                disruption_probability=0.15,
                recovery_probability=0.4,
            )
    return network


@pytest.mark.parametrize("shape", EDGES)
@pytest.mark.parametrize("policy", ["BS", "sS", "rQ"])
def test_every_rule_on_every_shape(shape, policy):
    assert_same(made(EDGES[shape], np.random.default_rng(3), policy=policy))


@pytest.mark.parametrize("shape", EDGES)
@pytest.mark.parametrize("effect", ["OP", "SP", "TP", "RP"])
def test_every_disruption_on_every_shape(shape, effect):
    assert_same(made(EDGES[shape], np.random.default_rng(5), disruption=effect), in_transit=effect != "TP")


@pytest.mark.parametrize("shape", EDGES)
def test_orders_that_take_time_capacities_and_full_pipelines(shape):
    rng = np.random.default_rng(7)
    assert_same(made(EDGES[shape], rng, orders=2))
    assert_same(made(EDGES[shape], rng, capacity=19.0, orders=1))
    assert_same(made(EDGES[shape], rng, initial=True))


@pytest.mark.parametrize("shape", ["serial", "distribution"])
def test_echelon_base_stock(shape):
    assert_same(made(EDGES[shape], np.random.default_rng(9), policy="EBS"))


@pytest.mark.parametrize("seed", range(12))
def test_random_graphs(seed):
    rng = np.random.default_rng(100 + seed)
    count = int(rng.integers(2, 8))
    edges = [(i, j) for j in range(1, count) for i in range(j) if rng.random() < 0.5 or i == j - 1]
    effect = ["", "OP", "SP", "RP"][seed % 4]
    policy = ["BS", "sS", "rQ"][seed % 3]
    assert_same(made(edges, rng, policy=policy, disruption=effect, orders=seed % 3))


@pytest.mark.parametrize(
    "name", ["example_6_1", "assembly_3_stage", "rosling_figure_1", "rong_atan_snyder_figure_1a"]
)
def test_their_own_instances(name):
    try:
        network = load_instance(name)
    except KeyError:
        pytest.skip(f"stockpyl has no instance {name}")
    for node in network.nodes:
        if node.inventory_policy is None or node.inventory_policy.type not in {"BS", "sS", "rQ"}:
            node.inventory_policy = Theirs(type="BS", base_stock_level=8.0 + node.index, node=node)
        if not node.successors() and (node.demand_source is None or node.demand_source.type is None):
            node.demand_source = DemandSource(type="P", mean=5)
    assert_same(network)
