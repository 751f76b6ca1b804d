"""The headers of a version one after the other, as they lie at the factory."""

from collections.abc import Iterator

from fuzz.material import FILE_KEY, HYBRID, IDENTITY
from fuzz.target import Target, agree
from kifabrik.errors import IntegrityError
from kifabrik.seals.header import parse_whole_header, split_headers
from kifabrik.seals.sealing import make_header


def one(data: bytes) -> None:
    """Split; the pieces are the whole, and each that parses is written as it was read."""
    parts = split_headers(data)
    agree(b"".join(parts), data, "headers split and joined")
    for part in parts:
        agree(parse_whole_header(part).to_bytes(), part, "a header read and written")


def seeds() -> Iterator[bytes]:
    """None, one, three."""
    yield b""
    yield make_header(FILE_KEY, [IDENTITY.recipient])
    yield make_header(FILE_KEY, [IDENTITY.recipient]) * 2 + make_header(FILE_KEY, [HYBRID.recipient])


TARGET = Target(
    "headers objects",
    one,
    (IntegrityError,),
    seeds,
    (b"age-encryption.org/v1\n", b"-> X25519 ", b"\n--- ", b"\n\n", b"-> "),
)
