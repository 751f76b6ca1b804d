"""The queue of a factory whose cluster has one of its own: every run is handed over at once.

Invariants:
- an attempt and the new state of its run are written before the cluster hears of it, under its name; whoever
  watches attempts hands over again what never arrived;
- a run whose keyholder is away is not handed over: it would hold GPUs and wait for keys;
- of one pass no more is done than keeps the loop quick; the rest comes with the next, at once. The next pass begins
  with the tenant after the one the last ended with: among many, none comes first each time.
"""

import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from kifabrik.errors import KifabrikError
from kifabrik.factory.engine import Cluster, Fate, Task
from kifabrik.factory.leader import Leadership
from kifabrik.factory.ports import Store
from kifabrik.factory.queue import keyholder_away, submit, task_of
from kifabrik.factory.run_book import RunBook, find_run
from kifabrik.factory.run_records import Attempt, Run, Watched
from kifabrik.runs.states import RunState
from kifabrik.values import Kind, Place, new_id

_MOST_OF_A_PASS: Final = 256
"""Runs read in one pass, more than it can hand over; each of the waiting tenants has the same part of them."""
_PASS_S: Final = 1.0
_AT_ONCE: Final = 4
"""Submissions under way at one time: each waits for the controller most of its time."""
_SAY_EVERY_S: Final = 10.0
_MOST_SAID: Final = 500
"""Reasons written down in one pass."""
_HANDED_OVER: Final = "Handed to the cluster, whose queue decides when it starts."
_logger = logging.getLogger(__name__)


class Handover:
    """Hands runs to a cluster.

    Args:
        store: Opens transactions.
        book: Moves runs.
        cluster: Takes them.
    """

    def __init__(self, store: Store, book: RunBook, cluster: Cluster) -> None:
        self._store = store
        self._book = book
        self._cluster = cluster
        self._said = 0.0
        self._last = ""
        """The tenant whose run was handed over last."""

    def look(self, leadership: Leadership) -> None:
        """Hand over what waits, and say of what the cluster holds why it has not started."""
        with self._store.read() as transaction:
            tenants = transaction.runs.queued_tenants()
            each = -(-_MOST_OF_A_PASS // max(1, len(tenants)))
            waiting = transaction.runs.queued_runs(each) if tenants else []
            now = self._book.clock()
            away = {tenant: keyholder_away(transaction, tenant, now) for tenant in {run.tenant for run in waiting}}
        ready = [run for run in waiting if not away[run.tenant]]
        if not self._hand_over(leadership, ready) or len(ready) >= each:
            self._book.wake()  # the rest at once, not with the next sweep
        self._say([(run, away[run.tenant]) for run in waiting if away[run.tenant]], leadership)
        if time.monotonic() - self._said >= _SAY_EVERY_S and self._tell_of_waiting(leadership):
            self._said = time.monotonic()

    def _hand_over(self, leadership: Leadership, runs: Sequence[Run]) -> bool:
        """Hand runs over as far as one pass goes; whether that was all of them."""
        until = time.monotonic() + _PASS_S
        ahead = threading.BoundedSemaphore(2 * _AT_ONCE)  # none is entered long before it can be submitted
        with ThreadPoolExecutor(_AT_ONCE, "handover") as pool:
            for run in in_turns(runs, self._last):
                if time.monotonic() > until:
                    return False
                task = self._enter(leadership, run)
                self._last = run.tenant
                if task is not None:
                    ahead.acquire()
                    pool.submit(self._submit, task, ahead)
        return True

    def _submit(self, task: Task, ahead: threading.BoundedSemaphore) -> None:
        try:
            submit(self._cluster, task)
        except KifabrikError as error:
            _logger.warning("attempt %s: %s", task.attempt, error.message)
        finally:
            ahead.release()

    def _enter(self, leadership: Leadership, run: Run) -> Task | None:
        with self._store.write(run.tenant) as transaction:
            leadership.check(transaction)
            found = find_run(transaction, run.tenant, run.run)
            if found.state is not RunState.QUEUED:
                return None
            before = transaction.runs.attempts_of(run.tenant, [run.run])
            attempt = Attempt(
                tenant=run.tenant,
                run=run.run,
                attempt=new_id(Kind.ATTEMPT),
                number=len(before) + 1,
                placement=(),
                place=Place(),
                cap_s=found.cap_s,
                created=self._book.now(),
                state=RunState.PENDING,
                submits=1,
            )
            transaction.runs.add_attempt(attempt)
            self._book.change(transaction, found, state=RunState.PENDING, reason=_HANDED_OVER, promise=None)
        return task_of(found, attempt)

    def _say(self, reasons: Sequence[tuple[Run | Watched, str]], leadership: Leadership) -> bool:
        """Write reasons down that are new; whether that were all of them."""
        changed = [(run, reason) for run, reason in reasons if reason not in ("", run.reason)]
        news = changed[:_MOST_SAID]
        if news:
            with self._store.write() as transaction:
                leadership.check(transaction)
                for run, reason in news:
                    self._book.wait(transaction, run, reason, None)
        return len(news) == len(changed)

    def _tell_of_waiting(self, leadership: Leadership) -> bool:
        """Write down what runs in the cluster's queue wait for, where that has changed; whether of all of them."""
        with self._store.read() as transaction:
            pending = [one for one in transaction.runs.watched() if one.state is RunState.PENDING]
        if not pending:
            return True
        fates = self._cluster.fates([one.attempt for one in pending])
        nothing = Fate()
        return self._say([(one, fates.get(one.attempt, nothing).sentence) for one in pending], leadership)


def in_turns(runs: Sequence[Run], last: str) -> list[Run]:
    """Each tenant's next run in turn, so that one with many does not keep the others from the cluster.

    Args:
        runs: That wait.
        last: The tenant who was served last: the others come first.
    """
    places: dict[str, int] = {}
    keyed = []
    for run in sorted(runs, key=lambda one: (-one.priority, one.created, one.position)):
        place = places[run.tenant] = places.get(run.tenant, 0) + 1
        keyed.append((place, run.tenant <= last, run.tenant, run))
    return [run for *_, run in sorted(keyed, key=lambda one: one[:3])]
