"""The one place where a run's row changes: along the table, with its reason, its history and a hint."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from kifabrik.errors import NotFoundError
from kifabrik.factory.followers import follow
from kifabrik.factory.hints import EVERYTHING, Hints, attempt_topic, control_topic, run_topic, stage_topic
from kifabrik.factory.ports import Clock, Transaction
from kifabrik.factory.run_records import Attempt, Event, Run, StopCause, Watched
from kifabrik.factory.schedule import Promise
from kifabrik.factory.sweep_records import Admitted
from kifabrik.runs.gathering import Stage
from kifabrik.runs.states import RunState, check_transition, is_end
from kifabrik.values import format_time

QUEUE: Final = "queue"
"""Topic: something may start, end or need a look now."""

ORDERED: Final = "ordered"
"""Topic: something waits that did not before; nothing else has changed."""

LAUNCHER_GONE: Final = "launcher-gone"
"""Topic: a launcher has ended; most have said so themselves before, and then nothing follows from it."""

_LONGEST_REASON: Final = 1000
_BATCH: Final = 1000
"""Runs entered together: what is in memory of a sweep at one time."""


class RunBook:
    """Changes runs.

    Args:
        hints: Wakes whoever waits for a run, and the loop that drives all of them.
        clock: Time of events.
    """

    def __init__(self, hints: Hints, clock: Clock) -> None:
        self._hints = hints
        self.clock = clock

    def now(self) -> str:
        """The present moment as rows hold it."""
        return format_time(self.clock())

    def enter(
        self, transaction: Transaction, order: Admitted, needed: Collection[str], runs: Iterable[Run]
    ) -> None:
        """Add an order with all its runs, each with the first event of its history; in batches, however many.

        Raises:
            ConflictError: An id, or the order's digest or nonce, has been used.
        """
        position, at = 0, self.now()
        rest = iter(runs)
        while batch := list(islice(rest, _BATCH)):
            first = transaction.runs.add_runs(order.tenant, batch)
            position = position or first
            transaction.runs.add_events(
                Event(run.tenant, run.run, run.revision, at, run.state, run.reason) for run in batch
            )
        transaction.runs.add_order(replace(order, position=position), needed)
        self._hints.after(transaction, run_topic(order.tenant, order.run))

    def change(
        self, transaction: Transaction, run: Run, *, state: RunState | None = None, reason: str, **fields: Any
    ) -> Run:
        """Move a run on, or say something new about it; returns it as it is now.

        Its history gets an event where state or reason are others than before.

        Raises:
            ConflictError: Its state does not allow that.
        """
        if state is None or state is run.state:
            state = run.state
        else:
            check_transition(run.state, state)
        changed = replace(
            run,
            state=state,
            reason=reason[:_LONGEST_REASON],
            revision=run.revision + 1,
            finished=self.now() if is_end(state) and not run.finished else run.finished,
            **fields,
        )
        transaction.runs.save_run(changed)
        if (state, reason) != (run.state, run.reason):
            event = Event(run.tenant, run.run, changed.revision, self.now(), state, changed.reason)
            transaction.runs.add_event(event)
        self._tell(transaction, changed)
        if changed.finished and not run.finished:
            for order in follow(transaction, changed, self.end_waiting):
                self._hints.after(transaction, run_topic(run.tenant, order))
                self.look(transaction)
        return changed

    def change_all(
        self, transaction: Transaction, runs: Collection[Run], *, state: RunState, reason: str, **fields: Any
    ) -> None:
        """Move runs on together that do not end by it, as `change` does one.

        Raises:
            ConflictError: The state of one does not allow that.
        """
        for run in runs:
            check_transition(run.state, state)
        changed = [replace(run, state=state, reason=reason, revision=run.revision + 1, **fields) for run in runs]
        transaction.runs.save_runs(changed)
        at = self.now()
        transaction.runs.add_events(
            Event(run.tenant, run.run, run.revision, at, run.state, run.reason) for run in changed
        )
        for run in changed:
            self._tell(transaction, run)

    def end_waiting(
        self,
        transaction: Transaction,
        order: Admitted,
        state: RunState,
        reason: str,
        *,
        stop: StopCause | None = None,
        alarmed: str = "",
    ) -> None:
        """End every run of an order that waits; those that have used nothing yet in one statement, however many."""
        tenant, name = order.tenant, order.run
        ended = transaction.runs.end_untouched(tenant, name, state, reason, self.now(), stop, alarmed)
        for run in transaction.runs.going_on(tenant, name):
            if run.state is RunState.QUEUED:
                used = run.footprint.cost_micro_eur
                fields = {"stop": stop or run.stop, "alarmed": alarmed or run.alarmed, "most_micro_eur": used}
                self.change(transaction, run, state=state, reason=reason, promise=None, **fields)
        self._hints.after(transaction, run_topic(tenant, name))
        if ended:
            # Perhaps thousands of tasks, each of which somebody may watch.
            self._hints.after(transaction, EVERYTHING)
            self._tell_dependents(transaction, order, state)

    def _tell_dependents(self, transaction: Transaction, order: Admitted, state: RunState) -> None:
        """End what needs an order some of whose runs have ended in one statement; they are all alike."""
        for waiting in transaction.runs.needed_by(order.tenant, order.run):
            found = transaction.runs.order_of(order.tenant, waiting)
            if found is not None:
                reason = f"Needed {order.run}, which ended as {state}."
                self.end_waiting(transaction, found, RunState.FAILED, reason)

    def wait(self, transaction: Transaction, run: Run | Watched, reason: str, promise: Promise | None) -> None:
        """Say what a run waits for, unless it has changed since it was read; its history stays as it is."""
        if transaction.runs.set_waiting(run, reason[:_LONGEST_REASON], promise):
            self._hints.after(transaction, run_topic(run.tenant, run.run))

    def wait_all(self, transaction: Transaction, many: Collection[tuple[Run | Watched, str]]) -> None:
        """The same for many that have no promise."""
        transaction.runs.set_all_waiting((run, reason[:_LONGEST_REASON]) for run, reason in many)
        for run, _ in many:
            self._hints.after(transaction, run_topic(run.tenant, run.run))

    def look(self, transaction: Transaction) -> None:
        """Let the loop that drives all runs look after the commit."""
        self._hints.after(transaction, QUEUE)

    def look_at_new(self, transaction: Transaction) -> None:
        """Let that loop look after the commit at what has just been ordered, if it may start beside what waits."""
        self._hints.after(transaction, ORDERED)

    def wake(self) -> None:
        """Let the loop that drives all runs look again now."""
        self._hints.notify(QUEUE)

    def speak_to(self, transaction: Transaction, attempt: Attempt) -> None:
        """Let the launchers of an attempt, and whoever follows its log, look after the commit."""
        self._hints.after(transaction, control_topic(attempt.tenant, attempt.attempt))
        self.tell_of(transaction, attempt)

    def tell_of(self, transaction: Transaction, attempt: Attempt) -> None:
        """Let whoever follows an attempt's log look after the commit."""
        self._hints.after(transaction, attempt_topic(attempt.tenant, attempt.attempt))

    def complete(self, transaction: Transaction, attempt: Attempt, stage: Stage) -> None:
        """Let the launchers that wait for a stage look after the commit."""
        self._hints.after(transaction, stage_topic(attempt.tenant, attempt.attempt, stage))

    def _tell(self, transaction: Transaction, run: Run) -> None:
        self._hints.after(transaction, run_topic(run.tenant, run.run))
        if run.sweep:
            self._hints.after(transaction, run_topic(run.tenant, run.sweep))


def find_run(transaction: Transaction, tenant: str, run: str) -> Run:
    """Return a run of a tenant.

    Raises:
        NotFoundError: It has none of this id.
    """
    found = transaction.runs.run(tenant, run)
    if found is None:
        raise NotFoundError(f"there is no run {run}", hint="See yours with: kifabrik ps")
    return found


def find_attempt(transaction: Transaction, tenant: str, attempt: str) -> Attempt:
    """Return an attempt of a tenant.

    Raises:
        NotFoundError: It has none of this id.
    """
    found = transaction.runs.attempt(tenant, attempt)
    if found is None:
        raise NotFoundError(f"there is no attempt {attempt}")
    return found
