"""Period by period against stockpyl 1.0.2 (L. V. Snyder), an independent implementation of the same model."""

import warnings

import numpy as np
import pytest

from kifabrik.recipes.supply_chain.engine import trajectories
from kifabrik.recipes.supply_chain.stockpyl_json import from_dict, node_name

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
INSTANCES = (
    "assembly_3_stage", "example_4_1_network", "example_6_1", "problem_6_1", "problem_6_2b_adj", "problem_6_16",
    "rong_atan_snyder_figure_1a",
    "rong_atan_snyder_figure_1b", "rong_atan_snyder_figure_1c",
)  # fmt: skip


def assert_same(peer, periods=PERIODS):
    """Simulate in stockpyl, replay in ours; all figures of all nodes and periods must be equal."""
    ours = from_dict(peer.to_dict(), "peer")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        simulation(peer, periods, rand_seed=7, progress_bar=False)
    demands, disrupted, states = {}, {}, {}
    for node in peer.nodes:
        product = node.product_indices[0]
        name, vars_ = node_name(node.index, node.name), node.state_vars[:periods]
        states[name] = (product, vars_)
        if node.demand_source is not None and node.demand_source.type is not None:
            demands[name] = np.array([v.inbound_order[None][product] for v in vars_], dtype=float)
    for trouble in ours.disruptions:
        every = np.array([v.disrupted for v in states[trouble.target][1]], dtype=bool)
        if trouble.start is not None:
            every &= np.arange(periods) == trouble.start
        disrupted[trouble.name] = every
    mine = trajectories(ours, periods, demands, disrupted)
    for place, node in enumerate(ours.nodes):
        product, vars_ = states[node.name]
        theirs = {
            "inventory_level": [v.inventory_level[product] for v in vars_],
            "order": [v.order_quantity_fg[product] for v in vars_],
            "met": [v.demand_met_from_stock[product] for v in vars_],
            "shipped": [sum(s[product] for s in v.outbound_shipment.values()) for v in vars_],
            "fill_rate": [v.fill_rate[product] for v in vars_],
            "holding_cost": [v.holding_cost_incurred for v in vars_],
            "stockout_cost": [v.stockout_cost_incurred for v in vars_],
            "in_transit_cost": [v.in_transit_holding_cost_incurred for v in vars_],
            "revenue": [v.revenue_earned for v in vars_],
        }
        for what, values in theirs.items():
            np.testing.assert_allclose(
                mine[what][:, place],
                np.array(values, dtype=float),
                rtol=1e-9,
                atol=1e-9,
                err_msg=f"{what} {node.name}",
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
    assert_same(made(EDGES[shape], np.random.default_rng(5), disruption=effect))


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
    effect = ["", "OP", "SP", "TP", "RP"][seed % 5]
    policy = ["BS", "sS", "rQ"][seed % 3]
    assert_same(made(edges, rng, policy=policy, disruption=effect, orders=seed % 3))


@pytest.mark.parametrize("name", INSTANCES)
def test_their_own_instances(name):
    assert_same(load_instance(name))
