"""What counts as attested here, who has been challenged, and which quotes were seen.

Invariants:
- a policy counts when it stands in the log; a newer one that was made here and does not stand there yet counts
  beside the one that does: both must accept, so what it takes away is gone at once, what it adds is not there yet;
- while the log's newest word on it cannot be read, nothing counts as attested;
- a quote serves one request, and the time at which it was first seen here is never forgotten.
"""

import hmac
from dataclasses import dataclass, replace
from datetime import datetime

from kifabrik.attestation.policy import AttestationPolicy
from kifabrik.keyholder.database import Database
from kifabrik.keyholder.kept import read_kept
from kifabrik.signatures.dsse import Envelope
from kifabrik.values import format_time, parse_time, sha256_hex


@dataclass(frozen=True)
class KeptPolicy:
    """A policy that verifies.

    Args:
        policy: What it says.
        digest: Of its statement.
        log_index: Of its entry; None while it does not stand in the log.
    """

    policy: AttestationPolicy
    digest: str
    log_index: int | None


class Attestations:
    """Keeps policies, challenges and quotes."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add_local(self, envelope: Envelope, policy: AttestationPolicy) -> None:
        """Keep a policy that was made here."""
        row = (envelope.digest, policy.sequence, envelope.to_json())
        self._db.execute("INSERT OR IGNORE INTO attestation_policies VALUES (?, ?, ?, NULL)", row)

    def add_unread(self, digest: str, log_index: int) -> None:
        """Note that the log names a policy, before its statement is verified."""
        self._db.execute("INSERT OR IGNORE INTO attestation_policies VALUES (?, 0, '', ?)", (digest, log_index))

    def learn(self, envelope: Envelope, policy: AttestationPolicy, log_index: int) -> None:
        """Keep a policy that verifies and stands in the log; its first entry counts."""
        with self._db.transaction():
            self.add_local(envelope, policy)
            self._db.execute(
                "UPDATE attestation_policies SET sequence = ?, envelope = ?, log_index = ifnull(log_index, ?)"
                " WHERE digest = ?",
                (policy.sequence, envelope.to_json(), log_index, envelope.digest),
            )

    def in_force(self) -> list[KeptPolicy]:
        """Return every policy that must accept a node, the one of the log first; none where nothing is attested."""
        kept = self._kept()
        logged = [one for one in kept if one.log_index is not None]
        if not logged:
            return []
        newest = max(logged, key=lambda one: one.policy.sequence)
        unread = self._db.row("SELECT max(log_index) AS last FROM attestation_policies WHERE envelope = ''")
        if unread is not None and unread["last"] is not None and unread["last"] > (newest.log_index or 0):
            return []
        return [newest, *(one for one in kept if one.policy.sequence > newest.policy.sequence)]

    def newest(self) -> KeptPolicy | None:
        """Return the policy with the highest sequence, in the log or not; the next one continues it."""
        return max(self._kept(), key=lambda one: one.policy.sequence, default=None)

    def _kept(self) -> list[KeptPolicy]:
        rows = self._db.rows("SELECT * FROM attestation_policies WHERE envelope != '' ORDER BY sequence")
        return [
            KeptPolicy(read_kept(row["envelope"], AttestationPolicy)[0], row["digest"], row["log_index"])
            for row in rows
        ]

    def challenged(self, key: str, secret: bytes, created: str) -> None:
        """Note the secret an attestation key was challenged with; an earlier challenge of it is void.

        Args:
            key: Name of the attestation key, in hex.
            secret: What its TPM must answer.
            created: Time.
        """
        row = (key, sha256_hex(secret), created)
        self._db.execute("INSERT OR REPLACE INTO challenges VALUES (?, ?, ?)", row)

    def answered(self, key: str, answer: bytes) -> bool:
        """Whether an answer is the secret a key was challenged with; a right one is good for once."""
        row = self._db.row("SELECT secret FROM challenges WHERE key = ?", (key,))
        right = row is not None and hmac.compare_digest(row["secret"], sha256_hex(answer))
        if right:
            self._db.execute("DELETE FROM challenges WHERE key = ?", (key,))
        return right

    def first_seen(self, binding: str, request: str, now: datetime) -> datetime | None:
        """Return when this keyholder first saw a quote; None where it served another request.

        Args:
            binding: What the quote is over, in hex.
            request: Digest of the request it came with.
            now: The present, for a quote never seen before.
        """
        row = (binding, request, format_time(now))
        self._db.execute("INSERT OR IGNORE INTO quotes VALUES (?, ?, ?)", row)
        found = self._db.row("SELECT request, seen FROM quotes WHERE binding = ?", (binding,))
        if found is None or found["request"] != request:
            return None
        return parse_time(found["seen"])


def next_policy(before: KeptPolicy | None, tenant: str, created: str) -> AttestationPolicy:
    """Return the policy that continues another one, and says the same so far."""
    if before is None:
        return AttestationPolicy(tenant=tenant, sequence=1, created=created)
    return replace(before.policy, sequence=before.policy.sequence + 1, created=created)
