"""What stands in a tenant's log, for reading: a page of it, and the entries about one run."""

from collections.abc import Iterable
from dataclasses import dataclass

from kifabrik.errors import NotFoundError
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.show import EvidenceView
from kifabrik.ledger.entry import Entry, EntryKind


@dataclass(frozen=True)
class Numbered:
    """An entry and its number in the log, from 0."""

    index: int
    entry: Entry


@dataclass(frozen=True)
class LogPage:
    """Some entries of a log, the newest first, and how the log stands.

    Args:
        size: Number of all entries.
        root: Root hash of its tree in hex.
        cosigned: Number of entries the keyholder has cosigned; -1 for none.
        entries: Some of them.
    """

    size: int
    root: str
    cosigned: int
    entries: tuple[Numbered, ...]


class Trails:
    """Reads logs.

    Args:
        store: Opens transactions.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def page(self, tenant: str, before: int | None, limit: int) -> LogPage:
        """Return entries, the newest first.

        Args:
            tenant: Tenant id.
            before: Number of the entry to go on after; None for the newest.
            limit: At most so many.

        Raises:
            NotFoundError: There is no such tenant.
        """
        with self._store.read() as transaction:
            state = transaction.logs.state(tenant)
            if state is None:
                raise NotFoundError("there is no such tenant")
            end = state.tree.size if before is None else min(before, state.tree.size)
            start = max(end - limit, 0)
            found = _entries(transaction, tenant, start, end)
        return LogPage(state.tree.size, state.tree.root().hex(), state.cosigned_size, tuple(reversed(found)))

    def of_run(self, tenant: str, evidence: EvidenceView) -> list[Numbered]:
        """Return the entries whose statements are about a run, and that of its admission, in their order.

        Args:
            tenant: Tenant id.
            evidence: Names the statements.
        """
        digests = (evidence.order, *evidence.requests, *evidence.decisions, *evidence.manifests, *evidence.finishes)
        with self._store.read() as transaction:
            indices = {
                index for digest in digests if (index := transaction.statements.index(tenant, digest)) is not None
            }
            ordered = transaction.statements.index(tenant, evidence.order)
            behind = None if ordered is None else ordered + 1  # written in the transaction of the order
            found = [one for index in sorted(indices) for one in _entries(transaction, tenant, index, index + 1)]
            if behind is not None and behind not in indices:
                next_ones = _entries(transaction, tenant, behind, behind + 1)
                found += [one for one in next_ones if one.entry.kind is EntryKind.RUN_ADMITTED]
        return sorted(found, key=lambda one: one.index)


def _entries(transaction: Transaction, tenant: str, start: int, end: int) -> list[Numbered]:
    data: Iterable[bytes] = transaction.logs.entries(tenant, start, end)
    return [Numbered(start + offset, Entry.from_bytes(one)) for offset, one in enumerate(data)]
