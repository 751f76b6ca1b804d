"""The devices of a tenant, through the log's entries of their enrolment.

Invariants:
- an entry alone makes nobody a member: membership and device statement must verify up to the tenant key.
"""

import os
import threading
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path

from kifabrik.datasets.manifest import is_digest
from kifabrik.errors import IntegrityError, NotFoundError, UsageError
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.tenants.trust import EnrolledDevice, verify_device
from kifabrik.values import parse_time


class Devices:
    """Devices whose chain up to the tenant key holds.

    Args:
        tenant_key: Trusted beforehand.
        entries: Gives those of the mirror that enrol members.
        statement: Fetches a statement by digest.
        cache: Folder for statements that have verified.
    """

    def __init__(
        self,
        tenant_key: VerifyKey,
        entries: Callable[[], Iterable[Entry]],
        statement: Callable[[str], Envelope],
        cache: Path,
    ) -> None:
        self._tenant_key = tenant_key
        self._entries = entries
        self._statement = statement
        self._cache = cache

    @cached_property
    def enrolled(self) -> tuple[EnrolledDevice, ...]:
        """All of them, in the order of the log; entries that prove nothing are left out."""
        found = (self._verified(one) for one in self._entries() if one.kind is EntryKind.MEMBER_ENROLLED)
        return tuple(one for one in found if one is not None)

    @property
    def keys(self) -> tuple[VerifyKey, ...]:
        """Their keys."""
        return tuple(one.key for one in self.enrolled)

    def signer(self, envelope: Envelope, member: str) -> EnrolledDevice:
        """Return the device of this member that has signed.

        Raises:
            IntegrityError: None has.
        """
        own = {one.key: one for one in self.enrolled if one.member == member}
        return own[envelope.verify(own)]

    def _verified(self, entry: Entry) -> EnrolledDevice | None:
        names = [str(entry.refs.get(key, "")) for key in ("membership", "device")]
        if not all(is_digest(name) for name in names):
            return None
        for source in (self._kept, self._statement):
            try:
                membership, device = map(source, names)
                found = verify_device(self._tenant_key, membership, device, parse_time(entry.time))
            except (IntegrityError, NotFoundError, UsageError):
                continue
            for envelope in (membership, device):
                write_whole(self._cache / f"{envelope.digest}.json", envelope.to_json().encode())
            return found
        return None

    def _kept(self, digest: str) -> Envelope:
        try:
            envelope = Envelope.from_json((self._cache / f"{digest}.json").read_bytes())
        except FileNotFoundError:
            raise NotFoundError(f"statement {digest[:16]} is not kept here") from None
        if envelope.digest != digest:
            raise IntegrityError(f"what is kept here as {digest[:16]} is another statement")
        return envelope


def write_whole(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, also beside another process or thread that does the same."""
    if path.exists() and path.read_bytes() == data:
        return
    partial = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
    partial.write_bytes(data)
    partial.replace(path)
