"""The serving process: a long poll that wakes it, rounds of work, patience with an absent factory.

Invariants:
- one process serves a folder; a second one is told so;
- mail only wakes; what is done follows from the log and the database;
- nothing sleeps that a request could wait for: mail, other processes' changes and stopping all wake it.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from kifabrik.errors import KifabrikError, UnavailableError
from kifabrik.keyholder.connecting import Factory, connect
from kifabrik.keyholder.events import Event, EventKind, OnEvent
from kifabrik.keyholder.log_watch import RENEW_S
from kifabrik.keyholder.round import Round
from kifabrik.keyholder.settings import Setting, Settings
from kifabrik.keyholder.state import SERVING_LOCK, State
from kifabrik.ledger.file_lock import FileLock
from kifabrik.values import format_duration
from kifabrik.wire.leases import Mail, MailKind

_WAIT_S: Final = 25.0
"""Length of one long poll; short enough for proxies that cut idle connections after 30 s."""
_PATIENCE_S: Final = 0.5
_SPREAD: Final = random.SystemRandom()
"""Keeps callers that failed together from coming back together; forked launchers draw each their own."""
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 15.0
_SWEEP_S: Final = 300.0
"""A round is made this often without any cause, in case a wake-up got lost."""
_REST_S: Final = 0.5
"""From one round to the next if nobody waits for it: what is ordered and what has ended wakes rounds, too, and
of many runs at a time each would have the log looked at and cosigned for itself."""
_NOTE_EVERY_S: Final = 1.0
_LOOK_S: Final = 0.25
"""How often changes by other processes to the database are looked for; costs some microseconds."""
_JOIN_S: Final = 0.2
"""A long poll may still be under way when serving ends; its thread ends with it."""


class Bell:
    """Wakes the rounds from any thread; remembers what for."""

    def __init__(self) -> None:
        self._rung = threading.Condition()
        self._mailed: list[str] = []
        self._due = True
        self._knocked = False
        self._rested = 0.0
        """When the next round may begin that nobody waits for."""

    def ring(self, *mailed: str) -> None:
        """Wake the rounds; `mailed` are digests of requests."""
        with self._rung:
            self._mailed += mailed
            self._due = True
            self._rung.notify_all()

    def knock(self) -> None:
        """Wake the rounds for what nobody waits for: if one has just begun, then a little later."""
        with self._rung:
            self._knocked = True
            self._rung.notify_all()

    def wait(self, timeout_s: float) -> list[str] | None:
        """Return what was mailed since the last time, or None if nothing woke the rounds within the time."""
        until = time.monotonic() + timeout_s
        with self._rung:
            while not self._woken():
                now = time.monotonic()
                if now >= until:
                    return None
                self._rung.wait((min(until, self._rested) if self._knocked else until) - now)
            mailed, self._mailed, self._due, self._knocked = self._mailed, [], False, False
            self._rested = time.monotonic() + _REST_S
            return mailed

    def _woken(self) -> bool:
        return self._due or (self._knocked and time.monotonic() >= self._rested)


class Server:
    """Serves until told to stop.

    Args:
        state: The opened folder.
        say: Told what happens.
        bell: Rung by whoever changes something within this process.
    """

    def __init__(self, state: State, say: OnEvent, bell: Bell) -> None:
        self._state = state
        self._say = say
        self._bell = bell
        self._offline = False

    def run(self, stop: threading.Event) -> None:
        """Serve; returns when `stop` is set.

        Raises:
            ConflictError: Another process serves this folder.
            IntegrityError: The database is damaged.
        """
        lock = FileLock(self._state.home / SERVING_LOCK, f"the keyholder in {self._state.home}")
        factory = connect(self._state, patience_s=_PATIENCE_S)
        helpers = [
            threading.Thread(target=self._listen, args=(stop,), name="keyholder-mail", daemon=True),
            threading.Thread(target=self._look_around, args=(stop,), name="keyholder-look", daemon=True),
        ]
        try:
            for thread in helpers:
                thread.start()
            self._rounds(factory, stop)
        finally:
            stop.set()
            for thread in helpers:
                thread.join(_JOIN_S)
            factory.close()
            lock.close()

    def _rounds(self, factory: Factory, stop: threading.Event) -> None:
        work = self._first_round(factory)
        pause = _FIRST_PAUSE_S
        mailed: list[str] = []
        while not stop.is_set():
            news = self._bell.wait(self._patience(work))
            mailed += news or []
            if stop.is_set():
                return
            if self._attempt(partial(work.work, tuple(mailed))):
                mailed, pause = [], _FIRST_PAUSE_S
            else:
                stop.wait(pause * _SPREAD.uniform(0.5, 1.0))
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                self._bell.ring()

    def _first_round(self, factory: Factory) -> Round:
        behind = self._state.clock.set_back_s()
        if behind:
            text = f"this machine's clock is {format_duration(behind)} behind; the later time counts"
            self._say(Event(EventKind.WARNING, text))
        work = Round(self._state, factory, self._say)
        self._attempt(work.try_again)
        return work

    def _attempt(self, act: Callable[[], None]) -> bool:
        """Do something; False if it should be tried again after a pause."""
        try:
            act()
        except UnavailableError as error:
            if not self._offline:
                self._say(Event(EventKind.OFFLINE, f"{error.message}; trying again"))
            self._offline = True
            return False
        except KifabrikError as error:
            self._say(Event(EventKind.WARNING, f"{error.message}. {error.hint}".strip()))
            return False
        if self._offline:
            self._say(Event(EventKind.CONNECTED, "connected again"))
        self._offline = False
        return True

    def _patience(self, work: Round) -> float:
        lapse = work.eraser.next_lapse_s()
        sweep = RENEW_S if work.quotes_expected else _SWEEP_S
        return sweep if lapse is None else min(sweep, lapse + 1)

    def _listen(self, stop: threading.Event) -> None:
        """Hold a long poll open, and ring for every letter."""
        factory = connect(self._state, patience_s=0)
        cursor = _Cursor(self._state.settings)
        pause = _FIRST_PAUSE_S
        while not stop.is_set():
            try:
                letters = factory.mailbox.mail(after=cursor.read, wait_s=_WAIT_S)
            except KifabrikError:
                # The rounds say what is wrong; here it is enough to come back.
                if pause == _FIRST_PAUSE_S:
                    self._bell.ring()
                stop.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            if pause > _FIRST_PAUSE_S:
                self._bell.ring()
            pause = _FIRST_PAUSE_S
            if not stop.is_set():
                self._wake_for(letters)
                cursor.advance(letters)
        factory.close()

    def _wake_for(self, letters: Sequence[Mail]) -> None:
        """Wake the rounds: at once if somebody waits for an answer."""
        requests = [letter.digest for letter in letters if letter.kind is MailKind.REQUEST]
        if requests or any(letter.kind is MailKind.ERASURE for letter in letters):
            self._bell.ring(*requests)
        elif letters:
            self._bell.knock()

    def _look_around(self, stop: threading.Event) -> None:
        """Ring when another process has changed the database: a steward's command, an approval."""
        seen = self._state.db.revision()
        while not stop.wait(_LOOK_S):
            revision = self._state.db.revision()
            if revision != seen:
                seen = revision
                self._bell.ring()


class _Cursor:
    """Number of the last letter read, noted from time to time: one that is read again only wakes a round."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.read = self._noted = settings.number(Setting.MAIL)
        self._noted_at = time.monotonic()

    def advance(self, letters: Sequence[Mail]) -> None:
        """Take note of letters; none came if the long poll ended without."""
        self.read = max((self.read, *(letter.number for letter in letters)))
        quiet = not letters or time.monotonic() - self._noted_at >= _NOTE_EVERY_S
        if quiet and self.read != self._noted:
            self._settings.set(Setting.MAIL, self.read)
            self._noted, self._noted_at = self.read, time.monotonic()
