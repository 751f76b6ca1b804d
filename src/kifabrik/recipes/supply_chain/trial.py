"""`python -m kifabrik.recipes.supply_chain.trial`: the smallest study; numba compiles the simulator, and keeps it.

numba compiles for the arguments it is called with, and arrays of every network have the same types.
"""

from typing import Final

from kifabrik.recipes.supply_chain.blocks import GROUP
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.engine import simulate
from kifabrik.recipes.supply_chain.network import Demand, Lane, Network, Node, Policy
from kifabrik.recipes.supply_chain.results import Settings

SETTINGS: Final = Settings(scenarios=GROUP, periods=1)


def smallest() -> Network:
    """One node."""
    demand = Demand(each=Distribution(kind=Kind.NORMAL, mean=1.0, sd=0.1))
    shop = Node(product="bread", site="shop", policy=Policy(level=2.0), demand=demand)
    return Network(
        name="trial",
        nodes=(shop,),
        lanes=(Lane(source="", target=shop.name, component="flour", lead_time=fixed(1)),),
    )


def main() -> None:
    """Simulate one node for one period."""
    simulate(smallest(), SETTINGS, workers=1)


if __name__ == "__main__":
    main()
