"""Objects that were uploaded and stand on no record: kept for a while, then removed.

An object is uploaded before what it belongs to is registered: a version, a checkpoint, an output, a segment of a
log. If that never happens it would take up its tenant's quota for ever.

Invariants:
- an object's time runs from when it came, and anew from each time its tenant asks whether it is there or sends it
  again: whoever goes on with an upload loses nothing of it;
- its time ends with the transaction that puts it on record, and with that only;
- it is removed by the rules of `Deletions`, decided in a writing transaction of its tenant: of a registration and
  a removal that meet, one is first, and the other sees it.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from kifabrik.factory.deletions import Deletions
from kifabrik.factory.findings import Finding
from kifabrik.factory.ports import Clock, Store
from kifabrik.factory.records import UnusedObjects, Why
from kifabrik.values import format_size, format_time

GRACE: Final = timedelta(days=1)
"""How much later than its time an object may go before that is a finding: the service may have been away."""

_BATCH: Final = 500
_OVERDUE: Final = "The service removes them while it runs; service.log says why it cannot."
_TIMELESS: Final = (
    "Set their `unused_since` to the present moment once the service is stopped: then they go in time."
)


class Unregistered:
    """Removes what nobody has registered in time, and tells how much there is.

    Args:
        store: Opens transactions.
        deletions: Deletes the objects.
        clock: Tells the time.
        keep: How long they are kept.
    """

    def __init__(self, store: Store, deletions: Deletions, clock: Clock, keep: timedelta) -> None:
        self._store = store
        self._deletions = deletions
        self._clock = clock
        self.keep = keep

    def remove(self) -> int:
        """Remove everything whose time is over; how many objects that were."""
        before, removed = format_time(self._clock() - self.keep), 0
        with self._store.read() as transaction:
            tenants = [one.tenant for one in transaction.objects.unused() if one.since < before]
        for tenant in tenants:
            while count := self._remove_some(tenant, before):
                removed += count
        return removed

    def standing(self) -> list[UnusedObjects]:
        """How much there is of each tenant that has any, and since when."""
        with self._store.read() as transaction:
            return transaction.objects.unused()

    def _remove_some(self, tenant: str, before: str) -> int:
        with self._store.write(tenant) as transaction:
            overdue = transaction.objects.unused_since_before(tenant, before, _BATCH)
            return self._deletions.begin(transaction, tenant, overdue, Why.UNREGISTERED)

    def run(self) -> Iterable[Finding]:
        """Find what should have been removed, and what never would be."""
        now = self._clock()
        for one in self.standing():
            if one.since < format_time(now - self.keep - GRACE):
                yield Finding(
                    one.tenant,
                    f"objects uploaded and last asked for at {one.since} stand on no record and are still there",
                    _OVERDUE,
                )
        with self._store.read() as transaction:
            timeless = transaction.objects.timeless()
        for one in timeless:
            what = f"{one.count} objects ({format_size(one.size)}) are used by nothing, and no time runs for them"
            yield Finding(one.tenant, what, _TIMELESS)
