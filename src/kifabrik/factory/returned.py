"""Objects that came again after they were deleted.

An upload that began before an erasure may end long after it: who sends a piece slowly to the service, or holds a
request to the object store open, stores ciphertext that no row knows and whose key is destroyed.

Invariants:
- only what this database remembers to have deleted goes: what it merely does not know may be what a database that
  was lost still needs, and is named by `Check` instead;
- it goes by the rules of `Deletions`, decided in a writing transaction of its tenant: whoever uploads it anew, as
  somebody may, is before or after that.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from kifabrik.factory.deletions import Deletions
from kifabrik.factory.keys import object_key
from kifabrik.factory.ports import Clock, ObjectStore, Store
from kifabrik.values import format_size, format_time

EVERY: Final = timedelta(hours=6)
"""Looking through a store of ten million objects takes ten thousand requests."""
REMEMBERED: Final = timedelta(days=400)
"""How long what was deleted is known; no store and no proxy holds a request open for as long."""

_BATCH: Final = 1000
_logger = logging.getLogger(__name__)


class Returned:
    """Looks through the object store, and removes what came again.

    Args:
        store: Opens transactions.
        files: Where the objects lie.
        deletions: Deletes them.
        clock: Tells the time.
    """

    def __init__(self, store: Store, files: ObjectStore, deletions: Deletions, clock: Clock) -> None:
        self._store = store
        self._files = files
        self._deletions = deletions
        self._clock = clock
        self._looked: datetime | None = None

    def remove(self) -> int:
        """Remove what came again, unless that was done some hours ago; how many objects that were.

        Raises:
            UnavailableError: The object store cannot be reached.
        """
        now = self._clock()
        if self._looked is not None and now - self._looked < EVERY:
            return 0
        removed = sum(self._remove(some) for some in _some(self._files.keys()))
        with self._store.write() as transaction:
            transaction.objects.forget_removed(format_time(now - REMEMBERED))
        self._looked = now
        return removed

    def _remove(self, keys: dict[str, dict[str, int]]) -> int:
        with self._store.read() as transaction:
            again = [one for tenant in keys for one in transaction.objects.came_again(tenant, keys[tenant])]
        removed = 0
        for one in again:
            size = self._files.size(object_key(one.tenant, one.digest))
            if size is None:
                continue
            with self._store.write(one.tenant) as transaction:
                if not self._deletions.begin_again(transaction, one.tenant, one.digest, size):
                    continue
            removed += 1
            _logger.warning(
                "object %s of %s came again after it was deleted at %s (%s): deleted, %s",
                one.digest,
                one.tenant,
                one.removed,
                one.why,
                format_size(size),
            )
        return removed


def _some(keys: Iterator[tuple[str, int]]) -> Iterator[dict[str, dict[str, int]]]:
    """Give the sizes of objects by tenant and digest, so many at a time; without what has another form of key."""
    while batch := list(islice(keys, _BATCH)):
        found: dict[str, dict[str, int]] = defaultdict(dict)
        for key, size in batch:
            tenant, _, rest = key.partition("/")
            digest = rest.rpartition("/")[2]
            if key == object_key(tenant, digest):
                found[tenant][digest] = size
        yield found
