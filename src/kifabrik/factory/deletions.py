"""Deleting objects: written down with the decision, then done, then crossed out.

Invariants:
- an object to be deleted is no longer readable from the commit that decides it;
- a deletion is done by whoever holds its claim; a claim that is not crossed out lapses and is done again;
- an object under deletion is not uploaded again before the deletion is crossed out;
- what was deleted is remembered, so that what an upload held open brings afterwards is known (`returned`);
- where clients store objects themselves, one that was entered just now is deleted a little later: by then
  nobody may store it once more.
"""

import secrets
from collections.abc import Iterable
from datetime import timedelta
from typing import Final

from kifabrik.errors import UnavailableError
from kifabrik.factory.keys import counted, object_key
from kifabrik.factory.ports import Clock, ObjectStore, Store, Transaction
from kifabrik.factory.records import Deletion, Why
from kifabrik.values import format_time

_CLAIM_LASTS: Final = timedelta(minutes=10)
_ANY: Final = 2**62
_BATCH: Final = 500
"""Objects claimed together: what is crossed out in one transaction holds up no other writer for long."""


class Deletions:
    """Decides, carries out and resumes deletions.

    Args:
        store: Opens transactions.
        files: Where the objects lie.
        clock: For when a claim lapses.
        linger: How long after an object was entered another copy of it may still arrive: it is deleted after that.
    """

    def __init__(self, store: Store, files: ObjectStore, clock: Clock, linger: timedelta = timedelta()) -> None:
        self._store = store
        self._files = files
        self._clock = clock
        self._linger = linger

    def begin(self, transaction: Transaction, tenant: str, digests: Iterable[str], why: Why) -> int:
        """Write down within `transaction` that these objects are to go, and do it after the commit.

        Returns:
            How many of them there were.
        """
        now = self._clock()
        young, until = format_time(now - self._linger), format_time(now + self._linger)
        count = transaction.objects.begin_deletions(tenant, digests, why, young, until)
        if count:
            transaction.after_commit(("delete", tenant), lambda: self._quietly(tenant))
        return count

    def begin_again(self, transaction: Transaction, tenant: str, digest: str, size: int) -> bool:
        """Write down within `transaction` that an object is to go that nothing knows; done after the commit.

        Returns:
            False if it is stored, or on its way in or out: then it is not such a one.
        """
        if not transaction.objects.delete_again(tenant, digest, size):
            return False
        # It takes the room it takes until it is gone, whatever the quota.
        transaction.accounts.reserve_bytes(tenant, counted(size), _ANY)
        transaction.after_commit(("delete", tenant), lambda: self._quietly(tenant))
        return True

    def carry_out(self, tenant: str = "", digest: str = "") -> int:
        """Do what is written down and held by nobody; how many objects that were.

        One that cannot be deleted keeps no other from it.

        Args:
            tenant: Of one tenant only; empty for all.
            digest: This one only; empty for all.

        Raises:
            UnavailableError: The object store refused at least one, or cannot be reached.
        """
        done, refused = 0, None
        while True:
            claim, now = secrets.token_hex(8), self._clock()
            with self._store.write(tenant) as transaction:
                held = transaction.objects.claim_deletions(
                    tenant, digest, claim, format_time(now), format_time(now + _CLAIM_LASTS), _BATCH
                )
            gone = []
            for deletion in held:
                try:
                    self._files.delete(object_key(deletion.tenant, deletion.digest))
                except UnavailableError as error:
                    refused = error
                else:
                    gone.append(deletion)
            for owner in sorted({deletion.tenant for deletion in gone}):
                self._cross_out(owner, [one for one in gone if one.tenant == owner], claim)
            done += len(gone)
            if refused is not None and not gone:
                raise refused
            if not held:
                return done

    def make_way(self, tenant: str, digest: str) -> None:
        """Finish the deletion of an object that is to be uploaded again.

        Raises:
            UnavailableError: Somebody else is at it.
        """
        self.carry_out(tenant, digest)
        with self._store.read() as transaction:
            if transaction.objects.deleting(tenant, digest):
                raise UnavailableError(f"object {digest[:16]} is being deleted", hint="Try again in a moment.")

    def _cross_out(self, tenant: str, done: list[Deletion], claim: str) -> None:
        with self._store.write(tenant) as transaction:
            now = format_time(self._clock())
            freed = sum(counted(one.size) for one in done if transaction.objects.end_deletion(one, claim, now))
            transaction.accounts.reserve_bytes(tenant, -freed, 0)

    def _quietly(self, tenant: str) -> None:
        try:
            self.carry_out(tenant)
        except UnavailableError:
            return  # it stays written down; the next sweep does it
