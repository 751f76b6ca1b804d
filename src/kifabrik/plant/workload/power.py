"""From a schedule to the IT power: a step function whose energy is that of the runs and of what idles, exactly.

A run carries its GPUs' power and, for each GPU, one part of what a node at work adds once; parts that no run
carries are idle. All powers are whole sixteenths of a watt and all times whole seconds, so sums over a year of up
to 17 MW are exact in 64-bit floats, whatever their order.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from kifabrik.plant.load import Floats, Load
from kifabrik.plant.workload.nodes import jit
from kifabrik.plant.workload.policies import Sharing
from kifabrik.plant.workload.scheduling import Schedule, quantised
from kifabrik.plant.workload.trace import Ints


@dataclass(frozen=True)
class Energies:
    """Where the IT energy of a span went.

    Attributes:
        run_joules: Of each run, within the span; shape (jobs,).
        idle_joules: Of nodes at rest, and what of nodes at work no run carries.
    """

    run_joules: Floats
    idle_joules: float

    @property
    def joules(self) -> float:
        """Of runs and what idles together."""
        return float(self.run_joules.sum()) + self.idle_joules


class _Events(NamedTuple):
    """Starts and ends on one kind of node, in order of time; shapes [event] unless said otherwise."""

    time: Floats
    job: Ints
    sign: Ints  # 1: starts, -1: ends
    woken: Ints  # nodes put to work (or, below 0, to rest)
    node_seconds: float  # of nodes at work, within the span


def load_of(schedule: Schedule) -> Load:
    """IT power of all nodes over the span of a schedule."""
    times, changes = [np.zeros(0)], [np.zeros(0)]
    for number, nodes in enumerate(schedule.fleet.nodes):
        events = _events(schedule, number)
        part = quantised(nodes.shared_watts / nodes.gpus)
        claimed = events.sign * schedule.trace.gpus[events.job]
        times.append(events.time)
        changes.append(events.sign * schedule.watts[events.job] + part * (events.woken * nodes.gpus - claimed))
    time, change = np.concatenate(times), np.concatenate(changes)
    order = np.argsort(time, kind="stable")
    watts = _idle_watts(schedule) + np.concatenate([[0.0], np.cumsum(change[order])])
    edges = np.concatenate([[0.0], np.minimum(time[order], schedule.span), [schedule.span]])
    kept = np.diff(edges) > 0
    return Load(edges=np.append(edges[:-1][kept], schedule.span), watts=watts[kept])


def energies_of(schedule: Schedule) -> Energies:
    """Energy of each run and of what idles: from the runs' own times and the nodes' hours, not from the power."""
    span, trace = schedule.span, schedule.trace
    ran = np.where(schedule.started, np.minimum(schedule.end, span) - np.minimum(schedule.start, span), 0.0)
    idle = _idle_watts(schedule) * span
    for number, nodes in enumerate(schedule.fleet.nodes):
        here = schedule.kind == number
        unclaimed = _events(schedule, number).node_seconds * nodes.gpus - float(np.dot(trace.gpus[here], ran[here]))
        idle += quantised(nodes.shared_watts / nodes.gpus) * unclaimed
    return Energies(run_joules=schedule.watts * ran, idle_joules=idle)


def _idle_watts(schedule: Schedule) -> float:
    return sum(each.count * quantised(each.idle_watts) for each in schedule.fleet.nodes)


def _events(schedule: Schedule, number: int) -> _Events:
    which = np.flatnonzero((schedule.kind == number) & (schedule.start < schedule.span))
    count = len(which)
    time = np.concatenate([schedule.end[which], schedule.start[which]])
    sign = np.repeat(np.array([-1, 1]), count)
    job = np.concatenate([which, which])
    order = np.lexsort((sign, time))
    time, sign, job = time[order], sign[order], job[order]
    nodes = schedule.fleet.nodes[number]
    gpus_of_place = nodes.gpus if schedule.sharing is Sharing.POOLED else 1
    woken = np.zeros(2 * count, dtype=np.int64)
    runs, since = np.zeros(nodes.count, dtype=np.int64), np.zeros(nodes.count)
    clipped = np.minimum(time, schedule.span)
    seconds = _play(job, sign, clipped, schedule.first, schedule.nodes, gpus_of_place, runs, since, woken)
    return _Events(time, job, sign, woken, float(seconds))


@jit
def _play(
    job: Any, sign: Any, time: Any, first: Any, places: Any, gpus_of_place: int, runs: Any, since: Any, woken: Any
) -> float:
    """Count on each node what runs there; gives the seconds all nodes together had something to run."""
    seconds = 0.0
    for event in range(len(job)):
        for at in range(first[job[event]], first[job[event] + 1]):
            node = places[at] // gpus_of_place
            before = runs[node]
            runs[node] += sign[event]
            if before == 0:
                woken[event] += 1
                since[node] = time[event]
            elif runs[node] == 0:
                woken[event] -= 1
                seconds += time[event] - since[node]
    return seconds
