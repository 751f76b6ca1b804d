import threading
from dataclasses import replace

import pytest

from kifabrik.errors import UsageError
from kifabrik.recipes.supply_chain import failing
from kifabrik.recipes.supply_chain.distributions import Distribution, Kind, fixed
from kifabrik.recipes.supply_chain.failing import failures, look
from kifabrik.recipes.supply_chain.network import Demand, Lane, Network, Node, Policy
from kifabrik.recipes.supply_chain.results import Settings

SETTINGS = Settings(scenarios=64, periods=120, warm_up=20)


def chain():
    """A maker who supplies a shop, and one who supplies nearly nobody."""
    normal = Demand(each=Distribution(kind=Kind.NORMAL, mean=10, sd=3))
    rare = Demand(each=Distribution(kind=Kind.NORMAL, mean=0.1, sd=0.01))
    money = {"holding_cost": 1.0, "stockout_cost": 10.0, "value": 5.0}
    return Network(
        name="chain",
        nodes=(
            Node(product="p", site="maker", policy=Policy(level=45), **money),
            Node(product="p", site="shop", policy=Policy(level=40), demand=normal, **money),
            Node(product="q", site="shop", policy=Policy(level=1), demand=rare, **money),
        ),
        lanes=(
            Lane(source="", target="p@maker", component="raw", lead_time=fixed(3)),
            Lane(source="p@maker", target="p@shop", component="p", lead_time=fixed(2)),
            Lane(source="", target="q@shop", component="raw", lead_time=fixed(3)),
        ),
    )


def with_small_ones(count):
    """The chain, and many that supply nearly nobody."""
    base = chain()
    small = [replace(base.nodes[2], product=f"q{n}") for n in range(count)]
    lanes = [replace(base.lanes[2], target=f"q{n}@shop") for n in range(count)]
    return replace(base, nodes=(*small, *base.nodes[:2]), lanes=(*lanes, *base.lanes[:2]))


def test_the_node_that_everyone_needs_is_the_most_critical():
    first, *_, last = failures(chain(), SETTINGS, look(chain(), SETTINGS))
    assert {first.name, last.name} == {"p@shop", "q@shop"} or first.name == "p@maker"
    assert last.name == "q@shop"
    assert first.cost > 100 * abs(last.cost)
    assert first.periods == 14


def test_of_a_small_network_every_failure_is_tried():
    wanted = look(chain(), SETTINGS, most=1)
    assert set(wanted.names) == {node.name for node in chain().nodes}
    assert wanted.scenarios == 64
    assert wanted.again == 0


def test_of_a_large_network_those_with_most_at_risk_are_tried_and_the_dearer_half_again():
    large = with_small_ones(60)
    wanted = look(large, SETTINGS, most=3)
    assert (len(wanted.names), wanted.scenarios, wanted.again, wanted.scenarios_again) == (12, 32, 6, 64)
    found = failures(large, SETTINGS, wanted)
    assert len(found) == 12
    assert {found[0].name, found[1].name} == {"p@shop", "p@maker"}


def test_of_a_large_network_the_node_that_matters_is_found():
    large = with_small_ones(60)
    names = [node.name for node in failures(large, SETTINGS, look(large, SETTINGS, most=2))]
    assert set(names[:2]) == {"p@shop", "p@maker"}


@pytest.mark.parametrize("count", [60, 600, 6000])
def test_the_work_of_a_look_is_bounded(monkeypatch, count):
    large, settings, work = with_small_ones(count), replace(SETTINGS, scenarios=10_000), 2e7
    monkeypatch.setattr(failing, "_MOST_WORK", work)
    wanted = look(large, settings, most=2)
    least = (2 * 2 + 1) * 32
    size = (len(large.nodes) + len(large.lanes)) * settings.periods
    assert wanted.total <= max(least, work / size)
    assert "p@shop" in wanted.names


def test_progress_counts_every_scenario_that_was_announced():
    seen = []
    large = with_small_ones(60)
    wanted = look(large, SETTINGS, most=3)
    failures(large, SETTINGS, wanted, progress=seen.append)
    assert sum(seen) == wanted.total


def test_a_failure_that_does_not_fit_is_refused():
    with pytest.raises(UsageError, match="does not fit"):
        failures(chain(), SETTINGS, look(chain(), SETTINGS), weeks=20)


def test_no_more_threads_run_than_are_allowed_and_failures_cost_the_same():
    def threads_of(workers):
        before, most = threading.active_count(), 0

        def count(_done):
            nonlocal most
            most = max(most, threading.active_count() - before)

        found = failures(chain(), SETTINGS, look(chain(), SETTINGS), progress=count, workers=workers)
        return most, found

    (one, alone), (several, together) = threads_of(1), threads_of(3)
    assert one <= 2  # a failure, and its block of scenarios
    assert several > 2
    assert sorted(alone, key=lambda node: node.name) == sorted(together, key=lambda node: node.name)
