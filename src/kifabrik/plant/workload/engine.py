"""Events of one pool of equal nodes: jobs end, jobs come, jobs start.

At each moment first all ends, then all arrivals, then one pass over the queue. The rules of a pass:
    - Jobs start in order (of a tenant: `rank`; of tenants: 0, or decayed use where the policy is fair) until one,
      the head, does not fit. A job that does not fit under the permitted power stops the pass: nobody overtakes
      for power.
    - With backfill the head gets a reservation: the nodes on which, by the estimates of running jobs, it can start
      first. A later job may start if it is expected to end by then, or fits beside the reservation.
    - A reservation stands until its job starts, another job becomes head, or a job ends before its estimate.
    - A job no larger than a node goes to the node with the fewest free GPUs that suffice, a larger one to whole
      free nodes; of equal nodes the lowest-numbered is taken.

EASY backfilling: Lifka (JSSPP 1995), in the form of Mu'alem and Feitelson (IEEE TPDS 12(6), 2001, section 2.2).
"""

import math
from typing import Any, Final, NamedTuple

import numba
import numpy as np

from kifabrik.plant.workload.heaps import push, remove, walk_begin, walk_next
from kifabrik.plant.workload.nodes import jit, lowest, put, smallest_that_holds, take
from kifabrik.plant.workload.waiting import first_within, set_leaf

ARRIVED, WAITING, RUNNING, HEAD, RESERVED, STAMP = range(6)
"""Columns of `State.counts`: arrivals so far, jobs waiting, jobs running, the job reserved for (or -1), nodes
reserved, mark of the last walk over ends."""
NOW, SHADOW, POWER = range(3)
"""Columns of `State.clock`: seconds, when the reservation begins, watts drawn."""
ANY: Final = 1e300
_inlined = numba.njit(inline="always", error_model="numpy", boundscheck=False)
"""For all that gets a whole state: counting references to its arrays at each call takes longer than the work."""
_SECONDS_OF_AN_HOUR: Final = 3600.0
_SLACK: Final = 1e-6
_ZERO = np.uint64(0)
_ONE = np.uint64(1)


class Rules(NamedTuple):
    """What a policy and a pool are."""

    node_gpus: int
    backfill: bool
    fair: bool
    decay: float  # of a tenant's use, per second
    shares: Any  # [tenant]
    permitted: Any  # [hour] watts; empty: no limit; after the last hour the first follows
    until: float  # nothing starts from then on


class Jobs(NamedTuple):
    """Jobs of one pool; shapes [job] unless said otherwise. A job's number is its place in the trace."""

    ready: Any  # when it enters the queue
    seconds: Any
    estimate: Any
    takes: Any  # GPUs allotted: whole nodes above a node's size
    watts: Any
    tenant: Any
    cell: Any  # tenant and size
    place: Any  # in the cell, by rank
    rank: Any
    arrivals: Any  # job numbers by ready
    member: Any  # job numbers by cell, then place
    cell_first: Any  # [cell] into member
    cell_takes: Any  # [cell]
    tenant_cells: Any  # [tenant + 1] into cells
    home: Any  # [job + 1] into State.placed


class State(NamedTuple):
    """Everything that changes."""

    counts: Any
    clock: Any
    start: Any  # [job]; infinity until it starts
    end: Any  # [job] real end
    expected: Any  # [job] end by estimate
    placed: Any  # nodes of each job, see Jobs.home
    free: Any  # [node]
    bits: Any
    words: Any
    size: Any
    room: Any  # [node] free, less what is reserved
    room_bits: Any
    room_words: Any
    room_size: Any
    spare: Any  # [node] what a reservation leaves of a node at its time; -1: not reserved
    reserved: Any  # node numbers
    values: Any  # trees of waiting estimates
    root: Any  # [cell]
    leaves: Any  # [cell]
    lead: Any  # [cell] first waiting place or -1
    waiting_of: Any  # [tenant]
    use: Any  # [tenant] decayed GPU seconds
    rate: Any  # [tenant] GPUs held
    by_end: Any
    at_end: Any
    by_expected: Any
    at_expected: Any
    front: Any
    seen: Any  # [node] mark
    then_free: Any  # [node] free GPUs during a walk


@_inlined
def _set_free(state: State, node: int, value: int) -> None:
    """Change how many GPUs of a node are free, and what of them is not reserved."""
    take(state.bits, state.words, state.size, state.free[node], node)
    state.free[node] = value
    put(state.bits, state.words, state.size, value, node)
    _set_room(state, node)


@_inlined
def _set_room(state: State, node: int) -> None:
    room = state.free[node]
    if 0 <= state.spare[node] < room:
        room = state.spare[node]
    if room != state.room[node]:
        take(state.room_bits, state.room_words, state.room_size, state.room[node], node)
        state.room[node] = room
        put(state.room_bits, state.room_words, state.room_size, room, node)


@_inlined
def _fits(size: Any, takes: int, node_gpus: int) -> bool:
    if takes > node_gpus:
        return bool(size[node_gpus] * node_gpus >= takes)
    return bool(smallest_that_holds(size, takes) >= 0)


@_inlined
def _permitted(rules: Rules, now: float) -> float:
    if len(rules.permitted) == 0:
        return ANY
    return float(rules.permitted[int(now // _SECONDS_OF_AN_HOUR) % len(rules.permitted)])


@_inlined
def _may_draw(jobs: Jobs, state: State, rules: Rules, job: int) -> bool:
    return bool(state.clock[POWER] + jobs.watts[job] <= _permitted(rules, state.clock[NOW]) + _SLACK)


@_inlined
def _drop_reservation(state: State) -> None:
    for number in range(state.counts[RESERVED]):
        node = state.reserved[number]
        state.spare[node] = -1
        _set_room(state, node)
    state.counts[RESERVED] = 0
    state.counts[HEAD] = -1


@_inlined
def _start(jobs: Jobs, state: State, rules: Rules, job: int, beside: bool) -> None:
    """Start a job that fits; `beside`: it may outlast the reservation and stays off what is reserved."""
    takes, full = jobs.takes[job], rules.node_gpus
    now = state.clock[NOW]
    first = jobs.home[job]
    for number in range(first, jobs.home[job + 1]):
        each = min(takes, full)
        if beside:
            node = lowest(state.room_bits, state.room_words, smallest_that_holds(state.room_size, each))
            if state.spare[node] >= 0:
                state.spare[node] -= each
        else:
            node = lowest(state.bits, state.words, smallest_that_holds(state.size, each))
        state.placed[number] = node
        _set_free(state, node, state.free[node] - each)
        _set_room(state, node)
    state.start[job] = now
    state.end[job] = now + jobs.seconds[job]
    state.expected[job] = now + jobs.estimate[job]
    running = state.counts[RUNNING]
    push(state.by_end, state.at_end, state.end, running, job)
    push(state.by_expected, state.at_expected, state.expected, running, job)
    state.counts[RUNNING] = running + 1
    state.clock[POWER] += jobs.watts[job]
    state.rate[jobs.tenant[job]] += takes
    _leave_queue(jobs, state, job)


@_inlined
def _enter_queue(jobs: Jobs, state: State, job: int) -> None:
    cell, place = jobs.cell[job], jobs.place[job]
    set_leaf(state.values, state.root[cell], state.leaves[cell], place, jobs.estimate[job])
    if state.lead[cell] < 0 or place < state.lead[cell]:
        state.lead[cell] = place
    state.counts[WAITING] += 1
    state.waiting_of[jobs.tenant[job]] += 1


@_inlined
def _leave_queue(jobs: Jobs, state: State, job: int) -> None:
    cell, place = jobs.cell[job], jobs.place[job]
    set_leaf(state.values, state.root[cell], state.leaves[cell], place, np.inf)
    if place == state.lead[cell]:
        state.lead[cell] = first_within(state.values, state.root[cell], state.leaves[cell], ANY)
    state.counts[WAITING] -= 1
    state.waiting_of[jobs.tenant[job]] -= 1


@_inlined
def _end(jobs: Jobs, state: State, rules: Rules, job: int) -> None:
    running = state.counts[RUNNING]
    remove(state.by_end, state.at_end, state.end, running, job)
    remove(state.by_expected, state.at_expected, state.expected, running, job)
    state.counts[RUNNING] = running - 1
    takes, full = jobs.takes[job], rules.node_gpus
    for number in range(jobs.home[job], jobs.home[job + 1]):
        node = state.placed[number]
        _set_free(state, node, state.free[node] + min(takes, full))
    state.clock[POWER] -= jobs.watts[job]
    state.rate[jobs.tenant[job]] -= takes
    if state.end[job] < state.expected[job]:
        _drop_reservation(state)


@_inlined
def _reserve(jobs: Jobs, state: State, rules: Rules, head: int) -> None:
    """Reserve for the head the nodes on which it can start first, by the estimates of running jobs."""
    _drop_reservation(state)
    takes, full = jobs.takes[head], rules.node_gpus
    wanted = max(1, takes // full)
    found = 0
    if takes > full:
        for word in range(state.bits.shape[1]):
            rest = state.bits[full, word]
            while rest != _ZERO:
                lowest_one = rest & (~rest + _ONE)
                state.reserved[found] = (word << 6) + math.frexp(float(lowest_one))[1] - 1
                found += 1
                rest &= rest - _ONE
    state.counts[STAMP] += 1
    stamp = state.counts[STAMP]
    ahead = walk_begin(state.front, state.counts[RUNNING])
    least = min(takes, full)
    while found < wanted:
        job = state.by_expected[state.front[0]]
        each = min(jobs.takes[job], full)
        for number in range(jobs.home[job], jobs.home[job + 1]):
            node = state.placed[number]
            if state.seen[node] != stamp:
                state.seen[node] = stamp
                state.then_free[node] = state.free[node]
            state.then_free[node] += each
            if state.then_free[node] >= least and found < wanted:
                state.reserved[found] = node
                found += 1
        state.clock[SHADOW] = state.expected[job]
        ahead = walk_next(state.by_expected, state.expected, state.counts[RUNNING], state.front, ahead)
    state.counts[HEAD] = head
    state.counts[RESERVED] = wanted
    for number in range(wanted):
        node = state.reserved[number]
        state.spare[node] = 0 if takes >= full else state.then_free[node] - takes
        _set_room(state, node)


@_inlined
def _account_use(state: State, rules: Rules, moment: float) -> None:
    """Let the use of tenants decay up to a moment and add what they held since."""
    passed = moment - state.clock[NOW]
    if passed <= 0:
        return
    left = math.exp(-rules.decay * passed)
    for tenant in range(len(state.use)):
        state.use[tenant] = state.use[tenant] * left + state.rate[tenant] * (1.0 - left) / rules.decay


@_inlined
def _first_of(jobs: Jobs, state: State, tenant: int) -> int:
    """The tenant's waiting job of least rank, or -1."""
    best = -1
    for cell in range(jobs.tenant_cells[tenant], jobs.tenant_cells[tenant + 1]):
        if state.lead[cell] >= 0:
            job = jobs.member[jobs.cell_first[cell] + state.lead[cell]]
            if best < 0 or jobs.rank[job] < jobs.rank[best]:
                best = job
    return best


@_inlined
def _head(jobs: Jobs, state: State, order: Any) -> int:
    for tenant in order:
        if state.waiting_of[tenant] > 0:
            return _first_of(jobs, state, tenant)
    return -1


@_inlined
def _backfill_of(jobs: Jobs, state: State, rules: Rules, tenant: int) -> int:
    """The tenant's first job that may overtake, or -1."""
    best = -1
    left = state.clock[SHADOW] - state.clock[NOW]
    for cell in range(jobs.tenant_cells[tenant], jobs.tenant_cells[tenant + 1]):
        place = state.lead[cell]
        if place < 0 or not _fits(state.size, jobs.cell_takes[cell], rules.node_gpus):
            continue
        if not _fits(state.room_size, jobs.cell_takes[cell], rules.node_gpus):
            place = first_within(state.values, state.root[cell], state.leaves[cell], left)
            if place < 0:
                continue
        job = jobs.member[jobs.cell_first[cell] + place]
        if best < 0 or jobs.rank[job] < jobs.rank[best]:
            best = job
    return best


@_inlined
def _start_in_order(jobs: Jobs, state: State, rules: Rules, order: Any) -> int:
    """Start from the head of the queue on; gives the head that does not fit, or -1 if nothing else may start."""
    while True:
        head = _head(jobs, state, order)
        if head < 0:
            return -1
        if not _fits(state.size, jobs.takes[head], rules.node_gpus):
            return int(head)
        if not _may_draw(jobs, state, rules, head):
            return -1
        _drop_reservation(state)
        _start(jobs, state, rules, head, False)


@_inlined
def _pass(jobs: Jobs, state: State, rules: Rules) -> None:
    """Start what may start now."""
    order = np.argsort(state.use / rules.shares, kind="mergesort") if rules.fair else np.zeros(1, np.int64)
    head = _start_in_order(jobs, state, rules, order)
    if head < 0 or not rules.backfill or state.counts[WAITING] == 1 or state.size[0] == len(state.free):
        return
    if state.counts[HEAD] != head:
        _reserve(jobs, state, rules, head)
    for tenant in order:
        while state.waiting_of[tenant] > 0:
            job = _backfill_of(jobs, state, rules, tenant)
            if job < 0:
                break
            if not _may_draw(jobs, state, rules, job):
                return
            _start(jobs, state, rules, job, state.clock[NOW] + jobs.estimate[job] > state.clock[SHADOW])


@jit
def advance(jobs: Jobs, state: State, rules: Rules, moments: int) -> bool:
    """Play so many moments; says whether something is left to play."""
    limited = len(rules.permitted) > 0
    for _ in range(moments):
        arrived, running = state.counts[ARRIVED], state.counts[RUNNING]
        moment = np.inf
        if arrived < len(jobs.arrivals):
            moment = jobs.ready[jobs.arrivals[arrived]]
        if running > 0:
            moment = min(moment, state.end[state.by_end[0]])
        if limited and state.counts[WAITING] > 0:
            moment = min(moment, (state.clock[NOW] // _SECONDS_OF_AN_HOUR + 1.0) * _SECONDS_OF_AN_HOUR)
        if not moment < rules.until:
            return False
        if rules.fair:
            _account_use(state, rules, moment)
        state.clock[NOW] = moment
        while state.counts[RUNNING] > 0 and state.end[state.by_end[0]] <= moment:
            _end(jobs, state, rules, state.by_end[0])
        while arrived < len(jobs.arrivals) and jobs.ready[jobs.arrivals[arrived]] <= moment:
            _enter_queue(jobs, state, jobs.arrivals[arrived])
            arrived += 1
        state.counts[ARRIVED] = arrived
        if state.counts[WAITING] > 0:
            _pass(jobs, state, rules)
    return True
