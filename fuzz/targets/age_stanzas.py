"""Stanzas by a writer who knows the file key: the MAC is right, so the reader meets what they say."""

from collections.abc import Iterator
from contextlib import suppress

import pyrage

from fuzz.material import FILE_KEY, HYBRID, IDENTITY, PLAIN, take
from fuzz.target import Disagreement, Target, agree
from kifabrik.errors import IntegrityError
from kifabrik.seals.header import Header, Stanza, parse_whole_header
from kifabrik.seals.identities import Identity
from kifabrik.seals.opening import open_file, open_header, rewrap
from kifabrik.seals.sealing import seal_bytes

_THEIRS = pyrage.x25519.Identity.from_str(IDENTITY.text)
_BODY = seal_bytes(PLAIN, FILE_KEY)
_OWN = (IDENTITY.recipient.wrap(FILE_KEY), HYBRID.recipient.wrap(FILE_KEY))
_ELSE = Identity(bytes(range(9, 41)))
_KINDS = ("X25519", "mlkem768x25519", "scrypt", "x25519", "grease-1", "-")
_LAST = 12


def one(data: bytes) -> None:
    """Put stanzas together as the bytes say, under a right MAC, and open."""
    stanzas = tuple(_stanzas(data))
    file = Header.seal(stanzas, FILE_KEY).to_bytes()
    agree(parse_whole_header(file).stanzas, stanzas, "stanzas written and read")
    agree(open_header(file, [IDENTITY, HYBRID]), FILE_KEY, "file key")
    agree(open_header(rewrap(file, [IDENTITY, HYBRID], [_ELSE.recipient]), [_ELSE]), FILE_KEY, "file key")
    with suppress(IntegrityError):
        open_file(file + _BODY, [IDENTITY])
        agree(pyrage.decrypt(file + _BODY, [_THEIRS]), PLAIN, "plaintext")
    with suppress(IntegrityError):
        open_header(file, [_ELSE])
        raise Disagreement("a header opened for somebody it is not sealed to")


def _stanzas(data: bytes) -> Iterator[Stanza]:
    for _ in range(_LAST):
        if not data:
            return
        choice, data = take(data)
        own = _OWN[choice & 1]
        if choice & 2:
            yield own
            continue
        length, data = take(data)
        piece, data = data[:length], data[length:]
        kind = _KINDS[choice >> 2 & 7] if choice >> 2 & 7 < len(_KINDS) else own.kind
        share = own.arguments[0] if choice & 32 else "".join(chr(33 + byte % 94) for byte in piece) or "~"
        yield Stanza(kind, (share,) * (choice >> 6), own.body if choice & 64 else piece)


def seeds() -> Iterator[bytes]:
    """Own stanzas, alone and beside others."""
    yield b"\x02"
    yield b"\x03\x02"
    yield b"\x10\x05abcde\x02"
    yield b"\x60\x20" + bytes(32) + b"\x02"


TARGET = Target("age stanzas under a right MAC", one, (IntegrityError,), seeds, longest=1024)
