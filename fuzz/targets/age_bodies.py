"""STREAM bodies: cut, appended to, flipped and reordered; three ways of opening agree, and with `pyrage`."""

import io
from collections.abc import Iterator

import pyrage

from fuzz.material import FILE_KEY, IDENTITY, take
from fuzz.target import Disagreement, Target, agree
from kifabrik.errors import IntegrityError
from kifabrik.seals.opening import BodyReader, copy_opened, open_body_into, open_bytes
from kifabrik.seals.sealing import make_header, seal_bytes
from kifabrik.seals.stream import NONCE_BYTES, SEALED_CHUNK

_CHUNK = 64 * 1024
_HEADER = make_header(FILE_KEY, [IDENTITY.recipient])
_THEIRS = pyrage.x25519.Identity.from_str(IDENTITY.text)
_SIZES = (0, 1, 17, _CHUNK - 1, _CHUNK, _CHUNK + 1, 2 * _CHUNK, 2 * _CHUNK + 99)
_BODIES = tuple(seal_bytes(bytes(n % 251 for n in range(size)), FILE_KEY) for size in _SIZES)
_MOST_STEPS = 6
_RAW = 128
"""From this first byte on the input is a body itself, not a way to change one."""


def one(data: bytes) -> None:
    """Change a body as the bytes say and open it; changed, it must be refused."""
    which, program = take(data)
    original = _BODIES[which % len(_BODIES)]
    body = program if which >= _RAW else _changed(original, program)
    try:
        opened = open_bytes(body, FILE_KEY)
    except IntegrityError:
        _refused_by_all(body)
        return
    if which < _RAW and body != original:
        raise Disagreement("a changed body opens")
    sink, room = io.BytesIO(), bytearray(len(opened))
    copy_opened(io.BytesIO(body), sink, FILE_KEY, threads=2)
    open_body_into(body, None, FILE_KEY, room)
    agree(opened, sink.getvalue(), "streamed plaintext")
    agree(opened, bytes(room), "plaintext opened in place")
    agree(opened, pyrage.decrypt(_HEADER + body, [_THEIRS]), "plaintext")


def _changed(body: bytes, program: bytes) -> bytes:
    chunks = [body[at : at + SEALED_CHUNK] for at in range(NONCE_BYTES, len(body), SEALED_CHUNK)]
    body = bytes(body)
    for step in range(0, min(len(program), 4 * _MOST_STEPS) - 3, 4):
        way, high, low, value = program[step : step + 4]
        at = (high << 8 | low) * max(1, len(body)) >> 16
        chunk = chunks[value % len(chunks)]
        body = (
            body[:at] + bytes([value]) + body[at + 1 :],
            body[:at],
            body[:at] + body[at + value :],
            body + chunk,
            body[:NONCE_BYTES] + chunk + body[NONCE_BYTES:],
            body + bytes([value]) * high,
            body[: len(body) - value],
        )[way % 7]
    return body


def _refused_by_all(body: bytes) -> None:
    """A body that one way of opening refuses is refused by the others: none shows it as whole."""
    for read in (
        lambda: copy_opened(io.BytesIO(body), io.BytesIO(), FILE_KEY),
        lambda: BodyReader(body, None, FILE_KEY).read(),
    ):
        try:
            read()
        except IntegrityError:
            continue
        raise Disagreement("one way of opening refuses a body, another shows it as whole")


def seeds() -> Iterator[bytes]:
    """Each size untouched, and with each change once."""
    for number in range(len(_BODIES)):
        yield bytes([number])
        yield bytes([number, number % 7, 90, 1, 3])
    yield b"\xff" + _BODIES[2]


TARGET = Target("STREAM bodies", one, (IntegrityError,), seeds, longest=256)
