"""Erasures that were decided, and backups that may still hold what was destroyed."""

from dataclasses import dataclass
from datetime import datetime

from kifabrik.grants.statements import Backup, Erasure
from kifabrik.keyholder.database import Database
from kifabrik.values import parse_time


@dataclass(frozen=True)
class KeptErasure:
    """An erasure the tenant key has decided.

    Args:
        dataset: Dataset id.
        digest: Of the erasure statement.
        derived: Whether the results made from it are erased too.
        destroyed: When the identity was destroyed; empty before.
        certified: Digest of what the last certificate says; empty before the first.
    """

    dataset: str
    digest: str
    derived: bool
    destroyed: str
    certified: str


class Erasures:
    """Erasures and registered backups."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def decide(self, said: Erasure, digest: str) -> None:
        """Keep an erasure; that a later one asks for more is kept as well."""
        with self._db.transaction():
            row = (said.dataset, digest, int(said.derived))
            self._db.execute("INSERT OR IGNORE INTO erasures VALUES (?, ?, ?, '', '')", row)
            if said.derived:
                self._db.execute(
                    "UPDATE erasures SET derived = 1, digest = ?, destroyed = '' WHERE dataset = ? AND derived = 0",
                    (digest, said.dataset),
                )

    def all(self) -> list[KeptErasure]:
        """Return all erasures."""
        rows = self._db.rows("SELECT * FROM erasures ORDER BY destroyed, dataset")
        return [
            KeptErasure(row["dataset"], row["digest"], bool(row["derived"]), row["destroyed"], row["certified"])
            for row in rows
        ]

    def adopt(self, said: Erasure, digest: str) -> None:
        """Take over which statement the log shows to have decided an erasure, unless one here asks for more.

        Of two stewards who decide the same at one time, one's word stands in the log: certificates are about that,
        and not about one that was made here and does not stand there.
        """
        self._db.execute(
            "UPDATE erasures SET digest = ? WHERE dataset = ? AND derived <= ?"
            " AND digest IN (SELECT digest FROM outbox)",
            (digest, said.dataset, int(said.derived)),
        )

    def set_destroyed(self, dataset: str, when: str) -> None:
        """Note that an identity is gone."""
        self._db.execute("UPDATE erasures SET destroyed = ? WHERE dataset = ?", (when, dataset))

    def set_certified(self, dataset: str, digest: str) -> None:
        """Note what was certified last."""
        self._db.execute("UPDATE erasures SET certified = ? WHERE dataset = ?", (digest, dataset))

    def add_backup(self, backup: Backup) -> None:
        """Register a backup."""
        row = (backup.backup, backup.created, backup.expires)
        self._db.execute("INSERT INTO backups VALUES (?, ?, ?)", row)

    def drop_backup(self, backup: Backup) -> None:
        """Forget a backup whose file could not be written."""
        self._db.execute("DELETE FROM backups WHERE id = ?", (backup.backup,))

    def backups(self) -> list[Backup]:
        """Return all registered backups, oldest first."""
        rows = self._db.rows("SELECT id, created, expires FROM backups ORDER BY created, id")
        return [Backup(row["id"], row["created"], row["expires"]) for row in rows]

    def backups_holding(self, erasure: KeptErasure, now: datetime) -> tuple[Backup, ...]:
        """Return the unexpired backups made before the identity was destroyed."""
        return tuple(one for one in self._before(erasure) if parse_time(one.expires) > now)

    def backups_lapsed(self, erasure: KeptErasure, now: datetime) -> tuple[Backup, ...]:
        """Return the expired backups made before the identity was destroyed."""
        return tuple(one for one in self._before(erasure) if parse_time(one.expires) <= now)

    def _before(self, erasure: KeptErasure) -> list[Backup]:
        return [backup for backup in self.backups() if backup.created <= erasure.destroyed]
