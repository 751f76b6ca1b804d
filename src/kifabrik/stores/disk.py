"""What the disk may answer."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
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
