"""The few system calls of Linux that Python 3.11 has no word for.

Each function raises `OSError` with the errno of the kernel, like those of `os`.
"""

import ctypes
import os
from enum import IntFlag
from pathlib import Path
from typing import Final

CLONE_NEWNS: Final = 0x0002_0000
CLONE_NEWUSER: Final = 0x1000_0000
"""Flags of unshare(2): `include/uapi/linux/sched.h`."""

MNT_FORCE: Final = 1
MNT_DETACH: Final = 2
"""Flags of umount2(2): `include/linux/fs.h`."""


class Mount(IntFlag):
    """Flags of mount(2): `include/uapi/linux/mount.h`."""

    READ_ONLY = 1
    NOSUID = 2
    NODEV = 4
    REMOUNT = 32
    BIND = 4096
    RECURSIVE = 16384
    PRIVATE = 1 << 18


_libc = ctypes.CDLL(None, use_errno=True)


def unshare(flags: int) -> None:
    """Give the calling thread namespaces of its own; a new user namespace needs a single-threaded process."""
    _check(_libc.unshare(ctypes.c_int(flags)))


def mount(source: str | Path, target: Path, kind: str, flags: Mount, options: str = "") -> None:
    """Mount `source` on `target`; `kind` is the filesystem type, empty for binds and propagation changes."""
    _check(
        _libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            kind.encode() or None,
            ctypes.c_ulong(flags),
            options.encode() or None,
        ),
        target,
    )


def unmount(target: Path, *, detach: bool = False, force: bool = False) -> None:
    """Unmount `target`.

    With `detach` it disappears now and is freed when the last user lets go; with `force` whatever waits
    for it gets an error, also if it is in use and stays.
    """
    flags = (MNT_DETACH if detach else 0) | (MNT_FORCE if force else 0)
    _check(_libc.umount2(os.fsencode(target), ctypes.c_int(flags)), target)


def _check(result: int, path: Path | None = None) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), *([str(path)] if path else []))
