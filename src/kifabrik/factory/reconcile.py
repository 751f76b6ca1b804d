"""The loop that drives all runs: woken by hints, with a slow sweep for what hints do not tell.

Invariants:
- one service at a time drives; another takes over when its lease has run out;
- whatever goes wrong in one pass is written down and tried again in the next; the loop never ends by itself;
- a pass begins with what has ended, so that what it frees can be given away in the same pass.
"""

import logging
import threading
import time
from typing import Final

from kifabrik.errors import KifabrikError
from kifabrik.factory.deadlines import Deadlines
from kifabrik.factory.hints import Hints
from kifabrik.factory.leader import Leadership
from kifabrik.factory.queue import Queue
from kifabrik.factory.run_book import LAUNCHER_GONE, QUEUE
from kifabrik.factory.supervise import Supervisor

SWEEP_S: Final = 2.0
_PAUSE_S: Final = 0.02
"""Hints that come together are answered by one pass."""

_logger = logging.getLogger(__name__)


class Reconciler:
    """Drives all runs from a thread of its own.

    Args:
        hints: Says when something may start or has ended.
        leadership: This service's claim to drive.
        supervisor: Watches attempts.
        queue: Starts runs.
        deadlines: Watches deadlines.
    """

    def __init__(
        self,
        hints: Hints,
        leadership: Leadership,
        supervisor: Supervisor,
        queue: Queue,
        deadlines: Deadlines,
    ) -> None:
        self._hints = hints
        self._leadership = leadership
        self._supervisor = supervisor
        self._queue = queue
        self._deadlines = deadlines
        self._news = threading.Event()
        self._queue_too = True
        self._ending = False
        self._thread = threading.Thread(target=self._drive, name="runs", daemon=True)

    def start(self) -> None:
        """Begin to drive."""
        self._hints.listen(self._hear)
        self._news.set()
        self._thread.start()

    def close(self) -> None:
        """Stop driving and let another service do it; launchers go on."""
        self._hints.leave(self._hear)
        self._ending = True
        self._news.set()
        self._thread.join()
        try:
            self._leadership.resign()
        except KifabrikError as error:
            _logger.warning("runs: %s Another service drives them in some seconds.", error.message)

    def once(self, *, queue: bool = True) -> bool:
        """Make one pass; whether this service drives.

        Args:
            queue: Whether what waits is looked at, too.
        """
        if not self._leadership.hold():
            return False
        self._supervisor.look(self._leadership)
        self._deadlines.look()
        if queue:
            self._queue.look(self._leadership)
        return True

    def _drive(self) -> None:
        while True:
            heard = self._news.wait(SWEEP_S)
            if self._ending:
                return
            self._news.clear()
            queue, self._queue_too = self._queue_too or not heard, False
            try:
                self.once(queue=queue)
            except KifabrikError as error:
                _logger.warning("runs: %s", error.message)
            except Exception:
                _logger.exception("runs: a pass failed")
            time.sleep(_PAUSE_S)

    def _hear(self, topic: str) -> None:
        if topic == QUEUE:
            self._queue_too = True
        if topic in (QUEUE, LAUNCHER_GONE):
            self._news.set()
