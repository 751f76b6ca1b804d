"""Sealed contents: JSON, plain or deflated, that names every file."""

import zlib
from collections.abc import Iterator
from pathlib import PurePosixPath

from fuzz.target import Disagreement, Target, agree
from kifabrik.datasets.contents import Contents, FileEntry, ShardContents, ShardKind, contents_digest
from kifabrik.datasets.encoding import decode_contents, encode_contents
from kifabrik.errors import IntegrityError


def one(data: bytes) -> None:
    """Read; what is accepted has plain paths only and survives writing."""
    if data[:1] == b"~":
        data = zlib.compress(data[1:])
    contents = decode_contents(data)
    agree(decode_contents(encode_contents(contents)), contents, "contents written and read")
    contents_digest(contents)
    for path in (*(file.path for file in contents.files()), *contents.directories()):
        plain = PurePosixPath(path)
        if plain.is_absolute() or ".." in plain.parts or str(plain) != path:
            raise Disagreement(f"a path that is not plain is accepted: {path!r}")


def seeds() -> Iterator[bytes]:
    """A small version, plain and deflated."""
    digest = "ab" * 32
    small = FileEntry("a/b.csv", 512, 700, digest, executable=False, mtime=1)
    other = FileEntry("a/c.csv", 2048, 3, digest, executable=True, mtime=1)
    whole = FileEntry("large.bin", 0, 9, digest, executable=False, mtime=1)
    shards = (
        ShardContents(ShardKind.TAR, digest, 10240, (small, other), ("empty",)),
        ShardContents(ShardKind.FILE, digest, 9, (whole,)),
    )
    text = encode_contents(Contents("press-line-7", "what it is", shards))
    yield text
    yield zlib.compress(text)
    yield b"~" + text


TARGET = Target("sealed contents", one, (IntegrityError,), seeds, (b"../x", b'"files":[', b"true"), json=True)
