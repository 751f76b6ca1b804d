"""Rows of stored objects, uploads, deletions, and of what was deleted."""

from collections.abc import Iterable, Iterator

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Table,
    and_,
    case,
    delete,
    exists,
    func,
    insert,
    select,
    true,
    tuple_,
    update,
)

from kifabrik.factory.keys import SMALLEST
from kifabrik.factory.records import Deletion, Removed, UnusedObjects, Upload, Why
from kifabrik.stores.sql.rows import add_missing, chunks, plain, put, record
from kifabrik.stores.sql.schema.datasets import version_objects, versions
from kifabrik.stores.sql.schema.objects import deletions, objects, removed_objects, uploads
from kifabrik.stores.sql.schema.runs import segments


class SqlObjectRows:
    """Implements `kifabrik.factory.object_rows.ObjectRows`."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    def add(self, tenant: str, digest: str, size: int, created: str) -> None:
        """Add a stored object, which nothing uses yet."""
        row = {"tenant": tenant, "digest": digest, "size": size, "created": created, "unused_since": created}
        self._sql.execute(insert(objects).values(**row))

    def keep(self, tenant: str, digests: Iterable[str]) -> None:
        """Note that something on record uses these objects."""
        for chunk in chunks(digests):
            where = (objects.c.tenant == tenant, objects.c.digest.in_(chunk), objects.c.unused_since != "")
            self._sql.execute(update(objects).where(*where).values(unused_since=""))

    def unused_among(self, tenant: str, digests: Iterable[str], before: str) -> list[str]:
        """Those of these objects that nothing uses, and that nobody has asked for since `before`."""
        found: list[str] = []
        for chunk in chunks(digests):
            where = (objects.c.tenant == tenant, objects.c.digest.in_(chunk), *_unused(before))
            found += self._sql.scalars(select(objects.c.digest).where(*where))
        return found

    def renew(self, tenant: str, digests: Iterable[str], now: str) -> None:
        """Note that somebody has asked for these objects; what something uses is left as it is."""
        for chunk in chunks(digests):
            where = (objects.c.tenant == tenant, objects.c.digest.in_(chunk), *_unused(now))
            self._sql.execute(update(objects).where(*where).values(unused_since=now))

    def unused(self) -> list[UnusedObjects]:
        """How much nothing uses, of each tenant that has any."""
        return self._sums(objects.c.unused_since > "")

    def unused_since_before(self, tenant: str, before: str, most: int) -> list[str]:
        """At most so many objects that nothing uses, and that nobody has asked for since `before`."""
        where = (objects.c.tenant == tenant, *_unused(before))
        return list(self._sql.scalars(select(objects.c.digest).where(*where).limit(most)))

    def timeless(self) -> list[UnusedObjects]:
        """What is noted as used although nothing uses it."""
        of_a_version = exists().where(
            version_objects.c.tenant == objects.c.tenant,
            version_objects.c.digest == objects.c.digest,
            versions.c.tenant == version_objects.c.tenant,
            versions.c.manifest == version_objects.c.manifest,
            versions.c.erased == "",
        )
        # Joined: no index finds the segment of an object, and for a long `NOT IN` PostgreSQL searches all for each.
        bodies = select(segments.c.tenant, segments.c.sha256).where(segments.c.body.is_(None)).distinct().subquery()
        same = and_(bodies.c.tenant == objects.c.tenant, bodies.c.sha256 == objects.c.digest)
        unlogged = bodies.c.sha256.is_(None)
        where = and_(objects.c.unused_since == "", ~of_a_version, unlogged)
        return self._sums(where, objects.outerjoin(bodies, same))

    def _sums(self, where: ColumnElement[bool], among: FromClause = objects) -> list[UnusedObjects]:
        columns = (func.count(), func.sum(objects.c.size), func.min(objects.c.unused_since))
        query = select(objects.c.tenant, *columns).select_from(among).where(where).group_by(objects.c.tenant)
        return [
            UnusedObjects(tenant, count, int(size), since)
            for tenant, count, size, since in self._sql.execute(query.order_by(objects.c.tenant))
        ]

    def sizes(self, tenant: str, digests: Iterable[str]) -> dict[str, int]:
        """Sizes of those of these objects that are stored."""
        found: dict[str, int] = {}
        for chunk in chunks(digests):
            where = (objects.c.tenant == tenant, objects.c.digest.in_(chunk))
            rows = self._sql.execute(select(objects.c.digest, objects.c.size).where(*where))
            found |= {row.digest: row.size for row in rows}
        return found

    def all(self) -> Iterator[tuple[str, str, int]]:
        """Every object as (tenant, digest, size)."""
        for row in self._sql.execute(select(objects.c.tenant, objects.c.digest, objects.c.size)):
            yield row.tenant, row.digest, row.size

    def bytes_of(self, tenant: str) -> int:
        """Bytes a tenant's objects count: stored, on their way in, and on their way out."""
        sums = (
            select(func.coalesce(func.sum(case((table.c.size < SMALLEST, SMALLEST), else_=table.c.size)), 0)).where(
                table.c.tenant == tenant
            )
            for table in (objects, uploads, deletions)
        )
        return sum(int(self._sql.scalars(query).one()) for query in sums)

    def moving(self) -> Iterator[tuple[str, str]]:
        """Every object on its way in or out, as (tenant, digest)."""
        for table in (uploads, deletions):
            for row in self._sql.execute(select(table.c.tenant, table.c.digest)):
                yield row.tenant, row.digest

    def put_upload(self, upload: Upload) -> None:
        """Begin an upload, or note that it goes on."""
        put(self._sql, uploads, **plain(upload))

    def upload(self, tenant: str, digest: str) -> Upload | None:
        """Find an upload."""
        row = self._sql.execute(select(uploads).where(*_one(uploads, tenant, digest))).one_or_none()
        return None if row is None else record(Upload, row)

    def uploads_before(self, touched: str) -> list[Upload]:
        """Uploads that nobody went on with since `touched`."""
        query = select(uploads).where(uploads.c.touched < touched)
        return [record(Upload, row) for row in self._sql.execute(query)]

    def drop_upload(self, tenant: str, digest: str) -> bool:
        """End an upload; whether there was one."""
        return self._sql.execute(delete(uploads).where(*_one(uploads, tenant, digest))).rowcount == 1

    def abandon_upload(self, upload: Upload) -> bool:
        """Turn an upload into a deletion unless somebody went on with it; whether that was so."""
        where = (*_one(uploads, upload.tenant, upload.digest), uploads.c.touched == upload.touched)
        if self._sql.execute(delete(uploads).where(*where)).rowcount == 0:
            return False
        return self._to_delete(upload.tenant, upload.digest, upload.size, Why.ABANDONED)

    def _to_delete(self, tenant: str, digest: str, size: int, why: Why) -> bool:
        row = {"tenant": tenant, "digest": digest, "size": size, "claim": "", "until": "", "why": why.value}
        return add_missing(self._sql, deletions, **row)

    def begin_deletions(self, tenant: str, digests: Iterable[str], why: Why, young: str, until: str) -> int:
        """Move objects from the stored ones to the ones to delete; how many there were.

        Nobody may claim before `until` those that were entered after `young`.
        """
        held = case((objects.c.created > young, func.trim(until)), else_=func.trim(""))
        moved = 0
        for chunk in chunks(digests):
            where = (objects.c.tenant == tenant, objects.c.digest.in_(chunk))
            columns = ["tenant", "digest", "size", "claim", "until", "why"]
            values = (objects.c.tenant, objects.c.digest, objects.c.size, func.trim(""), held, func.trim(why.value))
            stored = select(*values).where(*where)
            self._sql.execute(insert(deletions).from_select(columns, stored))
            moved += self._sql.execute(delete(objects).where(*where)).rowcount
        return moved

    def claim_deletions(
        self, tenant: str, digest: str, claim: str, now: str, until: str, most: int
    ) -> list[Deletion]:
        """Claim at most so many that nobody else holds at `now`; an empty tenant or digest means any."""
        free = deletions.c.until < now
        free &= deletions.c.tenant == tenant if tenant else true()
        free &= deletions.c.digest == digest if digest else true()
        chosen = select(deletions.c.tenant, deletions.c.digest).where(free).limit(most)
        # `free` again: of two who choose the same at one time, the second waits, and then they are not.
        mine = update(deletions).where(free, tuple_(deletions.c.tenant, deletions.c.digest).in_(chosen))
        claimed = mine.values(claim=claim, until=until).returning(deletions)
        rows = self._sql.execute(claimed)
        return [Deletion(row.tenant, row.digest, row.size, row.why) for row in rows]

    def deleting(self, tenant: str, digest: str) -> bool:
        """Whether an object is still to be deleted."""
        query = select(deletions.c.digest).where(*_one(deletions, tenant, digest))
        return self._sql.execute(query).first() is not None

    def deletions(self, tenant: str) -> int:
        """How many objects of a tenant are still to be deleted."""
        query = select(func.count()).select_from(deletions).where(deletions.c.tenant == tenant)
        return self._sql.scalars(query).one()

    def end_deletion(self, deletion: Deletion, claim: str, now: str) -> bool:
        """Cross out a deletion, and note that the object was removed; whether this claim still held it."""
        where = (*_one(deletions, deletion.tenant, deletion.digest), deletions.c.claim == claim)
        if self._sql.execute(delete(deletions).where(*where)).rowcount == 0:
            return False
        put(self._sql, removed_objects, **plain(Removed(deletion.tenant, deletion.digest, deletion.why, now)))
        return True

    def came_again(self, tenant: str, digests: Iterable[str]) -> list[Removed]:
        """Those of these objects that were removed and are neither stored nor on their way in or out."""
        found: list[Removed] = []
        for chunk in chunks(digests):
            where = (removed_objects.c.tenant == tenant, removed_objects.c.digest.in_(chunk), *_nowhere())
            rows = self._sql.execute(select(removed_objects).where(*where))
            found += [record(Removed, row) for row in rows]
        return found

    def delete_again(self, tenant: str, digest: str, size: int) -> bool:
        """Write down that an object is to go that is neither stored nor on its way; whether it was such a one."""
        known = (exists().where(*_one(table, tenant, digest)) for table in (objects, uploads, deletions))
        if any(self._sql.scalars(select(one)).one() for one in known):
            return False
        before = select(removed_objects.c.why).where(*_one(removed_objects, tenant, digest))
        return self._to_delete(tenant, digest, size, Why(self._sql.scalars(before).first() or Why.CAME_AGAIN))

    def forget_removed(self, before: str) -> int:
        """Forget what was removed before a time; how many objects that were."""
        return self._sql.execute(delete(removed_objects).where(removed_objects.c.removed < before)).rowcount


def _unused(before: str) -> tuple[ColumnElement[bool], ...]:
    return objects.c.unused_since > "", objects.c.unused_since < before


def _nowhere() -> Iterator[ColumnElement[bool]]:
    """That a removed object is neither stored nor on its way in or out."""
    for table in (objects, uploads, deletions):
        same = (table.c.tenant == removed_objects.c.tenant, table.c.digest == removed_objects.c.digest)
        yield ~exists().where(*same)


def _one(table: Table, tenant: str, digest: str) -> tuple[ColumnElement[bool], ...]:
    return table.c.tenant == tenant, table.c.digest == digest
