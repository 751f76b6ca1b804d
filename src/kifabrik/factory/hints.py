"""Hints: "something about this topic has changed", told within this process right after the commit.

A hint carries nothing and may get lost: whoever waits looks again by itself every few seconds, which
also catches what another process did.
"""

import threading
from collections.abc import Callable
from typing import Final, TypeAlias

from kifabrik.factory.ports import Transaction

Listener: TypeAlias = Callable[[str], None]
EVERYTHING: Final = "*"
"""The topic that wakes everybody."""


def mail_topic(tenant: str) -> str:
    """New mail for a tenant's keyholder."""
    return f"mail/{tenant}"


def lease_topic(tenant: str, request: str) -> str:
    """News about a request for keys."""
    return f"lease/{tenant}/{request}"


def erasure_topic(tenant: str, dataset: str) -> str:
    """News about an erasure."""
    return f"erasure/{tenant}/{dataset}"


def run_topic(tenant: str, run: str) -> str:
    """A new revision of a run."""
    return f"run/{tenant}/{run}"


def attempt_topic(tenant: str, attempt: str) -> str:
    """A new log segment of an attempt."""
    return f"attempt/{tenant}/{attempt}"


def control_topic(tenant: str, attempt: str) -> str:
    """Something is asked of an attempt's launchers."""
    return f"control/{tenant}/{attempt}"


def stage_topic(tenant: str, attempt: str, stage: str) -> str:
    """A stage that the launchers of an attempt wait for has come."""
    return f"stage/{tenant}/{attempt}/{stage}"


class Hints:
    """Passes topics to listeners; safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: tuple[Listener, ...] = ()

    def listen(self, listener: Listener) -> None:
        """Call `listener` with every topic from now on; it must return at once and not raise."""
        with self._lock:
            self._listeners = (*self._listeners, listener)

    def leave(self, listener: Listener) -> None:
        """Stop calling a listener."""
        with self._lock:
            self._listeners = tuple(one for one in self._listeners if one != listener)

    def notify(self, topic: str) -> None:
        """Tell everybody now."""
        for listener in self._listeners:
            listener(topic)

    def after(self, transaction: Transaction, topic: str) -> None:
        """Tell everybody once the transaction is committed."""
        transaction.after_commit(("hint", topic), lambda: self.notify(topic))
