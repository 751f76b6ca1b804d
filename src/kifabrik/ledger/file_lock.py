"""One writer per folder, on every operating system."""

import os
import sys
from pathlib import Path

from kifabrik.errors import ConflictError


class FileLock:
    """Holds a lock file until `close`; the operating system frees it when the process dies.

    Args:
        path: The lock file; made if missing, left behind when done.
        what: What is being locked, for the message.

    Raises:
        ConflictError: Another process, or another lock in this one, holds it.
    """

    def __init__(self, path: Path, what: str) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            _lock(self._fd)
        except OSError:
            os.close(self._fd)
            self._fd = -1
            raise ConflictError(
                f"{what} is in use by another process",
                hint="Stop the other process first, or work in another folder.",
            ) from None

    def close(self) -> None:
        """Free the lock; closing twice is harmless."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _lock(fd: int) -> None:
    """Take the lock or raise OSError at once. The modules exist on one operating system each."""
    if sys.platform == "win32":
        import msvcrt  # noqa: PLC0415 - does not exist elsewhere

        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl  # noqa: PLC0415 - does not exist on Windows

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
