"""Rows of the transparency logs."""

from sqlalchemy import Connection, func, insert, select, update

from kifabrik.factory.records import LogState
from kifabrik.ledger.merkle import CompactTree
from kifabrik.stores.sql.rows import put
from kifabrik.stores.sql.schema.log import details, entries, logs, nodes


class SqlLogRows:
    """Implements `kifabrik.factory.rows.LogRows`."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    def create(self, state: LogState) -> None:
        """Add a log."""
        self._sql.execute(
            insert(logs).values(
                tenant=state.tenant,
                vkey=state.vkey,
                size=state.tree.size,
                tree=state.tree.to_bytes(),
                head=state.head,
                cosigned_size=state.cosigned_size,
                cosigned=state.cosigned,
            )
        )

    def state(self, tenant: str) -> LogState | None:
        """Find a log."""
        row = self._sql.execute(select(logs).where(logs.c.tenant == tenant)).one_or_none()
        if row is None:
            return None
        tree = CompactTree.from_bytes(row.tree)
        return LogState(row.tenant, row.vkey, tree, row.head, row.cosigned_size, row.cosigned)

    def advance(self, before: int, state: LogState) -> bool:
        """Replace tree and head if the log still has `before` entries; whether it had."""
        change = (
            update(logs)
            .where(logs.c.tenant == state.tenant, logs.c.size == before)
            .values(size=state.tree.size, tree=state.tree.to_bytes(), head=state.head)
        )
        return self._sql.execute(change).rowcount == 1

    def set_cosigned(self, tenant: str, size: int, note: str) -> bool:
        """Keep a cosigned head unless a newer one is kept; whether it was kept."""
        change = (
            update(logs)
            .where(logs.c.tenant == tenant, logs.c.cosigned_size <= size)
            .values(cosigned_size=size, cosigned=note)
        )
        return self._sql.execute(change).rowcount == 1

    def forget_cosigned(self, tenant: str) -> None:
        """Keep no cosigned head: the witness that has cosigned it is no longer the tenant's."""
        self._sql.execute(update(logs).where(logs.c.tenant == tenant).values(cosigned_size=0, cosigned=""))

    def add_entry(self, tenant: str, index: int, kind: str, data: bytes, leaf: bytes) -> None:
        """Add an entry at its index."""
        self._sql.execute(insert(entries).values(tenant=tenant, position=index, kind=kind, data=data, leaf=leaf))

    def entries(self, tenant: str, start: int, end: int) -> list[bytes]:
        """The bytes of entries `[start, end)`, as far as there are any."""
        where = (entries.c.tenant == tenant, entries.c.position >= start, entries.c.position < end)
        return list(self._sql.scalars(select(entries.c.data).where(*where).order_by(entries.c.position)))

    def count_kinds(self, tenant: str) -> dict[str, int]:
        """How many entries of each kind there are."""
        query = select(entries.c.kind, func.count()).where(entries.c.tenant == tenant).group_by(entries.c.kind)
        return {row[0]: int(row[1]) for row in self._sql.execute(query)}

    def leaves(self, tenant: str, start: int, end: int) -> list[bytes]:
        """The leaf hashes of entries `[start, end)`, as far as there are any."""
        where = (entries.c.tenant == tenant, entries.c.position >= start, entries.c.position < end)
        return list(self._sql.scalars(select(entries.c.leaf).where(*where).order_by(entries.c.position)))

    def add_node(self, tenant: str, level: int, index: int, value: bytes) -> None:
        """Add a hash of a tile level above 0."""
        self._sql.execute(insert(nodes).values(tenant=tenant, level=level, position=index, value=value))

    def nodes(self, tenant: str, level: int, start: int, end: int) -> list[bytes]:
        """The hashes `[start, end)` of a tile level above 0, as far as there are any."""
        where = (
            nodes.c.tenant == tenant,
            nodes.c.level == level,
            nodes.c.position >= start,
            nodes.c.position < end,
        )
        return list(self._sql.scalars(select(nodes.c.value).where(*where).order_by(nodes.c.position)))

    def add_detail(self, tenant: str, sha256: str, sealed: bytes) -> None:
        """Keep the sealed names of an entry."""
        put(self._sql, details, tenant=tenant, sha256=sha256, sealed=sealed)

    def detail(self, tenant: str, sha256: str) -> bytes | None:
        """Find the sealed names of an entry."""
        query = select(details.c.sealed).where(details.c.tenant == tenant, details.c.sha256 == sha256)
        return self._sql.scalars(query).one_or_none()
