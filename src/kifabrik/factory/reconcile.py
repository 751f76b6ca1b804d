"""The loop that drives all runs: woken by hints, with a slow sweep for what hints do not tell.

Invariants:
- one service at a time drives; another takes over when its lease has run out; each says when it begins to drive or
  to stand by;
- whatever goes wrong in one pass is written down and tried again in the next; the loop never ends by itself;
- a pass begins with what has ended, so that what it frees can be given away in the same pass;
- what waits is looked at when something was heard that concerns it, and every few seconds in any case; what is
  ordered while others wait for room is looked at together with what is ordered within the next moment;
- looking at thousands of launchers takes a while: however many hints come, most of the time is left for others, and
  handing over what waits is no reason to look at what lives more often than every few seconds.
"""

import logging
import threading
import time
from typing import Final

from kifabrik.errors import KifabrikError
from kifabrik.factory.deadlines import Deadlines
from kifabrik.factory.handover import Handover
from kifabrik.factory.hints import Hints
from kifabrik.factory.leader import Leadership
from kifabrik.factory.queue import Queue
from kifabrik.factory.run_book import LAUNCHER_GONE, ORDERED, QUEUE
from kifabrik.factory.supervise import Supervisor

SWEEP_S: Final = 2.0
_PAUSE_S: Final = 0.02
"""Hints that come together are answered by one pass."""
_ORDERS_S: Final = 0.25
"""From one look at what waits to the next, for orders that come while others wait for room."""
_REST: Final = 4.0
"""For how long launchers are left alone, in times of what the last look at them took."""

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
        queue: Queue | Handover,
        deadlines: Deadlines,
    ) -> None:
        self._hints = hints
        self._leadership = leadership
        self._supervisor = supervisor
        self._queue = queue
        self._deadlines = deadlines
        self._news = threading.Event()
        self._lives_news = threading.Event()
        self._lives_looked = 0.0
        """When what lives was looked at last."""
        self._rested = 0.0
        """When it may be looked at again."""
        self._queue_news = threading.Event()
        self._ordered = threading.Event()
        self._queue_looked = 0.0
        """When what waits was looked at last."""
        self._drives: bool | None = None
        self._ending = False
        self._thread = threading.Thread(target=self._drive, name="runs", daemon=True)

    def start(self) -> None:
        """Begin to drive."""
        self._hints.listen(self._hear)
        self._hear(QUEUE)
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

    def once(self, *, lives: bool = True, queue: bool = True) -> bool:
        """Make one pass; whether this service drives.

        Args:
            lives: Whether what has been started is looked at, too.
            queue: Whether what waits is, also if nothing was heard that concerns it.
        """
        held = self._leadership.hold()
        self._say_who_drives(held=held)
        if not held:
            return False
        if lives:
            self._look_at_lives()
        self._deadlines.look()
        if (queue or self._queue_is_due()) and self._queue.look(self._leadership):
            self._queue_news.set()  # the rest at once, not with the next sweep
            self._news.set()
        return True

    def _say_who_drives(self, *, held: bool) -> None:
        if held is self._drives:
            return
        self._drives = held
        if held:
            _logger.info("runs: this service drives them")
        else:
            _logger.warning(
                "runs: another service, %s, drives them; this one answers, and takes over when that one ends",
                self._leadership.other or "which has just begun",
            )

    def _look_at_lives(self) -> None:
        began = time.monotonic()
        try:
            self._supervisor.look(self._leadership)
        finally:
            ended = time.monotonic()
            self._rested = ended + min(_REST * (ended - began), SWEEP_S)

    def _drive(self) -> None:
        while True:
            due_at = min(self._lives_are_due_at(), self._queue_is_due_at())
            self._news.wait(min(SWEEP_S, max(0.0, due_at - time.monotonic())))
            if self._ending:
                return
            self._news.clear()
            lives, queue = self._lives_are_due(), self._queue_is_due()
            if not lives and not queue:
                continue
            try:
                self.once(lives=lives, queue=queue)
            except KifabrikError as error:
                _logger.warning("runs: %s", error.message)
            except Exception:
                _logger.exception("runs: a pass failed")
            time.sleep(_PAUSE_S)

    def _lives_are_due_at(self) -> float:
        return max(self._rested, 0.0 if self._lives_news.is_set() else self._lives_looked + SWEEP_S)

    def _lives_are_due(self) -> bool:
        """Whether something was heard that concerns what lives, or it was not looked at for a while."""
        due = time.monotonic() >= self._lives_are_due_at()
        if due:
            self._lives_news.clear()  # before the look: what is heard during it causes another
            self._lives_looked = time.monotonic()
        return due

    def _queue_is_due_at(self) -> float:
        if self._queue_news.is_set():
            return 0.0
        if self._ordered.is_set():
            return self._queue_looked + _ORDERS_S if self._queue.crowded else 0.0
        return self._queue_looked + SWEEP_S

    def _queue_is_due(self) -> bool:
        """Whether what waits may have changed, or was not looked at for a while."""
        now = time.monotonic()
        due = now >= self._queue_is_due_at()
        if due:
            self._queue_news.clear()  # before the look: what is heard during it causes another
            self._ordered.clear()
            self._queue_looked = now
        return due

    def _hear(self, topic: str) -> None:
        if topic == QUEUE:
            self._queue_news.set()
        if topic == ORDERED:
            self._ordered.set()
        if topic in (QUEUE, LAUNCHER_GONE):
            self._lives_news.set()
        if topic in (QUEUE, LAUNCHER_GONE, ORDERED):
            self._news.set()
