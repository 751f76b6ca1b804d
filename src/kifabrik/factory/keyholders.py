"""The keyholder statement and the recipient lists of a tenant.

Invariants:
- a newer statement has a higher sequence; an older one never comes back;
- with a new keyholder, no head that only the former one has cosigned is shown as cosigned.
"""

from kifabrik.errors import ConflictError, NotFoundError
from kifabrik.factory.accounts import find_tenant, tenant_key
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import Recorded
from kifabrik.factory.statements import Statements
from kifabrik.ledger.entry import EntryKind, RefValue
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.tenants.statements import KeyholderStatement, RecipientList
from kifabrik.tenants.trust import verify_keyholder, verify_recipients


class Keyholders:
    """What a tenant's keyholder is known by.

    Args:
        store: Opens transactions.
        statements: Keeps statements and lists.
    """

    def __init__(self, store: Store, statements: Statements) -> None:
        self._store = store
        self._statements = statements

    def statement(self, tenant: str) -> Envelope:
        """Return the newest keyholder statement.

        Raises:
            NotFoundError: There is no such tenant.
        """
        with self._store.read() as transaction:
            return _kept(transaction, tenant, find_tenant(transaction, tenant).keyholder)

    def present(self, transaction: Transaction, tenant: str) -> KeyholderStatement:
        """Return what the tenant key says about the present keyholder, verified again.

        Raises:
            NotFoundError: There is no such tenant.
        """
        account = find_tenant(transaction, tenant)
        key = VerifyKey.from_hex(account.tenant_key)
        return verify_keyholder(key, _kept(transaction, tenant, account.keyholder))

    def replace(self, tenant: str, statement: Envelope) -> Recorded:
        """Name a new keyholder after a restore.

        Raises:
            IntegrityError: Not by the tenant key.
            ConflictError: Its sequence is not higher than the present one's.
        """
        with self._store.write(tenant) as transaction:
            said = verify_keyholder(tenant_key(transaction, tenant), statement)
            recorded = self._statements.recorded(transaction, tenant, statement)
            if recorded is not None:
                return recorded
            if not transaction.accounts.set_keyholder(tenant, statement.digest, said.sequence):
                raise ConflictError(
                    f"there is a keyholder with sequence {said.sequence} or higher",
                    hint="Another keyholder was enrolled meanwhile; only the newest may answer.",
                )
            transaction.logs.forget_cosigned(tenant)
            refs: dict[str, RefValue] = {"statement": statement.digest, "sequence": said.sequence}
            return self._statements.put_on_record(
                transaction, tenant, statement, EntryKind.KEYHOLDER_RESTORED, refs, mail=None
            )

    def recipients(self, tenant: str) -> Envelope:
        """Return the newest recipient list.

        Raises:
            NotFoundError: The keyholder has not published one yet.
        """
        with self._store.read() as transaction:
            digest = find_tenant(transaction, tenant).recipients
            if not digest:
                raise NotFoundError("the keyholder has not published any recipients yet", hint="Is it running?")
            return _kept(transaction, tenant, digest)

    def published(self, transaction: Transaction, tenant: str) -> RecipientList | None:
        """Return the newest recipient list, verified again; None before the first."""
        digest = find_tenant(transaction, tenant).recipients
        if not digest:
            return None
        envelope = _kept(transaction, tenant, digest)
        return verify_recipients(self.present(transaction, tenant), envelope)

    def publish(self, tenant: str, statement: Envelope) -> Recorded:
        """Publish a recipient list.

        Raises:
            IntegrityError: Not by the present keyholder.
            ConflictError: Its sequence is not higher than the present one's.
        """
        with self._store.write(tenant) as transaction:
            said = verify_recipients(self.present(transaction, tenant), statement)
            recorded = self._statements.recorded(transaction, tenant, statement)
            if recorded is not None:
                return recorded
            if not transaction.accounts.set_recipients(tenant, statement.digest, said.sequence):
                raise ConflictError(f"there is a recipient list with sequence {said.sequence} or higher")
            refs: dict[str, RefValue] = {"statement": statement.digest, "sequence": said.sequence}
            return self._statements.put_on_record(
                transaction, tenant, statement, EntryKind.RECIPIENTS_PUBLISHED, refs, mail=None
            )


def _kept(transaction: Transaction, tenant: str, digest: str) -> Envelope:
    envelope = transaction.statements.get(tenant, digest)
    if envelope is None:
        raise NotFoundError(f"there is no statement {digest[:16]}")
    return envelope
