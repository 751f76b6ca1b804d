"""The keyholder's mailbox: numbered mail that wakes it, and when it last came.

Mail only wakes the keyholder; what it acts on is what stands in the log.
"""

import threading
import time
from typing import Final

from kifabrik.factory.hints import Hints, mail_topic
from kifabrik.factory.ports import Clock, Store, Transaction
from kifabrik.factory.records import Letter, MailKind
from kifabrik.values import format_time

_MOST_LETTERS: Final = 500
_SEEN_EVERY_S: Final = 10.0


class Mailbox:
    """Sends, shows and remembers.

    Args:
        store: Opens transactions.
        hints: Wakes the long poll of the keyholder.
        clock: For when the keyholder was seen.
    """

    def __init__(self, store: Store, hints: Hints, clock: Clock) -> None:
        self._store = store
        self._hints = hints
        self._clock = clock
        self._lock = threading.Lock()
        self._noted: dict[str, float] = {}

    def send(self, transaction: Transaction, tenant: str, kind: MailKind, digest: str) -> None:
        """Write to the tenant's keyholder within `transaction`."""
        transaction.statements.add_letter(tenant, kind, digest)
        self._hints.after(transaction, mail_topic(tenant))

    def letters(self, tenant: str, after: int) -> list[Letter]:
        """Mail with numbers above `after`, oldest first, at most 500."""
        with self._store.read() as transaction:
            return transaction.statements.letters(tenant, after, _MOST_LETTERS)

    def seen(self, tenant: str) -> None:
        """Note that the keyholder has just called, at most once in ten seconds."""
        with self._lock:
            now = time.monotonic()
            if now - self._noted.get(tenant, -_SEEN_EVERY_S) < _SEEN_EVERY_S:
                return
            self._noted[tenant] = now
        with self._store.write(tenant) as transaction:
            transaction.accounts.set_keyholder_seen(tenant, format_time(self._clock()))
