"""The keyholder's mailbox: numbered mail that wakes it, and when it last came.

Mail only wakes the keyholder; what it acts on is what stands in the log. A request for keys and an erasure wake it
at once; statements, of which each run brings two, wake it together once it was woken a moment ago.
"""

import threading
import time
from functools import partial
from typing import Final

from kifabrik.factory.hints import Hints, mail_topic
from kifabrik.factory.ports import Clock, Store, Transaction
from kifabrik.factory.records import Letter, MailKind
from kifabrik.values import format_time

_MOST_LETTERS: Final = 500
_SEEN_EVERY_S: Final = 10.0
_STATEMENTS_EVERY_S: Final = 0.5
_MOST_PUT_OFF: Final = 64
"""Tenants whose keyholders are woken in a moment, each by a thread; those of further ones are woken at once."""


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
        self._woken: dict[str, float] = {}
        self._put_off: set[str] = set()

    def send(self, transaction: Transaction, tenant: str, kind: MailKind, digest: str) -> None:
        """Write to the tenant's keyholder within `transaction`."""
        transaction.statements.add_letter(tenant, kind, digest)
        if kind is MailKind.STATEMENT:
            transaction.after_commit(("statements", tenant), partial(self._wake_soon, tenant))
        else:
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

    def _wake_soon(self, tenant: str) -> None:
        """Wake for statements: now, or together with those of the next moment."""
        with self._lock:
            left = self._woken.get(tenant, -_STATEMENTS_EVERY_S) + _STATEMENTS_EVERY_S - time.monotonic()
            if left > 0 and tenant in self._put_off:
                return
            if left > 0 and len(self._put_off) < _MOST_PUT_OFF:
                self._put_off.add(tenant)
                timer = threading.Timer(left, self._wake, (tenant,))
                timer.daemon = True
                timer.start()
                return
        self._wake(tenant)

    def _wake(self, tenant: str) -> None:
        with self._lock:
            self._put_off.discard(tenant)
            self._woken[tenant] = time.monotonic()
        self._hints.notify(mail_topic(tenant))
