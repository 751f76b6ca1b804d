"""The queue of a factory whose cluster has one of its own: every run is handed over at once.

Invariants:
- an attempt and the new state of its run are written before the cluster hears of it, under its name; whoever
  watches attempts hands over again what never arrived;
- a run whose keyholder is away is not handed over: it would hold GPUs and wait for keys;
- of one pass no more is done than keeps the loop quick; the rest comes with the next, at once.
"""

import logging
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
from kifabrik.factory.run_records import Attempt, Run
from kifabrik.runs.states import RunState
from kifabrik.values import Kind, Place, new_id

_MOST_OF_A_TENANT: Final = 64
_PASS_S: Final = 0.5
_AT_ONCE: Final = 4
"""Submissions under way at one time: each waits for the controller most of its time."""
_SAY_EVERY_S: Final = 10.0
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

    def look(self, leadership: Leadership) -> None:
        """Hand over what waits, and say of what the cluster holds why it has not started."""
        with self._store.read() as transaction:
            waiting = transaction.runs.queued_runs(_MOST_OF_A_TENANT)
            now = self._book.clock()
            away = {tenant: keyholder_away(transaction, tenant, now) for tenant in {run.tenant for run in waiting}}
        ready = [run for run in waiting if not away[run.tenant]]
        self._hand_over(leadership, ready)
        self._say([(run, away[run.tenant]) for run in waiting if away[run.tenant]], leadership)
        if time.monotonic() - self._said >= _SAY_EVERY_S:
            self._said = time.monotonic()
            self._tell_of_waiting(leadership)

    def _hand_over(self, leadership: Leadership, runs: Sequence[Run]) -> None:
        until = time.monotonic() + _PASS_S
        with ThreadPoolExecutor(_AT_ONCE, "handover") as pool:
            for count, run in enumerate(_in_turns(runs), 1):
                task = self._enter(leadership, run)
                if task is not None:
                    pool.submit(self._submit, task)
                if time.monotonic() > until and count < len(runs):
                    self._book.wake()  # the rest at once, not with the next sweep
                    return

    def _submit(self, task: Task) -> None:
        try:
            submit(self._cluster, task)
        except KifabrikError as error:
            _logger.warning("attempt %s: %s", task.attempt, error.message)

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

    def _say(self, reasons: Sequence[tuple[Run, str]], leadership: Leadership) -> None:
        news = [(run, reason) for run, reason in reasons if reason not in ("", run.reason)]
        if news:
            with self._store.write() as transaction:
                leadership.check(transaction)
                for run, reason in news:
                    self._book.wait(transaction, run, reason, None)

    def _tell_of_waiting(self, leadership: Leadership) -> None:
        """Write down, for every run in the cluster's queue, what it waits for, where that has changed."""
        with self._store.read() as transaction:
            pending = {
                (one.tenant, one.run): one
                for one in transaction.runs.unfinished_attempts()
                if one.state is RunState.PENDING
            }
            runs = [run for run in transaction.runs.active_runs() if (run.tenant, run.run) in pending]
        if not runs:
            return
        fates = self._cluster.fates([one.attempt for one in pending.values()])
        nothing = Fate()
        self._say(
            [(run, fates.get(pending[run.tenant, run.run].attempt, nothing).sentence) for run in runs], leadership
        )


def _in_turns(runs: Sequence[Run]) -> list[Run]:
    """Each tenant's next run in turn, so that one with many does not keep the others from the cluster."""
    places: dict[str, int] = {}
    keyed = []
    for run in sorted(runs, key=lambda one: (-one.priority, one.created, one.position)):
        place = places[run.tenant] = places.get(run.tenant, 0) + 1
        keyed.append((place, run.tenant, run))
    return [run for _, _, run in sorted(keyed, key=lambda one: one[:2])]
