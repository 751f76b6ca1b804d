"""Ed25519 signing keys and the names derived from them."""

import base64
import hashlib
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.values import Kind

KEY_BYTES: Final = 32
_FINGERPRINT_BYTES: Final = 20


@dataclass(frozen=True)
class VerifyKey:
    """An Ed25519 public key.

    Args:
        raw: 32 bytes after RFC 8032.
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES:
            raise UsageError(f"an Ed25519 public key has {KEY_BYTES} bytes, not {len(self.raw)}")

    @classmethod
    def from_hex(cls, text: str) -> "VerifyKey":
        """Read 64 hex digits.

        Raises:
            UsageError: The text is not such a key.
        """
        try:
            return cls(bytes.fromhex(text))
        except ValueError:
            raise UsageError(f"not an Ed25519 public key in hex: {text!r}") from None

    @property
    def hex(self) -> str:
        """64 hex digits."""
        return self.raw.hex()

    @property
    def keyid(self) -> str:
        """SHA-256 of the raw key in hex: the `keyid` of DSSE signatures."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def fingerprint(self) -> str:
        """160 bits of `keyid` in base32, as people compare it."""
        digest = hashlib.sha256(self.raw).digest()[:_FINGERPRINT_BYTES]
        return base64.b32encode(digest).decode().lower()

    @property
    def tenant_id(self) -> str:
        """The tenant whose key this is: its fingerprint is its id."""
        return f"{Kind.TENANT.value}-{self.fingerprint}"

    def verify(self, signature: bytes, message: bytes) -> None:
        """Check a signature over `message`.

        Raises:
            IntegrityError: The signature is not this key's.
        """
        try:
            Ed25519PublicKey.from_public_bytes(self.raw).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise IntegrityError(f"signature is not by key {self.keyid[:16]}") from None


@dataclass(frozen=True)
class SigningKey:
    """An Ed25519 private key; its seed never appears in `repr`."""

    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.seed) != KEY_BYTES:
            raise UsageError(f"an Ed25519 seed has {KEY_BYTES} bytes, not {len(self.seed)}")

    @classmethod
    def generate(cls) -> "SigningKey":
        """Make a fresh key."""
        return cls(Ed25519PrivateKey.generate().private_bytes_raw())

    @property
    def public(self) -> VerifyKey:
        """The public half."""
        key = Ed25519PrivateKey.from_private_bytes(self.seed).public_key()
        return VerifyKey(key.public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature of `message` (RFC 8032, pure Ed25519)."""
        return Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)
