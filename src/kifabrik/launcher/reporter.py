"""Tells the factory how far a run has come, in order, from a thread of its own.

What a run does next never waits for this. Whether it may go on is not asked here: a factory that has given an
attempt up says so by `Control`, and refuses its log and its end.
"""

import queue
import threading

from kifabrik.client.attempts import Attempts
from kifabrik.errors import KifabrikError
from kifabrik.runs.states import RunState


class Reporter:
    """Reports steps that people see and nothing depends on.

    Args:
        attempts: Client of this attempt.
        speaks: Whether this launcher speaks for its run: of several nodes, the first.
    """

    def __init__(self, attempts: Attempts, *, speaks: bool = True) -> None:
        self._attempts = attempts
        self._speaks = speaks
        self._steps: queue.SimpleQueue[tuple[RunState, str] | None] = queue.SimpleQueue()
        self._state: RunState | None = None
        self._thread = threading.Thread(target=self._send_all, name="reporter", daemon=True)
        self._thread.start()

    def tell(self, state: RunState, reason: str = "") -> None:
        """Report a step; returns at once."""
        self._state = state
        if self._speaks:
            self._steps.put((state, reason))

    def reached(self, state: RunState) -> None:
        """Note a step the factory knows of already."""
        self._state = state

    def waits(self, reason: str) -> None:
        """Say what the present step waits for, and by an empty reason that it goes on; returns at once."""
        if self._state is not None:
            self.tell(self._state, reason)

    def close(self) -> None:
        """Return when everything has been reported; closing twice is harmless."""
        self._steps.put(None)
        self._thread.join()

    def _send_all(self) -> None:
        while (step := self._steps.get()) is not None:
            try:
                self._attempts.progress(*step)
            except KifabrikError:
                continue  # the factory knows better, or will: the run's end says the same and more
