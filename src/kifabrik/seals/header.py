"""The textual header of an age file, read and written strictly.

    header = "age-encryption.org/v1" LF 1*stanza "--- " mac LF
    stanza = "-> " argument *(SP argument) LF body, wrapped at 64 columns, last line shorter

Invariants:
- exactly the canonical form is accepted, so `parse_header(data).to_bytes() == data`;
- stanzas nobody knows are carried along, never interpreted; but for one of our own, which wraps nothing and says
  whose body it is;
- a passphrase stanza stands alone: who opens with a passphrase knows that its owner sealed;
- nothing in a header is authentic before `verify_mac`.

Source: c2sp.org/age, sections "Header" and "ABNF definition of file header".
"""

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kifabrik.errors import IntegrityError, UsageError

FILE_KEY_BYTES: Final = 16
HEADER_LIMIT: Final = 128 * 1024
"""Most bytes of one header: over 1,000 X25519 or 75 hybrid recipients."""

SCRYPT_KIND: Final = "scrypt"
OWNER_KIND: Final = "kifabrik.org/owner"
"""A stanza that wraps no key; its only argument names what the body belongs to."""

_VERSION: Final = b"age-encryption.org/v1\n"
_MAC_MARK: Final = b"---"
_COLUMNS: Final = 64
_STANZA: Final = re.compile(
    rb"-> ([!-~]+(?: [!-~]+)*)\n"  # the arguments
    rb"((?:[A-Za-z0-9+/]{64}\n)*"  # full lines of the body
    rb"[A-Za-z0-9+/]{0,63}\n)"  # its last line, which may be empty
)
_WORD: Final = re.compile(r"[!-~]{1,256}")
_MAC_LINE: Final = re.compile(rb"--- ([A-Za-z0-9+/]{43})\n")


def encode_base64(data: bytes) -> bytes:
    """Return standard base64 without padding."""
    return base64.b64encode(data).rstrip(b"=")


def decode_base64(text: bytes) -> bytes:
    """Read canonical standard base64 without padding.

    Raises:
        IntegrityError: The text is anything else.
    """
    try:
        data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if encode_base64(data) != text:
        raise IntegrityError("age header: base64 is not canonical")
    return data


def derive_key(secret: bytes, salt: bytes | None, info: bytes) -> bytes:
    """HKDF-SHA-256 with 32 bytes of output, as everywhere in age."""
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret)


@dataclass(frozen=True)
class Stanza:
    """One recipient's wrapping of the file key: a kind, further arguments, a body."""

    kind: str
    arguments: tuple[str, ...]
    body: bytes

    def to_bytes(self) -> bytes:
        """Write in the canonical form."""
        text = encode_base64(self.body)
        lines = [text[i : i + _COLUMNS] for i in range(0, len(text) + 1, _COLUMNS)]
        return b"-> %b\n%b\n" % (" ".join((self.kind, *self.arguments)).encode(), b"\n".join(lines))


@dataclass(frozen=True)
class Header:
    """A well-formed header; whether its MAC is right shows only with the file key."""

    stanzas: tuple[Stanza, ...]
    mac: bytes

    @classmethod
    def seal(cls, stanzas: tuple[Stanza, ...], file_key: bytes) -> "Header":
        """Put stanzas under the MAC of their file key."""
        hmac = _keyed_hmac(stanzas, file_key)
        return cls(stanzas, hmac.finalize())

    @property
    def owner(self) -> str:
        """What the body belongs to, believed once the MAC is verified; empty if that is not said, or twice."""
        said = [stanza for stanza in self.stanzas if stanza.kind == OWNER_KIND]
        return said[0].arguments[0] if len(said) == 1 == len(said[0].arguments) else ""

    def verify_mac(self, file_key: bytes) -> None:
        """Check the MAC.

        Raises:
            IntegrityError: The header was changed after it was written.
        """
        try:
            _keyed_hmac(self.stanzas, file_key).verify(self.mac)
        except InvalidSignature:
            raise IntegrityError("age header: the MAC does not match") from None

    def to_bytes(self) -> bytes:
        """Write in the canonical form."""
        return _before_mac(self.stanzas) + b" " + encode_base64(self.mac) + b"\n"


def owner_stanzas(owner: str) -> tuple[Stanza, ...]:
    """Return the stanza that says whose body it is; none for no owner.

    Raises:
        UsageError: The owner is not one word of ASCII.
    """
    if not owner:
        return ()
    if _WORD.fullmatch(owner) is None:
        raise UsageError(f"a header cannot name the owner {owner[:80]!r}", hint="It must be one word of ASCII.")
    return (Stanza(OWNER_KIND, (owner,), b""),)


def parse_header(data: bytes) -> tuple[Header, int]:
    """Read the header `data` starts with; return it and its length in bytes.

    Raises:
        IntegrityError: No such header is there, or it is longer than `HEADER_LIMIT`.
    """
    if not data.startswith(_VERSION):
        raise IntegrityError("not an age v1 file", hint="Is this the header, or only the body?")
    position, stanzas = len(_VERSION), []
    while stanza := _STANZA.match(data, position, HEADER_LIMIT):
        kind, *arguments = stanza[1].decode().split(" ")
        stanzas.append(Stanza(kind, tuple(arguments), decode_base64(stanza[2].replace(b"\n", b""))))
        position = stanza.end()
    mac = _MAC_LINE.match(data, position, HEADER_LIMIT)
    if mac is None or not stanzas:
        raise IntegrityError(f"age header: malformed or cut off at byte {position}")
    if len(stanzas) > 1 and any(one.kind == SCRYPT_KIND for one in stanzas):
        raise IntegrityError("age header: a passphrase stanza beside others")
    return Header(tuple(stanzas), decode_base64(mac[1])), mac.end()


def parse_whole_header(data: bytes) -> Header:
    """Read a header stored apart from its body.

    Raises:
        IntegrityError: The bytes are not exactly one header.
    """
    header, end = parse_header(data)
    if end != len(data):
        raise IntegrityError("age header: something follows the MAC line")
    return header


def split_headers(data: bytes) -> list[bytes]:
    """Split headers that were written one after the other; each ends with its MAC line.

    Only where one ends and the next begins is looked at; reading one is up to `parse_header`.

    Raises:
        IntegrityError: The bytes are not a sequence of headers, or one exceeds `HEADER_LIMIT`.
    """
    headers, start = [], 0
    while start < len(data):
        mark = data.find(b"\n" + _MAC_MARK + b" ", start, start + HEADER_LIMIT)
        mac = _MAC_LINE.match(data, mark + 1, start + HEADER_LIMIT)
        if mark < 0 or mac is None or not data.startswith(_VERSION, start):
            raise IntegrityError(f"not a sequence of age headers from byte {start} on")
        headers.append(data[start : mac.end()])
        start = mac.end()
    return headers


def _before_mac(stanzas: tuple[Stanza, ...]) -> bytes:
    return _VERSION + b"".join(stanza.to_bytes() for stanza in stanzas) + _MAC_MARK


def _keyed_hmac(stanzas: tuple[Stanza, ...], file_key: bytes) -> HMAC:
    hmac = HMAC(derive_key(file_key, None, b"header"), SHA256())
    hmac.update(_before_mac(stanzas))
    return hmac
