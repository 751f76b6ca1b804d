from dataclasses import replace

import pytest

from kifabrik.cli.supply_chain_study import doubts
from kifabrik.recipes.supply_chain.distributions import fixed
from kifabrik.recipes.supply_chain.network import Demand, Lane, Network, Node

NODE = Node(product="A", site="X", demand=Demand(each=fixed(3)), price=10)


def network(**changes):
    return Network(
        name="one",
        nodes=(replace(NODE, **changes),),
        lanes=(Lane(source="", target="A@X", component="A"),),
    )


def test_where_every_customer_waits_and_pays_in_the_end_a_shortage_is_said_to_cost_nothing():
    assert "No shortage costs anything" in doubts(network())[0]


@pytest.mark.parametrize("changes", [{"stockout_cost": 1.0}, {"backorder_share": 0.5}])
def test_where_a_shortage_costs_there_is_no_doubt(changes):
    assert doubts(network(**changes)) == []


def test_where_nobody_asks_for_anything_nothing_is_said_to_move():
    assert "nothing moves" in doubts(network(demand=None))[0]
