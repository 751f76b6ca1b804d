"""Who can open: private keys that unwrap a file key from the stanzas meant for them.

Invariants:
- a secret never appears in a `repr`;
- a stanza of the identity's own kind is either well formed or the whole header is refused;
- the wrapped key's length is checked before it is decrypted (partitioning oracles).

Source: c2sp.org/age, sections "The X25519 recipient type" and "The MLKEM768-X25519 […] type".
"""

import hashlib
import secrets
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.seals import bech32
from kifabrik.seals.header import Stanza, decode_base64, derive_key
from kifabrik.seals.recipients import (
    HYBRID_INFO,
    HYBRID_KIND,
    HYBRID_SHARE_BYTES,
    HYBRID_SUITE,
    KEY_BYTES,
    WRAPPED_KEY_BYTES,
    X25519_INFO,
    X25519_KIND,
    ZERO_NONCE,
    HybridRecipient,
    Recipient,
)

_MLKEM_SEED_BYTES: Final = 64


class AnyIdentity(Protocol):
    """Something that may unwrap a file key."""

    def unwrap(self, stanzas: tuple[Stanza, ...]) -> bytes | None:
        """Return the file key, or None if no stanza is for this identity.

        Raises:
            IntegrityError: A stanza of this identity's kind is malformed.
        """


@dataclass(frozen=True)
class Identity:
    """An X25519 private key.

    Args:
        secret: 32 bytes after RFC 7748; never shown.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_secret(self.secret)

    @classmethod
    def generate(cls) -> "Identity":
        """Make a fresh key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def from_text(cls, text: str) -> "Identity":
        """Read `AGE-SECRET-KEY-1…`.

        Raises:
            UsageError: The text is not such an identity; it is not repeated in the message.
        """
        return cls(_decode(text, "AGE-SECRET-KEY-"))

    @property
    def text(self) -> str:
        """The secret as age writes it: `AGE-SECRET-KEY-1…`."""
        return bech32.encode("age-secret-key-", self.secret).upper()

    @cached_property
    def recipient(self) -> Recipient:
        """The public half."""
        return Recipient(self._key.public_key().public_bytes_raw())

    @cached_property
    def _key(self) -> X25519PrivateKey:
        return X25519PrivateKey.from_private_bytes(self.secret)

    def unwrap(self, stanzas: tuple[Stanza, ...]) -> bytes | None:
        """See `AnyIdentity.unwrap`."""
        for share, body in _stanzas_of_kind(stanzas, X25519_KIND, KEY_BYTES):
            secret = _exchange(self._key, share)
            wrap_key = derive_key(secret, share + self.recipient.raw, X25519_INFO)
            try:
                return ChaCha20Poly1305(wrap_key).decrypt(ZERO_NONCE, body, None)
            except InvalidTag:
                continue  # somebody else's stanza
        return None


@dataclass(frozen=True)
class HybridIdentity:
    """The seed of an ML-KEM-768 and an X25519 private key (X-Wing).

    Args:
        secret: 32 bytes; SHAKE-256 expands them into both keys. Never shown.
    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _check_secret(self.secret)

    @classmethod
    def generate(cls) -> "HybridIdentity":
        """Make a fresh key."""
        return cls(secrets.token_bytes(KEY_BYTES))

    @classmethod
    def from_text(cls, text: str) -> "HybridIdentity":
        """Read `AGE-SECRET-KEY-PQ-1…`.

        Raises:
            UsageError: The text is not such an identity; it is not repeated in the message.
        """
        return cls(_decode(text, "AGE-SECRET-KEY-PQ-"))

    @property
    def text(self) -> str:
        """The secret as age writes it: `AGE-SECRET-KEY-PQ-1…`."""
        return bech32.encode("age-secret-key-pq-", self.secret).upper()

    @cached_property
    def recipient(self) -> HybridRecipient:
        """The public half."""
        mlkem, x25519 = self._keys
        return HybridRecipient(mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw())

    @cached_property
    def _keys(self) -> tuple[MLKEM768PrivateKey, X25519PrivateKey]:
        seed = hashlib.shake_256(self.secret).digest(_MLKEM_SEED_BYTES + KEY_BYTES)
        return (
            MLKEM768PrivateKey.from_seed_bytes(seed[:_MLKEM_SEED_BYTES]),
            X25519PrivateKey.from_private_bytes(seed[_MLKEM_SEED_BYTES:]),
        )

    def unwrap(self, stanzas: tuple[Stanza, ...]) -> bytes | None:
        """See `AnyIdentity.unwrap`."""
        mlkem, x25519 = self._keys
        key = hpke.MLKEM768X25519PrivateKey(mlkem, x25519)
        for share, body in _stanzas_of_kind(stanzas, HYBRID_KIND, HYBRID_SHARE_BYTES):
            _exchange(x25519, share[-KEY_BYTES:])
            try:
                return HYBRID_SUITE.decrypt(share + body, key, info=HYBRID_INFO)
            except InvalidTag:
                continue  # somebody else's stanza
        return None


def parse_identity(text: str) -> Identity | HybridIdentity:
    """Read an identity of either type.

    Raises:
        UsageError: The text is neither; it is not repeated in the message.
    """
    hybrid = text.strip().startswith("AGE-SECRET-KEY-PQ-1")
    return HybridIdentity.from_text(text) if hybrid else Identity.from_text(text)


def _decode(text: str, wanted: str) -> bytes:
    prefix, secret = bech32.decode(text.strip())
    if prefix != wanted:
        raise UsageError(f"not an age identity of the type {wanted}1…")
    return secret


def _check_secret(secret: bytes) -> None:
    if len(secret) != KEY_BYTES:
        raise UsageError(f"an age identity has {KEY_BYTES} bytes, not {len(secret)}")


def _stanzas_of_kind(stanzas: tuple[Stanza, ...], kind: str, share_bytes: int) -> list[tuple[bytes, bytes]]:
    """Return share and wrapped key of each stanza of one kind, all of them checked for form before one is tried."""
    found = []
    for stanza in stanzas:
        if stanza.kind != kind:
            continue
        if len(stanza.arguments) != 1:
            raise IntegrityError(f"age header: {kind} stanza with {len(stanza.arguments)} arguments, not 1")
        share = decode_base64(stanza.arguments[0].encode())
        if len(share) != share_bytes or len(stanza.body) != WRAPPED_KEY_BYTES:
            raise IntegrityError(f"age header: {kind} stanza of wrong length")
        found.append((share, stanza.body))
    return found


def _exchange(key: X25519PrivateKey, share: bytes) -> bytes:
    try:
        return key.exchange(X25519PublicKey.from_public_bytes(share))
    except ValueError:
        raise IntegrityError("age header: share is a point of low order") from None
