"""Sends decisions that were written down, and insists on finding them in the log.

Invariants:
- the same bytes are sent until the log shows them, also after a crash;
- a decision that was delivered and is missing in the log afterwards keeps everything else waiting.
"""

from kifabrik.errors import ConflictError, KifabrikError, UnavailableError
from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.connecting import Factory
from kifabrik.keyholder.events import Event, EventKind, OnEvent


class Delivery:
    """Delivers decisions.

    Args:
        books: Where they are written down.
        factory: Where they go.
        say: Told about what the factory will not take.
    """

    def __init__(self, books: Books, factory: Factory, say: OnEvent) -> None:
        self._books = books
        self._factory = factory
        self._say = say

    def send(self) -> int:
        """Send every decision that does not stand in the log; return how many there were.

        Raises:
            UnavailableError: The factory cannot be reached.
        """
        waiting = self._books.records.open_decisions()
        for decision in waiting:
            try:
                self._factory.mailbox.decide(decision.envelope, decision.headers, None)
            except UnavailableError:
                raise
            except ConflictError:
                continue  # the log will show whose decision stands there
            except KifabrikError as error:
                text = f"the factory does not take the decision on request {decision.request[:12]}: {error.message}"
                self._say(Event(EventKind.WARNING, text))
        return len(waiting)

    def missing(self) -> str:
        """Return a sentence about a decision that does not stand in the log; empty if all do."""
        waiting = self._books.records.open_decisions()
        if not waiting:
            return ""
        return (
            f"the log does not show the keyholder's decision on request {waiting[0].request[:12]}; "
            "nothing more is released until it does"
        )
