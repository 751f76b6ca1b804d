"""What the engine needs to play one pool of equal nodes: jobs, rules and an empty state as arrays."""

from typing import NamedTuple

import numpy as np

from kifabrik.plant.load import Floats
from kifabrik.plant.workload.engine import HEAD, Jobs, Rules, State
from kifabrik.plant.workload.nodes import empty_sets
from kifabrik.plant.workload.policies import Traits
from kifabrik.plant.workload.trace import Ints, Trace
from kifabrik.plant.workload.waiting import plant_trees


class Pool(NamedTuple):
    """Equal nodes, and the jobs that are to run on them.

    Attributes:
        nodes: How many.
        node_gpus: GPUs in each; 1 where a node is taken whole, or a "node" is one GPU of a pool.
        trace: The jobs.
        takes: What each takes, in GPUs; shape (jobs,).
    """

    nodes: int
    node_gpus: int
    trace: Trace
    takes: Ints


def jobs_of(pool: Pool, ready: Floats, watts: Floats, *, shortest: bool, fair: bool) -> Jobs:
    """Jobs sorted into cells of equal tenant (where that matters) and size."""
    trace, count = pool.trace, pool.trace.jobs
    number = np.arange(count)
    rank = np.empty(count, dtype=np.int64)
    rank[np.lexsort((number, trace.estimate)) if shortest else number] = number
    tenant = trace.tenant if fair else np.zeros(count, dtype=np.int64)
    tenants = len(trace.tenants) if fair else 1
    member = np.lexsort((rank, pool.takes, tenant))
    changes = (np.diff(tenant[member]) != 0) | (np.diff(pool.takes[member]) != 0)
    begins = np.concatenate([[0], np.flatnonzero(changes) + 1])
    cell = np.empty(count, dtype=np.int64)
    place = np.empty(count, dtype=np.int64)
    cell[member] = np.concatenate([[0], np.cumsum(changes)])
    place[member] = number - begins[cell[member]]
    leaders = member[begins]
    return Jobs(
        ready=ready,
        seconds=trace.seconds,
        estimate=trace.estimate,
        takes=pool.takes,
        watts=watts,
        tenant=tenant,
        cell=cell,
        place=place,
        rank=rank,
        arrivals=np.argsort(ready, kind="stable"),
        member=member,
        cell_first=begins.astype(np.int64),
        cell_takes=pool.takes[leaders],
        tenant_cells=np.searchsorted(tenant[leaders], np.arange(tenants + 1)),
        home=np.concatenate([[0], np.cumsum(np.maximum(1, pool.takes // pool.node_gpus))]),
    )


def rules_of(pool: Pool, traits: Traits, decay: float, shares: Floats, limit: Floats, until: float) -> Rules:
    """Rules of a policy for a pool."""
    return Rules(pool.node_gpus, traits.backfill, traits.fair, decay, shares, limit, until)


def state_of(pool: Pool, jobs: Jobs, idle_watts: float) -> State:
    """All nodes free, nobody there."""
    count, nodes, full = pool.trace.jobs, pool.nodes, pool.node_gpus
    bits, words = empty_sets(nodes, full)
    numbers = np.arange(nodes, dtype=np.uint64)
    np.bitwise_or.at(bits[full], numbers >> np.uint64(6), np.uint64(1) << (numbers & np.uint64(63)))
    filled = np.arange(bits.shape[1], dtype=np.uint64)
    np.bitwise_or.at(words[full], filled >> np.uint64(6), np.uint64(1) << (filled & np.uint64(63)))
    size = np.zeros(full + 1, dtype=np.int64)
    size[full] = nodes
    values, root, leaves = plant_trees(np.diff(np.append(jobs.cell_first, count)))
    tenants = len(jobs.tenant_cells) - 1
    most = min(count, nodes * full) + 2
    counts = np.zeros(6, dtype=np.int64)
    counts[HEAD] = -1
    return State(
        counts=counts,
        clock=np.array([0.0, 0.0, idle_watts]),
        start=np.full(count, np.inf),
        end=np.full(count, np.inf),
        expected=np.full(count, np.inf),
        placed=np.full(int(jobs.home[-1]), -1, dtype=np.int64),
        free=np.full(nodes, full, dtype=np.int64),
        bits=bits,
        words=words,
        size=size,
        room=np.full(nodes, full, dtype=np.int64),
        room_bits=bits.copy(),
        room_words=words.copy(),
        room_size=size.copy(),
        spare=np.full(nodes, -1, dtype=np.int64),
        reserved=np.zeros(nodes, dtype=np.int64),
        values=values,
        root=root,
        leaves=leaves,
        lead=np.full(len(jobs.cell_first), -1, dtype=np.int64),
        waiting_of=np.zeros(tenants, dtype=np.int64),
        use=np.zeros(tenants),
        rate=np.zeros(tenants, dtype=np.int64),
        by_end=np.zeros(most, dtype=np.int64),
        at_end=np.zeros(count, dtype=np.int64),
        by_expected=np.zeros(most, dtype=np.int64),
        at_expected=np.zeros(count, dtype=np.int64),
        front=np.zeros(most, dtype=np.int64),
        seen=np.zeros(nodes, dtype=np.int64),
        then_free=np.zeros(nodes, dtype=np.int64),
    )
