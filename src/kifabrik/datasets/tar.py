"""The tar members a shard is made of, written fast: POSIX ustar with pax headers (IEEE Std 1003.1, `pax`).

Regular files and empty directories, owner 0 without names, mode 0644 or 0755. A path that is not ASCII
or does not fit a ustar header has a pax extended header with the one record `path` before its own.
"""

from enum import Enum
from typing import Final

from kifabrik.datasets.contents import TAR_BLOCK

END_OF_TAR: Final = bytes(2 * TAR_BLOCK)
USTAR: Final = b"ustar\x0000"
BLANK_CHECKSUM: Final = sum(b" " * 8)
_NAME_BYTES: Final = 100
_PREFIX_BYTES: Final = 155
_PAX_NAME: Final = b"PaxHeader"
# Fields in the order of the standard's table: name; mode, uid, gid; size, mtime; chksum; typeflag; linkname,
# magic, version, uname, gname, devmajor, devminor; prefix and 12 bytes of nothing.
_MODE_TO_GID: Final = {
    mode: b"%07o\x000000000\x000000000\x00" % bits for mode, bits in ((False, 0o644), (True, 0o755))
}
_LINKNAME_TO_DEVMINOR: Final = bytes(100) + USTAR + bytes(64) + b"0000000\x000000000\x00"
_PREFIX_FIELD_BYTES: Final = _PREFIX_BYTES + 12
_CONSTANT_SUM: Final = {
    mode: BLANK_CHECKSUM + sum(field) + sum(_LINKNAME_TO_DEVMINOR) for mode, field in _MODE_TO_GID.items()
}


class Kind(Enum):
    """What a member is, by its type flag."""

    FILE = b"0"
    DIRECTORY = b"5"
    PAX = b"x"
    END = b""


def header_size(path: str) -> int:
    """Return how many bytes stand before a file's content, or for a directory in all (its path with `/`)."""
    name = path.encode()
    return TAR_BLOCK if _fit(name) is not None else 2 * TAR_BLOCK + padded(len(_pax_record(name)))


def member_header(path: str, size: int, mtime: int, *, executable: bool) -> bytes:
    """Return the header of a file, or of a directory if the path ends with `/`.

    Args:
        path: A checked path.
        size: Bytes of content, below 8 GiB; 0 for a directory.
        mtime: Seconds since 1970, 0 to 8^11-1.
        executable: Whether the mode is 0755; directories want it too.
    """
    name = path.encode()
    flag = b"5" if path.endswith("/") else b"0"
    fit = _fit(name)
    if fit is not None:
        return _block(fit[0], fit[1], size, mtime, flag, executable=executable)
    record = _pax_record(name)
    return (
        _block(_PAX_NAME, b"", len(record), mtime, b"x", executable=False)
        + record.ljust(padded(len(record)), b"\0")
        + _block(_PAX_NAME, b"", size, mtime, flag, executable=executable)
    )


def _block(name: bytes, prefix: bytes, size: int, mtime: int, flag: bytes, *, executable: bool) -> bytes:
    numbers = b"%011o\x00%011o\x00" % (size, mtime)
    checksum = sum(name) + sum(numbers) + sum(prefix) + flag[0] + _CONSTANT_SUM[executable]
    return b"".join(
        (
            name.ljust(_NAME_BYTES, b"\0"),
            _MODE_TO_GID[executable],
            numbers,
            b"%06o\x00 " % checksum,
            flag,
            _LINKNAME_TO_DEVMINOR,
            prefix.ljust(_PREFIX_FIELD_BYTES, b"\0"),
        )
    )


def _fit(name: bytes) -> tuple[bytes, bytes] | None:
    """Divide an ASCII path into a ustar name and prefix, if it fits."""
    if not name.isascii():
        return None
    if len(name) <= _NAME_BYTES:
        return name, b""
    # the longest prefix leaves the shortest name; a directory's own last slash divides nothing
    cut = name.rfind(b"/", 0, min(_PREFIX_BYTES + 1, len(name) - 1))
    return (name[cut + 1 :], name[:cut]) if cut > 0 and len(name) - cut - 1 <= _NAME_BYTES else None


def _pax_record(name: bytes) -> bytes:
    r"""Return `LENGTH path=NAME\n`, the length counting its own digits."""
    rest = len(b" path=\n") + len(name)
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d path=%b\n" % (length, name)


def padded(size: int) -> int:
    """Round up to whole blocks."""
    return -(-size // TAR_BLOCK) * TAR_BLOCK
