"""The service's own log: `service.log` in the factory's home, for its operator only.

It holds methods, routes, statuses, durations, pseudonymous ids and unforeseen errors; never a body, a
query or a token.

Several services may run on one home, and all of them write to this one log. Invariants:
- a line is written, and old files are moved on, under one lock that holds between processes;
- so a file is moved on once, and no service goes on writing to a file that was.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

FILE: Final = "service.log"
LOCK: Final = ".service.log.lock"
_MOST_BYTES: Final = 20 * 10**6
_KEPT: Final = 5
_LINE: Final = "%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"


class SharedLogHandler(RotatingFileHandler):
    """Writes to a log that other processes write to and move on as well.

    Args:
        file: The log; the lock lies beside it.
        most_bytes: Size at which it is moved on to `FILE.1`, that one to `FILE.2`, and so forth.
        kept: How many old files are kept.
    """

    def __init__(self, file: Path, *, most_bytes: int = _MOST_BYTES, kept: int = _KEPT) -> None:
        self._lock_file = os.open(file.parent / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        super().__init__(file, maxBytes=most_bytes, backupCount=kept)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, to where the log is by now."""
        fcntl.flock(self._lock_file, fcntl.LOCK_EX)
        try:
            self._follow()
            super().emit(record)
        finally:
            fcntl.flock(self._lock_file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of log and lock."""
        super().close()
        if self._lock_file >= 0:
            os.close(self._lock_file)
            self._lock_file = -1

    def _follow(self) -> None:
        """Open the log anew if another process, or the operator, has moved it on or away."""
        if self.stream is None:
            return  # it is opened with the next line
        mine = os.fstat(self.stream.fileno())
        try:
            there = Path(self.baseFilename).stat()
        except FileNotFoundError:
            there = None
        if there is None or not os.path.samestat(mine, there):
            self.stream.close()
            self.stream = self._open()

    def _open(self) -> TextIOWrapper:
        os.close(os.open(self.baseFilename, os.O_CREAT | os.O_APPEND, 0o600))
        return super()._open()


@contextmanager
def service_log(home: Path) -> Iterator[None]:
    """Write what the service has to say to its log while the block runs; five old files are kept."""
    handler = SharedLogHandler(home / FILE)
    handler.setFormatter(logging.Formatter(_LINE))
    root, ours = logging.getLogger(), logging.getLogger("kifabrik")
    level = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(level)
        root.removeHandler(handler)
        handler.close()
