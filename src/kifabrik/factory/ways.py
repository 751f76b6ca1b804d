"""Ways by which objects go to and from the object store without the service in between.

Invariants:
- a way is given only to who may do the same through the service, judged by the same rows at the same moment;
- a way in takes the bytes of one digest and nothing else, so what has arrived under a key is what the key says;
  its room is reserved before it is given, and nothing is readable before it was seen to be there and entered;
- a way in has its end: an object that is deleted while one may still be good is looked at again afterwards;
- small objects have none: they are sent with a call that is made anyway, and an empty one could be told to be a
  copy of another (docs/security.md).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.factory.keys import object_key
from kifabrik.factory.objects import Objects
from kifabrik.factory.ports import ObjectStore
from kifabrik.values import format_size

LEAST: Final = 64 * 2**10
"""Up to here there is no way: the bytes cost less than the question."""


@dataclass(frozen=True)
class Way:
    """A request that may be sent to the object store.

    Args:
        url: With its signature: whoever has it may send it until it ends.
        headers: Sent with it as they are.
        lasts_s: Seconds until it ends.
    """

    url: str
    headers: Mapping[str, str]
    lasts_s: int


class Signer(Protocol):
    """A store that can be told who may do what."""

    def way_in(self, key: str, digest: str, size: int) -> Way | None:
        """Return a way for the bytes of one digest to a key; None if the store cannot be trusted to see to that."""
        ...

    def way_out(self, key: str) -> Way | None:
        """Return a way to an object's bytes."""
        ...


class Ways:
    """Gives ways, and takes what has arrived on them.

    Args:
        objects: Reserves room, and knows what is there.
        files: Where the objects lie.
        signer: The same store, if it can sign; None if everything goes through the service.
        nodes_only: Whether members have none.
    """

    def __init__(self, objects: Objects, files: ObjectStore, signer: Signer | None, *, nodes_only: bool) -> None:
        self._objects = objects
        self._files = files
        self._signer = signer
        self._nodes_only = nodes_only

    def way_in(self, tenant: str, digest: str, size: int, *, node: bool) -> Way | None:
        """Reserve room for an object and say how it can be sent; None if not directly, or if it is there.

        Args:
            tenant: Whose object it is.
            digest: SHA-256 of the whole object in hex.
            size: Its bytes.
            node: Whether it is an attempt that asks.

        Raises:
            CapacityError: It does not fit into the tenant's quota.
            UnavailableError: An earlier object of this digest is still being deleted.
        """
        signer = self._for(node=node)
        if signer is None or size <= LEAST or self._objects.begin(tenant, digest, size):
            return None
        return signer.way_in(object_key(tenant, digest), digest, size)

    def arrived(self, tenant: str, digest: str) -> int:
        """Enter an object that was sent directly; its bytes.

        Raises:
            NotFoundError: It is not in the store, or its upload has not begun; the answer is the same.
            IntegrityError: It has another size than was said.
        """
        expected = self._objects.expected(tenant, digest)
        found = self._files.size(object_key(tenant, digest))
        if found is None:
            raise NotFoundError("there is no such upload")
        if found != expected:
            raise IntegrityError(f"object {digest[:16]} has {format_size(found)}, not {format_size(expected)}")
        self._objects.enter(tenant, digest, found)
        return found

    def way_out(self, tenant: str, digest: str, *, node: bool) -> Way | None:
        """Say where an object can be fetched; None if not directly.

        Raises:
            NotFoundError: There is no such object.
        """
        signer = self._for(node=node)
        if self._objects.size(tenant, digest) <= LEAST or signer is None:
            return None
        return signer.way_out(object_key(tenant, digest))

    def offered(self, *, node: bool) -> bool:
        """Whether there are ways for such a caller at all."""
        return self._for(node=node) is not None

    def _for(self, *, node: bool) -> Signer | None:
        return self._signer if node or not self._nodes_only else None
