"""Node-periods a second of the simulator, beside stockpyl on the same network.

python bench/supply_chain.py [--scenarios 8192] [--json PATH]
"""

import time
import warnings

from report import Bar, Picture, hand_on, parser

from kifabrik.recipes.supply_chain.engine import simulate
from kifabrik.recipes.supply_chain.results import Settings
from kifabrik.recipes.supply_chain.stockpyl_json import from_dict

SIZES = (3, 10, 50, 150)
PERIODS = 365
THEIR_PERIODS = 40


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("--scenarios", type=int, default=8192)
    wishes = made.parse_args()
    warnings.simplefilter("ignore")
    bars = []
    for size in SIZES:
        peer = chain(size)
        network = from_dict(peer.to_dict(), "chain")
        simulate(network, Settings(scenarios=64, periods=2))  # compiled, or read from disk
        begun = time.perf_counter()
        simulate(network, Settings(scenarios=wishes.scenarios, periods=PERIODS, traced=0))
        ours = size * wishes.scenarios * PERIODS / (time.perf_counter() - begun)
        theirs = size * THEIR_PERIODS / stockpyl_seconds(peer)
        mine = f"kifabrik {ours / 1e6:6.1f} M node-periods/s"
        print(f"{size:4} nodes   {mine}   stockpyl {theirs:6.0f}   {ours / theirs:8,.0f} x")
        bars += [Bar(f"{size} nodes", ours / 1e6, "ours"), Bar("stockpyl", theirs / 1e6)]
    hand_on(wishes.json, Picture("Chains of base stocks", "million node-periods/s", tuple(bars)))


def chain(size: int):
    """A serial system of stockpyl."""
    from stockpyl.supply_chain_network import serial_system  # noqa: PLC0415

    return serial_system(
        num_nodes=size,
        node_order_in_system=list(range(size)),
        local_holding_cost=[1.0] * size,
        stockout_cost=[0.0] * (size - 1) + [20.0],
        shipment_lead_time=[2] * size,
        demand_type="N",
        mean=20,
        standard_deviation=4,
        policy_type="BS",
        base_stock_level=[70.0] * size,
    )


def stockpyl_seconds(peer) -> float:
    """Seconds of one scenario in stockpyl."""
    from stockpyl.sim import simulation  # noqa: PLC0415

    begun = time.perf_counter()
    simulation(peer, THEIR_PERIODS, rand_seed=1, progress_bar=False, consistency_checks="N")
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
