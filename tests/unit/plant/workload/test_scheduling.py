import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_scheduler import Job, PlainScheduler

from kifabrik.errors import UsageError
from kifabrik.plant.load import Fleet, NodeType, Signals
from kifabrik.plant.workload.policies import Policy, Sharing
from kifabrik.plant.workload.power import energies_of, load_of
from kifabrik.plant.workload.reading import read_trace
from kifabrik.plant.workload.scheduling import schedule
from kifabrik.plant.workload.trace import make_trace

pytestmark = pytest.mark.timeout(900)  # the first one compiles
FLAGS = {
    Policy.FIFO: {},
    Policy.SJF: {"order": "sjf"},
    Policy.BACKFILL: {"backfill": True},
    Policy.FAIR_SHARE: {"order": "fair", "backfill": True},
    Policy.HEAT_AWARE: {"backfill": True},
}


def philly() -> Path:
    found = next(
        (up / "shared/data/traces/philly.csv.gz" for up in Path(__file__).parents if (up / "shared").is_dir()), None
    )
    if found is None or not found.is_file():
        pytest.skip("needs shared/data/traces/philly.csv.gz beside the checkout")
    return found


@pytest.fixture(scope="module")
def busy_days():
    """Jobs of the trace's busiest days, with estimates that are wrong as people's are."""
    trace = read_trace(philly())
    part = trace.pick(slice(30_000, 31_500))
    luck = np.random.default_rng(7)
    return make_trace(
        "busy days",
        part.submit - part.submit[0],
        np.minimum(part.seconds, 200_000),
        part.gpus,
        tenant=part.tenant,
        tenants=part.tenants,
        estimate=np.minimum(part.seconds, 200_000) * luck.choice([1.0, 1.0, 1.5, 4.0], part.jobs),
    )


def plain(trace, nodes, gpus, policy, watts=None, **more):
    jobs = [
        Job(
            number,
            *map(float, (trace.submit[number], trace.seconds[number], trace.estimate[number])),
            int(trace.gpus[number]),
            int(trace.tenant[number]),
            0.0 if watts is None else float(watts[number]),
        )
        for number in range(trace.jobs)
    ]
    PlainScheduler(jobs, nodes, gpus, **FLAGS[policy], **more).run()
    return jobs


@pytest.mark.parametrize("policy", [policy for policy in Policy if policy is not Policy.HEAT_AWARE])
@pytest.mark.parametrize("true_estimates", [True, False])
def test_every_job_of_philly_starts_when_and_where_a_plain_implementation_says(busy_days, policy, true_estimates):
    trace = busy_days
    if true_estimates:
        trace = make_trace("t", trace.submit, trace.seconds, trace.gpus, tenant=trace.tenant, tenants=trace.tenants)
    nodes = 9
    trace = trace.pick(trace.gpus <= nodes * 8)
    found = schedule(trace, Fleet((NodeType("eight", nodes, 8, 0, 1),)), policy)
    expected = plain(trace, nodes, 8, policy)
    assert found.start.tolist() == [job.start for job in expected]
    assert [found.nodes[a:b].tolist() for a, b in zip(found.first, found.first[1:], strict=False)] == [
        job.nodes for job in expected
    ]
    assert (found.start > trace.submit).mean() > 0.3


def test_under_permitted_power_jobs_start_as_a_plain_implementation_says(busy_days):
    trace, nodes = busy_days.pick(busy_days.gpus <= 16), 12
    fleet = Fleet((NodeType("eight", nodes, 8, 1000, 500),))
    luck = np.random.default_rng(3)
    permitted = luck.uniform(25_000, 70_000, 24 * 40)
    found = schedule(trace, fleet, Policy.HEAT_AWARE, signals=Signals(permitted, np.zeros(24 * 40)))
    expected = plain(trace, nodes, 8, Policy.HEAT_AWARE, found.watts, power=permitted.tolist(), idle=12_000.0)
    assert found.start.tolist() == [job.start for job in expected]
    free = schedule(trace, fleet, Policy.BACKFILL)
    assert (found.start > free.start).sum() > 100


@st.composite
def small_traces(draw):
    count = draw(st.integers(1, 40))
    jobs = draw(
        st.lists(
            st.tuples(
                st.integers(0, 50),
                st.integers(1, 30),
                st.integers(1, 12),
                st.integers(0, 2),
                st.sampled_from([1, 2]),
            ),
            min_size=count,
            max_size=count,
        )
    )
    submit, seconds, gpus, tenant, factor = map(np.array, zip(*jobs, strict=True))
    return make_trace(
        "drawn", submit, seconds, gpus, tenant=tenant, tenants=("a", "b", "c"), estimate=seconds * factor
    )


FLEETS = st.sampled_from(
    [
        Fleet((NodeType("four", 3, 4, 100.25, 30.5, 20.0),)),
        Fleet((NodeType("four", 3, 4, 100.25, 30.5, 20.0), NodeType("two", 7, 2, 70, 11.1, 3.3))),
    ]
)


@settings(max_examples=120)
@given(
    trace=small_traces(), fleet=FLEETS, policy=st.sampled_from(list(FLAGS)), sharing=st.sampled_from(list(Sharing))
)
def test_invariants_of_every_schedule(trace, fleet, policy, sharing):
    signals = Signals(np.full(3, fleet.full_watts * 1.5), np.ones(3))
    found = schedule(trace, fleet, policy, sharing=sharing, signals=signals)
    assert np.isfinite(found.start).all(), "work is conserved: every job runs"
    assert (found.start >= trace.submit).all(), "no job starts before its submission"
    pooled = sharing is Sharing.POOLED
    for moment in np.unique(found.start):
        held = {}
        for job in np.flatnonzero((found.start <= moment) & (found.end > moment)):
            kind = fleet.nodes[found.kind[job]]
            nodes = found.nodes[found.first[job] : found.first[job + 1]].tolist()
            assert len(set(nodes)) == len(nodes)
            for node in nodes:
                assert 0 <= node < kind.count * (kind.gpus if pooled else 1)
                whole = len(nodes) > 1 or sharing is Sharing.WHOLE
                takes = 1 if pooled else kind.gpus if whole else trace.gpus[job]
                held[(found.kind[job], node)] = held.get((found.kind[job], node), 0) + takes
            room = len(nodes) * (1 if pooled else kind.gpus)
            assert room >= trace.gpus[job], "a gang starts together, with all it needs"
        for (kind, _), gpus in held.items():
            assert gpus <= (1 if pooled else fleet.nodes[kind].gpus), "no GPU is used twice"


@settings(max_examples=80)
@given(
    trace=small_traces(),
    fleet=FLEETS,
    sharing=st.sampled_from(list(Sharing)),
    until=st.sampled_from([20.0, 60.0, math.inf]),
)
def test_energy_of_runs_and_of_what_idles_is_that_of_the_power_exactly(trace, fleet, sharing, until):
    found = schedule(trace, fleet, Policy.BACKFILL, sharing=sharing, until=until)
    load, energies = load_of(found), energies_of(found)
    assert load.joules() == energies.joules
    assert (np.diff(load.edges) > 0).all()
    assert load.edges[0] == 0
    assert load.edges[-1] == found.span
    assert load.watts.min() >= math.floor(fleet.idle_watts * 16) / 16
    middle = load.edges[:-1] + np.diff(load.edges) / 2
    for moment, watts in zip(middle, load.watts, strict=True):
        assert watts == pytest.approx(_power_at(found, moment), rel=1e-3)


def _power_at(found, moment):
    """Power at a moment from what stands on each node then."""
    total, active = 0.0, set()
    for kind in found.fleet.nodes:
        total += kind.count * kind.idle_watts
    for job in np.flatnonzero((found.start <= moment) & (found.end > moment)):
        kind = found.fleet.nodes[found.kind[job]]
        total += found.trace.gpus[job] * kind.gpu_watts
        for node in found.nodes[found.first[job] : found.first[job + 1]]:
            active.add((found.kind[job], node // (kind.gpus if found.sharing is Sharing.POOLED else 1)))
    return total + sum(found.fleet.nodes[kind].shared_watts for kind, _ in active)


def test_a_reserved_job_is_not_delayed_by_those_that_overtake_it():
    fleet = Fleet((NodeType("four", 2, 4, 0, 1),))
    trace = make_trace("four jobs", [0, 1, 2, 3], [100, 50, 30, 200], [6, 8, 1, 1])
    alone = schedule(trace.pick([0, 1]), fleet, Policy.BACKFILL)
    found = schedule(trace, fleet, Policy.BACKFILL)
    assert alone.start[1] == found.start[1] == 100
    assert found.start[3] >= 100
    assert schedule(make_trace("t", [0, 1, 2], [100, 50, 30], [4, 8, 1]), fleet, Policy.BACKFILL).start[2] == 2


def test_a_job_larger_than_every_kind_of_node_is_named():
    trace = make_trace("wide", [0, 0], [1, 1], [1, 99])
    with pytest.raises(UsageError, match="Job 2 of wide asks for 99 GPUs; the largest kind of node has 12"):
        schedule(trace, Fleet((NodeType("four", 3, 4, 0, 1),)), Policy.FIFO)


def test_a_limit_that_can_never_hold_is_named():
    trace, fleet = make_trace("one", [0], [1], [12]), Fleet((NodeType("four", 3, 4, 1000, 1000),))
    with pytest.raises(UsageError, match="The permitted power never suffices: four gets at most 14 kW"):
        schedule(trace, fleet, Policy.HEAT_AWARE, signals=Signals(np.full(2, 14_000.0), np.zeros(2)))


def test_work_that_may_wait_runs_when_heat_is_wanted_and_ends_in_time():
    fleet = Fleet((NodeType("four", 3, 4, 0, 1),))
    heat = np.zeros(24)
    heat[10:14] = 1.0
    trace = make_trace("two", [0, 0], [7200, 7200], [4, 4], until=[86400, math.inf])
    found = schedule(trace, fleet, Policy.HEAT_AWARE, signals=Signals(np.full(24, 100.0), heat))
    assert found.start.tolist() == [10 * 3600, 0]
    early = make_trace("early", [0], [7200], [4], until=[9 * 3600])
    assert schedule(early, fleet, Policy.HEAT_AWARE, signals=Signals(np.full(24, 100.0), heat)).end[0] <= 9 * 3600
