"""The GPU's path on numba's simulator of a GPU, in a process of its own, against the processor's."""

import json
import os
import subprocess
import sys
import warnings

import numpy as np
import pytest
from numba import cuda

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.engine import simulate
from kifabrik.recipes.supply_chain.network import (
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

SETTINGS = Settings(scenarios=5, periods=12, warm_up=4, seed=3, traced=3)


def network_of_many_kinds():
    """A factory of two components, a warehouse and a shop, with most of what a network can have."""
    nodes = (
        Node(product="steel", site="mill", policy=Policy(level=90), holding_cost=1),
        Node(product="pump", site="plant", policy=Policy(level=60), holding_cost=3, making_time=1),
        Node(
            product="pump",
            site="depot",
            policy=Policy(rule=Rule.MIN_MAX, reorder_point=40, level=70, lot=6),
            demand=Demand(each=Distribution(kind=Kind.POISSON, mean=3.0)),
            holding_cost=4,
            stockout_cost=30,
        ),
        Node(
            product="pump",
            site="shop",
            policy=Policy(rule=Rule.FIXED_LOT, reorder_point=20, quantity=25),
            demand=Demand(each=Distribution(kind=Kind.NORMAL, mean=12, sd=5), factors=(1.0, 1.5)),
            backorder_share=0.5,
            holding_cost=5,
            stockout_cost=40,
            price=9,
        ),
    )
    drawn = Distribution(kind=Kind.EMPIRICAL, values=(1.0, 3.0), weights=(0.7, 0.3))
    lanes = (
        Lane(source="", target="steel@mill", component="ore", supplier="mine", lead_time=fixed(2)),
        Lane(source="steel@mill", target="pump@plant", component="steel", quantity=2, lead_time=drawn),
        Lane(source="", target="pump@plant", component="seal", supplier="maker", lead_time=fixed(1)),
        Lane(source="pump@plant", target="pump@depot", component="pump", lead_time=fixed(1), unit_cost=2),
        Lane(source="pump@depot", target="pump@shop", component="pump", lead_time=drawn, crossing=False),
    )
    troubles = tuple(
        Disruption(name=effect.name, effect=effect, target=target, probability=0.2, recovery=0.4)
        for effect, target in (
            (Effect.TRANSIT_PAUSE, "pump@depot"),
            (Effect.SHIPMENTS_PAUSE, "pump@shop"),
            (Effect.OUTAGE, "pump@plant"),
        )
    )
    return Network(name="many kinds", nodes=nodes, lanes=lanes, disruptions=troubles)


def figures(device):
    found = simulate(network_of_many_kinds(), SETTINGS, precision="double", device=device)
    kinds = {"scenarios": found.scenarios, "nodes": found.nodes, "lanes": found.lanes, "courses": found.courses}
    return {
        f"{kind} {name}": values.tolist() for kind, by_name in kinds.items() for name, values in by_name.items()
    }


def test_each_scenario_on_a_thread_gives_what_blocks_of_them_give():
    there = {**os.environ, "NUMBA_ENABLE_CUDASIM": "1", "NUMBA_DISABLE_JIT": "1", "PYTHONWARNINGS": "ignore"}
    said = subprocess.run([sys.executable, __file__], env=there, check=True, capture_output=True, text=True)
    on_threads, in_blocks = json.loads(said.stdout), figures("cpu")
    assert on_threads.keys() == in_blocks.keys()
    assert np.ptp(in_blocks["scenarios cost"]) > 0
    for name, values in in_blocks.items():
        np.testing.assert_allclose(on_threads[name], values, rtol=1e-9, atol=1e-9, err_msg=name)


@pytest.mark.skipif(cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_one_is_told_so():
    with pytest.raises(UsageError, match="no GPU here"):
        simulate(network_of_many_kinds(), SETTINGS, device="cuda")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    sys.stdout.write(json.dumps(figures("cuda")))
