"""Canonical JSON: one value, one text."""

import json
from collections.abc import Iterator

from fuzz.target import Target, agree
from kifabrik.errors import IntegrityError
from kifabrik.signatures.canonical import from_canonical, to_canonical


def one(data: bytes) -> None:
    """What is accepted is written back to the byte, and means what the standard library reads."""
    value = from_canonical(data)
    agree(to_canonical(value), data, "JSON read and written")
    agree(value, json.loads(data), "a value")


def seeds() -> Iterator[bytes]:
    """Small texts with every type."""
    yield to_canonical({"a": [1, 1.5, -0.0, 1e21, 1e-7, True, None, "ü\n\u2028"], "b": {}, "\U0001f600": ""})
    yield b"[]"


TARGET = Target("canonical JSON", one, (IntegrityError,), seeds, (b"1e400", b"\\ud800", b"[[[["), json=True)
