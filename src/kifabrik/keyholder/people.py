"""Members' devices as verified statements in the log have established them."""

import sqlite3
from dataclasses import dataclass

from kifabrik.keyholder.blocks import Blocks, Cause
from kifabrik.keyholder.database import Database
from kifabrik.signatures.keys import VerifyKey
from kifabrik.tenants.statements import Role
from kifabrik.tenants.trust import EnrolledDevice


@dataclass(frozen=True)
class KnownDevice:
    """An enrolled device.

    Args:
        member: Member id.
        role: From the membership.
        key: Signs orders and requests.
        recipient: age recipient results are leased to.
        removed: Whether the member was removed.
    """

    member: str
    role: Role
    key: VerifyKey
    recipient: str
    removed: bool


class People:
    """Devices by key."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._blocks = Blocks(db)

    def add(self, device: EnrolledDevice, log_index: int) -> bool:
        """Enrol a device; the first of a membership counts, and only that."""
        row = (
            device.key.hex,
            device.member,
            str(device.role),
            device.recipient,
            device.membership,
            device.statement,
            log_index,
        )
        return self._db.execute("INSERT OR IGNORE INTO devices VALUES (?, ?, ?, ?, ?, ?, ?)", row) > 0

    def by_key(self, device_key: str) -> KnownDevice | None:
        """Return the device with this key in hex."""
        row = self._db.row("SELECT * FROM devices WHERE device_key = ?", (device_key,))
        return None if row is None else self._known(row)

    def of_member(self, member: str) -> list[KnownDevice]:
        """Return a member's devices."""
        return [self._known(row) for row in self._db.rows("SELECT * FROM devices WHERE member = ?", (member,))]

    def all(self) -> list[KnownDevice]:
        """Return all devices."""
        return [self._known(row) for row in self._db.rows("SELECT * FROM devices ORDER BY log_index")]

    def _known(self, row: sqlite3.Row) -> KnownDevice:
        return KnownDevice(
            row["member"],
            Role(row["role"]),
            VerifyKey.from_hex(row["device_key"]),
            row["recipient"],
            self._blocks.holds(row["member"], Cause.REMOVED, Cause.ALARM),
        )
