"""Files that hold secrets: written whole or not at all, readable by their owner only."""

import os
from pathlib import Path
from typing import Final

from kifabrik.durable import make_folder, write_whole
from kifabrik.errors import FULL_DISK, CapacityError, NotFoundError, RefusedError, UnavailableError

_OTHERS: Final = 0o077


def make_private_folder(folder: Path) -> None:
    """Make a folder, and those above it, for its owner only.

    Raises:
        UnavailableError: The folder cannot be made.
    """
    try:
        make_folder(folder)
    except OSError as error:
        raise UnavailableError(f"cannot make {folder}: {error.strerror or error}") from None


def write_private(path: Path, data: bytes) -> None:
    """Write a file with mode 0600 in one step; it is on disk when this returns.

    Raises:
        CapacityError: The disk is full.
        UnavailableError: The file cannot be written.
    """
    try:
        write_whole(path, data)
    except OSError as error:
        kind = CapacityError if error.errno in FULL_DISK else UnavailableError
        raise kind(f"cannot write {path}: {error.strerror or error}") from None


def read_private(path: Path) -> bytes:
    """Read a file that must not be readable by others.

    Raises:
        NotFoundError: There is no such file.
        RefusedError: Others may read it, so its content counts as known to them.
        UnavailableError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            if os.name == "posix" and os.fstat(file.fileno()).st_mode & _OTHERS:
                raise RefusedError(
                    f"{path} can be read by other users of this machine",
                    hint=f"chmod 600 {path}, and replace the key if somebody may have read it.",
                )
            return file.read()
    except FileNotFoundError:
        raise NotFoundError(f"no such file: {path}") from None
    except OSError as error:
        raise UnavailableError(f"cannot read {path}: {error.strerror or error}") from None
