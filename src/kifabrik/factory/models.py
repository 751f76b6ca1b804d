"""Models that were accepted: the statement beside the customer's own signature over the files."""

from typing import Final

from kifabrik.errors import IntegrityError
from kifabrik.factory.ports import Store
from kifabrik.factory.records import Recorded, SealedDetail
from kifabrik.factory.statements import Statements
from kifabrik.ledger.entry import EntryKind, RefValue
from kifabrik.signatures.canonical import from_canonical
from kifabrik.signatures.dsse import Envelope

_STATEMENT: Final = "https://in-toto.io/Statement/v1"


class Models:
    """Puts acceptances on record.

    Args:
        store: Opens transactions.
        statements: Keeps them.
    """

    def __init__(self, store: Store, statements: Statements) -> None:
        self._store = store
        self._statements = statements

    def accept(self, tenant: str, member: str, signature: Envelope, detail: SealedDetail | None) -> Recorded:
        """Put on record that a member accepted a model.

        The model key is the customer's own and unknown to the factory: whoever relies on the signature
        verifies it on the customer's side.

        Raises:
            IntegrityError: Not an in-toto statement.
        """
        body = from_canonical(signature.payload)
        if not isinstance(body, dict) or body.get("_type") != _STATEMENT:
            raise IntegrityError("an acceptance is an in-toto statement")
        with self._store.write(tenant) as transaction:
            recorded = self._statements.recorded(transaction, tenant, signature)
            if recorded is not None:
                return recorded
            refs: dict[str, RefValue] = {"statement": signature.digest, "member": member}
            return self._statements.put_on_record(
                transaction, tenant, signature, EntryKind.MODEL_ACCEPTED, refs, detail=detail
            )
