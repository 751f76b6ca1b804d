"""What each tenant of a factory owes for a month.

The figures are those of the tenants' own statements (`kifabrik statement`), because they are made from the same
entries of the same logs: an end of an attempt states what it used and cost.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kifabrik.customer.monthly import MonthlyStatement, in_month, monthly
from kifabrik.factory.factory import Factory
from kifabrik.factory.ports import Transaction
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.prices.pricelist import PriceList
from kifabrik.values import Money

_BATCH: Final = 1024
_MONTH_S: Final = 30 * 86_400
_MARK: Final = b'"kind":"%s"' % EntryKind.RUN_FINISHED.value.encode()


@dataclass(frozen=True)
class Bill:
    """What one tenant owes.

    Args:
        tenant: Tenant id.
        note: Of the sign-up code it came with: who it is, for the operator.
        statement: What its runs used and cost.
        stored_bytes: What it stores now, sealed.
        storage: What that costs in 30 days by the price list; not in the statement's sum.
    """

    tenant: str
    note: str
    statement: MonthlyStatement
    stored_bytes: int
    storage: Money


def bills(factory: Factory, prices: PriceList, month: str, only: str = "") -> list[Bill]:
    """Make the bills of a month, by cost, the dearest first.

    Args:
        factory: Its logs and tenants.
        prices: In force, for storage.
        month: Such as `2026-11`.
        only: A tenant's id, for it alone; empty for all.

    Raises:
        UsageError: It is not a month.
        IntegrityError: A log contradicts itself.
    """
    notes = {code.tenant: code.note for code in factory.accounts.codes()}
    found = []
    for tenant in factory.accounts.tenants():
        if only not in ("", tenant.tenant):
            continue
        with factory.store.read() as transaction:
            ended = list(_ended(transaction, tenant.tenant))
            state = transaction.logs.state(tenant.tenant)
        head = (0, "")
        if state is not None:
            head = (state.tree.size, state.tree.root().hex())
        statement = monthly(tenant.tenant, month, in_month(ended, month), {}, head)
        storage = prices.storage(tenant.bytes_used, _MONTH_S)
        found.append(Bill(tenant.tenant, notes.get(tenant.tenant, ""), statement, tenant.bytes_used, storage))
    return sorted(found, key=lambda one: (-one.statement.total.cost_micro_eur, one.tenant))


def _ended(transaction: Transaction, tenant: str) -> Iterator[Entry]:
    """Entries of attempts that ended; picked by their bytes, which are canonical JSON, before they are parsed."""
    start = 0
    while batch := transaction.logs.entries(tenant, start, start + _BATCH):
        for data in batch:
            if _MARK in data:
                entry = Entry.from_bytes(data)
                if entry.kind is EntryKind.RUN_FINISHED:
                    yield entry
        start += len(batch)
