"""Plans that `optimise` finds for chains of Willems (2008), with and without further rounds of moves.

    python bench/supply_chain_plans.py [--data ../shared/data/supply_chain] [--chains 1 3 5 7 9 11 12]

Both have 120 simulations at most. Stock and cost less revenue are of fresh scenarios; seconds are of the
processor.
"""

import argparse
import time
from pathlib import Path

from kifabrik.recipes.supply_chain import optimising, willems
from kifabrik.recipes.supply_chain.network import Network
from kifabrik.recipes.supply_chain.optimum import Optimum
from kifabrik.recipes.supply_chain.results import Settings

DATA = Path(__file__).parent.parent.parent / "shared/data/supply_chain"
SETTINGS = Settings(scenarios=128, periods=120, warm_up=20)
BETA = 0.95


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA, help="folder with the tables of Willems (2008)")
    parser.add_argument("--chains", type=int, nargs="+", default=[1, 3, 5, 7, 9, 11, 12])
    wishes = parser.parse_args()
    finer = optimising._FINER  # noqa: SLF001 - what is compared
    sought(willems.load(wishes.data, wishes.chains[0]))  # compiled, or read from disk
    print(f"{'chain':>5} {'nodes':>5} {'stock':>8} {'cost less revenue':>18} {'seconds':>14}")
    for chain in wishes.chains:
        network = willems.load(wishes.data, chain)
        optimising._FINER = ()  # noqa: SLF001
        once, first = sought(network)
        optimising._FINER = finer  # noqa: SLF001
        more, second = sought(network)
        stock = more.proposed.stock_value.mean / once.proposed.stock_value.mean - 1
        saved = more.proposed.cost.mean - once.proposed.cost.mean
        print(
            f"{chain:5} {len(network.nodes):5} {stock:8.1%} {saved:18,.0f} {first:6.1f} → {second:.1f}", flush=True
        )


def sought(network: Network) -> tuple[Optimum, float]:
    """The plan, and how long it took."""
    begun = time.process_time()
    found = optimising.optimise(network, SETTINGS, beta=BETA, workers=1, seconds=10)
    return found, time.process_time() - begun


if __name__ == "__main__":
    main()
