"""The engine follows stockpyl 1.0.2 node by node and period by period."""

import warnings

import numpy as np
import pytest

from kifabrik.recipes.supply_chain.engine import trajectories
from kifabrik.recipes.supply_chain.stockpyl_json import from_dict, node_name

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    sim = pytest.importorskip("stockpyl.sim")
    from stockpyl.instances import load_instance

INSTANCES = (
    "example_4_1_network", "example_6_1", "problem_6_1", "problem_6_2b_adj", "problem_6_16",
    "rong_atan_snyder_figure_1a",
    "rong_atan_snyder_figure_1b", "rong_atan_snyder_figure_1c",
)  # fmt: skip


def compare(peer, periods=60):
    """Simulate in stockpyl, replay in ours; all figures of all nodes and periods must be equal."""
    ours = from_dict(peer.to_dict(), "peer")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sim.simulation(peer, periods, rand_seed=7, progress_bar=False)
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


@pytest.mark.parametrize("name", INSTANCES)
def test_an_instance_of_stockpyl_runs_the_same_course(name):
    compare(load_instance(name))
