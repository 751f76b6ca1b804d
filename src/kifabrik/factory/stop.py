"""Stopping a run: at once where it waits, through its launcher where it works."""

from dataclasses import replace
from typing import Final

from kifabrik.factory.log import Log
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.run_book import RunBook, find_run
from kifabrik.factory.run_records import Run, StopCause
from kifabrik.factory.sweep_records import Admitted
from kifabrik.ledger.entry import EntryKind
from kifabrik.runs.states import RunState, is_end

_WAITED: Final = "Stopped while it waited for its turn."
_ASKED: Final = "Asked to stop; the launcher seals a checkpoint if the job keeps them."


class Stopping:
    """Stops runs.

    Args:
        store: Opens transactions.
        log: Where stops are recorded.
        book: Moves runs.
    """

    def __init__(self, store: Store, log: Log, book: RunBook) -> None:
        self._store = store
        self._log = log
        self._book = book

    def stop(self, tenant: str, member: str, run: str) -> None:
        """Stop a run, or all tasks of a sweep; stopping what has ended or is being stopped changes nothing.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._store.write(tenant) as transaction:
            order = transaction.runs.order_of(tenant, run)
            if order is not None and order.tasks:
                self._stop_sweep(transaction, order, member)
                return
            found = find_run(transaction, tenant, run)
            if is_end(found.state) or found.stop is not None:
                return
            refs = {"run": run, "order": found.order, "member": member}
            self._log.append(transaction, tenant, EntryKind.RUN_STOPPED, dict(refs))
            self._book.look(transaction)
            self._stop_run(transaction, found)

    def _stop_sweep(self, transaction: Transaction, order: Admitted, member: str) -> None:
        """Stop every task, with one entry in the log."""
        unfinished, _ = transaction.runs.unfinished_of(order.tenant, order.run)
        if order.stopped or not unfinished:
            return
        refs = {"run": order.run, "order": order.order, "member": member}
        self._log.append(transaction, order.tenant, EntryKind.RUN_STOPPED, dict(refs))
        transaction.runs.save_order(replace(order, stopped=self._book.now()))
        self._book.look(transaction)
        # What waits ends first, so that nothing starts in the place of what is stopped.
        self._book.end_waiting(transaction, order, RunState.STOPPED, _WAITED, stop=StopCause.STOP)
        for run in transaction.runs.going_on(order.tenant, order.run):
            if run.stop is None:
                self._stop_run(transaction, run)

    def _stop_run(self, transaction: Transaction, run: Run) -> None:
        if run.state is RunState.QUEUED:
            self._book.change(
                transaction,
                run,
                state=RunState.STOPPED,
                reason=_WAITED,
                stop=StopCause.STOP,
                most_micro_eur=run.footprint.cost_micro_eur,
                promise=None,
            )
            return
        for attempt in transaction.runs.attempts_of(run.tenant, [run.run]):
            if not attempt.finished:
                self._book.speak_to(transaction, attempt)
        self._book.change(transaction, run, reason=_ASKED, stop=StopCause.STOP)
