"""The one place where a run's row changes: along the table, with its reason, its history and a hint."""

from dataclasses import replace
from typing import Any, Final

from kifabrik.errors import NotFoundError
from kifabrik.factory.hints import Hints, attempt_topic, run_topic
from kifabrik.factory.ports import Clock, Transaction
from kifabrik.factory.run_records import Attempt, Event, Run
from kifabrik.factory.schedule import Promise
from kifabrik.runs.states import RunState, check_transition, is_end
from kifabrik.values import format_time

QUEUE: Final = "queue"
"""Topic: something may start, end or need a look now."""

LAUNCHER_GONE: Final = "launcher-gone"
"""Topic: a launcher has ended; most have said so themselves before, and then nothing follows from it."""

_LONGEST_REASON: Final = 1000


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

    def enter(self, transaction: Transaction, run: Run) -> None:
        """Add a run, with the first event of its history."""
        transaction.runs.add_run(run)
        self._tell(transaction, run)

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
        self._tell(transaction, changed, event=(state, reason) != (run.state, run.reason))
        return changed

    def wait(self, transaction: Transaction, run: Run, reason: str, promise: Promise | None) -> None:
        """Say what a run waits for, unless it has changed since it was read; its history stays as it is."""
        if transaction.runs.set_waiting(run, reason[:_LONGEST_REASON], promise):
            self._hints.after(transaction, run_topic(run.tenant, run.run))

    def look(self, transaction: Transaction) -> None:
        """Let the loop that drives all runs look after the commit."""
        self._hints.after(transaction, QUEUE)

    def speak_to(self, transaction: Transaction, attempt: Attempt) -> None:
        """Let the launcher of an attempt, and whoever follows its log, look after the commit."""
        self._hints.after(transaction, attempt_topic(attempt.tenant, attempt.attempt))

    def _tell(self, transaction: Transaction, run: Run, *, event: bool = True) -> None:
        if event:
            transaction.runs.add_event(Event(run.tenant, run.run, run.revision, self.now(), run.state, run.reason))
        self._hints.after(transaction, run_topic(run.tenant, run.run))


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
