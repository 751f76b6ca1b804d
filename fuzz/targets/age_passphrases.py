"""Scrypt stanzas: the work a file may ask for is bounded, and nothing but one stanza alone opens."""

from collections.abc import Iterator

import pyrage

from fuzz.material import FILE_KEY, PLAIN, take
from fuzz.target import Target, agree
from kifabrik.errors import IntegrityError
from kifabrik.seals.header import Header, Stanza, parse_header
from kifabrik.seals.passphrase import open_with_passphrase, seal_with_passphrase
from kifabrik.seals.sealing import seal_bytes

_MOST_WORK = 5
_SEALED = seal_with_passphrase(PLAIN, "x", work_factor=2)
_BODY = seal_bytes(PLAIN, FILE_KEY)


def one(data: bytes) -> None:
    """Open a file as it is, or one whose stanza the bytes make up under a right MAC."""
    choice, rest = take(data)
    if choice & 1:
        words, body = rest[:-32].split(b" "), rest[-32:]
        arguments = tuple("".join(chr(33 + (byte - 33) % 94) for byte in word) for word in words if word)
        stanza = Stanza("scrypt", arguments, body)
        rest = Header.seal((stanza,) * (1 + (choice >> 1 & 1)), FILE_KEY).to_bytes() + _BODY
    opened = open_with_passphrase(rest, "x", max_work_factor=_MOST_WORK)
    agree(opened, pyrage.passphrase.decrypt(rest, "x"), "plaintext")


def seeds() -> Iterator[bytes]:
    """A file, and stanzas with small and large work factors."""
    yield b"\x00" + _SEALED
    stanza = parse_header(_SEALED)[0].stanzas[0]
    for factor in ("2", "02", "20", "64", "4294967298"):
        yield b"\x01" + f"{stanza.arguments[0]} {factor}".encode() + stanza.body


TARGET = Target(
    "age files under a passphrase",
    one,
    (IntegrityError,),
    seeds,
    (b"-> scrypt ", b" 2\n", b" 18\n", b" 30\n", b" 999999999\n"),
)
