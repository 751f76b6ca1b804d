"""What a keyholder knows about itself, by name."""

from enum import StrEnum

from kifabrik.errors import IntegrityError
from kifabrik.keyholder.database import Database


class Setting(StrEnum):
    """One text each."""

    TENANT_KEY = "tenant_key"
    """Ed25519 key in hex: everything is verified from it."""
    FACTORY = "factory"
    CA_PEM = "ca_pem"
    STATEMENT = "statement"
    """The present keyholder statement, as DSSE JSON."""
    LOG_VKEY = "log_vkey"
    """Pinned at sign-up; empty before."""
    LATEST_TIME = "latest_time"
    SYNCED = "synced"
    """When the mirror last agreed with the factory's log; empty before."""
    MIRROR_HEAD = "mirror_head"
    MIRROR_CHECKPOINT = "mirror_checkpoint"
    LEARNT = "learnt"
    """Number of entries whose statements have been learnt."""
    RESTORED_SIZE = "restored_size"
    """Entries below this index may record decisions of this keyholder's earlier life."""
    RESTORED_TIMES = "restored_times"
    """Times, as JSON, in which backups may have been made that it does not know of; not set if there are none."""
    MAIL = "mail"
    """Number of the last mail read."""
    RECIPIENTS = "recipients"
    """The last recipient list made, as DSSE JSON."""
    RECIPIENTS_SEQUENCE = "recipients_sequence"
    REWRITE_OWED = "rewrite_owed"
    """Set with the destruction of a secret, until the file was rewritten since."""


class Settings:
    """Reads and writes them."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, name: Setting) -> str:
        """Return a setting.

        Raises:
            IntegrityError: It was never set.
        """
        found = self.find(name)
        if found is None:
            raise IntegrityError(f"the keyholder's database has no {name}", hint="Restore a backup.")
        return found

    def find(self, name: Setting) -> str | None:
        """Return a setting, or None."""
        row = self._db.row("SELECT value FROM settings WHERE name = ?", (name.value,))
        return None if row is None else str(row["value"])

    def number(self, name: Setting) -> int:
        """Return a whole number, 0 if it was never set."""
        return int(self.find(name) or 0)

    def set(self, name: Setting, value: str | int) -> None:
        """Keep a setting."""
        self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name.value, str(value)))

    def drop(self, name: Setting, value: str) -> None:
        """Forget a setting, unless it has another value by now."""
        self._db.execute("DELETE FROM settings WHERE name = ? AND value = ?", (name.value, value))
