"""Sends decisions in two steps: first the statement, and the headers once it stands in the log.

    written down ──statement──▶ on record ──found in the mirrored log──▶ headers sent ──▶ done

Invariants:
- no key leaves before the keyholder has seen its own decision in the log: a factory that leaves the
  entry out gets nothing, and one that rejects the statement has learnt nothing;
- the same bytes are sent until that step is done, also after a crash and after a rejection: whatever the
  factory answers, it may have kept the statement, so nothing else is said about the request;
- a lease the factory rejects is taken back only where this keyholder itself would not give it any more,
  because it has expired or what it rests on is blocked; the request is then judged anew;
- between the steps a revocation, removal, erasure, freeze or expiry still has its way: the headers then stay here.
"""

from kifabrik.errors import ConflictError, KifabrikError, UnavailableError
from kifabrik.keyholder.blocks import Cause
from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.clock import Clock
from kifabrik.keyholder.connecting import Factory
from kifabrik.keyholder.events import Event, EventKind, OnEvent
from kifabrik.keyholder.records import Decision, is_lease
from kifabrik.leases.statements import Lease
from kifabrik.signatures.statements import read_unverified
from kifabrik.values import parse_time


class Delivery:
    """Delivers decisions.

    Args:
        books: Where they are written down.
        factory: Where they go.
        clock: Says when a lease has expired.
        say: Told about what the factory will not take.
    """

    def __init__(self, books: Books, factory: Factory, clock: Clock, say: OnEvent) -> None:
        self._books = books
        self._factory = factory
        self._clock = clock
        self._say = say
        self._rejected: set[str] = set()
        self._warned: set[str] = set()

    def send_statements(self) -> int:
        """Send every decision that does not stand in the log; return how many were sent.

        Raises:
            UnavailableError: The factory cannot be reached.
        """
        waiting = [one for one in self._books.records.open_decisions() if one.log_index is None]
        self._rejected.clear()
        for decision in waiting:
            try:
                self._factory.mailbox.decide(decision.envelope, {}, None)
            except UnavailableError:
                raise
            except ConflictError:
                continue  # the log will show whose decision stands there
            except KifabrikError as error:
                self._rejected.add(decision.request)
                self._warn(f"the factory does not take the decision on request {decision.request[:12]}", error)
        return len(waiting)

    def take_back(self) -> None:
        """Withdraw the leases that the factory has just rejected and that would not be given any more.

        To be called after the log was looked at again, which may show why.
        """
        for request in self._rejected:
            decision = self._books.records.decision(request)
            if decision is None or decision.log_index is not None or not is_lease(decision.envelope):
                continue
            if self._expired(decision) or self._blocked(decision):
                self._books.records.withdraw(request)

    def send_headers(self) -> None:
        """Send the headers of every lease that stands in the log, and close what needs nothing more.

        Headers the factory does not take are offered again until the lease has expired.

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
                    self._warn(f"the factory does not take the keys for request {decision.request[:12]}", error)
                    if not self._expired(decision):
                        continue
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
        expired = self._expired(decision)
        if not expired and not self._blocked(decision):
            return True
        why = "their lease has expired" if expired else "what they open is blocked since"
        self._say(Event(EventKind.WARNING, f"keys for request {decision.request[:12]} were withheld: {why}"))
        return False

    def _blocked(self, decision: Decision) -> bool:
        """Whether what a lease rests on was revoked, removed, erased, frozen, unlisted or doubted since."""
        blocks, lease = self._books.blocks, read_unverified(decision.envelope, Lease)[0]
        order = self._books.records.order(lease.order)
        people = [lease.receiver, *([order.statement.predicate.member] if order else [])]
        if self._books.frozen or any(blocks.holds(member, Cause.REMOVED, Cause.ALARM) for member in people):
            return True
        if lease.attested and not self._still_attested(lease):
            return True
        # Results outlive a dataset that was erased alone; where they were not to, their keys are gone (`Eraser`).
        stops = (Cause.FROZEN, Cause.ALARM, *((Cause.ERASED,) if lease.run_key else ()))
        return any(
            blocks.holds(one.dataset, *stops) or blocks.holds(one.grant, Cause.REVOKED, Cause.ALARM)
            for one in self._books.records.used_by(decision.request)
        )

    def _still_attested(self, lease: Lease) -> bool:
        policies = [kept.policy for kept in self._books.attestations.in_force()]
        return bool(policies) and all(
            policy.accepts(one.node_key, one.type, one.key, one.state)
            for policy in policies
            for one in lease.attested
        )

    def _expired(self, decision: Decision) -> bool:
        lease = read_unverified(decision.envelope, Lease)[0]
        return self._clock.now() >= parse_time(lease.expires)

    def _warn(self, text: str, error: KifabrikError) -> None:
        """Say once what the factory does not take, and what it says about it."""
        said = f"{text}: {error.message}"
        if said not in self._warned:
            self._warned.add(said)
            self._say(Event(EventKind.WARNING, said))
