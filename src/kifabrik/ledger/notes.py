"""Signed notes and their keys: c2sp.org/signed-note, with timestamps after c2sp.org/tlog-cosignature.

Invariants:
- a signature counts only for the key whose name **and** key id it carries; others are ignored;
- one wrong signature under a known key spoils the whole note, also beside a right one of the same key;
- base64 has one form: a note cannot be changed without changing what it says.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.signatures.keys import KEY_BYTES, SigningKey, VerifyKey

MOST_SIGNATURES: Final = 100
"""Verifiers must accept at least 16 signatures (signed-note, format); Go's reader accepts 100."""

MOST_NOTE_BYTES: Final = 1_000_000
LARGEST_TIMESTAMP: Final = 2**63 - 1
_SIGNATURE_BYTES: Final = 64
_KEY_ID_BYTES: Final = 4
_TIMESTAMP_BYTES: Final = 8
_LINE_START: Final = "\N{EM DASH} "
_FIRST_PRINTABLE: Final = " "


class SignatureType(IntEnum):
    """The signature types used here (signed-note, signature types)."""

    ED25519 = 0x01
    COSIGNATURE_V1 = 0x04


@dataclass(frozen=True)
class NoteVerifier:
    """A public key with the name and the type its note signatures carry.

    Args:
        name: Key name, such as the origin of a log; no spaces, no `+`.
        key: The Ed25519 key.
        type: Plain signatures, or timestamped cosignatures.
    """

    name: str
    key: VerifyKey
    type: SignatureType = SignatureType.ED25519

    def __post_init__(self) -> None:
        if not _is_name(self.name):
            raise UsageError(f"not a key name: {self.name[:100]!r}", hint="Use no spaces and no plus sign.")

    @property
    def key_id(self) -> bytes:
        """Four bytes that tell keys of one name apart: a hint, not a secure name."""
        return hashlib.sha256(self.name.encode() + b"\n" + self._typed_key).digest()[:_KEY_ID_BYTES]

    @property
    def vkey(self) -> str:
        """The verifier key text `name+hash+key` (signed-note, verifier keys)."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._typed_key).decode()}"

    @classmethod
    def from_vkey(cls, text: str) -> "NoteVerifier":
        """Read a verifier key text.

        Raises:
            UsageError: The text is not the vkey of an Ed25519 key of a type used here.
        """
        name, _, rest = text.partition("+")
        typed = decode_base64(rest.partition("+")[2])
        if typed is not None and len(typed) == 1 + KEY_BYTES and typed[0] in tuple(SignatureType):
            verifier = cls(name, VerifyKey(typed[1:]), SignatureType(typed[0]))
            if verifier.vkey == text:
                return verifier
        raise UsageError(f"not an Ed25519 verifier key: {text[:200]!r}", hint="It has the form name+hash+key.")

    def verify(self, text: str, signature: bytes) -> int | None:
        """Check a signature over a note text.

        Returns:
            The POSIX time of a cosignature; None for a plain signature.

        Raises:
            IntegrityError: The signature is not this key's.
        """
        timestamp = None
        if self.type is SignatureType.COSIGNATURE_V1:
            timestamp = int.from_bytes(signature[:_TIMESTAMP_BYTES], "big")
            signature = signature[_TIMESTAMP_BYTES:]
        if len(signature) != _SIGNATURE_BYTES or (timestamp or 0) > LARGEST_TIMESTAMP:
            raise IntegrityError(f"the signature of {self.name} is malformed")
        try:
            self.key.verify(signature, signed_message(text, timestamp))
        except IntegrityError:
            raise IntegrityError(f"the signature of {self.name} is wrong") from None
        return timestamp

    @property
    def _typed_key(self) -> bytes:
        return bytes([self.type]) + self.key.raw


def signed_message(text: str, timestamp: int | None) -> bytes:
    """Return the bytes an Ed25519 signature or cosignature is made over."""
    prefix = "" if timestamp is None else f"cosignature/v1\ntime {timestamp}\n"
    return (prefix + text).encode()


@dataclass(frozen=True)
class NoteSignature:
    """One signature line; nothing about it is believed before `NoteVerifier.verify`."""

    name: str
    key_id: bytes
    signature: bytes

    def to_line(self) -> str:
        """Write the line with its newline."""
        blob = base64.b64encode(self.key_id + self.signature).decode()
        return f"{_LINE_START}{self.name} {blob}\n"

    @classmethod
    def from_line(cls, line: str) -> "NoteSignature":
        """Read a line without its newline.

        Raises:
            IntegrityError: The line is not a signature line.
        """
        name, _, encoded = line.removeprefix(_LINE_START).partition(" ")
        blob = decode_base64(encoded)
        if not line.startswith(_LINE_START) or not _is_name(name) or blob is None or len(blob) <= _KEY_ID_BYTES:
            raise IntegrityError(f"not a signature line of a note: {line[:100]!r}")
        return cls(name, blob[:_KEY_ID_BYTES], blob[_KEY_ID_BYTES:])


@dataclass(frozen=True)
class Note:
    """A text and its signatures, none of them verified.

    Args:
        text: Ends with a newline.
        signatures: In the order of the note.
    """

    text: str
    signatures: tuple[NoteSignature, ...] = ()

    def __post_init__(self) -> None:
        if not self.text.endswith("\n") or any(c < _FIRST_PRINTABLE and c != "\n" for c in self.text):
            raise IntegrityError("the text of a note ends with a newline and has no control characters")
        if not _has_utf8(self.text):
            raise IntegrityError("the text of a note is not Unicode: it holds half of a surrogate pair")

    @classmethod
    def parse(cls, note: str) -> "Note":
        """Read a signed note.

        Raises:
            IntegrityError: The text is not a signed note, or too large.
        """
        if len(note) > MOST_NOTE_BYTES:
            raise IntegrityError(f"a signed note of {len(note)} characters is too large")
        text, blank, block = note.rpartition("\n\n")
        lines = block.split("\n")
        if not blank or len(lines) < 2 or lines.pop() or len(lines) > MOST_SIGNATURES:  # noqa: PLR2004 - "" is last
            raise IntegrityError("not a signed note: signature lines must follow the last blank line")
        return cls(text + "\n", tuple(NoteSignature.from_line(line) for line in lines))

    def to_text(self) -> str:
        """Write as a signed note."""
        return self.text + "\n" + "".join(signature.to_line() for signature in self.signatures)

    def signed(self, name: str, key: SigningKey, timestamp: int | None = None) -> "Note":
        """Return the note with a signature more, in place of an earlier one by the same key.

        Args:
            name: Key name.
            key: Signs the text.
            timestamp: POSIX time of a cosignature; None for a plain signature.

        Raises:
            UsageError: The name or the time is not allowed.
        """
        kind = SignatureType.ED25519 if timestamp is None else SignatureType.COSIGNATURE_V1
        verifier = NoteVerifier(name, key.public, kind)
        prefix = b""
        if timestamp is not None:
            if not 0 <= timestamp <= LARGEST_TIMESTAMP:
                raise UsageError(f"not the time of a cosignature: {timestamp}")
            prefix = timestamp.to_bytes(_TIMESTAMP_BYTES, "big")
        blob = prefix + key.sign(signed_message(self.text, timestamp))
        kept = tuple(s for s in self.signatures if (s.name, s.key_id) != (name, verifier.key_id))
        return Note(self.text, (*kept, NoteSignature(name, verifier.key_id, blob)))

    def verify(self, verifiers: Iterable[NoteVerifier]) -> dict[NoteVerifier, int | None]:
        """Return the verifiers that have signed, each with the time of its cosignature; of several, of the first.

        Raises:
            IntegrityError: A known key's signature is wrong, or no known key has signed.
            UsageError: Two of the verifiers share name and key id.
        """
        known: dict[tuple[str, bytes], NoteVerifier] = {}
        for verifier in verifiers:
            if known.setdefault((verifier.name, verifier.key_id), verifier) != verifier:
                raise UsageError(f"two keys are called {verifier.name}+{verifier.key_id.hex()}")
        found: dict[NoteVerifier, int | None] = {}
        for signature in self.signatures:
            signer = known.get((signature.name, signature.key_id))
            if signer is not None:
                timestamp = signer.verify(self.text, signature.signature)
                found.setdefault(signer, timestamp)
        if not found:
            raise IntegrityError("the note is not signed by a known key")
        return found


def decode_base64(text: str) -> bytes | None:
    """Decode standard base64 in its one canonical form; None if it is anything else."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return data if base64.b64encode(data).decode() == text else None


def _is_name(name: str) -> bool:
    if not name or "+" in name or not _has_utf8(name):
        return False
    return not any(c.isspace() or c < _FIRST_PRINTABLE for c in name)


def _has_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
