"""Who something is sealed to: public keys that wrap a file key into a stanza.

Invariants:
- a recipient is checked at birth: a key nobody can safely seal to never becomes one;
- every stanza has an ephemeral key of its own.

Source: c2sp.org/age, sections "The X25519 recipient type" and "The MLKEM768-X25519 […] type".
"""

from dataclasses import dataclass
from typing import ClassVar, Final, Protocol

from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from kifabrik.errors import UsageError
from kifabrik.seals import bech32
from kifabrik.seals.header import Stanza, derive_key, encode_base64

KEY_BYTES: Final = 32
WRAPPED_KEY_BYTES: Final = 32
"""A file key of 16 bytes and its tag of 16 bytes."""
ZERO_NONCE: Final = bytes(12)
"""Fixed, because each wrap key encrypts one file key only."""

X25519_KIND: Final = "X25519"
X25519_INFO: Final = b"age-encryption.org/v1/X25519"

HYBRID_KIND: Final = "mlkem768x25519"
HYBRID_INFO: Final = b"age-encryption.org/mlkem768x25519"
HYBRID_SHARE_BYTES: Final = 1088 + KEY_BYTES
"""ML-KEM-768 ciphertext (FIPS 203) and X25519 share."""
HYBRID_SUITE: Final = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.CHACHA20_POLY1305)
_MLKEM_KEY_BYTES: Final = 1184


class AnyRecipient(Protocol):
    """Something a file key can be wrapped for."""

    @property
    def quantum_safe(self) -> bool:
        """Whether the wrapping withstands quantum computers; kinds that differ are not mixed."""

    def wrap(self, file_key: bytes) -> Stanza:
        """Wrap a file key."""


@dataclass(frozen=True)
class Recipient:
    """An X25519 public key.

    Args:
        raw: 32 bytes after RFC 7748.

    Raises:
        UsageError: Not 32 bytes, or a point of low order, which would wrap for everybody.
    """

    raw: bytes
    quantum_safe: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES:
            raise UsageError(f"an age recipient has {KEY_BYTES} bytes, not {len(self.raw)}")
        self._agree()

    @classmethod
    def from_text(cls, text: str) -> "Recipient":
        """Read `age1…`.

        Raises:
            UsageError: The text is not such a recipient.
        """
        return cls(_decode(text, "age"))

    @property
    def text(self) -> str:
        """The recipient as people write it: `age1…`."""
        return bech32.encode("age", self.raw)

    def wrap(self, file_key: bytes) -> Stanza:
        """Return a fresh stanza only this recipient's identity opens."""
        share, secret = self._agree()
        wrap_key = derive_key(secret, share + self.raw, X25519_INFO)
        body = ChaCha20Poly1305(wrap_key).encrypt(ZERO_NONCE, file_key, None)
        return Stanza(X25519_KIND, (encode_base64(share).decode(),), body)

    def _agree(self) -> tuple[bytes, bytes]:
        ephemeral = X25519PrivateKey.generate()
        try:
            secret = ephemeral.exchange(X25519PublicKey.from_public_bytes(self.raw))
        except ValueError:
            raise UsageError("age recipient is a point of low order, not a key") from None
        return ephemeral.public_key().public_bytes_raw(), secret

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class HybridRecipient:
    """An ML-KEM-768 and an X25519 public key together, safe unless both break.

    Args:
        raw: 1,216 bytes, ML-KEM-768 first.

    Raises:
        UsageError: Not a pair of such keys.
    """

    raw: bytes
    quantum_safe: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if len(self.raw) != _MLKEM_KEY_BYTES + KEY_BYTES:
            raise UsageError("a hybrid age recipient has 1,216 bytes")
        self._key()

    @classmethod
    def from_text(cls, text: str) -> "HybridRecipient":
        """Read `age1pq1…`.

        Raises:
            UsageError: The text is not such a recipient.
        """
        return cls(_decode(text, "age1pq"))

    @property
    def text(self) -> str:
        """The recipient as people write it: `age1pq1…`, about 2,000 letters."""
        return bech32.encode("age1pq", self.raw)

    def wrap(self, file_key: bytes) -> Stanza:
        """Return a fresh stanza only this recipient's identity opens."""
        sealed = HYBRID_SUITE.encrypt(file_key, self._key(), info=HYBRID_INFO)
        share, body = sealed[:HYBRID_SHARE_BYTES], sealed[HYBRID_SHARE_BYTES:]
        return Stanza(HYBRID_KIND, (encode_base64(share).decode(),), body)

    def _key(self) -> hpke.MLKEM768X25519PublicKey:
        mlkem, x25519 = self.raw[:_MLKEM_KEY_BYTES], self.raw[_MLKEM_KEY_BYTES:]
        Recipient(x25519)
        try:
            return hpke.MLKEM768X25519PublicKey(
                MLKEM768PublicKey.from_public_bytes(mlkem), X25519PublicKey.from_public_bytes(x25519)
            )
        except ValueError:
            raise UsageError("hybrid age recipient: not an ML-KEM-768 key") from None

    def __str__(self) -> str:
        return self.text


def parse_recipient(text: str) -> Recipient | HybridRecipient:
    """Read a recipient of either type.

    Raises:
        UsageError: The text is neither; recipients of plugins and SSH keys are not supported.
    """
    return HybridRecipient.from_text(text) if text.strip().startswith("age1pq1") else Recipient.from_text(text)


def _decode(text: str, wanted: str) -> bytes:
    prefix, raw = bech32.decode(text.strip())
    if prefix != wanted:
        raise UsageError(
            f"not an age recipient of the type {wanted}1…",
            hint="A recipient is the public key; the secret one starts with AGE-SECRET-KEY-.",
        )
    return raw
