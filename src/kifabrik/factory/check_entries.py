"""Whether rows and logs say the same: each row has its entry, and each entry its row.

Both are read as *facts*, a kind of entry with the references that say what it is about, and compared
both ways. Reads one view of the database, so what happens meanwhile does not show.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import IntegrityError
from kifabrik.factory.check_runs import orders_of
from kifabrik.factory.findings import Finding
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import KeyRequest, RequestState
from kifabrik.factory.run_records import Attempt, Run, StopCause
from kifabrik.factory.sweep_records import Admitted
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.values import sweep_of

_BATCH: Final = 1000
_PAGE: Final = 500
_DATASET: Final = "d-"

_ABOUT: Final[Mapping[str, tuple[str, ...]]] = {
    EntryKind.TENANT_CREATED: ("tenant",),
    EntryKind.MEMBER_ENROLLED: ("member", "membership", "device"),
    EntryKind.MEMBER_REMOVED: ("member",),
    EntryKind.DATASET_SEALED: ("dataset", "version", "manifest"),
    EntryKind.GRANT_GIVEN: ("grant", "dataset", "statement"),
    EntryKind.GRANT_REVOKED: ("grant",),
    EntryKind.ERASURE_DECIDED: ("dataset", "statement"),
    EntryKind.DATASET_ERASED: ("dataset",),
    EntryKind.RUN_ORDERED: ("run", "order"),
    EntryKind.RUN_ADMITTED: ("run", "order"),
    EntryKind.RUN_STOPPED: ("run",),
    EntryKind.RUN_FINISHED: ("attempt", "run", "outcome"),
    EntryKind.DEADLINE_MISSED: ("run",),
    EntryKind.LEASE_REQUESTED: ("request", "run"),
    EntryKind.LEASE_RELEASED: ("request", "statement"),
    EntryKind.LEASE_REFUSED: ("request", "statement"),
}
"""Which references of an entry a row has too. The first names the thing. `keyholder.…`, `recipients.published`,
`attestation.set` and `model.accepted` have no row of their own beside their statement, which `Check` compares."""

_SAID_AGAIN: Final = frozenset({EntryKind.DATASET_ERASED, EntryKind.MEMBER_REMOVED})
"""Entries that may stand twice about one thing: a certificate is replaced when it is complete, and a steward whose
command was cut off signs a removal again."""

_NO_ROW: Final = (
    "The log is signed and right: the database was changed by hand, or is older than its log. "
    "Compare it with a backup."
)
_NO_ENTRY: Final = (
    "Somebody wrote this row past the service, or took an entry out of the log. Keep a copy of both as "
    "evidence; the tenant's keyholder and auditors hold the log as it was."
)


@dataclass(frozen=True)
class Fact:
    """That something happened: a kind of entry, and the references that say to what."""

    kind: str
    about: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} of {self.about[0]}"


class EntryCheck:
    """Compares each tenant's rows with the entries of its log.

    Args:
        store: Rows.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def run(self) -> Iterator[Finding]:
        """Yield everything that stands on one side only."""
        with self._store.read() as transaction:
            for tenant in transaction.accounts.tenants():
                if transaction.logs.state(tenant.tenant) is not None:
                    yield from _compare(transaction, tenant.tenant)


def _compare(transaction: Transaction, tenant: str) -> Iterator[Finding]:
    stopped = {order.run for order in orders_of(transaction, tenant) if order.tasks and order.stopped}
    entries = _facts_of_log(transaction, tenant, stopped)
    rows = Counter(_facts_of_rows(transaction, tenant, stopped))
    for fact, indexes in entries.items():
        if fact not in rows:
            yield Finding(tenant, f"entry {indexes[0]}, {fact}, has no row like it in the database", _NO_ROW)
        elif len(indexes) > 1 and fact.kind not in _SAID_AGAIN:
            at = " and ".join(str(index) for index in indexes[:3])
            yield Finding(tenant, f"entries {at} both say {fact}", _NO_ROW)
    for fact in rows:
        if fact not in entries:
            yield Finding(tenant, f"the database says {fact}, and no entry of the log does", _NO_ENTRY)


def _facts_of_log(transaction: Transaction, tenant: str, stopped: Collection[str]) -> dict[Fact, list[int]]:
    """Every fact of a log, with the indexes of the entries that say it.

    Which tasks were stopped one by one before their whole sweep was, rows do not say: `stopped` are such sweeps.
    """
    found: dict[Fact, list[int]] = {}
    start = 0
    while batch := transaction.logs.entries(tenant, start, start + _BATCH):
        for index, data in enumerate(batch, start):
            try:
                entry = Entry.from_bytes(data)
            except IntegrityError:
                continue  # verifying the log names it
            if entry.kind is EntryKind.RUN_STOPPED and sweep_of(str(entry.refs.get("run", ""))) in stopped:
                continue
            if entry.kind in _ABOUT:
                about = tuple(str(entry.refs.get(name, "")) for name in _ABOUT[entry.kind])
                found.setdefault(Fact(entry.kind, about), []).append(index)
        start += len(batch)
    return found


def _facts_of_rows(transaction: Transaction, tenant: str, stopped: Collection[str]) -> Iterator[Fact]:
    yield _fact(EntryKind.TENANT_CREATED, tenant)
    for member in transaction.accounts.members(tenant):
        yield _fact(EntryKind.MEMBER_ENROLLED, member.member, member.membership, member.device)
        if member.removed:
            yield _fact(EntryKind.MEMBER_REMOVED, member.member)
    yield from _facts_of_datasets(transaction, tenant)
    yield from _facts_of_requests(transaction.leases.of_runs(tenant, [""]))
    for order in orders_of(transaction, tenant):
        yield from _facts_of_order(order)
        if order.tasks:
            yield from _facts_of_requests(transaction.leases.of_runs(tenant, [order.run]))
    before = ""
    while page := transaction.runs.page(tenant, before, _PAGE):
        before = page[-1].run
        names = [run.run for run in page]
        yield from _facts_of_runs(page, transaction.runs.attempts_of(tenant, names), stopped)
        yield from _facts_of_requests(transaction.leases.of_runs(tenant, names))


def _facts_of_datasets(transaction: Transaction, tenant: str) -> Iterator[Fact]:
    versions = transaction.datasets.versions(tenant, _DATASET)
    for version in versions:
        yield _fact(EntryKind.DATASET_SEALED, version.owner, str(version.version), version.manifest)
    for dataset in dict.fromkeys(version.owner for version in versions):
        for grant in transaction.datasets.grants(tenant, dataset):
            yield _fact(EntryKind.GRANT_GIVEN, grant.grant, dataset, grant.statement)
            if grant.revoked:
                yield _fact(EntryKind.GRANT_REVOKED, grant.grant)
        erasure = transaction.datasets.erasure(tenant, dataset)
        if erasure is not None:
            yield _fact(EntryKind.ERASURE_DECIDED, dataset, erasure.statement)
            if erasure.certificate:
                yield _fact(EntryKind.DATASET_ERASED, dataset)


def _facts_of_order(order: Admitted) -> Iterator[Fact]:
    yield _fact(EntryKind.RUN_ORDERED, order.run, order.order)
    yield _fact(EntryKind.RUN_ADMITTED, order.run, order.order)
    if order.tasks and order.stopped:
        yield _fact(EntryKind.RUN_STOPPED, order.run)
    if order.tasks and order.alarmed:
        yield _fact(EntryKind.DEADLINE_MISSED, order.run)


def _facts_of_runs(runs: Sequence[Run], attempts: Sequence[Attempt], stopped: Collection[str]) -> Iterator[Fact]:
    for run in runs:
        if run.stop is StopCause.STOP and run.sweep not in stopped:
            yield _fact(EntryKind.RUN_STOPPED, run.run)
        if run.alarmed and not run.sweep:
            yield _fact(EntryKind.DEADLINE_MISSED, run.run)
    for one in attempts:
        if one.finished:
            yield _fact(EntryKind.RUN_FINISHED, one.attempt, one.run, str(one.outcome))


def _facts_of_requests(requests: Sequence[KeyRequest]) -> Iterator[Fact]:
    for request in requests:
        yield _fact(EntryKind.LEASE_REQUESTED, request.digest, request.run)
        if request.decision:
            refused = request.state is RequestState.REFUSED
            kind = EntryKind.LEASE_REFUSED if refused else EntryKind.LEASE_RELEASED
            yield _fact(kind, request.digest, request.decision)


def _fact(kind: EntryKind, *about: str) -> Fact:
    return Fact(kind, about)
