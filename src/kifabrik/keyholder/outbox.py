"""Statements made here, kept until the factory has confirmed them: written down first, sent after.

Invariants:
- a statement is delivered at least once; the factory knows it by its digest, so twice is harmless;
- what a statement ends or blocks is in force here from the moment it is written, delivered or not;
- a statement the factory will not take is kept and shown, never dropped.
"""

from dataclasses import dataclass
from enum import StrEnum

from kifabrik.errors import ConflictError, KifabrikError, UnavailableError
from kifabrik.keyholder.connecting import Factory
from kifabrik.keyholder.database import Database
from kifabrik.keyholder.events import Event, EventKind, OnEvent
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.body import Detail


class Errand(StrEnum):
    """Where a statement goes."""

    GRANT = "grant"
    REVOCATION = "revocation"
    ERASURE = "erasure"
    REMOVAL = "removal"
    RECIPIENTS = "recipients"
    CERTIFICATE = "certificate"


@dataclass(frozen=True)
class Waiting:
    """A statement on its way.

    Args:
        kind: Where it goes.
        envelope: The statement.
        detail: Sealed names that go with it.
        created: Time.
    """

    kind: Errand
    envelope: Envelope
    detail: Detail | None
    created: str


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
        self._db.execute("INSERT OR IGNORE INTO outbox VALUES (?, ?, ?, ?, ?)", row)

    def waiting(self) -> list[Waiting]:
        """Return what is not delivered yet, in the order it was made."""
        return [
            Waiting(
                Errand(row["kind"]),
                Envelope.from_json(row["envelope"]),
                Detail.model_validate_json(row["detail"]) if row["detail"] else None,
                row["created"],
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
                _send(factory, one)
            except UnavailableError:
                raise
            except ConflictError:
                pass  # there is a newer one, or it was known already
            except KifabrikError as error:
                say(Event(EventKind.WARNING, f"the factory does not take a {one.kind}: {error.message}"))
                continue
            self._db.execute("DELETE FROM outbox WHERE digest = ?", (one.envelope.digest,))


def _send(factory: Factory, one: Waiting) -> None:
    match one.kind:
        case Errand.GRANT:
            factory.datasets.grant(one.envelope, one.detail)
        case Errand.REVOCATION:
            factory.datasets.revoke(one.envelope)
        case Errand.ERASURE:
            factory.datasets.erase(one.envelope)
        case Errand.REMOVAL:
            factory.tenants.remove(one.envelope)
        case Errand.RECIPIENTS:
            factory.tenants.publish_recipients(one.envelope)
        case Errand.CERTIFICATE:
            factory.mailbox.certify(one.envelope)
