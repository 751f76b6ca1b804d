"""Other simulators on a chain of base stocks; runs in an environment of its own, started by supply_chain.py.

    PYTHON bench/supply_chain_peers.py NAME SIZE DEMANDS.json

prints, as JSON, seconds and what can be compared. By name:

- simpy: the same model, a process for each stage and one for each shipment; costs must be equal.
- supplynetpy: (s, S) with s = S, reviewed each period; customers wait. Events of a period come in another order.
- deepbullwhip: its engine on arrays [path, stage, period]. Order-up-to levels follow forecasts, and what a stage
  orders always comes, so there is less to do: no shortage travels downstream.
"""

import json
import sys
import time
from pathlib import Path

LEVEL, LEAD, HOLDING, STOCKOUT = 70.0, 2, 1.0, 20.0


class Stage:
    """One stage in SimPy: orders in the first half of a period, ships in the second."""

    def __init__(self, env, place, customer):
        self.env, self.place, self.customer, self.supplier = env, place, customer, None
        self.on_hand = self.position = LEVEL
        self.asked = self.owed = self.arrived = self.under_way = self.cost = 0.0

    def live(self, size, demands):
        """Order, ship, count; the last stage orders first and the first ships first."""
        step = 0.25 / (size + 1)
        order_at, ship_at = (size - self.place) * step, 0.5 + (self.place + 1) * step
        for demand in demands:
            yield self.env.timeout(order_at)
            if self.customer is None:
                self.asked = demand
            self.position -= self.asked
            order = max(0.0, LEVEL - self.position)
            self.position += order
            if self.supplier is None:
                self.env.process(self.travel(order))
            else:
                self.supplier.asked = order
            yield self.env.timeout(ship_at - order_at)
            self.on_hand += self.arrived
            self.arrived = 0.0
            out = min(self.on_hand, self.owed + self.asked)
            self.on_hand -= out
            self.owed += self.asked - out
            if self.customer is not None:
                self.under_way += out
                self.env.process(self.customer.travel(out, self))
            yield self.env.timeout(1 - ship_at)
            rate = STOCKOUT if self.customer is None else 0.0
            self.cost += HOLDING * (self.on_hand + self.under_way) + rate * self.owed

    def travel(self, amount, source=None):
        """A shipment to this stage."""
        yield self.env.timeout(LEAD)
        if source is not None:
            source.under_way -= amount
        self.arrived += amount


def simpy(size, demands):
    """Total cost of the chain."""
    import simpy as package  # noqa: PLC0415

    env, customer, stages = package.Environment(), None, []
    for place in reversed(range(size)):
        stage = Stage(env, place, customer)
        if customer is not None:
            customer.supplier = stage
        stages.append(stage)
        customer = stage
    for stage in stages:
        env.process(stage.live(size, demands))
    begun = time.process_time()
    env.run()
    return time.process_time() - begun, sum(stage.cost for stage in stages)


def supplynetpy(size, demands):
    """The nearest SupplyNetPy can do."""
    from SupplyNetPy import Components as scm  # noqa: N813, PLC0415

    nodes = [{"ID": "S", "name": "S", "node_type": "infinite_supplier"}]
    links = []
    for place in range(size):
        nodes.append(
            {
                "ID": f"N{place}", "name": f"N{place}", "node_type": "warehouse", "capacity": 1e9,
                "initial_level": LEVEL, "inventory_holding_cost": HOLDING,
                "replenishment_policy": scm.SSReplenishment,
                "policy_param": {"s": LEVEL, "S": LEVEL, "period": 1},
                "product_buy_price": 1, "product_sell_price": 1,
            }
        )  # fmt: skip
        source = f"N{place - 1}" if place else "S"
        links.append(
            {"ID": f"L{place}", "source": source, "sink": f"N{place}", "cost": 0, "lead_time": lambda: LEAD}
        )
    drawn = iter([*demands, *demands])  # it asks for some beyond the end
    customers = {
        "ID": "D", "name": "D", "order_arrival_model": lambda: 1, "order_quantity_model": lambda: next(drawn),
        "demand_node": f"N{size - 1}", "tolerance": 1e9,
    }  # fmt: skip
    net = scm.create_sc_net(nodes=nodes, links=links, demands=[customers])
    begun = time.process_time()
    scm.simulate_sc_net(net, sim_time=len(demands) - 1, logging=False)
    return time.process_time() - begun, None


def deepbullwhip(size, demands):
    """Many paths at once, the first with these demands; as many as are fastest."""
    import numpy as np  # noqa: PLC0415
    from deepbullwhip import EchelonConfig, VectorizedSupplyChain  # noqa: PLC0415

    chain = VectorizedSupplyChain(
        [
            EchelonConfig(f"N{place}", lead_time=LEAD, holding_cost=HOLDING, backorder_cost=STOCKOUT)
            for place in range(size)
        ]
    )
    best = float("inf")
    for paths in (64, 256, 1024):
        drawn = np.random.default_rng(1).normal(20, 4, (paths, len(demands)))
        drawn[0] = demands
        mean, spread = np.full_like(drawn, 20.0), np.full_like(drawn, 4.0)
        begun = time.process_time()
        chain.simulate(drawn, mean, spread)
        best = min(best, (time.process_time() - begun) / paths)
    return best, None


def main() -> None:
    """Run from the command line."""
    name, size, file = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    peers = {"simpy": simpy, "supplynetpy": supplynetpy, "deepbullwhip": deepbullwhip}
    seconds, cost = peers[name](size, json.loads(file.read_text()))
    print(json.dumps({"seconds": seconds, "cost": cost}))


if __name__ == "__main__":
    main()
