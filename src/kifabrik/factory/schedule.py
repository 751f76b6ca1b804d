"""Which waiting runs start now, where, and why each other waits: one pure function.

Invariants:
- no GPU, core or byte of memory is given to two runs at once;
- between tenants, the one that used less lately comes first; within a tenant, the higher priority, then
  the earlier order;
- no run starts that would take more than the plant's governor permits; running work is left alone;
- the first run in fair order that power does not suffice for gets the power that comes free: later ones start only
  beside it, or if they give theirs back before (EASY backfilling on power), so a large run does not starve behind
  small ones;
- the first runs that do not fit get a promise: a start and a place that nothing started later may delay, so
  a large run starts no later than its first promise as long as running ones keep to their longest duration
  (backfill with reservations; Mu'alem and Feitelson, IEEE TPDS 12(6), 2001);
- every run that waits has one sentence that says for what.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from kifabrik.factory.capacity import Demand, Node, Occupation, Placement, Timeline
from kifabrik.factory.feasibility import clock, what_is_short, what_lacks
from kifabrik.factory.power_book import PowerBook
from kifabrik.plant.governor.rules import Permit

MOST_PROMISES: Final = 4
"""Runs with a reservation at one time; more would leave less room for backfill."""

_MOST_TRIED: Final = 128
"""Runs that are tried for backfill in one pass, in their order; the rest waits its turn."""

_CHARGE_S: Final = 3600.0
"""A run that starts counts at once as this long, so that one tenant cannot take all free room in one pass."""

_OVERRUN_S: Final = 5.0
"""A run beyond its end is being stopped: its share counts as taken for this long still."""


@dataclass(frozen=True)
class Promise:
    """A run will start at this moment at the latest, on these shares."""

    run: str
    window: Occupation


@dataclass(frozen=True)
class Waiting:
    """A run that could start.

    Args:
        run: Which run, unique among those of all tenants.
        tenant: Tenant id.
        demand: What it needs.
        duration_s: Longest time it holds its shares, all grace included.
        priority: Among the tenant's own runs; higher is sooner.
        ordered: When it was ordered.
        rate: Its price for an hour, micro-euro.
        blocked: Why it may not start whatever is free, as a sentence; empty normally.
        promise: What it was promised in an earlier pass.
    """

    run: str
    tenant: str
    demand: Demand
    duration_s: float
    priority: int
    ordered: float
    rate: int
    blocked: str = ""
    promise: Promise | None = None


@dataclass(frozen=True)
class Holding:
    """A run that holds shares until `ends` at the latest."""

    run: str
    tenant: str
    placement: Placement
    ends: float
    rate: int


@dataclass(frozen=True)
class TenantShare:
    """What a tenant is entitled to.

    Args:
        used: Its decayed recent usage, micro-euro.
        weight: A tenant of weight 2 gets twice as much as one of weight 1 where both wait.
        most_cpus: Most cores it may hold at once; 0 for no limit.
        most_gpus: Most GPUs it may hold at once; 0 for no limit.
    """

    used: float = 0.0
    weight: float = 1.0
    most_cpus: int = 0
    most_gpus: int = 0


@dataclass(frozen=True)
class Situation:
    """Everything a pass looks at."""

    nodes: Sequence[Node]
    waiting: Sequence[Waiting]
    holding: Sequence[Holding]
    tenants: Mapping[str, TenantShare]
    now: float
    power: Permit | None = None
    """What the plant's governor permits; None where there is none."""


@dataclass(frozen=True)
class Start:
    """A run starts now on these shares."""

    run: str
    placement: Placement


@dataclass
class Decision:
    """What a pass decides.

    Args:
        starts: In the order they are to be started.
        promises: All that stand after this pass; hand them in again with the next.
        reasons: One sentence for each run that waits.
    """

    starts: list[Start] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    reasons: dict[str, str] = field(default_factory=dict)


def schedule(situation: Situation) -> Decision:
    """Decide what starts now."""
    return _Pass(situation).decide()


class _Pass:
    def __init__(self, situation: Situation) -> None:
        self._seen = situation
        self._now = situation.now
        self._timeline = Timeline(situation.nodes, situation.now)
        self._decision = Decision()
        self._held: dict[str, list[Placement]] = {}
        self._power = PowerBook(situation.nodes, situation.power, situation.now)
        self._score = {tenant: share.used / share.weight for tenant, share in situation.tenants.items()}
        for holding in situation.holding:
            ends = max(holding.ends, self._now + _OVERRUN_S)
            self._timeline.add(Occupation(holding.placement, self._now, ends))
            self._charge(holding.tenant, holding.rate, holding.placement)
            self._power.add(holding.placement, ends)

    def decide(self) -> Decision:
        promised = [run for run in self._seen.waiting if run.promise is not None and self._may_start(run)]
        promised.sort(key=lambda run: _window(run).starts)
        for run in promised:
            self._timeline.add(_window(run))
            self._held.setdefault(run.tenant, []).append(_window(run).placement)
        for run in promised:
            self._keep(run)
        with_promise = {run.run for run in promised}
        others = [run for run in self._seen.waiting if run.run not in with_promise]
        for tried, run in enumerate(self._in_fair_order(others)):
            if tried >= _MOST_TRIED:
                self._decision.reasons[run.run] = "Waits its turn behind earlier runs."
            else:
                self._try(run)
        return self._decision

    def _keep(self, run: Waiting) -> None:
        """Start a promised run, keep its promise, or give it an earlier one."""
        window = _window(run)
        self._timeline.remove(window)
        self._held[run.tenant].remove(window.placement)
        placement = self._timeline.fit(run.demand, self._now, run.duration_s)
        due = window.starts <= self._now
        if placement is None and due and self._timeline.holds(window.placement, self._now, 1):
            placement = window.placement
        if placement is not None and (short := self._over_power(run)):  # others with a promise have started before
            self._decision.reasons[run.run] = short
            return
        if placement is not None:
            self._start(run, placement)
            return
        kept = self._timeline.holds(window.placement, window.starts, run.duration_s) and not due
        better = self._timeline.earliest(run.demand, run.duration_s)
        if better is not None and (better.starts < window.starts or not kept):
            window = better
        self._promise(run, window)

    def _try(self, run: Waiting) -> None:
        reason = run.blocked or what_lacks(run.demand, self._seen.nodes) or self._over_own_limit(run)
        if not reason:
            reason = self._over_power(run)
            if reason:
                self._power.reserve(run.demand)
        if reason:
            self._decision.reasons[run.run] = reason
            return
        placement = self._timeline.fit(run.demand, self._now, run.duration_s)
        if placement is not None:
            self._start(run, placement)
        elif len(self._decision.promises) < MOST_PROMISES:
            window = self._timeline.earliest(run.demand, run.duration_s)
            if window is not None:
                self._promise(run, window)
        else:
            self._decision.reasons[run.run] = self._what_for(run)

    def _what_for(self, run: Waiting) -> str:
        if self._timeline.fit(run.demand, self._now, 1) is not None:
            return "Waits so that an earlier run can start in time."
        return what_is_short(run.demand, self._timeline)

    def _start(self, run: Waiting, placement: Placement) -> None:
        self._timeline.add(Occupation(placement, self._now, self._now + run.duration_s))
        self._charge(run.tenant, run.rate, placement)
        self._power.add(placement, self._now + run.duration_s)
        self._decision.starts.append(Start(run.run, placement))

    def _promise(self, run: Waiting, window: Occupation) -> None:
        starts = clock(window.starts, self._now)
        self._decision.reasons[run.run] = f"{self._what_for(run)} Its turn comes at {starts} at the latest."
        self._timeline.add(window)
        self._held.setdefault(run.tenant, []).append(window.placement)
        self._decision.promises.append(Promise(run.run, window))

    def _charge(self, tenant: str, rate: int, placement: Placement) -> None:
        share = self._share(tenant)
        self._score[tenant] = self._score.get(tenant, 0.0) + rate * _CHARGE_S / 3600 / share.weight
        self._held.setdefault(tenant, []).append(placement)

    def _share(self, tenant: str) -> TenantShare:
        return self._seen.tenants.get(tenant, TenantShare())

    def _may_start(self, run: Waiting) -> bool:
        lacks = run.blocked or what_lacks(run.demand, self._seen.nodes) or self._over_own_limit(run)
        return not (lacks or self._over_power(run))

    def _over_power(self, run: Waiting) -> str:
        """Why the plant's power does not suffice for a run now, as a sentence; empty if it does."""
        return self._power.short(run.demand, run.duration_s)

    def _over_own_limit(self, run: Waiting) -> str:
        """Which limit of its tenant a run would exceed now, as a sentence; empty if none."""
        limits, asked = self._share(run.tenant), run.demand.resources
        held = [share for placement in self._held.get(run.tenant, []) for share in placement]
        for most, used, more, words in (
            (
                limits.most_gpus,
                sum(len(share.gpus) for share in held),
                asked.gpu_count * asked.nodes,
                "GPUs",
            ),
            (limits.most_cpus, sum(share.cpus for share in held), asked.cpus * asked.nodes, "CPU cores"),
        ):
            if most and more and used + more > most:
                return f"Waits for the tenant's own limit: {used} of {most} {words} are in use."
        return ""

    def _in_fair_order(self, runs: Sequence[Waiting]) -> Iterator[Waiting]:
        """Yield runs so that each next one is of the tenant with the lowest score at that moment."""
        queues: dict[str, list[Waiting]] = {}
        for run in sorted(runs, key=lambda run: (-run.priority, run.ordered, run.run), reverse=True):
            queues.setdefault(run.tenant, []).append(run)
        while queues:
            tenant = min(queues, key=lambda name: (self._score.get(name, 0.0), queues[name][-1].ordered, name))
            yield queues[tenant].pop()
            if not queues[tenant]:
                del queues[tenant]


def _window(run: Waiting) -> Occupation:
    if run.promise is None:
        raise AssertionError
    return run.promise.window
