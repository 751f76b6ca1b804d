"""The queue: what waits is looked at in one pass, what may start is started.

Invariants:
- an attempt, its shares, its token and the new state of its run are written in one transaction, before
  any launcher is started under its name;
- only the leader starts anything, and says so in that transaction;
- a promise made to a run is handed into every later pass.
"""

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from kifabrik.errors import ConflictError, UnavailableError
from kifabrik.factory import budget
from kifabrik.factory.accounts import Accounts
from kifabrik.factory.capacity import Placement
from kifabrik.factory.engine import Engine, Task
from kifabrik.factory.leader import Leadership
from kifabrik.factory.node_records import NodeRecord
from kifabrik.factory.plan import enabled_nodes
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.pricing import cap_within
from kifabrik.factory.records import Tenant
from kifabrik.factory.run_book import RunBook, find_run
from kifabrik.factory.run_records import Attempt, Run, Watched
from kifabrik.factory.schedule import Decision, Holding, Promise, Situation, TenantShare, Waiting, schedule
from kifabrik.plant.governor.flexible import waits_until
from kifabrik.plant.governor.rules import Permit
from kifabrik.prices.pricelist import cost
from kifabrik.runs.states import RunState
from kifabrik.values import Kind, Money, format_time, new_id, parse_time, sweep_of, task_number

GRACE_S: Final = 300
"""Time an attempt may take beyond its cap, for its last checkpoint and its outputs."""

PREPARING_S: Final = 600
"""Time an attempt is expected to take for its environment, its keys and its data at most."""

KEYHOLDER_AWAY: Final = timedelta(seconds=150)
"""A keyholder that has not called for this long is away: its long polls last a minute at most."""

_MOST_OF_A_TENANT: Final = 64
_TENANTS_ONE_BY_ONE: Final = 16
"""Of fewer tenants each is asked for by itself, else all are read at once."""
_SAY_EVERY_S: Final = 2.0
_logger = logging.getLogger(__name__)


class Queue:
    """Starts runs.

    Args:
        store: Opens transactions.
        accounts: Issues attempts' tokens.
        book: Moves runs.
        engine: Starts launchers.
        power: Says what the plant's governor permits at a time (seconds since the epoch); None: no limit.
        trouble: Says why no run can have its data at present; empty if it can.
    """

    def __init__(
        self,
        store: Store,
        accounts: Accounts,
        book: RunBook,
        engine: Engine,
        power: Callable[[float], Permit | None] = lambda _now: None,
        trouble: Callable[[], str] = lambda: "",
    ) -> None:
        self._store = store
        self._accounts = accounts
        self._book = book
        self._engine = engine
        self._power = power
        self._trouble = trouble
        self._said: dict[str, float] = {}
        self.crowded = False
        """Whether something was left waiting for room by the last look."""

    def look(self, leadership: Leadership) -> bool:
        """Start what may start now, and say of the rest what it waits for.

        Returns:
            False: it has decided about all that it looks at.
        """
        with self._store.read() as transaction:
            waiting = transaction.runs.queued_runs(_MOST_OF_A_TENANT)
            if not waiting:
                self._said.clear()
                self.crowded = False
                return False
            nodes = [node for node in transaction.runs.nodes() if self._engine.serves(node.node)]
            situation = self._situation(transaction, waiting, nodes)
        decision = schedule(situation)
        self.crowded = sum(not one.blocked for one in situation.waiting) > len(decision.starts)
        by_id = {_key(run): run for run in waiting}
        for start in decision.starts:
            task = self._start(leadership, by_id[start.run], start.placement, nodes)
            if task is not None:
                submit(self._engine, task)
        self._say(leadership, by_id, decision)
        return False

    def _situation(
        self, transaction: Transaction, waiting: Sequence[Run], nodes: Sequence[NodeRecord]
    ) -> Situation:
        now = self._book.clock()
        active = {(run.tenant, run.run): run for run in transaction.runs.active_runs()}
        tenants = {run.tenant for run in (*waiting, *active.values())}
        away = keyholders_away(transaction, {run.tenant for run in waiting}, now)
        power, trouble = self._power(now.timestamp()), self._trouble()
        return Situation(
            nodes=enabled_nodes(nodes),
            waiting=[_waiting(run, trouble or away[run.tenant] or postponed(run, power, now)) for run in waiting],
            holding=[
                _holding(attempt, active[attempt.tenant, attempt.run], now)
                for attempt in transaction.runs.unfinished_attempts()
                if (attempt.tenant, attempt.run) in active
            ],
            tenants=_shares(transaction, tenants, now),
            now=now.timestamp(),
            power=power,
        )

    def _start(
        self, leadership: Leadership, run: Run, placement: Placement, nodes: Sequence[NodeRecord]
    ) -> Task | None:
        try:
            task = self._reserve(leadership, run, placement, nodes)
        except ConflictError as error:
            _logger.info("run %s is not started now: %s", run.run, error.message)
            return None
        self._said.pop(_key(run), None)
        return task

    def _reserve(
        self, leadership: Leadership, run: Run, placement: Placement, nodes: Sequence[NodeRecord]
    ) -> Task | None:
        by_id = {node.node: node for node in nodes}
        with self._store.write(run.tenant) as transaction:
            leadership.check(transaction)
            found = find_run(transaction, run.tenant, run.run)
            if found.state is not RunState.QUEUED:
                return None
            if not transaction.runs.take(placement):
                raise ConflictError("its place was taken by another service")
            found = with_what_others_left(transaction, found)
            before = transaction.runs.attempts_of(run.tenant, [run.run])
            attempt = Attempt(
                tenant=run.tenant,
                run=run.run,
                attempt=new_id(Kind.ATTEMPT),
                number=len(before) + 1,
                placement=placement,
                place=by_id[placement[0].node].place,
                cap_s=found.cap_s,
                created=self._book.now(),
                submits=1,
            )
            transaction.runs.add_attempt(attempt)
            token = self._accounts.issue_attempt_token(transaction, run.tenant, run.run, attempt.attempt)
            names = ", ".join(by_id[share.node].name for share in placement)
            self._book.change(
                transaction, found, state=RunState.STARTING, reason=f"Starting on {names}.", promise=None
            )
        return task_of(found, attempt, token)

    def _say(self, leadership: Leadership, by_id: Mapping[str, Run], decision: Decision) -> None:
        """Write down reasons and promises that have changed; each run's at most every other second."""
        promises = {one.run: replace(one, run=by_id[one.run].run) for one in decision.promises}
        now = time.monotonic()
        news: list[tuple[Run, str, Promise | None]] = []
        for name, reason in decision.reasons.items():
            run, promise = by_id[name], promises.get(name)
            if (run.reason, run.promise) == (reason, promise):
                continue
            if now - self._said.get(name, -_SAY_EVERY_S) < _SAY_EVERY_S:
                continue
            self._said[name] = now
            news.append((run, reason, promise))
        if news:
            with self._store.write() as transaction:
                leadership.check(transaction)
                for run, reason, promise in news:
                    self._book.wait(transaction, run, reason, promise)


def submit(engine: Engine, task: Task) -> None:
    """Start a launcher; where that fails, whoever watches attempts tries again."""
    try:
        engine.submit(task)
    except UnavailableError as error:
        _logger.warning("attempt %s: %s", task.attempt, error.message)


def task_of(run: Run, attempt: Attempt, token: str = "") -> Task:
    """What the engine is told of an attempt at a run."""
    return Task(
        attempt=attempt.attempt,
        tenant=attempt.tenant,
        token=token,
        placement=attempt.placement,
        run=run.run,
        demand=run.demand,
        limit_s=PREPARING_S + attempt.cap_s + GRACE_S,
        slurm=run.slurm,
        submits=attempt.submits,
        sweep=sweep_of(attempt.run),
        index=task_number(attempt.run),
        spare_s=PREPARING_S + GRACE_S,
    )


def latest_end(attempt: Attempt | Watched, now: datetime) -> datetime:
    """When an attempt gives its shares back at the latest; until its job has started, an expectation."""
    if attempt.running:
        begun = parse_time(attempt.running)
    else:
        begun = max(parse_time(attempt.created) + timedelta(seconds=PREPARING_S), now)
    return begun + timedelta(seconds=attempt.cap_s + GRACE_S)


def with_what_others_left(transaction: Transaction, run: Run) -> Run:
    """Give a sweep's task what other tasks have not used of their parts of the sweep's budget.

    What all tasks together have cost and can cost still never exceeds the budget: each begins with an equal
    part, and takes no more than is left beside all others' parts.
    """
    order = transaction.runs.order_of(run.tenant, run.sweep) if run.sweep else None
    if order is None or not order.budget_micro_eur:
        return run
    left = order.budget_micro_eur - transaction.runs.set_aside(run.tenant, run.sweep)
    rate = Money(run.rate_micro_eur)
    budget = run.budget_micro_eur + max(0, left)
    cap_s = cap_within(rate, Money(budget - run.footprint.cost_micro_eur), run.max_duration_s)
    most = run.footprint.cost_micro_eur + cost(rate, cap_s).micro_eur
    return replace(run, cap_s=cap_s, budget_micro_eur=most, most_micro_eur=most)


def _key(run: Run) -> str:
    """Name a run among those of all tenants: its id is its tenant's choice, and another's may be the same."""
    return f"{run.tenant}/{run.run}"


def postponed(run: Run, power: Permit | None, now: datetime) -> str:
    """Why a run that may wait for a better hour of the plant does, as a sentence; empty if it should not."""
    if power is None or not run.flexible_until:
        return ""
    lasting = PREPARING_S + run.cap_s + GRACE_S
    return waits_until(power.outlook, now.timestamp(), lasting, parse_time(run.flexible_until).timestamp())


def _waiting(run: Run, blocked: str) -> Waiting:
    return Waiting(
        run=_key(run),
        tenant=run.tenant,
        demand=run.demand,
        duration_s=PREPARING_S + run.cap_s + GRACE_S,
        priority=run.priority,
        ordered=parse_time(run.created).timestamp() + run.position * 1e-6,
        rate=run.rate_micro_eur,
        blocked=blocked,
        promise=run.promise,
    )


def _holding(attempt: Attempt, run: Run, now: datetime) -> Holding:
    ends = latest_end(attempt, now).timestamp()
    return Holding(_key(run), run.tenant, attempt.placement, ends, run.rate_micro_eur)


def _shares(transaction: Transaction, tenants: set[str], now: datetime) -> dict[str, TenantShare]:
    used = {usage.tenant: budget.recent(usage, now) for usage in transaction.runs.usage(sorted(tenants))}
    shares = {}
    for tenant in tenants:
        limits = transaction.runs.limits(tenant)
        shares[tenant] = TenantShare(
            used=used.get(tenant, 0.0),
            weight=limits.weight,
            most_cpus=limits.most_cpus,
            most_gpus=limits.most_gpus,
        )
    return shares


def keyholders_away(transaction: Transaction, tenants: Collection[str], now: datetime) -> dict[str, str]:
    """Why no run of each of these tenants can get its keys now, as a sentence; empty if its keyholder is there."""
    if len(tenants) < _TENANTS_ONE_BY_ONE:
        known = {tenant: transaction.accounts.tenant(tenant) for tenant in tenants}
    else:
        known = dict.fromkeys(tenants) | {one.tenant: one for one in transaction.accounts.tenants()}
    return {tenant: _away(known[tenant], now) for tenant in tenants}


def _away(found: Tenant | None, now: datetime) -> str:
    if found is None or not found.keyholder_seen:
        return "Waits for the tenant's keyholder, which has never called. Start it."
    if now - parse_time(found.keyholder_seen) > KEYHOLDER_AWAY:
        return f"Waits for the tenant's keyholder, last seen at {format_time(parse_time(found.keyholder_seen))}."
    return ""
