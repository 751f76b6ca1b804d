"""Whole age files, plain and armored, against `pyrage` (age in Rust)."""

from collections.abc import Iterator

import pyrage

from fuzz.material import HYBRID, IDENTITY, PLAIN
from fuzz.target import Target, agree
from kifabrik.errors import IntegrityError
from kifabrik.seals.armor import add_armor, is_armored
from kifabrik.seals.header import parse_header
from kifabrik.seals.opening import open_file
from kifabrik.seals.sealing import seal_file

_THEIRS = pyrage.x25519.Identity.from_str(IDENTITY.text)


def one(data: bytes) -> None:
    """Open with either identity; what opens with the X25519 key opens with pyrage to the same.

    Lines of white space before armor are allowed, but pyrage does not look for them; it gets the file without.
    """
    if data.startswith(b"age-encryption.org"):
        header, end = parse_header(data)
        agree(header.to_bytes(), data[:end], "a header read and written")
    try:
        opened = open_file(data, [IDENTITY])
    except IntegrityError:
        open_file(data, [HYBRID])
        return
    agree(opened, pyrage.decrypt(data.lstrip() if is_armored(data) else data, [_THEIRS]), "plaintext")


def seeds() -> Iterator[bytes]:
    """One file of each kind."""
    for plain in (b"", PLAIN):
        file = seal_file(plain, [IDENTITY.recipient])
        yield file
        yield add_armor(file)
    yield seal_file(PLAIN, [HYBRID.recipient])


TARGET = Target(
    "age files",
    one,
    (IntegrityError,),
    seeds,
    (
        *(b"age-encryption.org/v1\n", b"-> X25519 ", b"-> scrypt ", b"-> mlkem768x25519 ", b"--- ", b"-> x\n\n"),
        *(b"-----BEGIN AGE ENCRYPTED FILE-----\n", b"-----END AGE ENCRYPTED FILE-----\n", b"\r\n", b"=", b"=="),
    ),
)
