"""Ed25519 signing keys and the names derived from them.

Invariants:
- a key is a point only its owner can sign for: points of small order, under which one signature holds for every
  message, are no keys, as little as a second spelling of a point;
- a key has one text, so whoever compares texts compares keys.
"""

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.values import Kind

KEY_BYTES: Final = 32
_FINGERPRINT_BYTES: Final = 20
_HEX: Final = re.compile(r"[0-9a-f]{64}")
_PRIME: Final = 2**255 - 19
_HEIGHT_BITS: Final = 2**255 - 1
_ORDER_8: Final = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
"""y of a point of order 8 (Chalkias, Garillot and Nikolaenko, "Taming the many EdDSAs", SSR 2020)."""
_SMALL_ORDER: Final = frozenset({0, 1, _PRIME - 1, _ORDER_8, _PRIME - _ORDER_8})
"""y of the eight points whose order divides 8."""


@dataclass(frozen=True)
class VerifyKey:
    """An Ed25519 public key.

    Args:
        raw: 32 bytes after RFC 8032.

    Raises:
        UsageError: Not 32 bytes, or a point anybody can sign for.
    """

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES:
            raise UsageError(f"an Ed25519 public key has {KEY_BYTES} bytes, not {len(self.raw)}")
        height = int.from_bytes(self.raw, "little") & _HEIGHT_BITS
        if height >= _PRIME or height in _SMALL_ORDER:
            raise UsageError(
                f"a point of small order or in a second spelling, not an Ed25519 key: {self.raw.hex()}"
            )

    @classmethod
    def from_hex(cls, text: str) -> "VerifyKey":
        """Read 64 hex digits in small letters: a key has this text and no other.

        Raises:
            UsageError: The text is not such a key.
        """
        if _HEX.fullmatch(text) is None:
            raise UsageError(f"not an Ed25519 public key in hex: {text[:100]!r}")
        return cls(bytes.fromhex(text))

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
