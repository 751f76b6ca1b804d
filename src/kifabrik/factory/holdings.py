"""A tenant's datasets with their grants and uses, for reading: ids, sizes, purposes and times."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from kifabrik.errors import NotFoundError
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import Erasure, GrantRecord, Version
from kifabrik.grants.statements import Grant
from kifabrik.orders.order import Order
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import read_unverified

ORDERS_COUNTED: Final = 100
"""Orders that uses are counted in, the newest: each has to be read."""


@dataclass(frozen=True)
class Use:
    """How often a dataset was among the inputs of recent orders, and when last."""

    count: int = 0
    last: str = ""


@dataclass(frozen=True)
class Permission:
    """A grant: what the factory keeps of it, and what it says."""

    record: GrantRecord
    said: Grant


@dataclass(frozen=True)
class Holding:
    """A dataset.

    Args:
        dataset: Its id.
        versions: Of it, the oldest first.
        permissions: Every grant for it, the newest first.
        erasure: How far its erasure is, if it is to be erased.
        use: Of recent orders.
    """

    dataset: str
    versions: tuple[Version, ...]
    permissions: tuple[Permission, ...]
    erasure: Erasure | None
    use: Use

    @property
    def size(self) -> int:
        """Bytes of all versions together, as their manifests say: what two share counts twice."""
        return sum(one.size for one in self.versions)


class Holdings:
    """Reads datasets.

    Args:
        store: Opens transactions.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def all(self, tenant: str) -> list[Holding]:
        """All datasets of a tenant, the last sealed first."""
        with self._store.read() as transaction:
            by_dataset: dict[str, list[Version]] = defaultdict(list)
            for version in transaction.datasets.versions(tenant, "d-"):
                by_dataset[version.owner].append(version)
            uses = _uses(transaction, tenant)
            found = [
                _holding(transaction, tenant, dataset, versions, uses) for dataset, versions in by_dataset.items()
            ]
        return sorted(found, key=lambda one: one.versions[-1].created, reverse=True)

    def one(self, tenant: str, dataset: str) -> Holding:
        """One dataset.

        Raises:
            NotFoundError: There is none.
        """
        with self._store.read() as transaction:
            versions = [one for one in transaction.datasets.versions(tenant, dataset) if one.owner == dataset]
            if not versions:
                raise NotFoundError(f"there is no dataset {dataset}")
            return _holding(transaction, tenant, dataset, versions, _uses(transaction, tenant))


def _holding(
    transaction: Transaction, tenant: str, dataset: str, versions: list[Version], uses: dict[str, Use]
) -> Holding:
    records = transaction.datasets.grants(tenant, dataset)
    said = [
        Permission(record, read_unverified(envelope, Grant)[0])
        for record in records
        if (envelope := transaction.statements.get(tenant, record.statement)) is not None
    ]
    said.sort(key=lambda one: one.said.created, reverse=True)
    erasure = transaction.datasets.erasure(tenant, dataset)
    return Holding(dataset, tuple(versions), tuple(said), erasure, uses.get(dataset, Use()))


def _uses(transaction: Transaction, tenant: str) -> dict[str, Use]:
    orders = transaction.runs.orders_page(tenant, "", ORDERS_COUNTED)
    found: dict[str, Use] = {}
    for text in transaction.statements.texts(tenant, [one.order for one in orders]):
        order, _ = read_unverified(Envelope.from_json(text), Order)
        for owner in {item.owner for item in order.inputs}:
            before = found.get(owner, Use())
            found[owner] = Use(before.count + 1, max(before.last, order.created))
    return found
