"""The queue of a factory whose cluster has one of its own: every run is handed over at once.

Invariants:
- an attempt and the new state of its run are written before the cluster hears of it, under its name; whoever
  watches attempts hands over again what never arrived;
- a run whose keyholder is away is not handed over: it would hold GPUs and wait for keys;
- a run that may wait for a better hour of the plant is kept until it comes;
- tasks of a sweep are one submission, and so are runs of a tenant that ask for exactly the same, where many wait:
  what a scheduler is asked costs more than what it is asked for;
- of one pass no more is done than keeps the loop quick; the rest comes with the next, at once. The next pass begins
  with the tenant after the one the last ended with: among many, none comes first each time.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from kifabrik.errors import KifabrikError
from kifabrik.factory.engine import Cluster, Fate, Task, array_attempt, new_array
from kifabrik.factory.leader import Leadership
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.queue import keyholder_away, postponed, submit, task_of, with_what_others_left
from kifabrik.factory.run_book import RunBook, find_run
from kifabrik.factory.run_records import Attempt, Run, Watched
from kifabrik.factory.supervise import fates_of
from kifabrik.plant.governor.rules import Permit
from kifabrik.runs.states import RunState
from kifabrik.values import Kind, Place, new_id, task_number

MOST_OF_AN_ARRAY: Final = 1000
"""Tasks of one array: Slurm's own default of MaxArraySize allows numbers up to 1000."""
_LEAST_ALIKE: Final = 8
"""Runs that ask for the same and wait, from which on they are one array; of fewer each has a job named after it."""
_MOST_ALIKE: Final = 200
_MOST_OF_A_PASS: Final = MOST_OF_AN_ARRAY
"""Runs read in one pass; each of the waiting tenants has the same part of them."""
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
        power: Says what the plant's governor permits at a time (seconds since the epoch); None: no limit.
    """

    def __init__(
        self,
        store: Store,
        book: RunBook,
        cluster: Cluster,
        power: Callable[[float], Permit | None] = lambda _now: None,
    ) -> None:
        self._store = store
        self._book = book
        self._cluster = cluster
        self._power = power
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
        power = self._power(now.timestamp())
        blocked = {(run.tenant, run.run): away[run.tenant] or postponed(run, power, now) for run in waiting}
        ready = [run for run in waiting if not blocked[run.tenant, run.run]]
        kept = [(run, blocked[run.tenant, run.run]) for run in waiting if blocked[run.tenant, run.run]]
        if not self._hand_over(leadership, ready) or len(ready) >= each:
            self._book.wake()  # the rest at once, not with the next sweep
        self._say(kept, leadership)
        if time.monotonic() - self._said >= _SAY_EVERY_S and self._tell_of_waiting(leadership):
            self._said = time.monotonic()

    def _hand_over(self, leadership: Leadership, runs: Sequence[Run]) -> bool:
        """Hand runs over as far as one pass goes; whether that was all of them."""
        until = time.monotonic() + _PASS_S
        ahead = threading.BoundedSemaphore(2 * _AT_ONCE)  # none is entered long before it can be submitted
        with ThreadPoolExecutor(_AT_ONCE, "handover") as pool:
            for together in in_turns(runs, self._last):
                if time.monotonic() > until:
                    return False
                tasks = self._enter(leadership, together)
                self._last = together[0].tenant
                if tasks:
                    ahead.acquire()
                    pool.submit(self._submit, tasks, ahead)
        return True

    def _submit(self, tasks: Sequence[Task], ahead: threading.BoundedSemaphore) -> None:
        try:
            if tasks[0].array:
                self._cluster.submit_array(tasks)
            else:
                submit(self._cluster, tasks[0])
        except KifabrikError as error:
            _logger.warning("attempt %s: %s", tasks[0].attempt, error.message)
        finally:
            ahead.release()

    def _enter(self, leadership: Leadership, together: Sequence[Run]) -> list[Task]:
        """Enter an attempt at a run, or one at each of the next tasks of its sweep."""
        tenant = together[0].tenant
        with self._store.write(tenant) as transaction:
            leadership.check(transaction)
            waiting = _that_still_wait(transaction, together[0])
            array = new_array() if len(waiting) > 1 else ""
            before = Counter(one.run for one in transaction.runs.attempts_of(tenant, [run.run for run in waiting]))
            entered = []
            for place, run in enumerate(waiting, 1):
                found = with_what_others_left(transaction, run)
                index = task_number(run.run) or place
                entered.append(self._enter_one(transaction, found, before[run.run] + 1, array, index))
        limit_s = max((task.limit_s for task in entered), default=0)
        return [replace(task, limit_s=limit_s) for task in entered]

    def _enter_one(self, transaction: Transaction, run: Run, number: int, array: str, index: int) -> Task:
        attempt = Attempt(
            tenant=run.tenant,
            run=run.run,
            attempt=array_attempt(array, index) if array else new_id(Kind.ATTEMPT),
            number=number,
            placement=(),
            place=Place(),
            cap_s=run.cap_s,
            created=self._book.now(),
            state=RunState.PENDING,
            submits=1,
        )
        transaction.runs.add_attempt(attempt)
        self._book.change(transaction, run, state=RunState.PENDING, reason=_HANDED_OVER, promise=None)
        task = task_of(run, attempt)
        return replace(task, array=array, index=index) if array else task

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
        fates = fates_of(self._cluster, pending)
        nothing = Fate()
        return self._say([(one, fates.get(one.attempt, nothing).sentence) for one in pending], leadership)


def _that_still_wait(transaction: Transaction, run: Run) -> list[Run]:
    """The run, or as many tasks of its sweep, or runs like it, as one array takes: one submission for all."""
    if run.sweep:
        return transaction.runs.queued_tasks(run.tenant, run.sweep, MOST_OF_AN_ARRAY)
    if not run.flexible_until:
        alike = transaction.runs.queued_alike(run, _MOST_ALIKE)
        if len(alike) >= _LEAST_ALIKE and alike[0].run == run.run:
            return alike
    found = find_run(transaction, run.tenant, run.run)
    return [found] if found.state is RunState.QUEUED else []


def in_turns(runs: Sequence[Run], last: str) -> list[list[Run]]:
    """Runs and arrays of tasks, each tenant's next in turn: one with many does not keep the others away.

    Args:
        runs: That wait.
        last: The tenant who was served last: the others come first.
    """
    together: dict[tuple[str, str], list[Run]] = {}
    for run in sorted(runs, key=lambda one: (-one.priority, one.created, one.position)):
        together.setdefault((run.tenant, run.sweep or run.run), []).append(run)
    places: Counter[str] = Counter()
    turns: list[tuple[int, bool, str, list[Run]]] = []
    for (tenant, _), found in together.items():
        for first in range(0, len(found), MOST_OF_AN_ARRAY):
            places[tenant] += 1
            turns.append((places[tenant], tenant <= last, tenant, found[first : first + MOST_OF_AN_ARRAY]))
    return [found for *_, found in sorted(turns, key=lambda turn: turn[:3])]
