"""Optima printed in Snyder and Shen, Fundamentals of Supply Chain Theory, 2nd ed. (Wiley 2019), chapter 6."""

import csv
import gzip
import itertools
import math
from graphlib import TopologicalSorter
from pathlib import Path

import numpy as np
import pytest

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain.guaranteed_service import (
    Arc,
    Stage,
    place_safety_stock,
    pooled_demand,
    stock_everywhere,
)


def _stage(name, time, cost, **more):
    return Stage(name=str(name), processing_time=time, holding_cost=cost, **more)


def _arcs(*pairs):
    return [Arc(source=str(source), target=str(target)) for source, target in pairs]


def _end(sd, promise, z=1.0):
    return {"demand_sd": sd, "promise": promise, "z": z}


EXAMPLE_6_3 = (
    [_stage(3, 1, 2, inbound=1), _stage(2, 0, 4), _stage(1, 1, 7, **_end(1, 1))],
    _arcs((3, 2), (2, 1)),
)
EXAMPLE_6_5 = (
    [_stage(1, 2, 1, inbound=1), _stage(3, 1, 2), _stage(2, 1, 3, **_end(1, 0)), _stage(4, 1, 3, **_end(1, 1))],
    _arcs((1, 3), (3, 2), (3, 4)),
)
PROBLEM_6_9 = (
    [
        _stage(1, 7, 44 / 365, **_end(4.1, 3, 4)),
        _stage(2, 7, 28 / 365, **_end(6.2, 3, 4)),
        _stage(3, 21, 18 / 365),
        _stage(4, 3, 1 / 365),
        _stage(5, 8, 4 / 365),
        _stage(6, 2, 1.5 / 365),
    ],
    _arcs((3, 1), (3, 2), (4, 3), (5, 3), (6, 5)),
)
_TIMES = (2, 3, 2, 4, 2, 3, 6, 4, 3, 2)
_COSTS = (0.01, 0.03, 0.04, 0.06, 0.12, 0.13, 0.2, 0.08, 0.04, 0.5)
FIGURE_6_14 = (
    [
        _stage(n, time, cost, **(_end(10, 2, 1.6448536269514722) if n == 10 else {}))
        for n, time, cost in zip(range(1, 11), _TIMES, _COSTS, strict=True)
    ],
    _arcs((1, 2), (2, 3), (3, 5), (4, 5), (5, 6), (7, 10), (6, 10), (8, 10), (9, 10)),
)


@pytest.mark.parametrize(
    ("instance", "optimum"),
    [(EXAMPLE_6_3, 2.8284), (EXAMPLE_6_5, 8.2779), (PROBLEM_6_9, 15.6495), (FIGURE_6_14, 18.8240)],
)
def test_published_optima_are_found_and_proven(instance, optimum):
    answer = place_safety_stock(*instance)
    assert answer.cost == pytest.approx(optimum, abs=6e-5)
    assert answer.is_proven


def _brute(stages, arcs):
    """Cheapest of all whole service times."""
    _, bounds = pooled_demand(stages, arcs)
    place = {stage.name: n for n, stage in enumerate(stages)}
    best = math.inf
    for times in itertools.product(range(8), repeat=len(stages)):
        if any(s > stage.promise for s, stage in zip(times, stages, strict=True)):
            continue
        into = [stage.inbound for stage in stages]
        for arc in arcs:
            at = place[arc.target]
            into[at] = max(into[at], times[place[arc.source]] + arc.lead_time)
        net = [i + stage.processing_time - s for i, s, stage in zip(into, times, stages, strict=True)]
        if min(net) >= 0:
            best = min(
                best, sum(st.holding_cost * b * math.sqrt(t) for st, b, t in zip(stages, bounds, net, strict=True))
            )
    return best


@pytest.mark.parametrize("seed", range(8))
def test_on_general_networks_no_choice_of_whole_times_is_cheaper(seed):
    luck = np.random.default_rng(seed)
    stages = [
        _stage(
            n,
            int(luck.integers(0, 3)),
            float(luck.uniform(1, 3) * (n + 1)),
            **(_end(1 + n, int(luck.integers(2))) if n > 2 else {}),
        )
        for n in range(5)
    ]
    pairs = [(0, 1), (0, 2), (1, 3), (2, 3), (2, 4), (0, 4)]
    arcs = [
        Arc(source=str(a), target=str(b), quantity=float(luck.integers(1, 3)), lead_time=int(luck.integers(0, 2)))
        for a, b in pairs
    ]
    answer = place_safety_stock(stages, arcs)
    assert answer.cost == pytest.approx(_brute(stages, arcs), rel=1e-6)
    assert answer.is_proven


def test_one_demand_over_two_paths_counts_as_one():
    stages = [
        _stage("a", 1, 1),
        _stage("b", 1, 1),
        _stage("c", 1, 1),
        _stage("d", 1, 1, demand_mean=10, **_end(2, 0)),
    ]
    means, bounds = pooled_demand(stages, _arcs(("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")))
    assert means == pytest.approx([20, 10, 10, 10])
    assert bounds == pytest.approx([4, 2, 2, 2])


def test_a_hundred_stages_come_within_two_percent_of_the_least():
    luck = np.random.default_rng(5)
    stages = [
        _stage(n, int(luck.integers(1, 20)), 1 + n / 10, **(_end(float(luck.uniform(1, 5)), 0) if n >= 80 else {}))
        for n in range(100)
    ]
    arcs = [
        arc for n in range(20, 100) for m in luck.choice(max(1, n - 10), 2, replace=False) if m < 80
        for arc in _arcs((m, n))
    ]  # fmt: skip
    tries = (place_safety_stock(stages, arcs, seconds=seconds) for seconds in (5, 20, 60))  # on a busy machine
    answer = next(answer for answer in tries if answer.gap < 0.02)
    assert answer.bound <= answer.cost


def test_no_time_still_gives_feasible_times_and_an_honest_gap():
    answer = place_safety_stock(*FIGURE_6_14, seconds=0)
    assert answer.cost >= 18.8239
    assert answer.bound <= 18.8241


def test_a_cycle_is_named():
    with pytest.raises(UsageError, match=r"cycle: .*a.*b"):
        place_safety_stock([_stage("a", 1, 1), _stage("b", 1, 1)], _arcs(("a", "b"), ("b", "a")))


def test_a_negative_time_names_its_stage():
    with pytest.raises(UsageError, match="stage a has a negative"):
        place_safety_stock([_stage("a", -1, 1)], [])


def test_the_solver_prints_nothing(capfd):
    place_safety_stock(*FIGURE_6_14)
    assert capfd.readouterr() == ("", "")


def _willems(chain):
    """A chain of Willems 2008. Its `stageCost` is what a stage adds: holding needs the sum upstream."""
    roots = (parent / "shared/data/supply_chain" for parent in Path(__file__).resolve().parents)
    folder = next((root for root in roots if root.is_dir()), None)
    if folder is None:
        pytest.skip("shared/data/supply_chain is not beside the checkout")

    def rows(name):
        with gzip.open(folder / f"willems_{name}.csv.gz", "rt") as file:
            return [row for row in csv.DictReader(file) if row["chain"] == chain]

    arcs = [Arc(source=row["source"], target=row["destination"]) for row in rows("arcs")]
    stages = {row["Stage Name"]: row for row in rows("stages")}
    before = {name: [arc.source for arc in arcs if arc.target == name] for name in stages}
    cost = {}
    for name in TopologicalSorter(before).static_order():
        cost[name] = float(stages[name]["stageCost"] or 0) + sum(cost[source] for source in before[name])
    return [
        _stage(
            name,
            math.ceil(float(row["stageTime"] or 0)),
            cost[name],
            **(
                _end(float(row["stdDevDemand"] or 0), float(row["maxServiceTime"] or 0)) if row["avgDemand"] else {}
            ),
        )
        for name, row in stages.items()
    ], arcs


@pytest.mark.parametrize("chain", ["1", "5", "10", "15"])
def test_real_chains_are_proven_and_cost_something(chain):
    stages, arcs = _willems(chain)
    answer = place_safety_stock(stages, arcs, seconds=20)
    assert answer.cost > 0
    assert answer.is_proven


def test_a_chain_too_hard_for_its_time_says_its_gap():
    stages, arcs = _willems("24")
    answer = place_safety_stock(stages, arcs, seconds=2)
    assert 0 < answer.bound < answer.cost
    assert 0 < answer.gap < 0.5
    place = {stage.name: number for number, stage in enumerate(stages)}
    inbound = np.array([float(stage.inbound) for stage in stages])
    for arc in arcs:
        at = place[arc.target]
        inbound[at] = max(inbound[at], answer.service_times[place[arc.source]] + arc.lead_time)
    needed = inbound + [stage.processing_time for stage in stages] - answer.service_times
    assert (answer.net_times >= needed - 1e-5).all()
    assert (answer.service_times <= [stage.promise for stage in stages]).all()


def test_stock_everywhere_bridges_each_stages_own_time_and_the_way_to_it():
    stages = [
        _stage("raw", 2, 1.0, inbound=3),
        _stage("part", 4, 2.0),
        _stage("patient", 1, 3.0, **_end(10, 5)),
        _stage("prompt", 1, 3.0, **_end(10, 0, 2)),
    ]
    arcs = [
        Arc(source="raw", target="part", lead_time=6),
        *_arcs(("part", "patient"), ("part", "prompt")),
    ]
    found = stock_everywhere(stages, arcs)
    assert found.net_times.tolist() == [5, 10, 0, 1]
    assert found.service_times.tolist() == [0, 0, 1, 0]
    assert found.safety_stocks.tolist() == pytest.approx(
        [math.sqrt(500) * math.sqrt(5), math.sqrt(500) * math.sqrt(10), 0, 20]
    )
    assert found.cost == pytest.approx(found.safety_stocks @ [1.0, 2.0, 3.0, 3.0])
    assert found.cost >= place_safety_stock(stages, arcs).cost
