"""Rows of versions, grants and erasures."""

from collections.abc import Iterable, Iterator

from sqlalchemy import Connection, exists, insert, select, update

from kifabrik.factory.records import Erasure, ErasureState, GrantRecord, Version
from kifabrik.stores.sql.rows import chunks, plain, put, record
from kifabrik.stores.sql.schema.datasets import erasures, grants, version_objects, versions
from kifabrik.stores.sql.schema.objects import objects


class SqlDatasetRows:
    """Implements `kifabrik.factory.rows.DatasetRows`."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    def add_version(self, version: Version, objects: Iterable[str]) -> None:
        """Add a version and what it consists of."""
        self._sql.execute(insert(versions).values(**plain(version)))
        rows = [{"tenant": version.tenant, "manifest": version.manifest, "digest": digest} for digest in objects]
        self._sql.execute(insert(version_objects), rows)

    def version(self, tenant: str, owner: str, number: int) -> Version | None:
        """Find a version by its number."""
        where = (versions.c.tenant == tenant, versions.c.owner == owner, versions.c.version == number)
        row = self._sql.execute(select(versions).where(*where)).one_or_none()
        return None if row is None else record(Version, row)

    def newest(self, tenant: str, owner: str) -> Version | None:
        """Find the version with the highest number."""
        where = (versions.c.tenant == tenant, versions.c.owner == owner)
        query = select(versions).where(*where).order_by(versions.c.version.desc()).limit(1)
        row = self._sql.execute(query).one_or_none()
        return None if row is None else record(Version, row)

    def by_manifest(self, tenant: str, manifest: str) -> Version | None:
        """Find a version by its manifest."""
        where = (versions.c.tenant == tenant, versions.c.manifest == manifest)
        row = self._sql.execute(select(versions).where(*where)).one_or_none()
        return None if row is None else record(Version, row)

    def by_manifests(self, tenant: str, manifests: Iterable[str]) -> dict[str, Version]:
        """Those versions that there are of these manifests, by manifest."""
        found: dict[str, Version] = {}
        for chunk in chunks(manifests):
            where = (versions.c.tenant == tenant, versions.c.manifest.in_(chunk))
            found |= {
                row.manifest: record(Version, row) for row in self._sql.execute(select(versions).where(*where))
            }
        return found

    def versions(self, tenant: str, prefix: str) -> list[Version]:
        """All versions whose owner begins with `prefix`, by owner and number."""
        where = (versions.c.tenant == tenant, versions.c.owner.startswith(prefix, autoescape=True))
        query = select(versions).where(*where).order_by(versions.c.owner, versions.c.version)
        return [record(Version, row) for row in self._sql.execute(query)]

    def mark_erased(self, tenant: str, manifest: str, erased: str) -> bool:
        """Note when a version was erased; whether it was not before."""
        where = (versions.c.tenant == tenant, versions.c.manifest == manifest, versions.c.erased == "")
        return self._sql.execute(update(versions).where(*where).values(erased=erased)).rowcount == 1

    def only_in(self, tenant: str, manifests: Iterable[str]) -> set[str]:
        """Objects that these versions use and no version does that is not erased."""
        uses = version_objects.alias("uses")
        live = exists().where(
            uses.c.tenant == tenant,
            uses.c.digest == version_objects.c.digest,
            versions.c.tenant == tenant,
            versions.c.manifest == uses.c.manifest,
            versions.c.erased == "",
        )
        found: set[str] = set()
        for chunk in chunks(manifests):
            where = (version_objects.c.tenant == tenant, version_objects.c.manifest.in_(chunk), ~live)
            found |= set(self._sql.scalars(select(version_objects.c.digest).where(*where)))
        return found

    def missing_objects(self) -> Iterator[tuple[str, str, str]]:
        """(tenant, manifest, object) of every object a live version needs and no row has."""
        same = version_objects.c.tenant == versions.c.tenant
        stored = exists().where(
            objects.c.tenant == version_objects.c.tenant, objects.c.digest == version_objects.c.digest
        )
        query = (
            select(version_objects)
            .join(versions, same & (version_objects.c.manifest == versions.c.manifest))
            .where(versions.c.erased == "", ~stored)
        )
        for row in self._sql.execute(query):
            yield row.tenant, row.manifest, row.digest

    def add_grant(self, grant: GrantRecord) -> None:
        """Add a grant."""
        self._sql.execute(
            insert(grants).values(
                tenant=grant.tenant,
                grant_id=grant.grant,
                dataset=grant.dataset,
                statement=grant.statement,
                revoked=grant.revoked,
            )
        )

    def grant(self, tenant: str, grant: str) -> GrantRecord | None:
        """Find a grant."""
        where = (grants.c.tenant == tenant, grants.c.grant_id == grant)
        row = self._sql.execute(select(grants).where(*where)).one_or_none()
        return None if row is None else GrantRecord(*row)

    def grants(self, tenant: str, dataset: str) -> list[GrantRecord]:
        """All grants for a dataset."""
        where = (grants.c.tenant == tenant, grants.c.dataset == dataset)
        return [GrantRecord(*row) for row in self._sql.execute(select(grants).where(*where))]

    def revoke(self, tenant: str, grant: str, revoked: str) -> bool:
        """Note when a grant was revoked; whether it was not before."""
        where = (grants.c.tenant == tenant, grants.c.grant_id == grant, grants.c.revoked == "")
        return self._sql.execute(update(grants).where(*where).values(revoked=revoked)).rowcount == 1

    def put_erasure(self, erasure: Erasure) -> None:
        """Add an erasure or replace what is known of it."""
        put(self._sql, erasures, **plain(erasure))

    def erasure(self, tenant: str, dataset: str) -> Erasure | None:
        """Find an erasure."""
        where = (erasures.c.tenant == tenant, erasures.c.dataset == dataset)
        row = self._sql.execute(select(erasures).where(*where)).one_or_none()
        return None if row is None else record(Erasure, row, state=ErasureState(row.state))

    def erasures(self) -> list[Erasure]:
        """All erasures of all tenants."""
        return [record(Erasure, row, state=ErasureState(row.state)) for row in self._sql.execute(select(erasures))]
