"""All signed statements by digest, and the one way a statement gets on record.

Invariants:
- a statement is known by the digest of its payload within its tenant;
- putting the same statement on record again answers with its first log entry and changes nothing.
"""

from collections.abc import Mapping

from kifabrik.errors import NotFoundError
from kifabrik.factory.log import Log
from kifabrik.factory.mailbox import Mailbox
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import MailKind, Recorded, SealedDetail
from kifabrik.ledger.entry import EntryKind, RefValue
from kifabrik.signatures.dsse import Envelope


class Statements:
    """Keeps statements and puts them on record.

    Args:
        store: Opens transactions.
        log: Where they are recorded.
        mailbox: Tells the keyholder about what others have put on record.
    """

    def __init__(self, store: Store, log: Log, mailbox: Mailbox) -> None:
        self._store = store
        self._log = log
        self._mailbox = mailbox

    def get(self, tenant: str, digest: str) -> Envelope:
        """Return a statement; whoever relies on it verifies it.

        Raises:
            NotFoundError: There is none of this digest in this tenant.
        """
        with self._store.read() as transaction:
            envelope = transaction.statements.get(tenant, digest)
        if envelope is None:
            raise NotFoundError(f"there is no statement {digest[:16]}")
        return envelope

    def recorded(self, transaction: Transaction, tenant: str, envelope: Envelope) -> Recorded | None:
        """Where a statement is on record already, if it is."""
        index = transaction.statements.index(tenant, envelope.digest)
        return None if index is None else Recorded(envelope.digest, index)

    def put_on_record(
        self,
        transaction: Transaction,
        tenant: str,
        envelope: Envelope,
        kind: EntryKind,
        refs: Mapping[str, RefValue],
        *,
        detail: SealedDetail | None = None,
        mail: MailKind | None = MailKind.STATEMENT,
    ) -> Recorded:
        """Keep a statement, append its entry and tell the keyholder, all within `transaction`.

        Args:
            transaction: A writing transaction of this tenant.
            tenant: Tenant id.
            envelope: A verified statement that is not on record yet.
            kind: Of the log entry.
            refs: Of the log entry.
            detail: Sealed names that belong to the entry.
            mail: How the keyholder is told; None if it was the keyholder that spoke.
        """
        index = self._log.append(transaction, tenant, kind, refs, detail)
        transaction.statements.add(tenant, envelope, index)
        if mail is not None:
            self._mailbox.send(transaction, tenant, mail, envelope.digest)
        return Recorded(envelope.digest, index)
