"""What may end a run early: a person, the factory, or the run's own cap."""

import threading
import time
from enum import StrEnum
from typing import Final

from kifabrik.client.attempts import Attempts
from kifabrik.errors import KifabrikError, NotFoundError, RefusedError
from kifabrik.runs.states import Outcome

_WAIT_S: Final = 25.0
_PAUSE_S: Final = 2.0


class StopCause(StrEnum):
    """Why a run is stopped."""

    STOP = "stop"
    CAP = "cap"
    PREEMPTION = "preemption"
    ABANDONED = "abandoned"
    """The factory has given the attempt up: its token no longer counts."""
    DATA = "data"
    """Data the job reads cannot be given to it any more."""
    NODE = "node"
    """Another node of the run cannot go on."""


class Control:
    """Listens to the factory in a thread of its own.

    The factory being away changes nothing: a run goes on without it.
    """

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._cause: StopCause | None = None
        self._elsewhere = (Outcome.NODE_FAILURE, "")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="control", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    @property
    def cause(self) -> StopCause | None:
        """Why to stop; None while there is no reason."""
        return self._cause

    @property
    def elsewhere(self) -> tuple[Outcome, str]:
        """Where the cause is `NODE`: what happened there, and a sentence about it."""
        return self._elsewhere

    def stop(self, cause: StopCause) -> None:
        """Decide here that the run must stop; the first cause counts."""
        self._cause = self._cause or cause

    def close(self) -> None:
        """Stop listening; the thread ends with its present call."""
        self._ended.set()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                said = self._attempts.control(wait_s=_WAIT_S)
            except (NotFoundError, RefusedError):
                self.stop(StopCause.ABANDONED)
                return
            except KifabrikError:
                time.sleep(_PAUSE_S)
                continue
            if said.stop:
                self._elsewhere = (said.outcome or Outcome.NODE_FAILURE, said.message)
                causes = {cause.value: cause for cause in StopCause}
                self.stop(causes.get(said.cause, StopCause.STOP))
                return
