"""Watching attempts: launchers that are gone, that never came, that overstay, that nobody knows.

The engine is asked first and the database afterwards: a launcher that reported its end and left is never
taken for lost.

Invariants:
- an attempt whose launcher never came is submitted again under its name, with a new token, a few times;
- an attempt whose launcher came and is gone has ended; what follows is judged like any end;
- where a cluster does not answer, nobody is judged, and what waits says so;
- an attempt that still waits in a cluster's queue is taken out of it when its run is stopped; what it waits for is
  written down now and then, where that has changed;
- of attempts that live and are not due, nothing is read or reckoned that was known before;
- a launcher without an attempt that goes on is given a minute, then killed, and its trace dropped;
- of what has ended no more is judged in one pass than keeps the loop quick, the rest in the next, at once; a
  cluster is told in one call whom to end.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kifabrik.errors import KifabrikError, UnavailableError
from kifabrik.factory.accounts import Accounts
from kifabrik.factory.endings import Endings, lost
from kifabrik.factory.engine import Cluster, Engine, Fate, Life
from kifabrik.factory.leader import Leadership
from kifabrik.factory.log import Log
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.queue import latest_end, submit, task_of
from kifabrik.factory.run_book import RunBook, find_attempt, find_run
from kifabrik.factory.run_records import Attempt, Run, StopCause, Watched
from kifabrik.ledger.entry import EntryKind
from kifabrik.runs.states import Outcome, RunState
from kifabrik.values import parse_time

MOST_SUBMITS: Final = 3
STOP_GRACE_S: Final = 600.0
"""A launcher that was asked to stop may take this long to seal its checkpoint."""

_LEAVING_S: Final = 60.0
_PASS_S: Final = 2.0
_MOST_SAID: Final = 500
"""Reasons written down in one pass."""
_TELL_EVERY_S: Final = 10.0
SILENCE: Final = "The cluster does not answer now. What runs goes on; what waits is looked at again."
_LATE: Final = timedelta(seconds=60)
_logger = logging.getLogger(__name__)
_AT_ONCE: Final = datetime.min.replace(tzinfo=UTC)


class Supervisor:
    """Watches attempts.

    Args:
        store: Opens transactions.
        log: Records ends nobody signed.
        accounts: Issues and ends tokens.
        book: Moves runs.
        endings: Ends attempts.
        engine: Knows the launchers.
        cluster: The engine, if it has a queue of its own.
    """

    def __init__(
        self,
        store: Store,
        log: Log,
        accounts: Accounts,
        book: RunBook,
        endings: Endings,
        engine: Engine,
        cluster: Cluster | None = None,
    ) -> None:
        self._store = store
        self._log = log
        self._accounts = accounts
        self._book = book
        self._endings = endings
        self._engine = engine
        self._cluster = cluster
        self._stopping: dict[str, float] = {}
        self._doomed: list[str] = []
        """Whom the cluster is to end at the end of this pass."""
        self._going_on: Mapping[str, Watched] = {}
        self._due: dict[str, datetime] = {}
        """Attempts as of the last pass, and when one that lives is to be looked at, by the same stamps."""
        self._told = 0.0
        """When it was last written down what attempts wait for."""

    def look(self, leadership: Leadership) -> None:
        """Look at all launchers and attempts once."""
        try:
            lives = self._engine.poll()
        except UnavailableError:
            self._tell_of_silence(leadership)
            raise
        with self._store.read() as transaction:
            self._going_on = transaction.runs.watched(self._going_on)
            names = {one.attempt for one in self._going_on.values()}
            others = {one.attempt: one for one in transaction.runs.attempts_named(lives.keys() - names)}
        self._due = {
            stamp: self._due[stamp] if stamp in self._due else _due(one) for stamp, one in self._going_on.items()
        }
        now = self._book.clock()
        due = [one for stamp, one in self._going_on.items() if self._due[stamp] <= now]
        for one in due:
            if lives.get(one.attempt) is Life.ALIVE:
                self._check_time(one)
        self._judge(
            [one for one in self._going_on.values() if lives.get(one.attempt) is not Life.ALIVE], leadership
        )
        self._stopping = {name: since for name, since in self._stopping.items() if name in names}
        self._clear({name: life for name, life in lives.items() if name not in names}, others)
        if self._cluster and self._doomed:
            doomed, self._doomed = self._doomed, []
            self._cluster.kill_all(doomed)
        if self._cluster and time.monotonic() - self._told >= _TELL_EVERY_S:
            sentences = self._cluster.waiting()
            if self._tell(lambda one: sentences.get(one.attempt, one.reason), self._pending(), leadership):
                self._told = time.monotonic()

    def _pending(self) -> list[Watched]:
        return [one for one in self._going_on.values() if one.state is RunState.PENDING]

    def _judge(self, gone: Sequence[Watched], leadership: Leadership) -> None:
        """Deal with attempts whose launcher is gone, or never came."""
        fates = _fates_of(self._cluster, gone) if self._cluster else dict.fromkeys(_names(gone), Fate())
        until = time.monotonic() + _PASS_S
        for one in gone:
            if time.monotonic() > until:
                self._book.wake()
                return
            if one.attempt in fates:
                self._judge_one(leadership, one, fates[one.attempt])

    def _tell_of_silence(self, leadership: Leadership) -> None:
        """Say of what waits that nothing is known of it now."""
        with self._store.read() as transaction:
            queued = transaction.runs.queued_runs(_MOST_SAID)
            self._going_on = transaction.runs.watched(self._going_on)
        self._tell(lambda _one: SILENCE, [*queued, *self._pending()], leadership)

    def _tell(
        self, sentence: Callable[[Any], str], waiting: Sequence[Run | Watched], leadership: Leadership
    ) -> bool:
        """Write down what runs wait for, where that has changed; whether of all of them."""
        changed = [(one, said) for one in waiting if (said := sentence(one)) != one.reason]
        if changed:
            with self._store.write() as transaction:
                leadership.check(transaction)
                self._book.wait_all(transaction, changed[:_MOST_SAID])
        return len(changed) <= _MOST_SAID

    def _judge_one(self, leadership: Leadership, attempt: Watched, fate: Fate) -> None:
        try:
            if attempt.taken or attempt.stop is not None or attempt.submits >= MOST_SUBMITS or fate.outcome:
                self._lose(leadership, attempt, fate)
            else:
                self._submit_again(leadership, attempt)
        except KifabrikError as error:
            _logger.warning("attempt %s: %s", attempt.attempt, error.message)

    def _check_time(self, attempt: Watched) -> None:
        """End one that lives and is due: its run was stopped, or it is beyond its time."""
        try:
            if attempt.stop is not None:
                since = self._stopping.setdefault(attempt.attempt, time.monotonic())
                if not attempt.placed or time.monotonic() - since > STOP_GRACE_S:
                    self._kill(attempt.attempt)
            elif attempt.running:
                _logger.warning("attempt %s is past its cap and is killed", attempt.attempt)
                self._mark(attempt, StopCause.CAP)
                self._kill(attempt.attempt)
            else:
                self._kill(attempt.attempt)
        except KifabrikError as error:
            _logger.warning("attempt %s: %s", attempt.attempt, error.message)

    def _kill(self, attempt: str) -> None:
        if self._cluster:
            self._doomed.append(attempt)
        else:
            self._engine.kill(attempt)

    def _mark(self, attempt: Watched, cause: StopCause) -> None:
        with self._store.write(attempt.tenant) as transaction:
            run = find_run(transaction, attempt.tenant, attempt.run)
            if run.stop is None:
                self._book.change(transaction, run, reason=run.reason, stop=cause)

    def _lose(self, leadership: Leadership, attempt: Watched, fate: Fate) -> None:
        with self._store.write(attempt.tenant) as transaction:
            leadership.check(transaction)
            found = find_attempt(transaction, attempt.tenant, attempt.attempt)
            if found.finished:
                return
            run = find_run(transaction, attempt.tenant, attempt.run)
            message = fate.sentence or ("" if found.taken else "No launcher could be started.")
            how = lost(run, message, fate.outcome)
            self._accounts.end_attempt_tokens(transaction, attempt.tenant, attempt.attempt)
            self._endings.end(transaction, run, found, how)
            self._record(transaction, run, found, how.outcome)
        if self._cluster:
            self._engine.forget(attempt.attempt)

    def _record(self, transaction: Transaction, run: Run, attempt: Attempt, outcome: Outcome) -> None:
        refs = {"run": run.run, "attempt": attempt.attempt, "order": run.order, "outcome": str(outcome)}
        if attempt.tail:
            refs["log_tail"] = attempt.tail
        self._log.append(transaction, run.tenant, EntryKind.RUN_FINISHED, dict(refs))

    def _submit_again(self, leadership: Leadership, attempt: Watched) -> None:
        with self._store.write(attempt.tenant) as transaction:
            leadership.check(transaction)
            found = find_attempt(transaction, attempt.tenant, attempt.attempt)
            if found.finished or found.taken:
                return
            if self._cluster:  # what a node had claimed for a launcher that never asked for its work
                transaction.runs.give_back(found.placement)
                found = replace(found, placement=())
            again = replace(found, submits=found.submits + 1)
            transaction.runs.save_attempt(again)
            token = self._accounts.issue_attempt_token(transaction, found.tenant, found.run, found.attempt)
            run = find_run(transaction, attempt.tenant, attempt.run)
        submit(self._engine, task_of(run, again, token))

    def _clear(self, lives: Mapping[str, Life], attempts: Mapping[str, Attempt]) -> None:
        """Deal with launchers whose attempt has ended, or that no attempt is known for."""
        now = self._book.clock()
        for name, life in lives.items():
            attempt = attempts.get(name)
            if life is Life.ALIVE:
                if attempt is None or _overstays(attempt, now):
                    _logger.warning("launcher %s has no attempt that goes on and is killed", name)
                    self._kill(name)
                continue
            if attempt is not None:
                with self._store.write(attempt.tenant) as transaction:
                    self._accounts.end_attempt_tokens(transaction, attempt.tenant, name)
            self._engine.forget(name)


def _names(attempts: Iterable[Watched]) -> list[str]:
    return [one.attempt for one in attempts]


def _due(attempt: Watched) -> datetime:
    """From when on one that lives is looked at: at once if its run is stopped, else when it is beyond its time."""
    if attempt.stop is not None:
        return _AT_ONCE
    return latest_end(attempt, _AT_ONCE) if attempt.running else parse_time(attempt.deadline) + _LATE


def _fates_of(cluster: Cluster, attempts: Sequence[Watched]) -> Mapping[str, Fate]:
    if not attempts:
        return {}
    since = parse_time(min(one.created for one in attempts))  # as they are written they sort by time
    return cluster.fates(_names(attempts), since)


def _overstays(attempt: Attempt, now: datetime) -> bool:
    return now - parse_time(attempt.finished) > timedelta(seconds=_LEAVING_S)
