"""Erasing datasets: decided by the tenant key, carried out at the keyholder, followed here.

Invariants:
- from the entry `erasure.decided` on, no version, grant or lease of the dataset is taken;
- objects go only after the keyholder has certified that the key is destroyed, and only those that no
  live version needs;
- after a complete certificate only one is taken that names more: what a run that had keys has put out since;
- with the results of a run that has ended, its checkpoints go as well; headers by which members could open them or
  its log are thrown away;
- a later decision replaces an earlier one only to ask for the results made from the dataset as well.
"""

from dataclasses import asdict

from kifabrik.errors import ConflictError, IntegrityError, NotFoundError
from kifabrik.factory.accounts import tenant_key
from kifabrik.factory.deletions import Deletions
from kifabrik.factory.hints import erasure_topic
from kifabrik.factory.keyholders import Keyholders
from kifabrik.factory.log import Log
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import Erasure, ErasureState, MailKind, Recorded, Why
from kifabrik.factory.statements import Statements
from kifabrik.grants.statements import Erasure as ErasureStatement
from kifabrik.grants.statements import ErasureCertificate, named_in
from kifabrik.ledger.entry import EntryKind
from kifabrik.orders.tasks import order_run
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.signatures.statements import read_unverified, verify_statement


class Erasures:
    """Decides, certifies, deletes and shows.

    Args:
        store: Opens transactions.
        log: Tells the time and wakes who waits.
        statements: Keeps decisions and certificates.
        keyholders: Knows the key a certificate must be signed by.
        deletions: Deletes the objects.
    """

    def __init__(
        self, store: Store, log: Log, statements: Statements, keyholders: Keyholders, deletions: Deletions
    ) -> None:
        self._store = store
        self._log = log
        self._statements = statements
        self._keyholders = keyholders
        self._deletions = deletions

    def decide(self, tenant: str, erasure: Envelope) -> Recorded:
        """Put the decision to erase a dataset on record and tell the keyholder.

        Raises:
            IntegrityError: Not signed by the tenant key, or about another tenant.
            NotFoundError: There is no such dataset.
            ConflictError: A decision about this dataset is on record that asks for as much.
        """
        with self._store.write(tenant) as transaction:
            key = tenant_key(transaction, tenant)
            said = verify_statement(erasure, ErasureStatement, [key]).predicate
            if said.tenant != tenant:
                raise IntegrityError("the decision is made out for another tenant")
            recorded = self._statements.recorded(transaction, tenant, erasure)
            if recorded is not None:
                return recorded
            if transaction.datasets.newest(tenant, said.dataset) is None:
                raise NotFoundError(f"there is no dataset {said.dataset}")
            before = transaction.datasets.erasure(tenant, said.dataset)
            if before is not None and not (said.derived and not _asks_for_derived(transaction, before)):
                raise ConflictError(f"it is decided already that dataset {said.dataset} be erased")
            deleted = before.objects_deleted if before else 0
            decided = Erasure(tenant, said.dataset, erasure.digest, ErasureState.DECIDED, objects_deleted=deleted)
            transaction.datasets.put_erasure(decided)
            return self._statements.put_on_record(
                transaction,
                tenant,
                erasure,
                EntryKind.ERASURE_DECIDED,
                {"dataset": said.dataset, "statement": erasure.digest},
                mail=MailKind.ERASURE,
            )

    def certify(self, tenant: str, certificate: Envelope) -> Recorded:
        """Take the keyholder's certificate, mark what is erased and delete its objects.

        Raises:
            IntegrityError: Not signed by the present keyholder, or about another decision.
            NotFoundError: No such erasure was decided.
            ConflictError: A complete certificate is on record.
        """
        with self._store.write(tenant) as transaction:
            key = VerifyKey.from_hex(self._keyholders.present(transaction, tenant).keyholder_key)
            said = verify_statement(certificate, ErasureCertificate, [key]).predicate
            recorded = self._statements.recorded(transaction, tenant, certificate)
            if recorded is not None:
                return recorded
            before = _decided(transaction, tenant, said)
            _check_says_more(transaction, before, said)
            deleted = self._delete(transaction, tenant, said)
            state = ErasureState.CERTIFIED
            after = Erasure(
                tenant,
                said.dataset,
                before.statement,
                state,
                certificate.digest,
                before.objects_deleted + deleted,
            )
            transaction.datasets.put_erasure(after)
            self._log.hints.after(transaction, erasure_topic(tenant, said.dataset))
            transaction.after_commit(("settle", tenant), self.settle)
            return self._statements.put_on_record(
                transaction,
                tenant,
                certificate,
                EntryKind.DATASET_ERASED,
                {"dataset": said.dataset, "erasure": said.erasure, "certificate": certificate.digest},
                mail=None,
            )

    def show(self, tenant: str, dataset: str) -> tuple[Erasure, Envelope | None]:
        """How far an erasure is, with its certificate if there is one.

        Raises:
            NotFoundError: No such erasure was decided.
        """
        with self._store.read() as transaction:
            erasure = transaction.datasets.erasure(tenant, dataset)
            if erasure is None:
                raise NotFoundError("no such erasure was decided")
            certificate = transaction.statements.get(tenant, erasure.certificate) if erasure.certificate else None
        return erasure, certificate

    def settle(self) -> None:
        """Move on those erasures whose objects are all gone; also what is left over from a crash."""
        with self._store.read() as transaction:
            waiting = [one for one in transaction.datasets.erasures() if one.state is ErasureState.CERTIFIED]
        for erasure in waiting:
            with self._store.write(erasure.tenant) as transaction:
                self._settle(transaction, erasure)

    def _settle(self, transaction: Transaction, erasure: Erasure) -> None:
        if transaction.objects.deletions(erasure.tenant):
            return
        envelope = transaction.statements.get(erasure.tenant, erasure.certificate)
        if envelope is None:
            return
        state = _state_after(read_unverified(envelope, ErasureCertificate)[0])  # verified when it came
        transaction.datasets.put_erasure(
            Erasure(
                erasure.tenant,
                erasure.dataset,
                erasure.statement,
                state,
                erasure.certificate,
                erasure.objects_deleted,
            )
        )
        self._log.hints.after(transaction, erasure_topic(erasure.tenant, erasure.dataset))

    def _delete(self, transaction: Transaction, tenant: str, said: ErasureCertificate) -> int:
        versions = transaction.datasets.versions(tenant, said.dataset)
        gone = [one.manifest for one in versions if one.owner == said.dataset]
        gone += [one.manifest for one in said.derived if one.erased]
        # Who has asked before and not fetched them yet would get them still. A sweep is asked for as a whole.
        erased = {name for one in said.runs if one.erased for name in (one.run, order_run(one.run))}
        transaction.leases.drop_headers_to_members(tenant, sorted(erased))
        for run in (one.run for one in said.runs if one.erased and one.ended):
            gone += [one.manifest for one in transaction.datasets.versions(tenant, f"{run}/checkpoint")]
        for manifest in gone:
            transaction.datasets.mark_erased(tenant, manifest, self._log.now())
        needless = sorted(transaction.datasets.only_in(tenant, gone))
        return self._deletions.begin(transaction, tenant, needless, Why.ERASED)


def _state_after(said: ErasureCertificate) -> ErasureState:
    if said.complete:
        return ErasureState.DONE
    return ErasureState.PENDING_RUNS if said.going_on else ErasureState.PENDING_BACKUPS


def _asks_for_derived(transaction: Transaction, erasure: Erasure) -> bool:
    """Whether a decision on record asks for the results made from the dataset too."""
    envelope = transaction.statements.get(erasure.tenant, erasure.statement)
    return envelope is not None and read_unverified(envelope, ErasureStatement)[0].derived  # verified when it came


def _decided(transaction: Transaction, tenant: str, said: ErasureCertificate) -> Erasure:
    if said.tenant != tenant:
        raise IntegrityError("the certificate is made out for another tenant")
    erasure = transaction.datasets.erasure(tenant, said.dataset)
    if erasure is None:
        raise NotFoundError(f"it was not decided that dataset {said.dataset} be erased")
    if erasure.statement != said.erasure:
        raise IntegrityError("the certificate is about another decision")
    return erasure


def _check_says_more(transaction: Transaction, erasure: Erasure, said: ErasureCertificate) -> None:
    envelope = transaction.statements.get(erasure.tenant, erasure.certificate) if erasure.certificate else None
    if envelope is None:
        return
    before = read_unverified(envelope, ErasureCertificate)[0]  # verified when it came
    if before.complete and before.erasure == said.erasure and named_in(asdict(said)) <= named_in(asdict(before)):
        raise ConflictError(f"dataset {said.dataset} is completely erased already")
