"""Clears up after launchers on this machine: at start, whenever one has ended, and every minute.

A launcher that ends by itself leaves nothing. One that was killed leaves a control group, and on the disk the
ciphertext that waited for upload; what does not die at once is met again a minute later.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kifabrik.errors import KifabrikError
from kifabrik.launcher.folder import clear_left
from kifabrik.sandbox.leftovers import remove_leftovers
from kifabrik.sandbox.uids import DEFAULT_RANGE, UidRange

EVERY_S: Final = 60.0
_logger = logging.getLogger(__name__)


@contextmanager
def taking_care(
    runs: Path, cleared: Callable[[], None], every_s: float = EVERY_S, uids: UidRange = DEFAULT_RANGE
) -> Iterator[Callable[[], None]]:
    """Clear up while the block runs, from a thread of its own; yields what to call when a launcher has ended.

    Args:
        runs: Folder of attempts on this node.
        cleared: Called after each time, so that the next run can have what the last one held.
        every_s: Seconds between two times if nobody calls.
        uids: User ids of runs.
    """
    wake, over = threading.Event(), threading.Event()

    def work() -> None:
        while not over.is_set():
            wake.wait(every_s)
            wake.clear()
            _clear(runs, uids)
            cleared()

    def end() -> None:
        over.set()
        wake.set()
        thread.join()

    _clear(runs, uids, everywhere=True)
    thread = threading.Thread(target=work, name="caretaker", daemon=True)
    thread.start()
    try:
        yield wake.set
    finally:
        end()


def _clear(runs: Path, uids: UidRange, *, everywhere: bool = False) -> None:
    try:
        remove_leftovers(uids, everywhere=everywhere)
        clear_left(runs)
    except (KifabrikError, OSError) as error:
        _logger.warning("clearing up after runs: %s", error)
    except Exception:  # one that ended the thread would leave all that comes after it lying about
        _logger.exception("clearing up after runs failed")
