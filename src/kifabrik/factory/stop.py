"""Stopping a run: at once where it waits, through its launcher where it works."""

from typing import Final

from kifabrik.factory.log import Log
from kifabrik.factory.ports import Store
from kifabrik.factory.run_book import RunBook, find_run
from kifabrik.factory.run_records import Run, StopCause
from kifabrik.ledger.entry import EntryKind
from kifabrik.runs.states import RunState, is_end

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

    def stop(self, tenant: str, member: str, run: str) -> Run:
        """Stop a run and return it; stopping one that has ended or is being stopped changes nothing.

        Raises:
            NotFoundError: There is no such run.
        """
        with self._store.write(tenant) as transaction:
            found = find_run(transaction, tenant, run)
            if is_end(found.state) or found.stop is not None:
                return found
            refs = {"run": run, "order": found.order, "member": member}
            self._log.append(transaction, tenant, EntryKind.RUN_STOPPED, dict(refs))
            self._book.look(transaction)
            if found.state is RunState.QUEUED:
                used = found.footprint.cost_micro_eur
                return self._book.change(
                    transaction,
                    found,
                    state=RunState.STOPPED,
                    reason="Stopped while it waited for its turn.",
                    stop=StopCause.STOP,
                    most_micro_eur=used,
                    promise=None,
                )
            for attempt in transaction.runs.attempts_of(tenant, [run]):
                if not attempt.finished:
                    self._book.speak_to(transaction, attempt)
            return self._book.change(transaction, found, reason=_ASKED, stop=StopCause.STOP)
