"""What must outlast a power cut: a new name is on the disk only once its folder is.

Invariants:
- a file is synced before it gets its name, so the name never shows half of it;
- the folder is synced before anybody is told that the file is there.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_FULL_BYTES: Final = 64 * 1024


def sync_folder(folder: Path) -> None:
    """Make new names in a folder durable, where the operating system lets us (Windows does not)."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def is_full(folder: Path) -> bool:
    """Whether a folder's disk has no room: SQLite calls a full disk a broken one when it cannot begin to write."""
    try:
        return shutil.disk_usage(folder).free < _FULL_BYTES
    except OSError:
        return False


def put_in_place(finished: Path, path: Path) -> None:
    """Give a finished file its name; bytes and name last when this returns.

    Args:
        finished: The file, on the same file system.
        path: Its name from now on; what stood there is replaced in one step.
    """
    with finished.open("r+b") as file:
        os.fsync(file.fileno())
    give_name(finished, path)


def give_name(durable: Path, path: Path) -> None:
    """Give a file whose bytes are on the disk its name, as `put_in_place` does."""
    durable.replace(path)
    sync_folder(path.parent)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Hand out a name to write a file under; it gets the name `path` afterwards, or is removed on any error."""
    fresh = path.with_name(f"{path.name}.new")
    try:
        yield fresh
        put_in_place(fresh, path)
    except BaseException:
        fresh.unlink(missing_ok=True)  # a full disk is not made fuller
        raise


def write_whole(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file whole or not at all; it lasts when this returns.

    Args:
        path: The file; one that is there is replaced.
        data: All of it.
        mode: Who may read it.
    """
    try:
        with replacing(path) as fresh:
            fresh.unlink(missing_ok=True)
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), mode)
            with os.fdopen(handle, "wb") as file:
                file.write(data)
    except OSError as error:
        error.filename = error.filename or str(path)
        raise


def make_folder(folder: Path, *, mode: int = 0o700) -> None:
    """Make a folder and those above it; their names last when this returns."""
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    for one in made:
        sync_folder(one.parent)
