"""Decisions and keyholders as the log shows them, held against what this keyholder itself has said.

Invariants:
- every released or refused entry is one of our own decisions; otherwise the factory made it up, or
  another keyholder answers with our key: both raise an alarm;
- every certificate of an erasure that the log names was signed with our key, about the dataset the entry names:
  an auditor without an account believes what stands in a log that we have cosigned;
- a released entry names the grants of its lease and every dataset it opens, so that whoever verifies the
  log without the statements sees a release that came after a revocation or an erasure;
- below the size at which this keyholder was restored, decisions of its earlier life are taken over
  after their signature was verified;
- a keyholder statement with a higher sequence than ours ends our service;
- whoever sees that another keyholder answers with its key says nothing more, not even no: the other would take
  that for a second one in its turn, and both would stop.
"""

from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.grants.statements import ErasureCertificate
from kifabrik.keyholder.alarms import alarm
from kifabrik.keyholder.blocks import EVERYTHING, Cause
from kifabrik.keyholder.cases import Books
from kifabrik.keyholder.events import OnEvent
from kifabrik.keyholder.library import Library
from kifabrik.keyholder.lineage import is_dataset
from kifabrik.keyholder.records import Decision, UsedDataset, is_lease
from kifabrik.keyholder.references import digest_in, find_digest, text_in, texts_in
from kifabrik.keyholder.settings import Setting
from kifabrik.keyholder.state import State
from kifabrik.leases.statements import AttemptRequest, Lease, Refusal
from kifabrik.leases.verify import verify_attempt_request
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import verify_statement
from kifabrik.tenants.trust import verify_keyholder


class DecisionsSeen:
    """Compares the log with the keyholder's own records.

    Args:
        state: Keys and settings.
        books: Own records.
        library: Fetches statements.
        say: Told about alarms.
    """

    def __init__(self, state: State, books: Books, library: Library, say: OnEvent) -> None:
        self._state = state
        self._books = books
        self._library = library
        self._say = say

    def decided(self, index: int, entry: Entry) -> None:
        """Take note of a released or refused entry.

        Raises:
            IntegrityError: With an alarm: it is not our decision.
        """
        request = digest_in(entry, "request")
        own = self._books.records.decision(request)
        if own is not None and find_digest(entry, "statement") == own.envelope.digest:
            self._check_references(index, entry, own)
            self._books.records.confirm(request, index)
            return
        earlier_life = index < self._state.settings.number(Setting.RESTORED_SIZE)
        envelope = self._signed_by_us(entry)
        if envelope is None:
            reason = f"entry {index} of the log shows a decision this keyholder never made"
        elif earlier_life and own is None:
            self._take_over(request, envelope, index)
            return
        else:
            reason = (
                f"entry {index} of the log is the decision of another keyholder with the same key, "
                "or one the factory had rejected and this one taken back"
            )
            self._books.blocks.add(EVERYTHING, Cause.DOUBLED, self._state.clock.text(), reason)
        raise alarm(self._state, reason, entry.to_bytes(), self._say)

    def certified(self, index: int, entry: Entry) -> None:
        """Take note of an entry that names a certificate of an erasure.

        Raises:
            IntegrityError: With an alarm: this keyholder has signed none of it.
        """
        keys = [self._state.keyholder_key.public]
        try:
            envelope = self._library.statement(digest_in(entry, "certificate"))
            said = verify_statement(envelope, ErasureCertificate, keys).predicate
            named = (said.dataset, said.erasure) == (text_in(entry, "dataset"), text_in(entry, "erasure"))
        except (IntegrityError, NotFoundError):
            named = False
        if not named:
            reason = f"entry {index} of the log shows a certificate of erasure this keyholder never made"
            raise alarm(self._state, reason, entry.to_bytes(), self._say)

    def keyholder_named(self, index: int, entry: Entry) -> None:
        """Take note of a keyholder statement.

        Raises:
            IntegrityError: With an alarm: another keyholder has taken this one's place.
        """
        if index < self._state.settings.number(Setting.RESTORED_SIZE):
            return  # restoring has looked at them: ours is the newest
        envelope = self._library.statement(digest_in(entry, "statement"))
        named, own = verify_keyholder(self._state.tenant_key, envelope), self._state.statement
        if named.sequence >= own.sequence and named != own:
            reason = f"entry {index} of the log names another keyholder (sequence {named.sequence})"
            self._books.blocks.add(EVERYTHING, Cause.SUPERSEDED, self._state.clock.text(), reason)
            raise alarm(self._state, reason, envelope.payload, self._say)

    def _check_references(self, index: int, entry: Entry, own: Decision) -> None:
        """Check that an entry about an own decision says what it is; of a lease, to whom and what it rests on."""
        if not is_lease(own.envelope):
            wrong = "is no refusal, as what it records is" if entry.kind is not EntryKind.LEASE_REFUSED else ""
        else:
            lease = verify_statement(own.envelope, Lease, [self._state.keyholder_key.public]).predicate
            opened = {one.dataset for one in self._books.records.used_by(own.request) if one.direct}
            named = [set(texts_in(entry, name)) for name in ("grants", "datasets")]
            whom = {"run": lease.run, "receiver": lease.receiver, "lease": lease.lease}
            wrong = ""
            if entry.kind is not EntryKind.LEASE_RELEASED or named != [set(lease.grants), opened]:
                wrong = "does not name the grants and datasets of the lease it records"
            elif any(text_in(entry, name) not in ("", value) for name, value in whom.items()):
                wrong = "names another receiver than the lease it records"
        if wrong:
            raise alarm(self._state, f"entry {index} of the log {wrong}", entry.to_bytes(), self._say)

    def _signed_by_us(self, entry: Entry) -> Envelope | None:
        """Return the decision an entry names, if our key has signed it."""
        keys = [self._state.keyholder_key.public]
        try:
            envelope = self._library.statement(digest_in(entry, "statement"))
            if is_lease(envelope):
                said: Lease | Refusal = verify_statement(envelope, Lease, keys).predicate
            else:
                said = verify_statement(envelope, Refusal, keys).predicate
        except (IntegrityError, NotFoundError):
            return None
        return envelope if said.request == digest_in(entry, "request") else None

    def _take_over(self, request: str, envelope: Envelope, index: int) -> None:
        """Keep a decision of an earlier life as if it had been made now."""
        with self._state.db.transaction():
            self._books.records.add_decision(Decision(request, envelope, {}), self._state.clock.text())
            self._books.records.confirm(request, index)
            self._books.records.close_decision(request)
            if is_lease(envelope):
                lease = verify_statement(envelope, Lease, [self._state.keyholder_key.public]).predicate
                self._take_over_lease(lease, envelope.digest)

    def _take_over_lease(self, lease: Lease, digest: str) -> None:
        """Keep a lease of an earlier life: it counts against order and grants also while the order is withheld."""
        number, used = 0, []
        if lease.run_key:
            number = self._number(lease)
            kept = self._books.records.order(lease.order)
            granted = [grant for grant in self._books.holdings.grants() if grant.grant in lease.grants]
            behind = [grant.dataset for grant in granted]
            owners = behind if kept is None else [item.owner for item in kept.statement.predicate.inputs]
            self._books.lineage.add_inputs(lease.run, owners)
            self._books.lineage.set_result_recipient(lease.run, lease.output_recipient)
            used = [UsedDataset(grant.dataset, grant.grant, grant.dataset in owners) for grant in granted]
        else:
            used = [UsedDataset(one, "", direct=False) for one in self._datasets_behind(lease.run)]
        self._books.records.add_lease(lease, digest, number, used)

    def _datasets_behind(self, run: str) -> list[str]:
        """Return the datasets behind the results of a run, or of the tasks of a sweep."""
        lineage = self._books.lineage
        behind = lineage.ancestry(f"{one}/1" for one in lineage.runs_of(run)).values()
        return sorted({owner for inputs in behind for owner in inputs or () if is_dataset(owner)})

    def _number(self, lease: Lease) -> int:
        """Return the number of the attempt a lease was given to."""
        try:
            request: AttemptRequest = verify_attempt_request(self._library.statement(lease.request)).predicate
        except (IntegrityError, NotFoundError):
            # Its request is withheld: count it as one more attempt, so that none is gained by that.
            return len(self._books.records.attempts(lease.run)) + 1
        return request.number
