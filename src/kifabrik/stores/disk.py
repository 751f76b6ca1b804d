"""What the disk may answer, and making folders durable."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kifabrik.errors import CapacityError, UnavailableError

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@contextmanager
def disk_errors() -> Iterator[None]:
    """Translate errors of the file system.

    Raises:
        CapacityError: There is no room.
        UnavailableError: The disk refuses otherwise.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise CapacityError("the factory's disk is full", hint="Ask its operator for room.") from error
        raise UnavailableError(f"the factory's disk refuses: {os.strerror(error.errno or 0)}") from error


def sync_folder(folder: Path) -> None:
    """Make renames within a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
