"""The service's own log: `service.log` in the factory's home, for its operator only.

It holds methods, routes, statuses, durations, pseudonymous ids and unforeseen errors; never a body, a
query or a token.
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

FILE: Final = "service.log"
_MOST_BYTES: Final = 20 * 10**6
_KEPT: Final = 5
_LINE: Final = "%(asctime)s %(levelname)s %(name)s %(message)s"


@contextmanager
def service_log(home: Path) -> Iterator[None]:
    """Write what the service has to say to its log while the block runs; five old files are kept."""
    file = home / FILE
    os.close(os.open(file, os.O_CREAT | os.O_APPEND, 0o600))
    handler = RotatingFileHandler(file, maxBytes=_MOST_BYTES, backupCount=_KEPT)
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
