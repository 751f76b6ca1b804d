"""What the disk may answer."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from kifabrik.errors import FULL_DISK, CapacityError, UnavailableError


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
        if error.errno in FULL_DISK:
            raise CapacityError("the factory's disk is full", hint="Ask its operator for room.") from error
        raise UnavailableError(f"the factory's disk refuses: {os.strerror(error.errno or 0)}") from error
