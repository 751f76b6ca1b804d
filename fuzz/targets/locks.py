"""Locks of environments, and the requirements they are made from."""

from collections.abc import Iterator
from contextlib import suppress

from fuzz.material import DIGEST, text_of
from fuzz.target import Disagreement, Target, agree
from kifabrik.environments.lockfile import Lock, Option, Pin
from kifabrik.environments.requirements import Requirements
from kifabrik.errors import UsageError

_INERT = ("$", "`", "\n", "\r", "\0", "file:")


def one(data: bytes) -> None:
    """Read as either; a lock has one text, and nothing in it that uv would expand or look up here."""
    text = text_of(data)
    with suppress(UsageError):
        Requirements.from_text(text)
    lock = Lock.from_text(text)
    agree(lock.text, text, "a lock read and written")
    for line in lock.text.splitlines()[1:]:
        if any(piece in line for piece in _INERT):
            raise Disagreement(f"a lock holds {line!r}")


def seeds() -> Iterator[bytes]:
    """Two locks and a requirements file."""
    address = (Option.INDEX, "https://example.org/simple")
    yield Lock("3.11").text.encode()
    yield Lock("3.11", (Pin("jinja2", "3.1.6", DIGEST), Pin("numpy", "2.4.6", DIGEST)), (address,)).text.encode()
    yield b"numpy\n--index-url https://example.org/simple\ntorch==2.13 \\\n  --hash=sha256:00\n-f ./wheels # why\n"


TARGET = Target(
    "locks and requirements",
    one,
    (UsageError,),
    seeds,
    (b"${HOME}", b"file:///", b"--find-links ", b"--extra-index-url ", b"@ git+", b"\\\n", b" --hash=sha256:"),
)
