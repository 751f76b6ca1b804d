"""The operator's view: nodes by kind, what waits, tenants beside each other, what needs attention."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from kifabrik.factory import budget
from kifabrik.factory.allowances import Limits
from kifabrik.factory.capacity import Share
from kifabrik.factory.leader import is_led
from kifabrik.factory.node_records import NodeRecord
from kifabrik.factory.ports import Clock, Store, Transaction
from kifabrik.factory.queue import KEYHOLDER_AWAY
from kifabrik.factory.records import Tenant
from kifabrik.factory.run_records import Run, Watched
from kifabrik.runs.states import RunState
from kifabrik.values import format_time, parse_time

_NEXT_OF_EACH: Final = 12
_WAITING: Final = frozenset({RunState.QUEUED, RunState.PENDING})


@dataclass(frozen=True)
class NodeView:
    """A node, and what runs hold of it."""

    node: NodeRecord
    free: Share

    @property
    def used_gpus(self) -> int:
        """GPUs that runs hold."""
        return len(self.node.gpus) - len(self.free.gpus)

    @property
    def used_cpus(self) -> int:
        """Cores that runs hold."""
        return self.node.cpus - self.free.cpus

    @property
    def used_memory(self) -> int:
        """Bytes that runs hold."""
        return self.node.memory_bytes - self.free.memory_bytes


@dataclass(frozen=True)
class Kind:
    """Nodes that are alike: of one place and class, with the same GPUs.

    Args:
        place: Where they are, and their class.
        gpu: Model of their GPUs; empty for none.
        nodes: They.
    """

    place: str
    gpu: str
    nodes: tuple[NodeView, ...]

    @property
    def gpus(self) -> tuple[int, int, int]:
        """GPUs in all, those that runs hold, and those of nodes that take no runs and are free."""
        return (
            sum(len(one.node.gpus) for one in self.nodes),
            sum(one.used_gpus for one in self.nodes),
            sum(len(one.free.gpus) for one in self.nodes if not one.node.enabled),
        )

    @property
    def cpus(self) -> tuple[int, int, int]:
        """The same of cores."""
        return (
            sum(one.node.cpus for one in self.nodes),
            sum(one.used_cpus for one in self.nodes),
            sum(one.free.cpus for one in self.nodes if not one.node.enabled),
        )

    @property
    def memory(self) -> tuple[int, int]:
        """Memory in all, and what runs hold."""
        return sum(one.node.memory_bytes for one in self.nodes), sum(one.used_memory for one in self.nodes)

    @property
    def draining(self) -> int:
        """Nodes that take no new runs."""
        return sum(not one.node.enabled for one in self.nodes)


@dataclass(frozen=True)
class TenantView:
    """A tenant beside the others.

    Args:
        tenant: As the factory knows it.
        note: The operator's own note of its sign-up code.
        limits: What it may use.
        going: Runs of it that go on.
        waiting: Runs of it that wait.
        share: Of what all tenants used lately, 0 to 1.
        due: Of all weights, 0 to 1.
        month_micro_eur: Charged this month.
        away: Whether its keyholder has not called for longer than it should.
    """

    tenant: Tenant
    note: str
    limits: Limits
    going: int
    waiting: int
    share: float
    due: float
    month_micro_eur: int
    away: bool


@dataclass(frozen=True)
class Overlook:
    """How a factory stands.

    Args:
        kinds: Its nodes.
        tenants: Its tenants, by what they cost this month, the dearest first.
        next_ones: What waits: the next runs of each tenant, those first that a cluster has in its queue.
        waiting: How many runs wait.
        overdue: Runs past their deadline that have not ended.
        driven: Whether a service drives the runs.
        month: `2026-11`.
    """

    kinds: tuple[Kind, ...]
    tenants: tuple[TenantView, ...]
    next_ones: tuple[Run, ...]
    waiting: int
    overdue: int
    driven: bool
    month: str

    @property
    def month_micro_eur(self) -> int:
        """What all tenants together are charged this month."""
        return sum(one.month_micro_eur for one in self.tenants)


class Oversight:
    """Looks over all tenants; for the operator only.

    Args:
        store: Opens transactions.
        clock: Tells the time.
    """

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def look(self) -> Overlook:
        """Look."""
        now = format_time(self._clock())
        with self._store.read() as transaction:
            going_on = list(transaction.runs.watched().values())
            queued = transaction.runs.queued_runs(_NEXT_OF_EACH)
            pending = _pending(transaction, going_on)
            return Overlook(
                kinds=_kinds(transaction),
                tenants=self._tenants(transaction, going_on),
                next_ones=(*pending, *queued),
                waiting=transaction.runs.count_queued() + sum(one.state is RunState.PENDING for one in going_on),
                overdue=sum(one.deadline < now for one in going_on) + sum(one.deadline < now for one in queued),
                driven=is_led(transaction, now),
                month=now[:7],
            )

    def _tenants(self, transaction: Transaction, going_on: Iterable[Watched]) -> tuple[TenantView, ...]:
        now = self._clock()
        month = budget.month_of(now)
        tenants = transaction.accounts.tenants()
        names = [one.tenant for one in tenants]
        notes = {code.tenant: code.note for code in transaction.accounts.codes() if code.tenant}
        usage = {one.tenant: one for one in transaction.runs.usage(names)}
        lately = {tenant: budget.recent(one, now) for tenant, one in usage.items()}
        limits = {tenant: transaction.runs.limits(tenant) for tenant in names}
        going = Counter(one.tenant for one in going_on if one.state not in _WAITING)
        pending = Counter(one.tenant for one in going_on if one.state in _WAITING)
        waiting = {
            tenant: transaction.runs.count_unfinished(tenant) - going[tenant] - pending[tenant] for tenant in names
        }
        all_used, all_weights = sum(lately.values()) or 1.0, sum(one.weight for one in limits.values()) or 1.0
        found = [
            TenantView(
                tenant=one,
                note=notes.get(one.tenant, ""),
                limits=limits[one.tenant],
                going=going[one.tenant],
                waiting=waiting[one.tenant] + pending[one.tenant],
                share=lately.get(one.tenant, 0.0) / all_used,
                due=limits[one.tenant].weight / all_weights,
                month_micro_eur=usage[one.tenant].month_micro_eur
                if one.tenant in usage and usage[one.tenant].month == month
                else 0,
                away=not one.keyholder_seen or now - parse_time(one.keyholder_seen) > KEYHOLDER_AWAY,
            )
            for one in tenants
        ]
        return tuple(sorted(found, key=lambda one: (-one.month_micro_eur, one.tenant.tenant)))


def _pending(transaction: Transaction, going_on: Iterable[Watched]) -> list[Run]:
    """The first runs of each tenant that a cluster's scheduler has in its own queue."""
    by_tenant: dict[str, list[Watched]] = defaultdict(list)
    for one in sorted(going_on, key=lambda one: one.created):
        if one.state is RunState.PENDING and len(by_tenant[one.tenant]) < _NEXT_OF_EACH:
            by_tenant[one.tenant].append(one)
    return [
        run
        for tenant, some in by_tenant.items()
        for run in sorted(
            transaction.runs.runs_named(tenant, [one.run for one in some]), key=lambda one: one.position
        )
    ]


def _kinds(transaction: Transaction) -> tuple[Kind, ...]:
    free = transaction.runs.free()
    alike: dict[tuple[str, str], list[NodeView]] = defaultdict(list)
    for node in transaction.runs.nodes():
        models = ", ".join(sorted({gpu.model for gpu in node.gpus}))
        left = free.get(node.node, Share(node.node, 0, 0))
        alike[str(node.place), models].append(NodeView(node, left))
    return tuple(Kind(place, gpu, tuple(nodes)) for (place, gpu), nodes in sorted(alike.items()))
