"""Tar members read strictly: from any writer, but only what a shard may hold.

Invariants:
- only regular files and directories; no link, device, FIFO, sparse file, set-user-id or sticky bit;
- a size is plain octal digits, the checksum is right, and a pax header holds `path` and nothing else;
- after the end only zeros follow.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from kifabrik.datasets.contents import TAR_BLOCK
from kifabrik.datasets.tar import BLANK_CHECKSUM, USTAR, Kind, padded
from kifabrik.errors import IntegrityError

LARGEST_PAX_HEADER: Final = 10 * TAR_BLOCK
"""Room for the longest path kifabrik allows, and its record's frame."""
_ZERO_BLOCK: Final = bytes(TAR_BLOCK)
_OCTAL: Final = re.compile(rb" *([0-7]+)[ \x00]*")
_PAX_RECORD: Final = re.compile(rb"([1-9][0-9]{0,4}) path=")
_SPECIAL_MODE_BITS: Final = 0o7000
_REFUSED: Final = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a character device",
    b"4": "a block device",
    b"6": "a FIFO",
    b"7": "a contiguous file",
    b"g": "a global header",
    b"K": "a GNU long link",
    b"L": "a GNU long name",
    b"S": "a sparse file",
}


@dataclass(frozen=True, slots=True)
class Member:
    """One header block as read; a directory's path stands without its trailing `/`."""

    kind: Kind
    path: str
    size: int


class MemberReader:
    """Collects header blocks from pieces of any size and says which member they announce."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._wanted = TAR_BLOCK
        self._pax_size = 0
        self._pax_path = ""
        self._ended = False

    @property
    def between_members(self) -> bool:
        """Whether no header has begun: neither a block is incomplete, nor a pax header without its member."""
        return not (self._held or self._pax_size or self._pax_path)

    def take(self, view: memoryview) -> tuple[int, Member | None]:
        """Return how many bytes were taken, and the member whose header they complete, if they do.

        Raises:
            IntegrityError: They are not headers as allowed above.
        """
        piece = view[: self._wanted - len(self._held)]
        self._held += piece
        if len(self._held) < self._wanted:
            return len(piece), None
        block = bytes(self._held)
        self._held.clear()
        if self._pax_size:
            self._pax_path = read_pax_path(block[: self._pax_size])
            self._pax_size, self._wanted = 0, TAR_BLOCK
            return len(piece), None
        return len(piece), self._member(read_header(block))

    def _member(self, member: Member) -> Member | None:
        if self._ended and member.kind is not Kind.END:
            raise IntegrityError("shard: something stands behind its end")
        if self._pax_path and member.kind in (Kind.PAX, Kind.END):
            raise IntegrityError("shard: a pax header belongs to no member")
        if member.kind is Kind.PAX:
            self._pax_size, self._wanted = member.size, padded(member.size)
            return None
        self._ended = member.kind is Kind.END
        if self._pax_path:
            path = self._pax_path.removesuffix("/") if member.kind is Kind.DIRECTORY else self._pax_path
            member, self._pax_path = replace(member, path=path), ""
        return member


def read_header(block: bytes) -> Member:
    """Read one 512-byte header block.

    Raises:
        IntegrityError: It is not the header of a file, a directory or a pax header as allowed above.
    """
    if block == _ZERO_BLOCK:
        return Member(Kind.END, "", 0)
    checksum = sum(block.translate(None, b"\0")) - sum(block[148:156]) + BLANK_CHECKSUM
    if block[257:265] != USTAR or _octal(block[148:156]) != checksum:
        raise IntegrityError("shard: not a POSIX tar header")
    flag = block[156:157]
    path = _text(_until_nul(block[345:500]), _until_nul(block[:100]))
    if flag in _REFUSED:
        raise IntegrityError(f"shard: {path!r} is {_REFUSED[flag]}; only files and directories are unpacked")
    if flag not in (b"0", b"5", b"x"):
        raise IntegrityError(f"shard: {path!r} is of unknown type {flag!r}")
    if _octal(block[100:108]) & _SPECIAL_MODE_BITS:
        raise IntegrityError(f"shard: {path!r} has a set-user-id, set-group-id or sticky bit")
    kind, size = Kind(flag), _octal(block[124:136])
    if kind is Kind.DIRECTORY and size:
        raise IntegrityError(f"shard: directory {path!r} has content")
    if kind is Kind.PAX and not 0 < size <= LARGEST_PAX_HEADER:
        raise IntegrityError("shard: a pax header has an impossible size")
    return Member(kind, path.removesuffix("/") if kind is Kind.DIRECTORY else path, size)


def read_pax_path(payload: bytes) -> str:
    """Return the path of a pax header that holds nothing else.

    Raises:
        IntegrityError: It holds another record, or is malformed.
    """
    match = _PAX_RECORD.match(payload)
    if match is None or int(match[1]) != len(payload) or not payload.endswith(b"\n"):
        raise IntegrityError("shard: a pax header holds something else than one path")
    return _text(b"", payload[match.end() : -1])


def _octal(field: bytes) -> int:
    match = _OCTAL.fullmatch(field)
    if match is None:
        raise IntegrityError("shard: a number in a tar header is not octal")
    return int(match[1], 8)


def _until_nul(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _text(prefix: bytes, name: bytes) -> str:
    try:
        return (prefix + b"/" + name if prefix else name).decode()
    except UnicodeDecodeError:
        raise IntegrityError("shard: a member's name is not UTF-8") from None
