"""Statements made here, kept until they are seen in the log: written down first, sent after.

Invariants:
- the factory's word that a statement stands in the log is not believed: it counts as delivered when the
  mirror shows an entry of its kind about it, at the place the factory named;
- a statement is delivered at least once; the factory knows it by its digest, so twice is harmless;
- what a statement ends or blocks is in force here from the moment it is written, delivered or not;
- a statement the factory will not take is kept and shown, never dropped.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kifabrik.errors import ConflictError, KifabrikError, UnavailableError
from kifabrik.keyholder.connecting import Factory
from kifabrik.keyholder.database import Database
from kifabrik.keyholder.events import Event, EventKind, OnEvent
from kifabrik.keyholder.references import mentions
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
        kind, fields = _ENTRIES[self.kind]
        said = json.loads(self.envelope.payload)["predicate"]
        same = all(entry.refs.get(name) == said[name] for name in fields)
        return entry.kind is kind and same and mentions(entry, self.envelope.digest)


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

    def deliver(self, factory: Factory, say: OnEvent) -> None:
        """Deliver everything.

        Raises:
            UnavailableError: The factory cannot be reached; the rest waits.
        """
        for one in self.waiting():
            try:
                index = _send(factory, one).log_index
            except UnavailableError:
                raise
            except ConflictError:
                self.seen(one)  # there is a newer one, or it was known already
                continue
            except KifabrikError as error:
                say(Event(EventKind.WARNING, f"the factory does not take a {one.kind}: {error.message}"))
                continue
            self._db.execute("UPDATE outbox SET log_index = ? WHERE digest = ?", (index, one.envelope.digest))


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
