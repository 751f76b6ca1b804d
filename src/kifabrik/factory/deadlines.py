"""Orders' deadlines: a run that has not ended by then raises an alarm, in the log and in its history."""

from typing import Final

from kifabrik.factory.log import Log
from kifabrik.factory.ports import Store
from kifabrik.factory.run_book import RunBook, find_run
from kifabrik.factory.run_records import Run
from kifabrik.ledger.entry import EntryKind
from kifabrik.runs.states import RunState, is_end

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
        """Raise the alarm for every run that is overdue now; each raises it once."""
        with self._store.read() as transaction:
            overdue = transaction.runs.overdue_runs(self._book.now())
        for run in overdue:
            self._raise(run)

    def _raise(self, run: Run) -> None:
        with self._store.write(run.tenant) as transaction:
            found = find_run(transaction, run.tenant, run.run)
            if found.alarmed or is_end(found.state):
                return
            refs = {"run": run.run, "order": found.order, "state": str(found.state)}
            self._log.append(transaction, run.tenant, EntryKind.DEADLINE_MISSED, dict(refs))
            now = self._book.now()
            if found.state is RunState.QUEUED:
                self._book.change(
                    transaction,
                    found,
                    state=RunState.FAILED,
                    reason=f"The order's deadline passed while it waited. {found.reason}",
                    alarmed=now,
                    promise=None,
                    most_micro_eur=found.footprint.cost_micro_eur,
                )
            else:
                self._book.change(transaction, found, reason=_GOES_ON, alarmed=now)
