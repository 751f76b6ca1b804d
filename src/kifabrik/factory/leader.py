"""One service drives all runs at a time: a lease in the database, fenced by a number that grows.

Invariants:
- what a driver changes, it changes in a transaction that has checked its number: one that was held up, or whose
  connection broke, changes nothing any more once another leads;
- a lease is waited for, unless its holder is known to have ended: then the next one leads at once.
"""

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Final

from kifabrik.errors import ConflictError
from kifabrik.factory.ports import Clock, Store, Transaction
from kifabrik.values import format_time

_NAME: Final = "runs"
LEASE_S: Final = 15
_RENEW_AFTER_S: Final = 5


class Leadership:
    """This service's claim to drive all runs.

    Args:
        store: Opens transactions.
        clock: Both services must agree on it to a few seconds.
        holder: Names this service, no other one ever.
        gone: Whether the service of this name is known to have ended, asked within a transaction; then its lease
            is not waited for.
    """

    def __init__(
        self,
        store: Store,
        clock: Clock,
        *,
        holder: str = "",
        gone: Callable[[Transaction, str], bool] = lambda _transaction, _holder: False,
    ) -> None:
        self._store = store
        self._clock = clock
        self._holder = holder or secrets.token_hex(8)
        self._gone = gone
        self._token: int | None = None
        self._renew_at = clock()
        self.other = ""
        """Name of the service that drives instead, as far as is known."""

    def hold(self) -> bool:
        """Take or keep the lead, renewing it in good time; whether it is held."""
        now = self._clock()
        if self._token is not None and now < self._renew_at:
            return True
        until = format_time(now + timedelta(seconds=LEASE_S))
        with self._store.write() as transaction:
            leader = transaction.runs.leader(_NAME)
            if leader is not None and leader.holder != self._holder and self._gone(transaction, leader.holder):
                transaction.runs.resign(_NAME, leader.token)
            self._token = transaction.runs.lead(_NAME, self._holder, format_time(now), until)
        self.other = leader.holder if self._token is None and leader is not None else ""
        self._renew_at = now + timedelta(seconds=_RENEW_AFTER_S)
        return self._token is not None

    def check(self, transaction: Transaction) -> None:
        """Check within `transaction` that nobody else leads by now.

        Raises:
            ConflictError: Somebody does.
        """
        if self._token is None or not transaction.runs.leads(_NAME, self._token):
            self._token = None
            raise ConflictError("another service drives the runs now")

    def resign(self) -> None:
        """Let another service lead at once."""
        if self._token is not None:
            with self._store.write() as transaction:
                transaction.runs.resign(_NAME, self._token)
            self._token = None


def is_led(transaction: Transaction, now: str) -> bool:
    """Whether some service drives all runs at this time, as far as it has said."""
    return transaction.runs.led_until(_NAME) > now
