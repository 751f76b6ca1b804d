"""Orders' deadlines: a run that has not ended by then raises an alarm, in the log and in its history.

Invariants:
- an order raises its alarm once;
- one whose alarm cannot be raised keeps no other from it, nor the loop from its other work;
- of one pass no more is done than keeps the loop quick; the rest comes with the next, at once.
"""

import logging
from dataclasses import replace
from typing import Final

from kifabrik.errors import KifabrikError
from kifabrik.factory.log import Log
from kifabrik.factory.ports import Store
from kifabrik.factory.run_book import RunBook, find_run
from kifabrik.ledger.entry import EntryKind
from kifabrik.runs.states import RunState, is_end

_MOST_OF_A_PASS: Final = 200
_logger = logging.getLogger(__name__)
_WAITED: Final = "The order's deadline passed while it waited."
_GOES_ON: Final = "The order's deadline has passed; no key is released for it any more. The attempt goes on."


class Deadlines:
    """Watches deadlines.

    Args:
        store: Opens transactions.
        log: Where a missed deadline is recorded.
        book: Moves runs.
    """

    def __init__(self, store: Store, log: Log, book: RunBook) -> None:
        self._store = store
        self._log = log
        self._book = book

    def look(self) -> None:
        """Raise the alarm of runs that are overdue now."""
        with self._store.read() as transaction:
            overdue = transaction.runs.overdue_runs(self._book.now(), _MOST_OF_A_PASS)
        orders = dict.fromkeys((run.tenant, run.sweep or run.run, bool(run.sweep)) for run in overdue)
        raised = [self._attempt(*order) for order in orders]
        if len(overdue) == _MOST_OF_A_PASS and any(raised):
            self._book.wake()

    def _attempt(self, tenant: str, order_run: str, is_sweep: bool) -> bool:
        """Raise an order's alarm; whether that could be done."""
        try:
            if is_sweep:
                self._raise_for_sweep(tenant, order_run)
            else:
                self._raise(tenant, order_run)
        except KifabrikError as error:
            _logger.warning("the deadline of %s of %s: %s", order_run, tenant, error.message)
            return False
        return True

    def _raise_for_sweep(self, tenant: str, sweep: str) -> None:
        """Raise one alarm for all tasks of a sweep: they have one deadline."""
        with self._store.write(tenant) as transaction:
            order = transaction.runs.order_of(tenant, sweep)
            if order is None or order.alarmed:
                return
            now = self._book.now()
            refs = {"run": sweep, "order": order.order, "state": str(RunState.QUEUED)}
            self._log.append(transaction, tenant, EntryKind.DEADLINE_MISSED, dict(refs))
            transaction.runs.save_order(replace(order, alarmed=now))
            self._book.end_waiting(transaction, order, RunState.FAILED, _WAITED, alarmed=now)
            for run in transaction.runs.going_on(tenant, sweep):
                self._book.change(transaction, run, reason=_GOES_ON, alarmed=now)

    def _raise(self, tenant: str, run: str) -> None:
        with self._store.write(tenant) as transaction:
            found = find_run(transaction, tenant, run)
            if found.alarmed or is_end(found.state):
                return
            refs = {"run": run, "order": found.order, "state": str(found.state)}
            self._log.append(transaction, tenant, EntryKind.DEADLINE_MISSED, dict(refs))
            now = self._book.now()
            if found.state is RunState.QUEUED:
                self._book.change(
                    transaction,
                    found,
                    state=RunState.FAILED,
                    reason=f"{_WAITED} {found.reason}",
                    alarmed=now,
                    promise=None,
                    most_micro_eur=found.footprint.cost_micro_eur,
                )
            else:
                self._book.change(transaction, found, reason=_GOES_ON, alarmed=now)
