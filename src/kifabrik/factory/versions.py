"""Versions of sealed things: their chains, and the objects they consist of.

Invariants:
- versions of one owner form one chain; a second one of the same number is a conflict, not a fork;
- a version is entered only when every object of it is stored with the size its manifest says;
- an object that any live version uses is never deleted.
"""

from dataclasses import dataclass

from kifabrik.datasets.manifest import Manifest, Stated, follows
from kifabrik.errors import ConflictError, IntegrityError
from kifabrik.factory.ports import Store, Transaction
from kifabrik.factory.records import Version
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import read_unverified


class Versions:
    """Enters and lists versions of datasets, outputs, code bundles and checkpoints.

    Args:
        store: Opens transactions.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def enter(self, transaction: Transaction, manifest: Stated) -> Version:
        """Enter a version within `transaction`, a writing one of its tenant; the caller keeps its statement.

        Args:
            transaction: Of the tenant the manifest names.
            manifest: Verified.

        Raises:
            ConflictError: There is such a version already, or objects are not uploaded.
            IntegrityError: It does not continue the chain, or an object has another size.
        """
        said = manifest.predicate
        _check_chain(transaction, manifest)
        _check_objects(transaction, said)
        version = Version(
            tenant=said.tenant,
            owner=said.owner,
            version=said.version,
            manifest=manifest.digest,
            shards=len(said.shards),
            size=said.sealed_size,
            created=said.created,
        )
        transaction.datasets.add_version(version, said.objects())
        transaction.objects.keep(said.tenant, said.objects())
        return version

    def of_datasets(self, tenant: str) -> list[Version]:
        """All versions of all datasets, by dataset and number."""
        with self._store.read() as transaction:
            return transaction.datasets.versions(tenant, "d-")


def _check_chain(transaction: Transaction, manifest: Stated) -> None:
    said = manifest.predicate
    newest = transaction.datasets.newest(said.tenant, said.owner)
    if newest is not None and newest.version >= said.version:
        raise ConflictError(
            f"there is a version {said.version} of {said.owner} already",
            hint=f"Seal it again as version {newest.version + 1}, on top of the newest.",
        )
    before = None if newest is None else _statement(transaction, said.tenant, newest.manifest)
    if not follows(said, before):
        raise IntegrityError(
            f"version {said.version} of {said.owner} does not follow version {newest.version if newest else 0}",
            hint="A version names the digest of the one before and has the same recipient.",
        )


def _statement(transaction: Transaction, tenant: str, digest: str) -> "KeptManifest":
    envelope = transaction.statements.get(tenant, digest)
    if envelope is None:
        raise IntegrityError(f"the statement {digest[:16]} of the version before is missing")
    return kept_manifest(envelope)


@dataclass(frozen=True)
class KeptManifest:
    """A manifest the factory verified when it took it; who signed it was asked then.

    Args:
        predicate: What it says.
        digest: Of its statement.
    """

    predicate: Manifest
    digest: str


def kept_manifest(envelope: Envelope) -> KeptManifest:
    """Read a manifest the factory verified when it took it."""
    return KeptManifest(read_unverified(envelope, Manifest)[0], envelope.digest)


def _check_objects(transaction: Transaction, said: Manifest) -> None:
    expected = {said.headers: said.headers_size, said.sealed_manifest.sha256: said.sealed_manifest.size}
    expected |= {shard.sha256: shard.size for shard in said.shards}
    stored = transaction.objects.sizes(said.tenant, expected)
    missing = expected.keys() - stored.keys()
    if missing:
        raise ConflictError(
            f"{len(missing)} of {len(expected)} objects are not uploaded, such as {min(missing)[:16]}",
            hint="Upload them, then register the version again.",
        )
    for digest, size in expected.items():
        if stored[digest] != size:
            raise IntegrityError(f"object {digest[:16]} has {stored[digest]} bytes; the manifest says {size}")
