"""What it means to reach into a folder without ever leaving it, and the errors of doing so.

Invariants:
- nothing is opened, made or removed through a symbolic link or junction;
- a file is only made where nothing stood (two names the file system holds for one cannot overwrite each other);
- opening a FIFO never waits; that a file is a regular one is for the reader to check on the descriptor.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from errno import EEXIST, ELOOP, EMFILE, ENOENT, ENOTDIR
from typing import Protocol

from kifabrik.errors import (
    FULL_DISK,
    CapacityError,
    ConflictError,
    IntegrityError,
    KifabrikError,
    NotFoundError,
    UsageError,
)


@dataclass(frozen=True, slots=True)
class Found:
    """One name in a folder, and what stands there."""

    name: str
    stat: os.stat_result


class Folder(Protocol):
    """What both kinds of folder can do; paths are plain relative ones, the empty path is the folder itself.

    One thread at a time: `clone` gives another thread a view of its own.
    """

    def clone(self) -> "Folder":
        """Return an independent view of the same folder."""

    def enter(self, path: str) -> "Folder":
        """Return the folder at `path` in this one."""

    def scan(self, path: str) -> list[Found]:
        """Return what stands in the folder at `path`, in no order."""

    def look(self, path: str) -> os.stat_result:
        """Return the status of what stands at `path`, of a link itself."""

    def open_file(self, path: str) -> int:
        """Return a descriptor to read the regular file at `path`."""

    def make_file(self, path: str, *, executable: bool) -> int:
        """Make a read-only file and the folders above it; return a descriptor to write it."""

    def make_folder(self, path: str) -> None:
        """Make a folder and those above it; one that is there already stays."""

    def remove_file(self, path: str) -> None:
        """Remove the file at `path`."""

    def close(self) -> None:
        """Give the folder's descriptors back; closing twice does nothing."""


@contextmanager
def reaching(path: str) -> Iterator[None]:
    """Turn what the operating system says about `path` into an error of ours."""
    try:
        yield
    except OSError as error:
        raise translated(error, path) from error


def translated(error: OSError, path: str) -> KifabrikError:
    """Return our error for what the operating system said about `path`."""
    if error.errno in FULL_DISK:
        return CapacityError(f"no space left writing {path!r}", hint="Free some space, or choose another place.")
    if error.errno == EMFILE:
        return CapacityError(f"too many open files at {path!r}", hint="Raise the limit with `ulimit -n`.")
    if error.errno == EEXIST:
        return ConflictError(
            f"{path!r} is there already",
            hint="Unpack into an empty folder; some file systems hold names in other case for the same.",
        )
    if error.errno in (ELOOP, ENOTDIR):  # Linux answers ENOTDIR where a link stands for a folder
        return IntegrityError(f"{path!r} is not reached through folders alone: a file or a link is in the way")
    if error.errno == ENOENT:
        return NotFoundError(f"there is no {path!r}", hint="Check the path; it may just have been removed.")
    return UsageError(f"cannot use {path!r}: {error.strerror}", hint="Check the path and its permissions.")
