"""When and where each job of a trace runs on a fleet.

Each kind of node is a partition of its own. Jobs that do not fit into one go to another; otherwise a job goes to
the partition with the fewest GPU seconds per GPU so far, so that all carry the same load.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from kifabrik.errors import UsageError
from kifabrik.plant.load import Fleet, Floats, NodeType, Signals
from kifabrik.plant.workload.deferring import put_off
from kifabrik.plant.workload.engine import ARRIVED, advance
from kifabrik.plant.workload.nodes import jit
from kifabrik.plant.workload.policies import HALF_LIFE, TRAITS, Policy, Sharing
from kifabrik.plant.workload.preparing import Pool, jobs_of, rules_of, state_of
from kifabrik.plant.workload.trace import Ints, Trace

MOMENTS: int = 50_000
"""Played between two steps of a progress bar: about a tenth of a second."""
_GRAIN = 16.0


@dataclass(frozen=True)
class Schedule:
    """When and where each job ran.

    Attributes:
        trace: The jobs.
        fleet: The nodes.
        span: Seconds that were simulated.
        kind: Number of the node type in the fleet each job was given; shape (jobs,).
        start: When each started, infinity if it had not by the end of the span; shape (jobs,).
        first: `nodes[first[i]:first[i + 1]]` are those of job i; shape (jobs + 1,).
        nodes: Numbers of nodes within their type; -1 where a job did not start.
        watts: What each job adds to the IT power; shape (jobs,).
        sharing: What of a node jobs took.
    """

    trace: Trace
    fleet: Fleet
    span: float
    kind: Ints
    start: Floats
    first: Ints
    nodes: Ints
    watts: Floats
    sharing: Sharing

    @property
    def end(self) -> Floats:
        """When each ended or would end; infinity if it never started."""
        return self.start + self.trace.seconds

    @property
    def started(self) -> Any:
        """Mask of jobs that started."""
        return np.isfinite(self.start)


def schedule(
    trace: Trace,
    fleet: Fleet,
    policy: Policy,
    *,
    sharing: Sharing = Sharing.SHARED,
    signals: Signals | None = None,
    shares: dict[str, float] | None = None,
    until: float = math.inf,
    progress: Callable[[int], None] | None = None,
) -> Schedule:
    """Decide when and where each job runs.

    Args:
        trace: Jobs.
        fleet: Nodes; each kind is a partition.
        policy: In which order waiting jobs start.
        sharing: What of a node a job takes.
        signals: What a policy that follows the plant follows; needed by those, ignored by others.
        shares: Of tenants, for fair share; 1 by default.
        until: Seconds from which on nothing starts any more; by default all jobs run.
        progress: Called with the number of jobs that came since the last call.

    Raises:
        UsageError: A job is larger than every kind of node, the policy needs signals, or the permitted power never
            suffices for a job.
    """
    traits = TRAITS[policy]
    if traits.signals and signals is None:
        raise UsageError(f"Policy {policy.value} follows a plant, and none is given.", hint="Name one: --site FILE")
    kind = _partitions(trace, fleet)
    watts = watts_of(trace, fleet, kind)
    followed = signals if traits.signals else None
    ready = trace.submit if followed is None else put_off(trace, fleet, followed)
    start = np.full(trace.jobs, np.inf)
    taken = allotted(trace, fleet, kind, sharing)
    node_gpus = np.array([each.gpus for each in fleet.nodes])[kind]
    first = np.concatenate([[0], np.cumsum(_nodes_needed(taken, node_gpus, sharing))])
    nodes = np.full(int(first[-1]), -1, dtype=np.int64)
    for number, nodes_of_kind in enumerate(fleet.nodes):
        which = np.flatnonzero(kind == number)
        if not len(which):
            continue
        pool = _pool(trace, nodes_of_kind, which, taken[which], sharing)
        jobs = jobs_of(pool, ready[which], watts[which], shortest=traits.shortest, fair=traits.fair)
        limit = _limit(fleet, nodes_of_kind, followed, watts[which])
        decay = math.log(2) / HALF_LIFE
        weights = np.array([(shares or {}).get(name, 1.0) for name in trace.tenants])
        rules = rules_of(pool, traits, decay, weights, limit, until)
        state = state_of(pool, jobs, nodes_of_kind.count * nodes_of_kind.idle_watts)
        came = 0
        while advance(jobs, state, rules, MOMENTS):
            if progress:
                progress(int(state.counts[ARRIVED]) - came)
                came = int(state.counts[ARRIVED])
        if progress:
            progress(len(which) - came)
        start[which] = state.start
        _hand_over(jobs.home, state.placed, first, nodes, which)
    span = until if math.isfinite(until) else float((start + trace.seconds).max())
    return Schedule(trace, fleet, span, kind, start, first, nodes, watts, sharing)


def allotted(trace: Trace, fleet: Fleet, kind: Ints, sharing: Sharing) -> Ints:
    """GPUs each job holds: those of whole nodes where it is larger than a node, or nodes are not shared."""
    node_gpus = np.array([each.gpus for each in fleet.nodes])[kind]
    whole = -(-trace.gpus // node_gpus) * node_gpus
    match sharing:
        case Sharing.WHOLE:
            return np.asarray(whole, dtype=np.int64)
        case Sharing.POOLED:
            return trace.gpus
        case Sharing.SHARED:
            return np.asarray(np.where(trace.gpus > node_gpus, whole, trace.gpus), dtype=np.int64)


def watts_of(trace: Trace, fleet: Fleet, kind: Ints) -> Floats:
    """What each job adds to the IT power: its GPUs, and for each one part of what a node at work adds once.

    Whole sixteenths of a watt, so that sums over a year of a fleet of some 20 MW are exact in 64-bit floats.
    """
    gpu = np.array([each.gpu_watts for each in fleet.nodes])[kind]
    shared = np.array([each.shared_watts / each.gpus for each in fleet.nodes])[kind]
    parts = np.round(shared * _GRAIN) / _GRAIN
    return np.asarray(np.round(trace.gpus * gpu * trace.intensity * _GRAIN) / _GRAIN + trace.gpus * parts)


def quantised(watts: float) -> float:
    """A power in whole sixteenths of a watt."""
    return round(watts * _GRAIN) / _GRAIN


def _nodes_needed(taken: Ints, node_gpus: Ints, sharing: Sharing) -> Ints:
    return taken if sharing is Sharing.POOLED else np.maximum(1, taken // node_gpus)


def _partitions(trace: Trace, fleet: Fleet) -> Ints:
    """The kind of node of each job."""
    room = np.array([each.count * each.gpus for each in fleet.nodes], dtype=np.int64)
    most = int(room.max())
    large = np.flatnonzero(trace.gpus > most)
    if len(large):
        job = int(large[0])
        raise UsageError(
            f"Job {job + 1} of {trace.name} asks for {trace.gpus[job]} GPUs; the largest kind of node has {most}.",
            hint="Take a larger fleet, or leave such jobs out: --largest N",
        )
    kind = np.zeros(trace.jobs, dtype=np.int64)
    if len(room) > 1:
        _share_out(trace.gpus, trace.seconds, room, kind)
    return kind


@jit
def _share_out(gpus: Any, seconds: Any, room: Any, kind: Any) -> None:
    given = np.zeros(len(room))
    for job in range(len(gpus)):
        best = -1
        for each in range(len(room)):
            if gpus[job] <= room[each] and (best < 0 or given[each] / room[each] < given[best] / room[best]):
                best = each
        kind[job] = best
        given[best] += gpus[job] * seconds[job]


def _pool(trace: Trace, nodes: NodeType, which: Ints, taken: Ints, sharing: Sharing) -> Pool:
    part = trace.pick(which)
    if sharing is Sharing.POOLED:
        return Pool(nodes.count * nodes.gpus, 1, part, taken)
    if sharing is Sharing.WHOLE:
        return Pool(nodes.count, 1, part, taken // nodes.gpus)
    return Pool(nodes.count, nodes.gpus, part, taken)


def _limit(fleet: Fleet, nodes: NodeType, signals: Signals | None, watts: Floats) -> Floats:
    """Permitted power of one kind of node, hour by hour: its part of all by its power at full load."""
    if signals is None:
        return np.zeros(0)
    full = nodes.count * (nodes.idle_watts + nodes.shared_watts + nodes.gpus * nodes.gpu_watts)
    limit = np.asarray(signals.permitted_watts * (full / fleet.full_watts))
    least = nodes.count * nodes.idle_watts + float(watts.max())
    if float(limit.max()) < least:
        raise UsageError(
            f"The permitted power never suffices: {nodes.name} gets at most {limit.max() / 1000:,.0f} kW,"
            f" its largest job needs {least / 1000:,.0f} kW with all other nodes idle.",
            hint="Check the limits of the river and the cooling in the site file.",
        )
    return limit


def _hand_over(home: Ints, placed: Ints, first: Ints, nodes: Ints, which: Ints) -> None:
    """Copy nodes of a partition's jobs to their places among all jobs."""
    count = np.diff(home)
    target = np.repeat(first[which] - home[:-1], count) + np.arange(home[-1])
    nodes[target] = placed
