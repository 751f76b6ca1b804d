"""Whether what the factory keeps about runs agrees: with itself, with the logs, with what is free on nodes.

Reads one view of the database, so what happens meanwhile does not show.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from kifabrik.factory.capacity import Share
from kifabrik.factory.findings import Finding
from kifabrik.factory.journals import rank_log
from kifabrik.factory.log_records import RankLog
from kifabrik.factory.node_records import NodeRecord
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.run_records import Attempt, Run
from kifabrik.factory.sweep_records import Admitted
from kifabrik.ledger.entry import EntryKind
from kifabrik.runs.states import RunState, is_end

_PAGE: Final = 500
_SHARES: Final = (
    "Stop the service and set the node's free shares right: what is missing there is never given to a run."
)
_BY_HAND: Final = "Rows of runs change together: something wrote past the service. Compare with a backup."
_LOG_CUT: Final = "The member cannot read this log whole. Bring the missing segments back from a backup."
_STATEMENT_GONE: Final = "Bring it back from a backup of the database: members cannot verify this run without it."
_SET_ASIDE: Final = "It is taken from the tenant's budget of the month: set most_micro_eur of the run right."


class RunCheck:
    """Compares runs, attempts, segments, shares and log entries.

    Args:
        store: Rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def run(self) -> Iterator[Finding]:
        """Yield everything that does not agree."""
        with self._store.read() as transaction:
            going_on = transaction.runs.unfinished_attempts()
            yield from _shares(transaction, going_on)
            for tenant in transaction.accounts.tenants():
                yield from _tenant(transaction, tenant.tenant)


def _shares(transaction: Transaction, going_on: Sequence[Attempt]) -> Iterator[Finding]:
    free = transaction.runs.free()
    held: dict[str, list[Share]] = {}
    for share in (share for one in going_on for share in one.placement):
        held.setdefault(share.node, []).append(share)
    for node in transaction.runs.nodes():
        expected = _left(node, held.get(node.node, []))
        if free[node.node] != expected:
            what = f"node {node.name} has {free[node.node]} free; by its attempts it is {expected}"
            yield Finding("", what, _SHARES)


def _left(node: NodeRecord, held: Sequence[Share]) -> Share:
    room = node.capacity.everything.without(held)
    return Share(node.node, room.cpus, room.memory_bytes, tuple(sorted(room.gpus)))


def _tenant(transaction: Transaction, tenant: str) -> Iterator[Finding]:
    ended, before = 0, ""
    runs: Counter[str] = Counter()
    while page := transaction.runs.page(tenant, before, _PAGE):
        before = page[-1].run
        runs.update(run.sweep or run.run for run in page)
        attempts = transaction.runs.attempts_of(tenant, [run.run for run in page])
        ended += sum(bool(one.finished) for one in attempts)
        by_run = {run: list(own) for run, own in groupby(attempts, lambda one: one.run)}
        for run in page:
            yield from _run(run, by_run.get(run.run, []))
        yield from _attempts(transaction, tenant, attempts)
    orders = 0
    for order in orders_of(transaction, tenant):
        orders += 1
        expected = order.tasks or 1
        if runs.pop(order.run, 0) != expected:
            yield Finding(tenant, f"the order of {order.run} does not have its {expected} runs", _BY_HAND)
    for name in runs:
        yield Finding(tenant, f"run {name} has no order", _BY_HAND)
    entries = transaction.logs.count_kinds(tenant)
    for kind, expected in (
        (EntryKind.RUN_ORDERED, orders),
        (EntryKind.RUN_ADMITTED, orders),
        (EntryKind.RUN_FINISHED, ended),
    ):
        if entries.get(kind, 0) != expected:
            what = f"its log has {entries.get(kind, 0)} entries {kind}; there should be {expected}"
            yield Finding(tenant, what, _BY_HAND)


def orders_of(transaction: Transaction, tenant: str) -> Iterator[Admitted]:
    """Yield every order of a tenant."""
    before = ""
    while page := transaction.runs.orders_page(tenant, before, _PAGE):
        before = page[-1].run
        yield from page


def _run(run: Run, attempts: Sequence[Attempt]) -> Iterator[Finding]:
    going_on = sum(not one.finished for one in attempts)
    expected = 0 if is_end(run.state) or run.state is RunState.QUEUED else 1
    if going_on != expected:
        yield Finding(run.tenant, f"run {run.run} is {run.state} and has {going_on} attempts that go on", _BY_HAND)
    if is_end(run.state) != bool(run.finished):
        what = f"run {run.run} is {run.state} and ended at {run.finished or 'no time'}"
        yield Finding(run.tenant, what, _BY_HAND)
    if is_end(run.state) and run.most_micro_eur != run.footprint.cost_micro_eur:
        what = (
            f"run {run.run} has ended and {run.most_micro_eur} micro-euro are set aside for it; "
            f"it cost {run.footprint.cost_micro_eur}"
        )
        yield Finding(run.tenant, what, _SET_ASIDE)
    numbers = Counter(one.number for one in attempts)
    if sorted(numbers.elements()) != list(range(1, len(attempts) + 1)):
        yield Finding(run.tenant, f"the attempts of run {run.run} are not numbered one by one", _BY_HAND)


def _attempts(transaction: Transaction, tenant: str, attempts: Sequence[Attempt]) -> Iterator[Finding]:
    names = [one.attempt for one in attempts]
    others: dict[str, list[RankLog]] = {}
    for log in transaction.runs.rank_logs(tenant, names):
        others.setdefault(log.attempt, []).append(log)
    kept = transaction.runs.count_segments(tenant, names)
    for attempt in attempts:
        for log in (rank_log(transaction, attempt, 0), *others.get(attempt.attempt, ())):
            yield from _log(log, *kept.get((log.attempt, log.rank), (0, 0)), several=attempt.attempt in others)
    named = {one.attempt: _named(one, others.get(one.attempt, ())) for one in attempts}
    known = transaction.statements.known(tenant, set().union(*named.values()))
    for name, digests in named.items():
        for digest in sorted(digests - known):
            what = f"attempt {name} names statement {digest[:16]}, which is missing"
            yield Finding(tenant, what, _STATEMENT_GONE)


def _log(log: RankLog, segments: int, size: int, *, several: bool) -> Iterator[Finding]:
    if (segments, size) != (log.segments, log.log_bytes):
        of_node = f" of node {log.rank}" if several else ""
        yield Finding(
            log.tenant,
            f"attempt {log.attempt} has {segments} log segments{of_node} of {size} bytes; "
            f"it should have {log.segments} of {log.log_bytes}",
            _LOG_CUT,
        )


def _named(attempt: Attempt, others: Iterable[RankLog]) -> set[str]:
    """Digests of the statements an attempt names."""
    streams = {attempt.stream, *(log.stream for log in others)}
    return {attempt.lease, *streams, attempt.finish, attempt.provenance, *attempt.outputs} - {""}
