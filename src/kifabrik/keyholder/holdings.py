"""Datasets and the grants on them, as verified statements in the log have established them."""

from dataclasses import dataclass

from kifabrik.datasets.manifest import Manifest
from kifabrik.grants.statements import Grant
from kifabrik.keyholder.database import Database
from kifabrik.keyholder.kept import read_kept
from kifabrik.signatures.dsse import Envelope


@dataclass(frozen=True)
class KeptManifest:
    """A manifest that was verified when it was learnt."""

    digest: str
    manifest: Manifest


class Holdings:
    """Manifests of datasets, and grants. What is kept here was verified before."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def add_manifest(self, envelope: Envelope, manifest: Manifest, log_index: int) -> bool:
        """Keep a version; the first of its number counts, and only that."""
        row = (envelope.digest, manifest.owner, manifest.version, envelope.to_json(), log_index)
        return self._db.execute("INSERT OR IGNORE INTO manifests VALUES (?, ?, ?, ?, ?)", row) > 0

    def manifest(self, digest: str) -> Manifest | None:
        """Return a dataset's manifest by its digest."""
        row = self._db.row("SELECT envelope FROM manifests WHERE digest = ?", (digest,))
        return None if row is None else read_kept(row["envelope"], Manifest)[0]

    def version(self, owner: str, version: int) -> KeptManifest | None:
        """Return one version of a dataset."""
        row = self._db.row(
            "SELECT digest, envelope FROM manifests WHERE owner = ? AND version = ?", (owner, version)
        )
        if row is None:
            return None
        return KeptManifest(row["digest"], read_kept(row["envelope"], Manifest)[0])

    def manifests_of(self, owner: str) -> tuple[str, ...]:
        """Return the digests of all versions of a dataset, in order."""
        rows = self._db.rows("SELECT digest FROM manifests WHERE owner = ? ORDER BY version", (owner,))
        return tuple(row["digest"] for row in rows)

    def sealed(self) -> frozenset[str]:
        """Return the ids of all datasets that have a version."""
        return frozenset(row["owner"] for row in self._db.rows("SELECT DISTINCT owner FROM manifests"))

    def add_grant(self, envelope: Envelope, grant: Grant, log_index: int) -> bool:
        """Keep a grant; the first of its id counts, and only that."""
        row = (grant.grant, grant.dataset, envelope.to_json(), log_index)
        return self._db.execute("INSERT OR IGNORE INTO grants VALUES (?, ?, ?, ?)", row) > 0

    def grants(self, dataset: str = "") -> list[Grant]:
        """Return all grants, or those on one dataset, live or not."""
        query = "SELECT envelope FROM grants WHERE ? IN ('', dataset) ORDER BY log_index"
        rows = self._db.rows(query, (dataset,))
        return [read_kept(row["envelope"], Grant)[0] for row in rows]
