"""Registering versions of datasets."""

from typing import Final

from kifabrik.datasets.manifest import Manifest, verify_manifest
from kifabrik.errors import IntegrityError, RefusedError, UsageError
from kifabrik.factory.deletions import Deletions
from kifabrik.factory.keyholders import Keyholders
from kifabrik.factory.members import Members
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import Recorded, SealedDetail, Why
from kifabrik.factory.statements import Statements
from kifabrik.factory.versions import Versions
from kifabrik.ledger.entry import EntryKind
from kifabrik.signatures.dsse import Envelope
from kifabrik.values import Kind, is_id

_EVER: Final = "9999"
"""Later than every time: whenever somebody has asked last."""


class Datasets:
    """Puts sealed versions of datasets on record.

    Args:
        store: Opens transactions.
        statements: Keeps the manifests.
        members: Knows the device that must have signed.
        keyholders: Knows the recipients the keyholder has published.
        versions: Checks chain and objects.
        deletions: Deletes what was uploaded for an erased one.
    """

    def __init__(
        self,
        store: Store,
        statements: Statements,
        members: Members,
        keyholders: Keyholders,
        versions: Versions,
        deletions: Deletions,
    ) -> None:
        self._store = store
        self._statements = statements
        self._members = members
        self._keyholders = keyholders
        self._versions = versions
        self._deletions = deletions

    def register(self, tenant: str, member: str, manifest: Envelope, detail: SealedDetail | None) -> Recorded:
        """Put a version on record whose objects are all uploaded.

        Raises:
            IntegrityError: Not signed by the member's device, about another tenant, sealed to another
                recipient than the keyholder published, or not continuing the chain.
            RefusedError: The dataset is erased.
            ConflictError: Somebody else registered this version first, or objects are missing.
        """
        with self._store.write(tenant) as transaction:
            device = self._members.device(transaction, tenant, member)
            statement = verify_manifest(manifest, [device.key])
            recorded = self._statements.recorded(transaction, tenant, manifest)
            if recorded is not None:
                return recorded
            said = statement.predicate
            _check_owner(tenant, said)
            if transaction.datasets.erasure(tenant, said.owner) is None:
                self._check_recipient(transaction, said)
                self._versions.enter(transaction, statement)
                return self._statements.put_on_record(
                    transaction,
                    tenant,
                    manifest,
                    EntryKind.DATASET_SEALED,
                    {
                        "dataset": said.owner,
                        "version": said.version,
                        "manifest": manifest.digest,
                        "member": member,
                    },
                    detail=detail,
                )
            self._drop_unused(transaction, said)
        raise RefusedError(f"dataset {said.owner} is erased", hint="Seal it as a new dataset.")

    def _drop_unused(self, transaction: Transaction, said: Manifest) -> None:
        """Delete what was uploaded for a version of an erased dataset: nobody will have a key to it."""
        needless = transaction.objects.unused_among(said.tenant, said.objects(), _EVER)
        self._deletions.begin(transaction, said.tenant, needless, Why.ERASED)

    def _check_recipient(self, transaction: Transaction, said: Manifest) -> None:
        published = self._keyholders.published(transaction, said.tenant)
        if published is None or published.datasets.get(said.owner) != said.recipient:
            raise IntegrityError(
                f"dataset {said.owner} is not sealed to the recipient the keyholder has published for it",
                hint="Fetch the newest recipient list and seal again; else nobody could open it.",
            )


def _check_owner(tenant: str, said: Manifest) -> None:
    if said.tenant != tenant:
        raise IntegrityError("the manifest is made out for another tenant")
    if not is_id(said.owner, Kind.DATASET):
        raise UsageError(f"{said.owner} is not a dataset; what runs put out is registered by their launchers")
