"""One round of the keyholder's work: look, learn, decide, look again, deliver, look again, certify, cosign.

Invariants:
- the log is looked at before anything is decided, and before every further decision;
- while an alarm stands, requests are refused unseen and the log is left alone;
- what the factory says it has put into the log must stand there at the next look; else an alarm is raised;
- an erasure is certified over a head that was just looked at and cosigned, and that shows the decision.
"""

from collections.abc import Sequence

from kifabrik.errors import CapacityError, KifabrikError, UnavailableError
from kifabrik.keyholder.alarms import alarm
from kifabrik.keyholder.blocks import EVERYTHING, Cause
from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.certifying import Certifier
from kifabrik.keyholder.connecting import Factory
from kifabrik.keyholder.delivery import Delivery
from kifabrik.keyholder.desk import Desk, Outcome
from kifabrik.keyholder.erasing import Eraser
from kifabrik.keyholder.events import Event, EventKind, OnEvent
from kifabrik.keyholder.learning import Learner
from kifabrik.keyholder.library import Library
from kifabrik.keyholder.log_watch import LogWatch
from kifabrik.keyholder.outbox import Outbox, Waiting
from kifabrik.keyholder.recipients import publish_recipients
from kifabrik.keyholder.results import fill_results
from kifabrik.keyholder.state import State
from kifabrik.keyholder.verdicts import Asked, Refused, Released
from kifabrik.ledger.checkpoint import TreeHead
from kifabrik.values import parse_time


class Round:
    """Works through everything there is to do.

    Args:
        state: The opened folder.
        factory: A connection.
        say: Told what happens.
    """

    def __init__(self, state: State, factory: Factory, say: OnEvent) -> None:
        self._state = state
        self._factory = factory
        self._say = say
        self.books = Books.of(state)
        self._library = Library(factory)
        self.watch = LogWatch(state, factory, self._library, say)
        self._learner = Learner(state, self.books, self._library, self.watch, say)
        self._desk = Desk(state, self.books, self._library)
        self._delivery = Delivery(self.books, factory, state.clock, say)
        self.eraser = Eraser(state, self.books)
        self._certifier = Certifier(state, self.books, self.watch)
        self._outbox = Outbox(state.db)
        self._said_missing = ""

    def work(self, mailed: Sequence[str] = ()) -> None:
        """Do everything that can be done now.

        Args:
            mailed: Digests of requests the mailbox has named; they matter only while an alarm stands.

        Raises:
            UnavailableError: The factory cannot be reached; whatever was written down is done next time.
            IntegrityError: The log cannot be trusted; an alarm says so.
        """
        if self.books.alarmed:
            self._refuse(mailed)
            return
        orders = self._look()
        self._answer()
        self._erase()
        delivered = self._outbox.deliver(self._factory, self._say, self.watch.done_with)
        delivered += self._prepare(orders)
        if delivered:
            self._look()
        self._certify()
        self.watch.cosign(fresh=self.quotes_expected)

    def certify(self) -> None:
        """Look at the log, and certify what was erased; decide about no request.

        Raises:
            UnavailableError: The factory cannot be reached.
            IntegrityError: The log cannot be trusted; an alarm says so.
        """
        if self.books.alarmed:
            return
        self._look()
        self._erase()
        if self._outbox.deliver(self._factory, self._say, self.watch.done_with):
            self._look()
        self._certify()
        self.watch.cosign()

    @property
    def quotes_expected(self) -> bool:
        """Whether quotes may be made over the cosigned head, so that it must not grow old."""
        now, blocks = self._state.clock.now(), self.books.blocks
        return any(
            grant.attested and parse_time(grant.expires) > now and not blocks.holds(grant.grant, Cause.REVOKED)
            for grant in self.books.holdings.grants()
        )

    def try_again(self) -> None:
        """Look again at entries whose statements did not verify; once, at the start."""
        if not self.books.alarmed:
            self._learner.try_again()

    def _look(self) -> list[str]:
        promised = self._outbox.promised()  # before the look, so that it must show them
        self.watch.follow()
        for one in promised:
            self._check(one)
        return self._learner.learn()

    def _check(self, promised: Waiting) -> None:
        """Check that a statement stands in the log where the factory said it does.

        Raises:
            IntegrityError: With an alarm: it does not.
        """
        if self.watch.records(promised):
            self._outbox.seen(promised)
            return
        self._outbox.not_seen(promised)
        what = f"the factory says that a {promised.kind} stands at entry {promised.log_index} of the log"
        reason = f"{what}; the log does not show it"
        raise alarm(self._state, reason, self.watch.checkpoint.encode(), self._say)

    def _answer(self) -> None:
        """Decide pending requests one by one; each lease stands in the log before the next one is signed."""
        self._settle()
        for digest in self.books.records.pending():
            head = self.watch.head
            if head is None or self._delivery.missing():
                return
            outcome = self._decide(digest, head)
            self._settle()
            self._tell(digest, outcome)

    def _decide(self, digest: str, head: TreeHead) -> Outcome:
        """Decide one request; whatever is wrong with it stays its own affair."""
        try:
            return self._desk.decide(digest, head)
        except (UnavailableError, CapacityError):
            raise
        except KifabrikError as error:
            self._say(Event(EventKind.WARNING, f"request {digest[:12]} cannot be judged: {error.message}"))
            return self._desk.refuse_unread(digest)

    def _settle(self) -> None:
        """Bring open decisions into the log, and deliver the keys of those that stand there."""
        if self._delivery.send_statements():
            self._look()
            self._delivery.take_back()
        self._delivery.send_headers()
        missing = self._delivery.missing()
        if missing and missing != self._said_missing:
            self._say(Event(EventKind.ALARM, missing))
        self._said_missing = missing

    def _refuse(self, mailed: Sequence[str]) -> None:
        """While an alarm stands: answer, so that nobody waits in vain, but look at nothing.

        Where another keyholder answers in this one's place, nobody waits in vain, and nothing is said.
        """
        if self.books.doubled:
            return
        notes = [block.note for block in self.books.blocks.on(EVERYTHING)]
        waiting = {*mailed, *self.books.records.pending(), *(one.request for one in self.books.records.asked())}
        refused = self._desk.refuse_all(sorted(waiting))
        if refused:
            self._say(Event(EventKind.REFUSED, f"refused {refused} requests: {notes[0]}"))
        self._delivery.send_statements()

    def _tell(self, request: str, outcome: Outcome) -> None:
        whom = f"{outcome.receiver} of run {outcome.run}" if outcome.run else f"request {request[:12]}"
        match outcome.verdict:
            case Released():
                self._say(Event(EventKind.RELEASED, f"released keys to {whom}"))
            case Refused(reason=reason, message=message):
                self._say(Event(EventKind.REFUSED, f"refused {whom}: {message} ({reason})"))
            case Asked(message=message):
                self._factory.mailbox.asking(request)
                self._say(Event(EventKind.ASKED, f"{whom} waits for your decision: {message}"))

    def _certify(self) -> None:
        """Certify what was erased, up to the head looked at last; it is cosigned first."""
        head = self.watch.head
        if head is None or not self._certifier.is_due():
            return
        self.watch.cosign()
        self._certifier.certify(head)
        if self._outbox.deliver(self._factory, self._say, self.watch.done_with):
            self._look()

    def _erase(self) -> None:
        for dataset in self.eraser.carry_out():
            self._say(Event(EventKind.ERASED, f"destroyed the key of dataset {dataset}"))

    def _prepare(self, orders: Sequence[str]) -> int:
        """Do ahead what the next lease would have to wait for; return how much of it stands in the log now."""
        delivered = 0
        if publish_recipients(self._state, self.books):
            delivered = self._outbox.deliver(self._factory, self._say, self.watch.done_with)
        fill_results(self._state.vault, self.books.lineage, self._state.clock.text())
        for order in orders:
            try:
                self._desk.warm(order)
            except UnavailableError:
                raise
            except KifabrikError:
                continue  # the lease itself will say what is wrong
        return delivered
