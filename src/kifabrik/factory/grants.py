"""Grants and revocations, checked at the door; what they permit is decided by the keyholder."""

from kifabrik.errors import ConflictError, IntegrityError, NotFoundError, RefusedError
from kifabrik.factory.accounts import tenant_key
from kifabrik.factory.ports import Store
from kifabrik.factory.records import GrantRecord, Recorded, SealedDetail
from kifabrik.factory.statements import Statements
from kifabrik.grants.statements import Grant, Revocation
from kifabrik.ledger.entry import EntryKind
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import verify_statement


class Grants:
    """Puts grants and revocations on record.

    Args:
        store: Opens transactions.
        statements: Keeps them.
    """

    def __init__(self, store: Store, statements: Statements) -> None:
        self._store = store
        self._statements = statements

    def give(self, tenant: str, grant: Envelope, detail: SealedDetail | None) -> Recorded:
        """Put a grant on record.

        Raises:
            IntegrityError: Not signed by the tenant key, or about another tenant.
            NotFoundError: There is no such dataset.
            RefusedError: The dataset is erased.
            ConflictError: There is another grant of this id.
        """
        with self._store.write(tenant) as transaction:
            said = verify_statement(grant, Grant, [tenant_key(transaction, tenant)]).predicate
            _check_tenant(tenant, said.tenant)
            recorded = self._statements.recorded(transaction, tenant, grant)
            if recorded is not None:
                return recorded
            if transaction.datasets.erasure(tenant, said.dataset) is not None:
                raise RefusedError(f"dataset {said.dataset} is erased")
            if transaction.datasets.newest(tenant, said.dataset) is None:
                raise NotFoundError(f"there is no dataset {said.dataset}", hint="Seal it first.")
            if transaction.datasets.grant(tenant, said.grant) is not None:
                raise ConflictError(f"there is a grant {said.grant} already", hint="Make a grant with a new id.")
            transaction.datasets.add_grant(GrantRecord(tenant, said.grant, said.dataset, grant.digest))
            return self._statements.put_on_record(
                transaction,
                tenant,
                grant,
                EntryKind.GRANT_GIVEN,
                {"grant": said.grant, "dataset": said.dataset, "statement": grant.digest},
                detail=detail,
            )

    def revoke(self, tenant: str, revocation: Envelope) -> Recorded:
        """Put a revocation on record.

        Raises:
            IntegrityError: Not signed by the tenant key, or about another tenant.
            NotFoundError: There is no such grant.
            ConflictError: It is revoked already.
        """
        with self._store.write(tenant) as transaction:
            said = verify_statement(revocation, Revocation, [tenant_key(transaction, tenant)]).predicate
            _check_tenant(tenant, said.tenant)
            recorded = self._statements.recorded(transaction, tenant, revocation)
            if recorded is not None:
                return recorded
            if transaction.datasets.grant(tenant, said.grant) is None:
                raise NotFoundError(f"there is no grant {said.grant}")
            if not transaction.datasets.revoke(tenant, said.grant, said.created):
                raise ConflictError(f"grant {said.grant} is revoked already")
            return self._statements.put_on_record(
                transaction,
                tenant,
                revocation,
                EntryKind.GRANT_REVOKED,
                {"grant": said.grant, "statement": revocation.digest},
            )


def _check_tenant(tenant: str, said: str) -> None:
    if said != tenant:
        raise IntegrityError("the statement is made out for another tenant")
