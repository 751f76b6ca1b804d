"""A small study made by hand, for tests of what people see and what is saved."""

import numpy as np

from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.network import Demand, Lane, Network, Node, Policy
from kifabrik.recipes.supply_chain.results import LANE_FIGURES, NODE_FIGURES, SCENARIO_FIGURES, Results, Settings
from kifabrik.recipes.supply_chain.studies import (
    CriticalNode,
    Estimate,
    Frontier,
    FrontierPoint,
    OutageResult,
    Recovery,
)


def network_of(widths, *, product="part", site="plant", place=None, name="Example", currency="EUR"):
    """Layers of so many nodes; each node has a lane to one or two of the next layer."""
    nodes, lanes, before = [], [], []
    for layer, width in enumerate(widths):
        is_last = layer == len(widths) - 1
        row = []
        for number in range(width):
            node = Node(
                product=f"{product} {layer}-{number}",
                site=site,
                policy=Policy(level=9.0),
                demand=Demand(each=Distribution(kind=Kind.POISSON, mean=4.0)) if is_last else None,
                place=place(layer, number) if place else None,
            )
            nodes.append(node)
            row.append(node.name)
            sources = {before[number % len(before)], before[(number + 1) % len(before)]} if before else {""}
            lanes += [
                Lane(source=source, target=node.name, component=source or "raw", lead_time=fixed(2))
                for source in sorted(sources)
            ]
        before = row
    return Network(name=name, nodes=tuple(nodes), lanes=tuple(lanes), currency=currency)


def results_of(network, *, scenarios=40, periods=60, warm_up=0, fill=None, seed=1):
    """Figures drawn at random, or all the same where `fill` is given."""
    luck = np.random.default_rng(seed)

    def drawn(*shape):
        return luck.uniform(0.2, 0.9, shape) if fill is None else np.full(shape, fill)

    traced = min(scenarios, 12)
    names = ("backlog", "stock_value", "beta", f"on_hand {network.nodes[0].name}")
    nodes = {figure: drawn(len(network.nodes)) for figure in NODE_FIGURES}
    return Results(
        network=network,
        settings=Settings(scenarios=scenarios, periods=periods, warm_up=warm_up, seed=7, first=3),
        scenarios={figure: drawn(scenarios) for figure in SCENARIO_FIGURES},
        nodes=nodes,
        nodes_error={figure: drawn(len(network.nodes)) for figure in NODE_FIGURES},
        lanes={figure: drawn(len(network.lanes)) for figure in LANE_FIGURES},
        courses={name: drawn(periods, traced).astype(np.float32) for name in names},
        seconds=1.5,
    )


def outage_of(name="storm", *, periods=60, recovery=20.0):
    """Twice the backlog from period 10 to 30."""
    without = np.full(periods, 5.0)
    with_it = without.copy()
    with_it[10:30] = 10.0
    return OutageResult(
        name=name,
        start=10,
        periods=14,
        cost_difference=Estimate(1234.5, 1000.0, 1469.0),
        recovery=Recovery(median=recovery, p95=float("inf"), unrecovered=0.25),
        backlog_with=with_it,
        backlog_without=without,
        beta_difference=Estimate(-0.0125, -0.02, -0.005),
    )


def frontier_of(*names):
    """A plan for each name, the first one the current and the second the chosen."""
    points = []
    for number, name in enumerate(names):
        value, beta = 1000.0 * (number + 1), 0.9 + 0.02 * number
        points.append(
            FrontierPoint(
                name=name,
                stock_value=Estimate(value, value - 20, value + 20),
                beta=Estimate(beta, beta - 0.004, beta + 0.004),
                cost=Estimate(value, value - 5, value + 5),
                stock_difference=Estimate(value - 1000, value - 1030, value - 970) if number else None,
                is_current=number == 0,
                is_chosen=number == 1,
            )
        )
    return Frontier(points=tuple(points), scenarios=500)


def critical_of(network, most=12):
    """The later a node, the dearer its failure."""
    nodes = network.nodes[:most]
    return [CriticalNode(name=node.name, cost=100.0 * (at + 1), error=3.0) for at, node in enumerate(nodes)]
