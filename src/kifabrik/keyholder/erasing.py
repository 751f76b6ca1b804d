"""Erasure carried out: identities destroyed. What is said of it afterwards is certified in `certifying`.

Invariants:
- an identity is destroyed here as soon as the tenant key has decided so, with or without the factory, and with it
  the keys that were wrapped for others and have not left yet;
- the database is rewritten without the identity before anything else is said.
"""

from kifabrik.keyholder.blocks import Cause
from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.erasures import KeptErasure
from kifabrik.keyholder.state import State
from kifabrik.keyholder.vault import dataset_secret, result_secret
from kifabrik.values import parse_time


class Eraser:
    """Carries out erasures.

    Args:
        state: Keys and clock.
        books: Records.
    """

    def __init__(self, state: State, books: Books) -> None:
        self._state = state
        self._books = books

    def carry_out(self) -> list[str]:
        """Do whatever decided erasures still ask for; return the datasets whose identity was destroyed now.

        Raises:
            CapacityError: The disk has no room to rewrite the database.
            UnavailableError: Another program is reading the database, likewise.
        """
        gone = [erasure.dataset for erasure in self._books.erasures.all() if self._destroy(erasure)]
        if self._state.vault.owes_shred:
            self._state.vault.shred()
        return gone

    def _destroy(self, erasure: KeptErasure) -> bool:
        """Destroy the identity of a dataset, and those of the results made from it if decided so."""
        with self._state.db.transaction():
            now = self._state.clock.text()
            self._books.blocks.add(erasure.dataset, Cause.ERASED, now)
            names = [dataset_secret(erasure.dataset)]
            if erasure.derived:
                names += self._result_names(erasure.dataset)
            # Runs that finish later, and a restored backup, may bring names back: look every time.
            gone = self._state.vault.destroy(names)
            self._books.records.drop_headers(erasure.dataset, results=erasure.derived)
            if not erasure.destroyed:
                self._books.erasures.set_destroyed(erasure.dataset, now)
            self._state.clock.keep()
            return gone > 0

    def _result_names(self, dataset: str) -> list[str]:
        lineage = self._books.lineage
        recipients = [lineage.result_recipient(run) for run in lineage.descendants(dataset)]
        return [result_secret(recipient) for recipient in recipients if recipient]

    def next_lapse_s(self) -> float | None:
        """Return the seconds until a backup lapses that an erasure waits for; None if none does."""
        now, erasures = self._state.clock.now(), self._books.erasures
        waiting = [backup for one in erasures.all() for backup in erasures.backups_holding(one, now)]
        return min((max((parse_time(one.expires) - now).total_seconds(), 0) for one in waiting), default=None)
