"""Ciphertext objects: what is missing, uploads piece by piece, reading.

Invariants:
- an object is readable only after its bytes were hashed, made durable and entered in the database;
- it is entered only while its upload is on record: an upload that was held open across the deletion of its object
  ends with nothing stored;
- room for an upload is reserved before its first byte is taken and given back if it is abandoned;
- an object somebody is told of as there is kept anew from that moment, if nothing on record uses it yet;
- an object of another tenant neither helps nor shows: everything is looked up under the tenant.
"""

from collections.abc import Collection, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final, Protocol

from kifabrik.errors import (
    CapacityError,
    ConflictError,
    IntegrityError,
    NotFoundError,
    UnavailableError,
    UsageError,
)
from kifabrik.factory.deletions import Deletions
from kifabrik.factory.keys import counted, object_key
from kifabrik.factory.ports import Clock, ObjectStore, Store, Transaction
from kifabrik.factory.records import Upload
from kifabrik.values import format_size, format_time, parse_time, sha256_hex

ABANDONED_AFTER: Final = timedelta(days=3)
_TOUCH_AFTER: Final = timedelta(minutes=10)
_RENEW_AFTER: Final = timedelta(hours=1)
"""An unused object's time is begun anew once for so long: who asks often does not write as often."""


class Staging(Protocol):
    """Local room for objects on their way in, by tenant and digest."""

    def length(self, tenant: str, digest: str) -> int:
        """Bytes that have arrived."""
        ...

    def append(self, tenant: str, digest: str, offset: int, data: bytes) -> int:
        """Add bytes if exactly `offset` have arrived; return how many have arrived now.

        Raises:
            CapacityError: The disk is full; what had arrived is still there.
        """
        ...

    def finish(self, tenant: str, digest: str) -> Path:
        """Return the file once its bytes have this digest.

        Raises:
            IntegrityError: They have another; they are dropped.
        """
        ...

    def drop(self, tenant: str, digest: str) -> None:
        """Forget what has arrived."""
        ...


def _deleted(digest: str) -> ConflictError:
    return ConflictError(
        f"object {digest[:16]} was deleted while it was sent",
        hint="What it belongs to was erased meanwhile, or the upload was given up. Seal and send again.",
    )


class Objects:
    """Takes, keeps and gives out objects.

    Args:
        store: Opens transactions.
        files: Where finished objects lie.
        staging: Where unfinished ones lie.
        deletions: Finishes the deletion of an object that comes again.
        clock: For when an upload is abandoned.
        quota_bytes: Most bytes of one tenant, uploads under way included.
    """

    def __init__(
        self,
        store: Store,
        files: ObjectStore,
        staging: Staging,
        deletions: Deletions,
        clock: Clock,
        quota_bytes: int,
    ) -> None:
        self._store = store
        self._files = files
        self._staging = staging
        self._deletions = deletions
        self._clock = clock
        self._quota_bytes = quota_bytes

    @property
    def files(self) -> ObjectStore:
        """Where finished objects lie."""
        return self._files

    def missing(self, tenant: str, digests: Iterable[str]) -> list[str]:
        """Which of these the tenant has not stored, sorted."""
        wanted = set(digests)
        return sorted(wanted - self._stored(tenant, wanted).keys())

    def offset(self, tenant: str, digest: str) -> int:
        """How many bytes of an object have arrived; its size only once it is complete.

        Where all have arrived and it is not entered yet, the last one is asked for again: who sends it finishes it.

        Raises:
            NotFoundError: Its upload has not begun.
        """
        size = self._stored(tenant, [digest]).get(digest)
        if size is not None:
            return size
        with self._store.read() as transaction:
            upload = transaction.objects.upload(tenant, digest)
        if upload is None:
            raise NotFoundError("there is no such upload")
        return min(self._staging.length(tenant, digest), max(upload.size - 1, 0))

    def receive(self, tenant: str, digest: str, size: int, offset: int, data: bytes, *, took_s: float = 0.0) -> int:
        """Take a piece of an object and return how many bytes have arrived now.

        Bytes for another offset than the next one are not taken: the answer says where to go on.

        Args:
            tenant: Whose object it is.
            digest: SHA-256 of the whole object in hex.
            size: Its bytes.
            offset: Where the piece belongs.
            data: The piece.
            took_s: How long it took to come: what was deleted within that time is not taken again.

        Raises:
            CapacityError: It does not fit into the tenant's quota or onto the disk.
            IntegrityError: The whole has another digest; the upload has to begin anew.
            UsageError: The piece reaches beyond the object's size.
            UnavailableError: An earlier object of this digest is still being deleted.
            ConflictError: It was deleted while it was sent.
        """
        if offset + len(data) > size:
            raise UsageError(f"a piece of {len(data)} bytes at {offset} reaches beyond the object's {size} bytes")
        if self._removed_within(tenant, [digest], took_s):
            raise _deleted(digest)
        if self.begin(tenant, digest, size):
            return size
        arrived = self._staging.append(tenant, digest, offset, data)
        if arrived < size:
            return arrived
        try:
            file = self._staging.finish(tenant, digest)
        except IntegrityError:
            self._give_up(tenant, digest)
            raise
        self._files.adopt(file, object_key(tenant, digest))
        with self._store.write(tenant) as transaction:
            entered = self._enter(transaction, tenant, digest, size)
        if not entered:
            raise _deleted(digest)
        return size

    def put(self, tenant: str, digest: str, body: bytes) -> None:
        """Take an object whole, whatever an earlier try that was cut off has left of it.

        Raises:
            UnavailableError: Somebody else is at it.
        """
        for _ in range(2):
            if self.receive(tenant, digest, len(body), 0, body) == len(body):
                return
            self._staging.drop(tenant, digest)
        raise UnavailableError(f"somebody else uploads object {digest[:16]}", hint="Try again in a moment.")

    def take(self, tenant: str, bodies: Iterable[bytes], *, took_s: float = 0.0) -> list[str]:
        """Take small objects whole, all entered at once; return the digests of those that were not taken.

        Those are being uploaded piece by piece, and only that way can go on; or they were deleted meanwhile.

        Args:
            tenant: Whose objects they are.
            bodies: The objects.
            took_s: How long they took to come: what was deleted within that time is not taken again.

        Raises:
            CapacityError: They do not fit into the tenant's quota or onto the disk.
            UnavailableError: An earlier object of such a digest is still being deleted.
        """
        wanted = {sha256_hex(data): data for data in bodies}
        with self._store.read() as transaction:
            deleting = [digest for digest in wanted if transaction.objects.deleting(tenant, digest)]
        for digest in deleting:
            self._deletions.make_way(tenant, digest)
        gone = self._removed_within(tenant, wanted, took_s)
        with self._store.write(tenant) as transaction:
            fresh = wanted.keys() - gone - transaction.objects.sizes(tenant, wanted).keys()
            transaction.objects.renew(tenant, wanted.keys() - fresh - gone, format_time(self._clock()))
            for digest in fresh:
                self._reserve(transaction, tenant, digest, len(wanted[digest]))
        whole = [digest for digest in sorted(fresh) if self._takes_whole(tenant, digest, wanted[digest])]
        for digest in whole:
            self._files.adopt(self._staging.finish(tenant, digest), object_key(tenant, digest))
        with self._store.write(tenant) as transaction:
            entered = [one for one in whole if self._enter(transaction, tenant, one, len(wanted[one]))]
        return sorted({*gone, *fresh.difference(entered)})

    def _removed_within(self, tenant: str, digests: Iterable[str], took_s: float) -> set[str]:
        """Those that were deleted, and not sent anew since, while they came; times are noted to the second."""
        if took_s < 1:
            return set()
        since = format_time(self._clock() - timedelta(seconds=took_s))
        with self._store.read() as transaction:
            return {one.digest for one in transaction.objects.came_again(tenant, digests) if one.removed > since}

    def _takes_whole(self, tenant: str, digest: str, data: bytes) -> bool:
        """Whether an object arrived from its first byte, and not behind what others had begun."""
        before = self._staging.length(tenant, digest)
        return not before and self._staging.append(tenant, digest, 0, data) == len(data)

    def read(
        self, tenant: str, digest: str, start: int = 0, end: int | None = None
    ) -> tuple[int, int, Iterator[bytes]]:
        """Return an object's size, where its bytes end that are given, and those from `start` on, in pieces.

        Args:
            tenant: Whose object it is.
            digest: SHA-256 of the whole object in hex.
            start: First byte.
            end: Behind the last byte; None or anything behind the object means up to its end.

        Raises:
            NotFoundError: There is no such object.
            UsageError: It is not that long.
        """
        size = self.size(tenant, digest)
        if not 0 <= start <= size:
            raise UsageError(f"the object has {size} bytes; there is nothing at {start}")
        end = size if end is None else max(start, min(end, size))
        if start == end:
            return size, end, iter(())
        return size, end, self._files.read(object_key(tenant, digest), start, end)

    def begin(self, tenant: str, digest: str, size: int) -> bool:
        """Reserve room for an object unless it is done or on its way; whether it is done.

        Raises:
            CapacityError: It does not fit into the tenant's quota.
            UnavailableError: An earlier object of this digest is still being deleted.
        """
        if self._stored(tenant, [digest]):
            return True
        with self._store.read() as transaction:
            upload = transaction.objects.upload(tenant, digest)
            deleting = transaction.objects.deleting(tenant, digest)
        if deleting:
            self._deletions.make_way(tenant, digest)
        if upload is not None and upload.size == size and not self._is_stale(upload):
            return False
        with self._store.write(tenant) as transaction:
            if digest in transaction.objects.sizes(tenant, [digest]):
                transaction.objects.renew(tenant, [digest], format_time(self._clock()))
                return True
            self._reserve(transaction, tenant, digest, size)
        return False

    def expected(self, tenant: str, digest: str) -> int:
        """How many bytes an object has, or will have once its upload is done.

        Raises:
            NotFoundError: Its upload has not begun.
        """
        with self._store.read() as transaction:
            size = transaction.objects.sizes(tenant, [digest]).get(digest)
            upload = transaction.objects.upload(tenant, digest)
            again = transaction.objects.came_again(tenant, [digest])
        if size is not None:
            return size
        if upload is not None:
            return upload.size
        there = self._files.size(object_key(tenant, digest)) if again else None
        if there is not None:
            with self._store.write(tenant) as transaction:
                self._deletions.begin_again(transaction, tenant, digest, there)
        raise NotFoundError("there is no such upload")

    def enter(self, tenant: str, digest: str, size: int) -> None:
        """Enter an object that is in the store; what has come of it another way is dropped.

        Raises:
            NotFoundError: Its upload was given up meanwhile.
        """
        with self._store.write(tenant) as transaction:
            if not transaction.objects.sizes(tenant, [digest]) and not transaction.objects.upload(tenant, digest):
                raise NotFoundError("there is no such upload")
            self._enter(transaction, tenant, digest, size)
        self._staging.drop(tenant, digest)

    def size(self, tenant: str, digest: str) -> int:
        """Bytes of an object.

        Raises:
            NotFoundError: There is no such object.
        """
        with self._store.read() as transaction:
            size = transaction.objects.sizes(tenant, [digest]).get(digest)
        if size is None:
            raise NotFoundError("there is no such object")
        return size

    def give_up_abandoned(self) -> int:
        """Drop uploads nobody went on with for three days; how many."""
        before = format_time(self._clock() - ABANDONED_AFTER)
        with self._store.read() as transaction:
            abandoned = transaction.objects.uploads_before(before)
        for upload in abandoned:
            with self._store.write(upload.tenant) as transaction:
                # By way of a deletion: a crash may have left a whole object behind that has no row yet.
                gone = transaction.objects.abandon_upload(upload)
            if gone:
                self._staging.drop(upload.tenant, upload.digest)
                self._deletions.carry_out(upload.tenant, upload.digest)
        return len(abandoned)

    def _stored(self, tenant: str, digests: Collection[str]) -> dict[str, int]:
        """Sizes of those of these objects that are there, and stay there for a while."""
        before = format_time(self._clock() - _RENEW_AFTER)
        with self._store.read() as transaction:
            sizes = transaction.objects.sizes(tenant, digests)
            stale = transaction.objects.unused_among(tenant, digests, before)
        if stale:
            with self._store.write(tenant) as transaction:
                transaction.objects.renew(tenant, stale, format_time(self._clock()))
                sizes = transaction.objects.sizes(tenant, digests)
        return sizes

    def _is_stale(self, upload: Upload) -> bool:
        return self._clock() - parse_time(upload.touched) > _TOUCH_AFTER

    def _reserve(self, transaction: Transaction, tenant: str, digest: str, size: int) -> None:
        if transaction.objects.deleting(tenant, digest):  # decided since it was made way for
            raise UnavailableError(f"object {digest[:16]} is being deleted", hint="Try again in a moment.")
        upload = transaction.objects.upload(tenant, digest)
        more = counted(size) - (counted(upload.size) if upload else 0)
        if not transaction.accounts.reserve_bytes(tenant, more, self._quota_bytes):
            unused = sum(one.size for one in transaction.objects.unused() if one.tenant == tenant)
            idle = f" {format_size(unused)} were uploaded but never registered: they go in time." if unused else ""
            raise CapacityError(
                f"no room for {format_size(size)}: the quota is {format_size(self._quota_bytes)} in all",
                hint=f"Erase what is no longer needed, or ask the factory's operator for a larger quota.{idle}",
            )
        transaction.objects.put_upload(Upload(tenant, digest, size, format_time(self._clock())))

    def _enter(self, transaction: Transaction, tenant: str, digest: str, size: int) -> bool:
        """Enter an object whose file is in place; False if nobody waits for it any more: then its file goes."""
        if digest in transaction.objects.sizes(tenant, [digest]):
            return True
        if not transaction.objects.drop_upload(tenant, digest):
            self._deletions.begin_again(transaction, tenant, digest, size)
            return False
        transaction.objects.add(tenant, digest, size, format_time(self._clock()))
        return True

    def _give_up(self, tenant: str, digest: str) -> None:
        with self._store.write(tenant) as transaction:
            upload = transaction.objects.upload(tenant, digest)
            if upload is not None and transaction.objects.drop_upload(tenant, digest):
                transaction.accounts.reserve_bytes(tenant, -counted(upload.size), 0)
        self._staging.drop(tenant, digest)
