"""What the store keeps so that people can sign in to the pages: challenges, codes and sessions, by their hashes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class SignInKind(StrEnum):
    """What a secret is good for; each is good for one thing only."""

    CHALLENGE = "challenge"
    """A member's device is to sign it."""
    CODE = "code"
    """Can be exchanged for a session, once."""
    SESSION = "session"
    """What a browser's cookie holds."""


@dataclass(frozen=True)
class SignIn:
    """A secret by its hash.

    Args:
        hash: SHA-256 of it in hex.
        kind: What it is good for.
        tenant: Tenant id; empty for the operator's.
        member: Member id; empty for the operator's.
        device: Digest of the statement of the device that signs or has signed for it; empty for the operator's.
        expires: Time from which on it is worth nothing.
    """

    hash: str
    kind: SignInKind
    tenant: str
    member: str
    device: str
    expires: str


class SignInRows(Protocol):
    """Challenges, codes and sessions."""

    def add(self, one: SignIn) -> None:
        """Add one."""
        ...

    def find(self, hashed: str) -> SignIn | None:
        """Find one by its hash, expired or not."""
        ...

    def take(self, hashed: str) -> bool:
        """Delete one; whether it was there. Of several who try at once, one is told so."""
        ...

    def drop(self, tenant: str, member: str, kind: SignInKind | None = None) -> None:
        """Delete all of a member, or all of one kind."""
        ...

    def drop_expired(self, now: str) -> None:
        """Delete what has expired by now."""
        ...
