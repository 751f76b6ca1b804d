"""Statements made here, kept until they are seen in the log: written down first, sent after.

Invariants:
- the factory's word that a statement stands in the log is not believed: it counts as delivered when the
  mirror shows an entry of its kind about it, at the place the factory named;
- a statement is delivered at least once; the factory knows it by its digest, so twice is harmless;
- what a statement ends or blocks is in force here from the moment it is written, delivered or not;
- a statement the factory will not take is kept and shown, never dropped; only where the log itself shows that
  statement, or another of ours that leaves it nothing to say, is it done with, whatever the factory answers.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, TypeAlias

from kifabrik.errors import KifabrikError, UnavailableError
from kifabrik.grants.statements import named_in
from kifabrik.keyholder.connecting import Factory
from kifabrik.keyholder.database import Database
from kifabrik.keyholder.events import Event, EventKind, OnEvent
from kifabrik.keyholder.references import find_digest
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.body import Detail
from kifabrik.wire.tenants import Logged


class Errand(StrEnum):
    """Where a statement goes."""

    GRANT = "grant"
    REVOCATION = "revocation"
    ERASURE = "erasure"
    REMOVAL = "removal"
    RECIPIENTS = "recipients"
    ATTESTATION = "attestation"
    CERTIFICATE = "certificate"


_ENTRIES: Final = {
    Errand.GRANT: (EntryKind.GRANT_GIVEN, ("grant", "dataset")),
    Errand.REVOCATION: (EntryKind.GRANT_REVOKED, ("grant",)),
    Errand.ERASURE: (EntryKind.ERASURE_DECIDED, ("dataset",)),
    Errand.REMOVAL: (EntryKind.MEMBER_REMOVED, ("member",)),
    Errand.RECIPIENTS: (EntryKind.RECIPIENTS_PUBLISHED, ("sequence",)),
    Errand.ATTESTATION: (EntryKind.ATTESTATION_SET, ("sequence",)),
    Errand.CERTIFICATE: (EntryKind.DATASET_ERASED, ("dataset",)),
}
"""Kind of the entry that records a statement, and the fields of the statement it repeats for its readers."""

_Predicate: TypeAlias = Mapping[str, Any]
_SAID_ALREADY: Final[Mapping[Errand, Callable[[_Predicate, _Predicate], bool]]] = {
    Errand.GRANT: lambda _there, _own: False,
    Errand.REVOCATION: lambda there, own: there["grant"] == own["grant"],
    Errand.REMOVAL: lambda there, own: there["member"] == own["member"],
    Errand.ERASURE: lambda there, own: there["dataset"] == own["dataset"] and there["derived"] >= own["derived"],
    Errand.RECIPIENTS: lambda there, own: there["sequence"] > own["sequence"],
    Errand.ATTESTATION: lambda there, own: there["sequence"] > own["sequence"],
    Errand.CERTIFICATE: lambda there, own: (
        there["dataset"] == own["dataset"] and there["complete"] and named_in(there) >= named_in(own)
    ),
}
"""Whether a statement of this kind that stands in the log leaves another one nothing to say."""


@dataclass(frozen=True)
class Waiting:
    """A statement on its way.

    Args:
        kind: Where it goes.
        envelope: The statement.
        detail: Sealed names that go with it.
        created: Time.
        log_index: Where it stands in the log, as the factory says; None before it was sent.
    """

    kind: Errand
    envelope: Envelope
    detail: Detail | None
    created: str
    log_index: int | None

    def recorded_by(self, entry: Entry) -> bool:
        """Whether an entry records this statement, and says the same about it."""
        _, fields = _ENTRIES[self.kind]
        said = json.loads(self.envelope.payload)["predicate"]
        same = all(entry.refs.get(name) == said[name] for name in fields)
        return entry.kind is self.entry_kind and same and find_digest(entry, self.reference) == self.envelope.digest

    @property
    def entry_kind(self) -> EntryKind:
        """Kind of the entry that records it."""
        return _ENTRIES[self.kind][0]

    @property
    def reference(self) -> str:
        """Which reference of that entry names it."""
        return "certificate" if self.kind is Errand.CERTIFICATE else "statement"

    def said_by(self, other: Envelope) -> bool:
        """Whether another statement of ours, whose signature was verified, leaves this one nothing to say."""
        there, own = json.loads(other.payload), json.loads(self.envelope.payload)
        same = there["predicateType"] == own["predicateType"]
        return bool(same and _SAID_ALREADY[self.kind](there["predicate"], own["predicate"]))


class Outbox:
    """Keeps and delivers statements."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def put(self, kind: Errand, envelope: Envelope, detail: Detail | None, created: str) -> None:
        """Keep a statement until it is delivered."""
        row = (
            envelope.digest,
            kind.value,
            envelope.to_json(),
            detail.model_dump_json() if detail else "",
            created,
        )
        self._db.execute("INSERT OR IGNORE INTO outbox VALUES (?, ?, ?, ?, ?, NULL)", row)

    def waiting(self) -> list[Waiting]:
        """Return what is not delivered yet, in the order it was made."""
        return [one for one in self._all() if one.log_index is None]

    def promised(self) -> list[Waiting]:
        """Return what the factory says it has put into the log, and what was not seen there yet."""
        return [one for one in self._all() if one.log_index is not None]

    def seen(self, one: Waiting) -> None:
        """Forget a statement that was seen in the log."""
        self._db.execute("DELETE FROM outbox WHERE digest = ?", (one.envelope.digest,))

    def not_seen(self, one: Waiting) -> None:
        """Keep a statement that does not stand where the factory said: it is to be sent again."""
        self._db.execute("UPDATE outbox SET log_index = NULL WHERE digest = ?", (one.envelope.digest,))

    def _all(self) -> list[Waiting]:
        return [
            Waiting(
                Errand(row["kind"]),
                Envelope.from_json(row["envelope"]),
                Detail.model_validate_json(row["detail"]) if row["detail"] else None,
                row["created"],
                row["log_index"],
            )
            for row in self._db.rows("SELECT * FROM outbox ORDER BY created, rowid")
        ]

    def deliver(
        self, factory: Factory, say: OnEvent, done_with: Callable[[Waiting], bool] = lambda _one: False
    ) -> int:
        """Deliver everything; return how much of it stands in the log now.

        Args:
            factory: Where it goes.
            say: Told what the factory will not take.
            done_with: Whether the log shows that there is nothing more to say, of what the factory will not take.

        Raises:
            UnavailableError: The factory cannot be reached; the rest waits.
        """
        delivered = 0
        for one in self.waiting():
            try:
                index = _send(factory, one).log_index
            except UnavailableError:
                raise
            except KifabrikError as error:
                if done_with(one):
                    self.seen(one)
                    continue
                say(Event(EventKind.WARNING, f"the factory does not take a {one.kind}: {error.message}"))
                continue
            self._db.execute("UPDATE outbox SET log_index = ? WHERE digest = ?", (index, one.envelope.digest))
            delivered += 1
        return delivered


def _send(factory: Factory, one: Waiting) -> Logged:
    if one.kind is Errand.GRANT:
        return factory.datasets.grant(one.envelope, one.detail)
    ways: dict[Errand, Callable[[Envelope], Logged]] = {
        Errand.REVOCATION: factory.datasets.revoke,
        Errand.ERASURE: factory.datasets.erase,
        Errand.REMOVAL: factory.tenants.remove,
        Errand.RECIPIENTS: factory.tenants.publish_recipients,
        Errand.ATTESTATION: factory.tenants.set_attestation,
        Errand.CERTIFICATE: factory.mailbox.certify,
    }
    return ways[one.kind](one.envelope)
