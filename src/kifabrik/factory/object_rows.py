"""What the use cases need from the store about objects; the invariants of `kifabrik.factory.rows` hold here too."""

from collections.abc import Iterable, Iterator
from typing import Protocol

from kifabrik.factory.records import (
    Deletion,
    Removed,
    UnusedObjects,
    Upload,
    Why,
)


class ObjectRows(Protocol):
    """Which objects are stored, on their way in, and on their way out."""

    def add(self, tenant: str, digest: str, size: int, created: str) -> None:
        """Add a stored object, which nothing uses yet."""
        ...

    def keep(self, tenant: str, digests: Iterable[str]) -> None:
        """Note that something on record uses these objects."""
        ...

    def unused_among(self, tenant: str, digests: Iterable[str], before: str) -> list[str]:
        """Those of these objects that nothing uses, and that nobody has asked for since `before`."""
        ...

    def renew(self, tenant: str, digests: Iterable[str], now: str) -> None:
        """Note that somebody has asked for these objects; what something uses is left as it is."""
        ...

    def unused(self) -> list[UnusedObjects]:
        """How much nothing uses, of each tenant that has any."""
        ...

    def unused_since_before(self, tenant: str, before: str, most: int) -> list[str]:
        """At most so many objects that nothing uses, and that nobody has asked for since `before`."""
        ...

    def timeless(self) -> list[UnusedObjects]:
        """What is noted as used although nothing uses it."""
        ...

    def sizes(self, tenant: str, digests: Iterable[str]) -> dict[str, int]:
        """Sizes of those of these objects that are stored."""
        ...

    def all(self) -> Iterator[tuple[str, str, int]]:
        """Every object as (tenant, digest, size)."""
        ...

    def bytes_of(self, tenant: str) -> int:
        """Bytes a tenant's objects count: stored, on their way in, and on their way out."""
        ...

    def moving(self) -> Iterator[tuple[str, str]]:
        """Every object on its way in or out, as (tenant, digest)."""
        ...

    def put_upload(self, upload: Upload) -> None:
        """Begin an upload, or note that it goes on."""
        ...

    def upload(self, tenant: str, digest: str) -> Upload | None:
        """Find an upload."""
        ...

    def uploads_before(self, touched: str) -> list[Upload]:
        """Uploads that nobody went on with since `touched`."""
        ...

    def drop_upload(self, tenant: str, digest: str) -> bool:
        """End an upload; whether there was one."""
        ...

    def abandon_upload(self, upload: Upload) -> bool:
        """Turn an upload into a deletion unless somebody went on with it; whether that was so."""
        ...

    def begin_deletions(self, tenant: str, digests: Iterable[str], why: Why, young: str, until: str) -> int:
        """Move objects from the stored ones to the ones to delete; how many there were.

        Nobody may claim before `until` those that were entered after `young`.
        """
        ...

    def claim_deletions(
        self, tenant: str, digest: str, claim: str, now: str, until: str, most: int
    ) -> list[Deletion]:
        """Claim at most so many that nobody else holds at `now`; an empty tenant or digest means any."""
        ...

    def deleting(self, tenant: str, digest: str) -> bool:
        """Whether an object is still to be deleted."""
        ...

    def deletions(self, tenant: str) -> int:
        """How many objects of a tenant are still to be deleted."""
        ...

    def end_deletion(self, deletion: Deletion, claim: str, now: str) -> bool:
        """Cross out a deletion, and note that the object was removed; whether this claim still held it."""
        ...

    def came_again(self, tenant: str, digests: Iterable[str]) -> list[Removed]:
        """Those of these objects that were removed and are neither stored nor on their way in or out."""
        ...

    def delete_again(self, tenant: str, digest: str, size: int) -> bool:
        """Write down that an object is to go that is neither stored nor on its way; whether it was such a one."""
        ...

    def forget_removed(self, before: str) -> int:
        """Forget what was removed before a time; how many objects that were."""
        ...
