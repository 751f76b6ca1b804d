"""The service's own log: `service.log` in the factory's home, for its operator only.

It holds methods, routes, statuses, durations, pseudonymous ids and unforeseen errors; never a body, a
query or a token.

Several services may run on one home, and all of them write to this one log. Invariants:
- a line is written, and old files are moved on, under one lock that holds between processes;
- so a file is moved on once, and no service goes on writing to a file that was;
- lines about callers who have not signed in are bounded in number, all others are not.
"""

import fcntl
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

FILE: Final = "service.log"
LOCK: Final = ".service.log.lock"
_MOST_BYTES: Final = 20 * 10**6
_KEPT: Final = 5
_OF_STRANGERS: Final = 600
_MINUTE_S: Final = 60.0
_OF_THE_SERVER: Final = "uvicorn.error"
"""Says of each request that is none that it is none."""

_LINE: Final = "%(asctime)s %(process)d %(levelname)s %(name)s %(message)s"


class Sparing(logging.Filter):
    """Lets so many lines about strangers through in a minute: who floods the service does not wash its log away.

    Args:
        most: Lines a minute.
        now: A clock that never jumps, in seconds.
    """

    def __init__(self, most: int = _OF_STRANGERS, now: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._most = most
        self._now = now
        self._since, self._count = now(), 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to write it; the first one after a minute of too many says how many were left out."""
        of_the_server = record.name == _OF_THE_SERVER and record.levelno < logging.ERROR
        if not getattr(record, "stranger", of_the_server):
            return True
        left_out = 0
        if self._now() - self._since >= _MINUTE_S:
            left_out = max(self._count - self._most, 0)
            self._since, self._count = self._now(), 0
        self._count += 1
        if left_out:
            record.msg = f"{record.getMessage()} ({left_out} lines about strangers before this one were left out)"
            record.args = ()
        return self._count <= self._most


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

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - of the standard library
        """Say on stderr what cannot be written: the line and why, and not where in the program."""
        reason = sys.exc_info()[1]
        why = getattr(reason, "strerror", None) or type(reason).__name__
        with suppress(OSError):
            sys.stderr.write(f"{self.baseFilename} cannot be written ({why}): {record.getMessage()}\n")

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
    handler.addFilter(Sparing())
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
