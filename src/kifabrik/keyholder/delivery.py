"""Sends decisions in two steps: first the statement, and the headers once it stands in the log.

    written down ──statement──▶ on record ──found in the mirrored log──▶ headers sent ──▶ done

Invariants:
- no key leaves before the keyholder has seen its own decision in the log: a factory that leaves the
  entry out gets nothing, and one that rejects the statement has learnt nothing;
- the same bytes are sent until that step is done, also after a crash;
- between the steps a revocation, erasure or freeze still has its way: the headers then stay here.
"""

from kifabrik.errors import ConflictError, KifabrikError, UnavailableError
from kifabrik.keyholder.blocks import Cause
from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.connecting import Factory
from kifabrik.keyholder.events import Event, EventKind, OnEvent
from kifabrik.keyholder.records import Decision, is_lease


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

    def send_statements(self) -> int:
        """Send every decision that does not stand in the log; return how many were sent.

        Raises:
            UnavailableError: The factory cannot be reached.
        """
        waiting = [one for one in self._books.records.open_decisions() if one.log_index is None]
        for decision in waiting:
            try:
                self._factory.mailbox.decide(decision.envelope, {}, None)
            except UnavailableError:
                raise
            except ConflictError:
                continue  # the log will show whose decision stands there
            except KifabrikError as error:
                self._rejected(decision, error.message)
        return len(waiting)

    def send_headers(self) -> None:
        """Send the headers of every lease that stands in the log, and close what needs nothing more.

        Raises:
            UnavailableError: The factory cannot be reached.
        """
        records = self._books.records
        for decision in records.open_decisions():
            if decision.log_index is None:
                continue
            if decision.headers and self._still_permitted(decision):
                try:
                    self._factory.mailbox.decide(decision.envelope, decision.headers, None)
                except UnavailableError:
                    raise
                except KifabrikError as error:
                    self._warn(f"the factory does not take keys it asked for: {error.message}")
            records.close_decision(decision.request)

    def missing(self) -> str:
        """Return a sentence about a lease that does not stand in the log; empty if there is none."""
        request = self._books.records.missing_lease()
        if not request:
            return ""
        return (
            f"the log does not show the keyholder's decision on request {request[:12]}; "
            "its keys stay here, and nothing more is released until it does"
        )

    def _still_permitted(self, decision: Decision) -> bool:
        blocks = self._books.blocks
        used = self._books.records.used_by(decision.request)
        stopped = self._books.frozen or any(
            blocks.holds(one.dataset, Cause.ERASED, Cause.FROZEN, Cause.ALARM)
            or blocks.holds(one.grant, Cause.REVOKED, Cause.ALARM)
            for one in used
        )
        if stopped:
            self._warn(f"keys for request {decision.request[:12]} were withheld: what they open is blocked since")
        return not stopped

    def _rejected(self, decision: Decision, why: str) -> None:
        """Take back a lease the factory will not put on record; the request is judged anew."""
        self._warn(f"the factory does not take the decision on request {decision.request[:12]}: {why}")
        if is_lease(decision.envelope):
            self._books.records.withdraw(decision.request)

    def _warn(self, text: str) -> None:
        self._say(Event(EventKind.WARNING, text))
