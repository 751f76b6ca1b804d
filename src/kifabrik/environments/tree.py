"""A folder tree as one digest, the same on every machine that holds the same tree.

A listing is text, one line an entry below the root, sorted by the bytes of the path, UTF-8, LF line ends:

    kifabrik tree 1
    d - bin
    l /usr/bin/python3.11 bin/python
    f 9f86d081… lib/python3.11/site-packages/six.py
    x 60303ae2… bin/f2py

`d` is a folder, `f` a file, `x` a file its owner may execute, `l` a symbolic link. The second word is the
SHA-256 of the content, or the link's target, or `-`. In paths and targets every byte outside
`A-Za-z0-9_.~/+,=@-` is percent-encoded (RFC 3986, upper-case hex). The tree digest is the SHA-256 of the
listing. Owners, times and other mode bits are not part of it.

Invariants:
- no link is followed, neither inside the tree nor out of it;
- whatever is neither file, folder nor link, and every set-uid or set-gid file, is refused.
"""

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final
from urllib.parse import quote_from_bytes

from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.values import sha256_hex

_HEADER: Final = "kifabrik tree 1"
_SAFE: Final = "/+,=@"
_BATCH: Final = 64
_MOST_THREADS: Final = 8


class EntryKind(StrEnum):
    """What stands at a path."""

    FOLDER = "d"
    FILE = "f"
    PROGRAM = "x"
    LINK = "l"


@dataclass(frozen=True)
class Entry:
    """One entry; `path` and a link's `value` are percent-encoded."""

    kind: EntryKind
    value: str
    path: str

    def __str__(self) -> str:
        return f"{self.kind} {self.value} {self.path}"


@dataclass(frozen=True)
class Difference:
    """The first path two trees disagree on; `None` where one of them has nothing there."""

    path: str
    here: Entry | None
    there: Entry | None


@dataclass(frozen=True)
class Listing:
    """Everything in a tree, sorted by path."""

    entries: tuple[Entry, ...]

    @cached_property
    def text(self) -> str:
        """The listing as written; `sha256sum` of it prints the tree digest."""
        return "\n".join((_HEADER, *map(str, self.entries), ""))

    @cached_property
    def digest(self) -> str:
        """The tree digest in hex."""
        return sha256_hex(self.text.encode())

    def differences(self, other: "Listing") -> Iterator[Difference]:
        """Yield where `other` disagrees, in the order of paths."""
        here = {entry.path: entry for entry in self.entries}
        there = {entry.path: entry for entry in other.entries}
        for path in sorted(here.keys() | there.keys()):
            if here.get(path) != there.get(path):
                yield Difference(path, here.get(path), there.get(path))


def tree_digest(path: Path) -> str:
    """Return the digest of everything below `path`.

    Raises:
        NotFoundError: There is no such folder.
        IntegrityError: The tree holds a device, pipe, socket, set-uid or set-gid file.
    """
    return tree_listing(path).digest


def tree_stamp(path: Path) -> str:
    """Return a digest of what the file system notes about everything below `path`, without reading a file.

    Whoever changes, replaces, adds or removes something there changes it: the kernel sets the change time
    (`ctime`) of what was touched, and nobody but a clock set back can set it to a value of before.
    """
    root = os.fsencode(path)
    stamp = hashlib.sha256()
    for relative, status in sorted([(b"", path.lstat()), *_walk(root, b"")], key=lambda entry: entry[0]):
        facts = (status.st_dev, status.st_ino, status.st_mode, status.st_size, status.st_ctime_ns)
        stamp.update(relative + b"\0" + ",".join(map(str, facts)).encode() + b"\n")
    return stamp.hexdigest()


def tree_listing(path: Path) -> Listing:
    """List everything below `path`, hashing with several threads; errors as in `tree_digest`."""
    root = os.fsencode(path)
    if not path.is_dir():
        raise NotFoundError(f"there is no folder {path}")
    found = sorted(_walk(root, b""))
    batches = [found[start : start + _BATCH] for start in range(0, len(found), _BATCH)]
    if len(batches) <= 1:
        return Listing(tuple(_entry(root, *one) for one in found))
    threads = min(os.cpu_count() or 1, _MOST_THREADS, len(batches))
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(lambda batch: [_entry(root, *one) for one in batch], batches)
        return Listing(tuple(entry for part in parts for entry in part))


def _walk(root: bytes, folder: bytes) -> Iterator[tuple[bytes, os.stat_result]]:
    with os.scandir(root + b"/" + folder) as inside:
        entries: Sequence[os.DirEntry[bytes]] = list(inside)
    for entry in entries:
        relative = folder + b"/" + entry.name if folder else entry.name
        yield relative, entry.stat(follow_symlinks=False)
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(root, relative)


def _entry(root: bytes, relative: bytes, status: os.stat_result) -> Entry:
    path = root + b"/" + relative
    encoded = quote_from_bytes(relative, _SAFE)
    if stat.S_ISDIR(status.st_mode):
        return Entry(EntryKind.FOLDER, "-", encoded)
    if stat.S_ISLNK(status.st_mode):
        return Entry(EntryKind.LINK, quote_from_bytes(os.readlink(path), _SAFE), encoded)  # noqa: PTH115 - bytes
    if not stat.S_ISREG(status.st_mode):
        raise IntegrityError(f"the tree holds something that is no file, folder or link: {encoded}")
    if status.st_mode & (stat.S_ISUID | stat.S_ISGID):
        raise IntegrityError(f"the tree holds a set-uid or set-gid file: {encoded}")
    kind = EntryKind.PROGRAM if status.st_mode & stat.S_IXUSR else EntryKind.FILE
    return Entry(kind, _sha256(path), encoded)


def _sha256(path: bytes) -> str:
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    with os.fdopen(handle, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
