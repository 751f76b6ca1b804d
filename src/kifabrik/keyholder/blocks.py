"""What must not be used: grants, datasets and members by id, or everything.

Invariants:
- a block holds from the moment it is written here, whatever the factory knows or says;
- blocks that a tenant's statement made are never lifted; those a person made here, by a person.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kifabrik.keyholder.database import Database

EVERYTHING: Final = ""


class Cause(StrEnum):
    """Why something is blocked."""

    REVOKED = "revoked"
    ERASED = "erased"
    REMOVED = "removed"
    FROZEN = "frozen"
    """By a person at the keyholder."""
    ALARM = "alarm"
    """By the keyholder itself: the log or the factory contradicts what it knows."""
    DOUBLED = "doubled"
    """By the keyholder itself, beside an alarm: another one answers with its key."""
    SUPERSEDED = "superseded"
    """The tenant key has named another keyholder."""


_LIFTABLE: Final = (Cause.FROZEN, Cause.ALARM, Cause.DOUBLED)


@dataclass(frozen=True)
class Block:
    """One block.

    Args:
        subject: Grant, dataset or member id; `EVERYTHING`.
        cause: Why.
        since: Time.
        note: A sentence.
    """

    subject: str
    cause: Cause
    since: str
    note: str


class Blocks:
    """All blocks of one keyholder."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add(self, subject: str, cause: Cause, since: str, note: str = "") -> bool:
        """Block something; whether it was not blocked for this cause before."""
        row = (subject, cause.value, since, note)
        return self._db.execute("INSERT OR IGNORE INTO blocks VALUES (?, ?, ?, ?)", row) > 0

    def lift(self, subject: str) -> int:
        """Lift what a person or an alarm has blocked; return how many blocks there were."""
        delete = "DELETE FROM blocks WHERE subject = ? AND cause = ?"
        with self._db.transaction():
            return sum(self._db.execute(delete, (subject, cause.value)) for cause in _LIFTABLE)

    def settle(self, subject: str, cause: Cause, since: str) -> None:
        """Block something for good, in place of an alarm about it."""
        with self._db.transaction():
            self.add(subject, cause, since)
            self._db.execute("DELETE FROM blocks WHERE subject = ? AND cause = ?", (subject, Cause.ALARM.value))

    def holds(self, subject: str, *causes: Cause) -> bool:
        """Whether something is blocked for one of these causes."""
        found = self._db.rows("SELECT cause FROM blocks WHERE subject = ?", (subject,))
        return any(row["cause"] in causes for row in found)

    def on(self, subject: str) -> list[Block]:
        """Return the blocks on one subject."""
        return [block for block in self.all() if block.subject == subject]

    def all(self) -> list[Block]:
        """Return all blocks, oldest first."""
        rows = self._db.rows("SELECT subject, cause, since, note FROM blocks ORDER BY since, subject, cause")
        return [Block(row["subject"], Cause(row["cause"]), row["since"], row["note"]) for row in rows]
