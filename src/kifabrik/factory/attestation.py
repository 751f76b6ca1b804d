"""What a tenant accepts as attested, put on record; what follows from it is decided by the keyholder."""

from kifabrik.attestation.policy import AttestationPolicy
from kifabrik.errors import IntegrityError
from kifabrik.factory.accounts import tenant_key
from kifabrik.factory.ports import Store
from kifabrik.factory.records import Recorded
from kifabrik.factory.statements import Statements
from kifabrik.ledger.entry import EntryKind, RefValue
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import verify_statement


class Attestation:
    """Puts attestation policies on record.

    Args:
        store: Opens transactions.
        statements: Keeps them.
    """

    def __init__(self, store: Store, statements: Statements) -> None:
        self._store = store
        self._statements = statements

    def decide(self, tenant: str, policy: Envelope) -> Recorded:
        """Put a policy on record.

        Raises:
            IntegrityError: Not signed by the tenant key, or about another tenant.
        """
        with self._store.write(tenant) as transaction:
            key = tenant_key(transaction, tenant)
            said = verify_statement(policy, AttestationPolicy, [key]).predicate
            if said.tenant != tenant:
                raise IntegrityError("the attestation policy is made out for another tenant")
            recorded = self._statements.recorded(transaction, tenant, policy)
            if recorded is not None:
                return recorded
            refs: dict[str, RefValue] = {"statement": policy.digest, "sequence": said.sequence}
            return self._statements.put_on_record(
                transaction, tenant, policy, EntryKind.ATTESTATION_SET, refs, mail=None
            )
