"""Small age files under a passphrase: how the keyholder's state lies on its disk.

Invariants:
- a passphrase stands alone in a header, so opening proves the writer knew it;
- a file cannot ask for more work than the reader allows.

Source: c2sp.org/age, section "The scrypt recipient type"; RFC 7914.
"""

import re
import secrets
from dataclasses import dataclass, field
from typing import ClassVar, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from kifabrik.errors import CapacityError, IntegrityError, UsageError
from kifabrik.seals.header import SCRYPT_KIND, Stanza, decode_base64, encode_base64
from kifabrik.seals.opening import open_file
from kifabrik.seals.recipients import WRAPPED_KEY_BYTES, ZERO_NONCE
from kifabrik.seals.sealing import seal_file

WORK_FACTOR: Final = 18
"""2^18 rounds: about a second and 256 MiB, as the `age` tool has it."""
MAX_WORK_FACTOR: Final = 20
"""2^20 rounds: a few seconds and 1 GiB."""

_LABEL: Final = b"age-encryption.org/v1/scrypt"
_SALT_BYTES: Final = 16
_ARGUMENTS: Final = 2


def seal_with_passphrase(data: bytes, passphrase: str, *, work_factor: int = WORK_FACTOR) -> bytes:
    """Return an age file only the passphrase opens.

    Args:
        data: The plaintext.
        passphrase: Any text but an empty one.
        work_factor: Binary logarithm of scrypt's N; each step doubles time and memory.

    Raises:
        UsageError: No passphrase, or a work factor outside 1 to `MAX_WORK_FACTOR`.
    """
    if not 1 <= work_factor <= MAX_WORK_FACTOR:
        raise UsageError(f"the work factor is between 1 and {MAX_WORK_FACTOR}, not {work_factor}")
    return seal_file(data, [_Passphrase(_encoded(passphrase), work_factor)])


def open_with_passphrase(data: bytes, passphrase: str, *, max_work_factor: int = MAX_WORK_FACTOR) -> bytes:
    """Return the plaintext of an age file sealed with a passphrase, armored or not.

    Raises:
        IntegrityError: Another passphrase, malformed, changed, or more work than allowed.
        CapacityError: Not enough memory for the work factor.
        UsageError: No passphrase.
    """
    return open_file(data, [_Passphrase(_encoded(passphrase), max_work_factor)])


@dataclass(frozen=True)
class _Passphrase:
    """Recipient and identity in one; `work_factor` is what sealing uses and the most opening allows."""

    secret: bytes = field(repr=False)
    work_factor: int
    quantum_safe: ClassVar[bool] = True

    def wrap(self, file_key: bytes) -> Stanza:
        salt = secrets.token_bytes(_SALT_BYTES)
        body = self._cipher(salt, self.work_factor).encrypt(ZERO_NONCE, file_key, None)
        return Stanza(SCRYPT_KIND, (encode_base64(salt).decode(), str(self.work_factor)), body)

    def unwrap(self, stanzas: tuple[Stanza, ...]) -> bytes | None:
        for stanza in stanzas:
            if stanza.kind == SCRYPT_KIND:
                salt, work_factor = _read_arguments(stanza)
                if work_factor > self.work_factor:
                    raise IntegrityError(
                        f"age header: scrypt work factor {work_factor} is above {self.work_factor}",
                        hint="Whoever sealed this asks for more work than is allowed here.",
                    )
                try:
                    return self._cipher(salt, work_factor).decrypt(ZERO_NONCE, stanza.body, None)
                except InvalidTag:
                    return None
        return None

    def _cipher(self, salt: bytes, work_factor: int) -> ChaCha20Poly1305:
        try:
            scrypt = Scrypt(salt=_LABEL + salt, length=32, n=1 << work_factor, r=8, p=1)
            return ChaCha20Poly1305(scrypt.derive(self.secret))
        except MemoryError:
            raise CapacityError(f"not enough memory for scrypt with work factor {work_factor}") from None


def _read_arguments(stanza: Stanza) -> tuple[bytes, int]:
    if len(stanza.arguments) != _ARGUMENTS or not re.fullmatch("[1-9][0-9]{0,9}", stanza.arguments[1]):
        raise IntegrityError("age header: malformed scrypt stanza")
    salt = decode_base64(stanza.arguments[0].encode())
    if len(salt) != _SALT_BYTES or len(stanza.body) != WRAPPED_KEY_BYTES:
        raise IntegrityError("age header: scrypt stanza of wrong length")
    return salt, int(stanza.arguments[1])


def _encoded(passphrase: str) -> bytes:
    if not passphrase:
        raise UsageError("an empty passphrase protects nothing")
    try:
        return passphrase.encode()
    except UnicodeEncodeError:
        raise UsageError("the passphrase is not valid Unicode") from None
