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
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Final

from kifabrik.errors import KifabrikError
from kifabrik.factory.engine import Cluster, Task, array_attempt, new_array
from kifabrik.factory.leader import Leadership
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.queue import keyholders_away, postponed, submit, task_of, with_what_others_left
from kifabrik.factory.run_book import RunBook
from kifabrik.factory.run_records import Attempt, Run
from kifabrik.plant.governor.rules import Permit
from kifabrik.runs.states import RunState
from kifabrik.values import Kind, Place, new_id, task_number

MOST_OF_AN_ARRAY: Final = 1000
"""Tasks of one array: Slurm's own default of MaxArraySize allows numbers up to 1000."""
_LEAST_ALIKE: Final = 8
"""Runs that ask for the same and wait, from which on they are one array; of fewer each has a job named after it."""
_MOST_ALIKE: Final = 200
_MOST_OF_A_PASS: Final = 512
"""Runs read in one pass; each of the waiting tenants has the same part of them."""
_MOST_TENANTS: Final = 64
"""Tenants whose runs are read in one pass; the next has the turn of those behind them."""
_ENTERED_TOGETHER: Final = 32
"""Turns whose attempts are written in one transaction."""
_PASS_S: Final = 2.0
_AT_ONCE: Final = 4
"""Submissions under way at one time: each waits for the controller most of its time."""
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
        trouble: Says why no run can have its data at present; empty if it can.
    """

    def __init__(
        self,
        store: Store,
        book: RunBook,
        cluster: Cluster,
        power: Callable[[float], Permit | None] = lambda _now: None,
        trouble: Callable[[], str] = lambda: "",
    ) -> None:
        self._store = store
        self._book = book
        self._cluster = cluster
        self._power = power
        self._trouble = trouble
        self._last = ""
        """The tenant whose run was handed over last."""
        self._told = ""
        """The tenant whose keyholder is away that was told so last."""

    @property
    def crowded(self) -> bool:
        """Whether what is ordered now would wait behind what was: the cluster decides, so it is handed over."""
        return False

    def look(self, leadership: Leadership) -> bool:
        """Hand over what waits, and say of what does not go why.

        Returns:
            Whether more waits that may be handed over at once.
        """
        with self._store.read() as transaction:
            tenants = transaction.runs.queued_tenants()
            now = self._book.clock()
            away = keyholders_away(transaction, tenants, now)
            there = _after(self._last, [tenant for tenant in tenants if not away[tenant]])[:_MOST_TENANTS]
            gone = _after(self._told, [tenant for tenant in tenants if away[tenant]])[:_MOST_TENANTS]
            each = -(-_MOST_OF_A_PASS // max(1, len(there) + len(gone)))
            waiting = transaction.runs.queued_runs(each, [*there, *gone]) if tenants else []
        power, trouble = self._power(now.timestamp()), self._trouble()
        blocked = {
            (run.tenant, run.run): trouble or away[run.tenant] or postponed(run, power, now) for run in waiting
        }
        ready = [run for run in waiting if not blocked[run.tenant, run.run]]
        kept = [(run, blocked[run.tenant, run.run]) for run in waiting if blocked[run.tenant, run.run]]
        through = self._hand_over(leadership, ready, min(_LEAST_ALIKE, each))
        if through and there:
            self._last = there[-1]
        self._told = gone[-1] if gone else self._told
        self._say(kept, leadership)
        return bool(ready) and not (through and len(ready) < each and len(there) < _MOST_TENANTS)

    def _hand_over(self, leadership: Leadership, runs: Sequence[Run], least: int) -> bool:
        """Hand runs over as far as one pass goes; whether that was all of them."""
        until = time.monotonic() + _PASS_S
        turns = in_turns(runs, self._last, least)
        ahead = threading.BoundedSemaphore(2 * _AT_ONCE)  # none is entered long before it can be submitted
        with ThreadPoolExecutor(_AT_ONCE, "handover") as pool:
            for first in range(0, len(turns), _ENTERED_TOGETHER):
                if time.monotonic() > until:
                    return False
                together = turns[first : first + _ENTERED_TOGETHER]
                for tasks in self._enter(leadership, together):
                    ahead.acquire()
                    pool.submit(self._submit, tasks, ahead)
                self._last = together[-1][0].tenant
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

    def _enter(self, leadership: Leadership, turns: Sequence[Sequence[Run]]) -> list[list[Task]]:
        """Enter attempts at the runs of some turns that still wait; what is to be submitted together."""
        with self._store.write(*{runs[0].tenant for runs in turns}) as transaction:
            leadership.check(transaction)
            tasks: list[list[Task]] = []
            single: list[Run] = []
            for turn in turns:
                array = _array_of(transaction, turn)
                if array:
                    tasks += self._enter_all(transaction, [array])
                elif not turn[0].sweep:
                    single += turn
            still = transaction.runs.that_still_wait(single)
            return tasks + self._enter_all(transaction, [[run] for run in still])

    def _enter_all(self, transaction: Transaction, groups: Sequence[Sequence[Run]]) -> list[list[Task]]:
        """Enter an attempt at each run; those of a group of several become one array."""
        before = transaction.runs.count_attempts([run for group in groups for run in group])
        entered = [self._attempts_at(transaction, group, before) for group in groups]
        together = [pair for pairs in entered for pair in pairs]
        transaction.runs.add_attempts(attempt for _, attempt, _ in together)
        runs = [run for run, _, _ in together]
        self._book.change_all(transaction, runs, state=RunState.PENDING, reason=_HANDED_OVER, promise=None)
        return [_of_one_length([task for _, _, task in made]) for made in entered]

    def _attempts_at(
        self, transaction: Transaction, group: Sequence[Run], before: Mapping[tuple[str, str], int]
    ) -> list[tuple[Run, Attempt, Task]]:
        """Make an attempt at a run, or one at each of several that become one array."""
        array = new_array() if len(group) > 1 else ""
        made = []
        for place, waiting in enumerate(group, 1):
            run = with_what_others_left(transaction, waiting)
            if run is not waiting:
                transaction.runs.save_run(run)  # what is left for the next depends on it
            index = task_number(run.run) or place
            attempt = Attempt(
                tenant=run.tenant,
                run=run.run,
                attempt=array_attempt(array, index) if array else new_id(Kind.ATTEMPT),
                number=before.get((run.tenant, run.run), 0) + 1,
                placement=(),
                place=Place(),
                cap_s=run.cap_s,
                created=self._book.now(),
                state=RunState.PENDING,
                submits=1,
            )
            task = task_of(run, attempt)
            made.append((run, attempt, replace(task, array=array, index=index) if array else task))
        return made

    def _say(self, reasons: Sequence[tuple[Run, str]], leadership: Leadership) -> None:
        """Write reasons down that are new."""
        news = [(run, reason) for run, reason in reasons if reason != run.reason][:_MOST_SAID]
        if news:
            with self._store.write() as transaction:
                leadership.check(transaction)
                self._book.wait_all(transaction, news)


def _after(last: str, tenants: Sequence[str]) -> list[str]:
    """Tenants in order, those behind the last one first."""
    return sorted(tenants, key=lambda tenant: (tenant <= last, tenant))


def _of_one_length(tasks: Sequence[Task]) -> list[Task]:
    """Tasks of one array, which has one time limit: the longest."""
    limit_s = max(task.limit_s for task in tasks)
    return [replace(task, limit_s=limit_s, spare_s=task.spare_s + limit_s - task.limit_s) for task in tasks]


def _array_of(transaction: Transaction, turn: Sequence[Run]) -> list[Run]:
    """What of a turn still waits and becomes one array; nothing where it is single runs.

    The next tasks of a sweep, or enough runs that ask for the same, also those that were not read.
    """
    run = turn[0]
    if run.sweep:
        return transaction.runs.queued_tasks(run.tenant, run.sweep, MOST_OF_AN_ARRAY)
    alike = transaction.runs.queued_alike(run, _MOST_ALIKE) if len(turn) > 1 else []
    return alike if len(alike) >= _LEAST_ALIKE else []


def in_turns(runs: Sequence[Run], last: str, least: int = _LEAST_ALIKE) -> list[list[Run]]:
    """Runs and what may become arrays, each tenant's next in turn: one with many does not keep the others away.

    Args:
        runs: That wait.
        last: The tenant who was served last: the others come first.
        least: So many runs that ask for the same are one turn.
    """
    in_order = sorted(runs, key=lambda one: (-one.priority, one.created, one.position))
    alike: dict[tuple[object, ...], list[Run]] = {}
    for run in in_order:
        alike.setdefault(_asks_for(run), []).append(run)
    sizes = {key: len(group) for key, group in alike.items()}
    places: Counter[str] = Counter()
    turns: list[tuple[int, bool, str, list[Run]]] = []
    for run in in_order:
        key, turn = _asks_for(run), [run]
        if run.sweep or sizes[key] >= max(least, 2):
            most = MOST_OF_AN_ARRAY if run.sweep else _MOST_ALIKE
            turn, alike[key] = alike[key][:most], alike[key][most:]
        if turn:
            places[run.tenant] += 1
            turns.append((places[run.tenant], run.tenant <= last, run.tenant, turn))
    return [turn for *_, turn in sorted(turns, key=lambda turn: turn[:3])]


def _asks_for(run: Run) -> tuple[object, ...]:
    """What runs have in common that are handed over together: their sweep, or tenant, priority and wishes."""
    if run.sweep:
        return run.tenant, run.sweep
    if run.flexible_until:
        return run.tenant, run.run
    return run.tenant, run.priority, run.demand, run.cap_s, run.slurm
