"""Models: what members say about them, that they accept one, or promote the output of a sweep's task to one."""

from typing import TypeVar

from kifabrik.errors import IntegrityError, NotFoundError
from kifabrik.factory.members import Members
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import Recorded, SealedDetail
from kifabrik.factory.statements import Statements
from kifabrik.ledger.entry import EntryKind
from kifabrik.models.acceptance import Acceptance
from kifabrik.models.promotion import Promotion
from kifabrik.orders.tasks import run_of_output
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import verify_statement

_Said = TypeVar("_Said", Acceptance, Promotion)


class Models:
    """Puts acceptances and promotions on record.

    Args:
        store: Opens transactions.
        statements: Keeps them.
        members: Knows the device that must have signed.
    """

    def __init__(self, store: Store, statements: Statements, members: Members) -> None:
        self._store = store
        self._statements = statements
        self._members = members

    def accept(self, tenant: str, member: str, acceptance: Envelope, detail: SealedDetail | None) -> Recorded:
        """Put on record that a member accepted a model.

        The OpenSSF signature it names stays with the customer; the factory neither sees nor checks it.

        Raises:
            IntegrityError: Not signed by the member's device, or in somebody else's name.
            NotFoundError: There is no such output.
        """
        with self._store.write(tenant) as transaction:
            said = self._said(transaction, tenant, member, acceptance, Acceptance)
            recorded = self._statements.recorded(transaction, tenant, acceptance)
            if recorded is not None:
                return recorded
            version = transaction.datasets.by_manifest(tenant, said.manifest)
            if version is None or version.owner != said.owner:
                raise NotFoundError(f"there is no output {said.owner} with this manifest")
            return self._statements.put_on_record(
                transaction,
                tenant,
                acceptance,
                EntryKind.MODEL_ACCEPTED,
                {"statement": acceptance.digest, "member": member},
                detail=detail,
            )

    def promote(self, tenant: str, member: str, promotion: Envelope) -> Recorded:
        """Put on record that an output of a sweep's task is the next version of the job's model.

        Raises:
            IntegrityError: Not signed by the member's device, or in somebody else's name.
            NotFoundError: There is no such output of a task of that order.
        """
        with self._store.write(tenant) as transaction:
            said = self._said(transaction, tenant, member, promotion, Promotion)
            recorded = self._statements.recorded(transaction, tenant, promotion)
            if recorded is not None:
                return recorded
            version = transaction.datasets.by_manifest(tenant, said.manifest)
            run = transaction.runs.run(tenant, said.run)
            known = run is not None and run.sweep and run.order == said.order
            if not known or version is None or (version.owner, run_of_output(said.owner)) != (said.owner, said.run):
                raise NotFoundError(f"there is no output {said.owner} of a task of this order")
            return self._statements.put_on_record(
                transaction,
                tenant,
                promotion,
                EntryKind.MODEL_PROMOTED,
                {
                    "statement": promotion.digest,
                    "member": member,
                    "run": said.run,
                    "order": said.order,
                    "outputs": (said.manifest,),
                },
            )

    def _said(
        self, transaction: Transaction, tenant: str, member: str, statement: Envelope, kind: type[_Said]
    ) -> _Said:
        """What a member says, verified with the member's device."""
        device = self._members.device(transaction, tenant, member)
        said = verify_statement(statement, kind, [device.key]).predicate
        if (said.tenant, said.member) != (tenant, member):
            raise IntegrityError("the statement is made out in the name of somebody else")
        return said
