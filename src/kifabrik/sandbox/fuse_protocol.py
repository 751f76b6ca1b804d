"""The part of the kernel's FUSE protocol that a read-only folder needs: requests in, answers out.

Everything is little plain structs of fixed size in the machine's own byte order. What the kernel sends
was checked by it: names have no slash and end with a zero, sizes are within what was agreed at the start.

Source: `include/uapi/linux/fuse.h`, protocol 7.31 (Linux 5.4) and newer, which add to the end only.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from kifabrik.errors import UnavailableError

ROOT: Final = 1
"""Inode number of the folder that is mounted."""
MOST_READ: Final = 2**20
"""Bytes of one read at most: 256 pages, the kernel's own limit (`fs.fuse.max_pages_limit`)."""
MOST_READAHEAD: Final = 16 * 2**20
"""Bytes the kernel may read ahead of a reader: what touches a mapped file here and there has as much read around
each place, until the kernel sees that nothing of it is used."""
REQUEST_ROOM: Final = 64 * 1024
"""Room for one request; only writes, which are not served, have more than names in them."""

_MAJOR: Final = 7
_OLDEST_MINOR: Final = 31
_NEWEST_MINOR: Final = 38
_FOREVER_S: Final = 365 * 86400
_BACKGROUND: Final = 64
_CONGESTED: Final = 48
_LEAST_WRITE: Final = 4096
_PAGE: Final = 4096
_BLOCK: Final = 512

_IN: Final = struct.Struct("=IIQQIIIHH")
_OUT: Final = struct.Struct("=IiQ")
_INIT_IN: Final = struct.Struct("=IIII")
_INIT_OUT: Final = struct.Struct("=IIIIHHIIHHIIH22x")
_ATTRIBUTES: Final = struct.Struct("=6Q10I")
_ENTRY: Final = struct.Struct("=4Q2I")
_ATTRIBUTES_OUT: Final = struct.Struct("=Q2I")
_READ: Final = struct.Struct("=QQI")
_NAME_OUT: Final = struct.Struct("=QQII")
_STATFS: Final = struct.Struct("=5Q4I24x")

_FOLDER: Final = 0o040000
_FILE: Final = 0o100000
_KIND_SHIFT: Final = 12
"""A name in a listing carries the type bits of the mode, shifted down (`DT_DIR`, `DT_REG`)."""


class Opcode(IntEnum):
    """What is asked; everything else is answered with ENOSYS."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    READ = 15
    STATFS = 17
    INIT = 26
    READDIR = 28
    DESTROY = 38
    BATCH_FORGET = 42
    READDIRPLUS = 44


class _Can(IntFlag):
    """Abilities agreed on at the start."""

    ASYNC_READ = 1 << 0
    READDIRPLUS = 1 << 13
    READDIRPLUS_AUTO = 1 << 14
    NO_OPEN = 1 << 17
    PARALLEL_LOOKUPS = 1 << 18
    MAX_PAGES = 1 << 22
    NO_OPENDIR = 1 << 24


_WANTED: Final = _Can(sum(_Can))
"""With `NO_OPEN`, answering an `open` with ENOSYS once spares every later one, and pages stay cached."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request: `unique` is its number, `body` what follows the head."""

    opcode: int
    unique: int
    inode: int
    body: memoryview

    @classmethod
    def from_bytes(cls, data: memoryview) -> "Request":
        """Read what the kernel wrote."""
        length, opcode, unique, inode, *_ = _IN.unpack_from(data)
        return cls(opcode, unique, inode, data[_IN.size : length])

    @property
    def name(self) -> bytes:
        """The name a LOOKUP asks for."""
        return bytes(self.body).partition(b"\0")[0]

    @property
    def extent(self) -> tuple[int, int]:
        """Offset and size a READ or READDIR asks for."""
        _, offset, size = _READ.unpack_from(self.body)
        return offset, size


@dataclass(frozen=True, slots=True)
class Attributes:
    """What the kernel may know of a file or folder; it never changes.

    Args:
        inode: Its number.
        folder: Whether it is a folder.
        size: Bytes of a file.
        executable: Whether it may be executed.
        mtime: Seconds since 1970.
    """

    inode: int
    folder: bool
    size: int = 0
    executable: bool = False
    mtime: int = 0

    @property
    def mode(self) -> int:
        """Type and permission bits: nothing can be written."""
        return _FOLDER | 0o555 if self.folder else _FILE | (0o555 if self.executable else 0o444)

    def to_bytes(self, owner: int, group: int) -> bytes:
        """Write `struct fuse_attr`."""
        blocks, time = -(-self.size // _BLOCK), self.mtime
        links = 2 if self.folder else 1
        numbers = (self.inode, self.size, blocks, time, time, time)
        return _ATTRIBUTES.pack(*numbers, 0, 0, 0, self.mode, links, owner, group, 0, _PAGE, 0)


def answer_head(unique: int, size: int, error: int = 0) -> bytes:
    """Return what stands before `size` bytes of an answer."""
    return _OUT.pack(_OUT.size + size, -error, unique)


def init_answer(body: memoryview) -> bytes:
    """Agree on version and abilities.

    Raises:
        UnavailableError: The kernel is too old.
    """
    major, minor, _readahead, offered = _INIT_IN.unpack_from(body)
    if (major, minor) < (_MAJOR, _OLDEST_MINOR) or _WANTED & offered != _WANTED:
        raise UnavailableError(
            f"this kernel's FUSE, protocol {major}.{minor}, is too old", hint="Use Linux 5.4 or newer."
        )
    minor = min(minor, _NEWEST_MINOR)
    pages = MOST_READ // _PAGE
    return _INIT_OUT.pack(
        *(_MAJOR, minor, MOST_READAHEAD, _WANTED, _BACKGROUND, _CONGESTED, _LEAST_WRITE, 1, pages, 0, 0, 0, 0)
    )


def entry_answer(inode: int, attributes: bytes) -> bytes:
    """Answer a LOOKUP: a name that is there stays so."""
    return _ENTRY.pack(inode, 0, _FOREVER_S, _FOREVER_S, 0, 0) + attributes


def attributes_answer(attributes: bytes) -> bytes:
    """Answer a GETATTR."""
    return _ATTRIBUTES_OUT.pack(_FOREVER_S, 0, 0) + attributes


def listed_name(name: bytes, attributes: Attributes, next_offset: int) -> bytes:
    """Write one name of a READDIR."""
    head = _NAME_OUT.pack(attributes.inode, next_offset, len(name), attributes.mode >> _KIND_SHIFT)
    return (head + name).ljust(-(-(len(head) + len(name)) // 8) * 8, b"\0")


def statfs_answer(total: int, files: int) -> bytes:
    """Answer a STATFS: everything is taken, nothing is free."""
    return _STATFS.pack(-(-total // _PAGE), 0, 0, files, 0, _PAGE, 255, _PAGE, 0)
