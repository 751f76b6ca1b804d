"""Runs as their tenant sees them: one, a page of them, a sweep's tasks, their history, their evidence."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import NotFoundError
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import Version
from kifabrik.factory.run_book import find_run
from kifabrik.factory.run_records import Attempt, Event, Run
from kifabrik.factory.sweep_records import Admitted, TaskCount, TaskReason
from kifabrik.runs.states import RunState
from kifabrik.values import Place, task_number

MOST_LISTED: Final = 500


@dataclass(frozen=True)
class RunPicture:
    """A run with its attempts and outputs.

    Args:
        run: The run.
        attempts: By number.
        nodes: Names of each attempt's nodes, by attempt.
        streams: Digests of the log stream statements of each attempt's other nodes, by attempt and from rank 1
            on; empty for one that is not open.
        outputs: In the order the job declares them.
    """

    run: Run
    attempts: tuple[Attempt, ...]
    nodes: dict[str, str]
    streams: dict[str, list[str]]
    outputs: tuple[Version, ...]

    @property
    def place(self) -> Place:
        """Where it runs or ran last; before that, where it may run."""
        return self.attempts[-1].place if self.attempts else self.run.place


@dataclass(frozen=True)
class SweepPicture:
    """A sweep.

    Args:
        order: Its order.
        one: Its first task: what is said of it but its state is the same of all.
        counts: How its tasks stand.
    """

    order: Admitted
    one: Run
    counts: tuple[TaskCount, ...]

    @property
    def tasks(self) -> dict[RunState, int]:
        """How many tasks are in which state."""
        return {count.state: count.tasks for count in self.counts}


@dataclass(frozen=True)
class EvidenceView:
    """Digests of every statement about a run, in the order they were made."""

    run: str
    order: str
    code: str
    requests: tuple[str, ...]
    decisions: tuple[str, ...]
    streams: tuple[str, ...]
    manifests: tuple[str, ...]
    finishes: tuple[str, ...]
    provenance: tuple[str, ...]


class Shows:
    """Shows runs.

    Args:
        store: Opens transactions.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def one(self, tenant: str, run: str) -> RunPicture | SweepPicture:
        """Show one run, or a sweep by its run id.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._store.read() as transaction:
            sweep = _sweep(transaction, tenant, run)
            if sweep is not None:
                return _sweep_pictures(transaction, tenant, [sweep])[0]
            return _pictures(transaction, tenant, [find_run(transaction, tenant, run)])[0]

    def page(
        self, tenant: str, before: str, limit: int, states: Collection[RunState] = ()
    ) -> list[RunPicture | SweepPicture]:
        """Show runs, newest first, each sweep as one, from the one after `before` on.

        If any states are given, only runs in one of them, and sweeps that have a task in one of them.
        """
        with self._store.read() as transaction:
            orders = transaction.runs.orders_page(tenant, before, min(limit, MOST_LISTED), states)
            singles = [order.run for order in orders if not order.tasks]
            found: dict[str, RunPicture | SweepPicture] = {}
            for single in _pictures(transaction, tenant, transaction.runs.runs_named(tenant, singles)):
                found[single.run.run] = single
            for sweep in _sweep_pictures(transaction, tenant, [order for order in orders if order.tasks]):
                found[sweep.order.run] = sweep
            return [found[order.run] for order in orders]

    def tasks(self, tenant: str, sweep: str, after: str, limit: int) -> list[RunPicture]:
        """Show tasks of a sweep in their order, from the one after the task `after` on.

        Raises:
            NotFoundError: There is no such sweep, or no such task.
        """
        with self._store.read() as transaction:
            if _sweep(transaction, tenant, sweep) is None:
                raise NotFoundError(f"there is no sweep {sweep}", hint="See yours with: kifabrik ps")
            position = find_run(transaction, tenant, after).position if after else 0
            found = transaction.runs.tasks(tenant, sweep, position, min(limit, MOST_LISTED))
            return _pictures(transaction, tenant, found)

    def history(self, tenant: str, run: str) -> list[Event]:
        """What happened to a run, oldest first; what it waits for now comes last.

        Of a sweep, how its tasks stand and why, the commonest first.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._store.read() as transaction:
            if _sweep(transaction, tenant, run) is not None:
                reasons = transaction.runs.task_reasons(tenant, run)
                return [
                    Event(tenant, run, number, one.at, one.state, _of_tasks(one))
                    for number, one in enumerate(reasons, 1)
                ]
            found = find_run(transaction, tenant, run)
            events = transaction.runs.events(tenant, run)
        if events and events[-1].reason != found.reason:
            events.append(Event(tenant, run, found.revision, events[-1].at, found.state, found.reason))
        return events

    def evidence(self, tenant: str, run: str) -> EvidenceView:
        """Name every statement about a run; of a sweep, its order and code.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._store.read() as transaction:
            sweep = _sweep(transaction, tenant, run)
            found = transaction.runs.tasks(tenant, run, 0, 1)[0] if sweep else find_run(transaction, tenant, run)
            attempts = transaction.runs.attempts_of(tenant, [run])
            others = transaction.runs.rank_logs(tenant, [one.attempt for one in attempts])
            requests = transaction.leases.of_runs(tenant, [run])
            versions = transaction.datasets.versions(tenant, f"{run}/")
        return EvidenceView(
            run=run,
            order=found.order,
            code=found.code,
            requests=tuple(one.digest for one in requests),
            decisions=tuple(one.decision for one in requests if one.decision),
            streams=_some([*(one.stream for one in attempts), *(one.stream for one in others)]),
            manifests=_some(one.manifest for one in versions if not one.owner.endswith("/code")),
            finishes=_some(one.finish for one in attempts),
            provenance=_some(one.provenance for one in attempts),
        )


def _sweep(transaction: Transaction, tenant: str, run: str) -> Admitted | None:
    order = transaction.runs.order_of(tenant, run)
    return order if order is not None and order.tasks else None


def _sweep_pictures(transaction: Transaction, tenant: str, orders: Sequence[Admitted]) -> list[SweepPicture]:
    firsts = transaction.runs.runs_at(tenant, [order.position for order in orders])
    counts: dict[str, list[TaskCount]] = {}
    for count in transaction.runs.count_tasks(tenant, [order.run for order in orders]):
        counts.setdefault(count.sweep, []).append(count)
    return [
        SweepPicture(order=order, one=firsts[order.position], counts=tuple(counts.get(order.run, ())))
        for order in orders
    ]


def _of_tasks(one: TaskReason) -> str:
    number = task_number(one.run)
    which = f"Task {number}: " if one.tasks == 1 else f"{one.tasks} tasks, such as {number}: "
    return f"{which}{one.reason}"


def _some(digests: Iterable[str]) -> tuple[str, ...]:
    return tuple(digest for digest in digests if digest)


def _pictures(transaction: Transaction, tenant: str, runs: Sequence[Run]) -> list[RunPicture]:
    attempts = transaction.runs.attempts_of(tenant, [run.run for run in runs])
    names = {node.node: node.name for node in transaction.runs.nodes()}
    several = [one.attempt for one in attempts if len(one.placement) > 1]
    logs = {(log.attempt, log.rank): log.stream for log in transaction.runs.rank_logs(tenant, several)}
    by_run: dict[str, list[Attempt]] = {}
    for attempt in attempts:
        by_run.setdefault(attempt.run, []).append(attempt)
    made = transaction.datasets.by_manifests(tenant, {one for attempt in attempts for one in attempt.outputs})
    pictures = []
    for run in runs:
        own = tuple(by_run.get(run.run, ()))
        pictures.append(
            RunPicture(
                run=run,
                attempts=own,
                nodes={
                    one.attempt: ", ".join(names.get(share.node, "") for share in one.placement if share.node)
                    for one in own
                },
                streams={
                    one.attempt: [logs.get((one.attempt, rank), "") for rank in range(1, len(one.placement))]
                    for one in own
                },
                outputs=tuple(made[one] for attempt in own for one in attempt.outputs if one in made),
            )
        )
    return pictures
