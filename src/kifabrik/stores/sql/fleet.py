"""Rows of nodes, of what is free on them, and of who leads."""

from collections.abc import Iterable

from sqlalchemy import Connection, and_, func, insert, or_, select, update

from kifabrik.factory.capacity import Placement, Share
from kifabrik.factory.node_records import Leader, NodeRecord
from kifabrik.stores.sql.courier import lock_number
from kifabrik.stores.sql.rows import add_missing, chunks
from kifabrik.stores.sql.run_columns import gpu_bits, gpu_indices, node_from_row, node_to_columns
from kifabrik.stores.sql.schema.runs import leaders, nodes

_COLUMNS = [column for column in nodes.c if not column.name.startswith("free_")]


class SqlFleetTable:
    """Implements `kifabrik.factory.run_rows.FleetTable`."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    def put_node(self, node: NodeRecord) -> None:
        """Add a node or change it; what runs hold of it stays held."""
        values = node_to_columns(node)
        bits = gpu_bits(tuple(gpu.index for gpu in node.gpus))
        # Locked, where the database locks rows: what is taken or given back meanwhile would be undone below.
        before = self._sql.execute(select(nodes).where(nodes.c.node == node.node).with_for_update()).one_or_none()
        if before is None:
            free = {"free_cpus": node.cpus, "free_memory_bytes": node.memory_bytes, "free_gpus": bits}
            self._sql.execute(insert(nodes).values(**values, **free))
            return
        held = gpu_bits(gpu_indices(before)) & ~before.free_gpus
        free = {
            "free_cpus": before.free_cpus + node.cpus - before.cpus,
            "free_memory_bytes": before.free_memory_bytes + node.memory_bytes - before.memory_bytes,
            "free_gpus": bits & ~held,
        }
        self._sql.execute(update(nodes).where(nodes.c.node == node.node).values(**values, **free))

    def nodes(self) -> list[NodeRecord]:
        """All nodes, by name."""
        return [node_from_row(row) for row in self._sql.execute(select(*_COLUMNS).order_by(nodes.c.name))]

    def node_keys(self, ids: Iterable[str]) -> dict[str, str]:
        """Keys of these nodes in hex, by id."""
        found: dict[str, str] = {}
        for chunk in chunks(ids):
            rows = self._sql.execute(select(nodes.c.node, nodes.c.key).where(nodes.c.node.in_(chunk)))
            found |= {row.node: row.key for row in rows}
        return found

    def node_by_key(self, key: str) -> NodeRecord | None:
        """Find the node of a key."""
        row = self._sql.execute(select(*_COLUMNS).where(nodes.c.key == key)).one_or_none()
        return None if row is None else node_from_row(row)

    def take(self, placement: Placement) -> bool:
        """Take all shares of a placement; whether all were free."""
        return all(self._take(share) for share in _in_one_order(placement))

    def _take(self, share: Share) -> bool:
        bits = gpu_bits(share.gpus)
        change = (
            update(nodes)
            .where(
                nodes.c.node == share.node,
                nodes.c.enabled,
                nodes.c.free_cpus >= share.cpus,
                nodes.c.free_memory_bytes >= share.memory_bytes,
                nodes.c.free_gpus.bitwise_and(bits) == bits,
            )
            .values(
                free_cpus=nodes.c.free_cpus - share.cpus,
                free_memory_bytes=nodes.c.free_memory_bytes - share.memory_bytes,
                free_gpus=nodes.c.free_gpus - bits,
            )
        )
        return self._sql.execute(change).rowcount == 1

    def give_back(self, placement: Placement) -> None:
        """Give all shares of a placement back."""
        for share in _in_one_order(placement):
            self._sql.execute(
                update(nodes)
                .where(nodes.c.node == share.node)
                .values(
                    free_cpus=nodes.c.free_cpus + share.cpus,
                    free_memory_bytes=nodes.c.free_memory_bytes + share.memory_bytes,
                    free_gpus=nodes.c.free_gpus.bitwise_or(gpu_bits(share.gpus)),
                )
            )

    def free(self) -> dict[str, Share]:
        """What is free on each node, by its id."""
        found = {}
        for row in self._sql.execute(select(nodes)):
            gpus = tuple(sorted(index for index in gpu_indices(row) if row.free_gpus >> index & 1))
            found[row.node] = Share(row.node, row.free_cpus, row.free_memory_bytes, gpus)
        return found

    def lead(self, name: str, holder: str, now: str, until: str) -> int | None:
        """Lead until `until` if nobody else does at `now`; the fencing token, or None."""
        add_missing(self._sql, leaders, name=name, holder="", token=0, until="")
        mine = and_(leaders.c.holder == holder, leaders.c.until >= now)
        self._sql.execute(update(leaders).where(leaders.c.name == name, mine).values(until=until))
        free = or_(leaders.c.holder == "", leaders.c.until < now)
        took = update(leaders).where(leaders.c.name == name, free)
        self._sql.execute(took.values(holder=holder, token=leaders.c.token + 1, until=until))
        query = select(leaders.c.token).where(leaders.c.name == name, leaders.c.holder == holder)
        return self._sql.execute(query).scalar_one_or_none()

    def leader(self, name: str) -> Leader | None:
        """Who led last, whether its time has run out or not."""
        query = select(leaders.c.holder, leaders.c.token).where(leaders.c.name == name, leaders.c.holder != "")
        row = self._sql.execute(query).one_or_none()
        return None if row is None else Leader(row.holder, row.token)

    def led_until(self, name: str) -> str:
        """When the time of who led last runs out or has run out; empty where nobody leads."""
        query = select(leaders.c.until).where(leaders.c.name == name, leaders.c.holder != "")
        return self._sql.execute(query).scalar_one_or_none() or ""

    def leads(self, name: str, token: int) -> bool:
        """Whether this token is still the leader's."""
        query = select(leaders.c.token).where(leaders.c.name == name, leaders.c.holder != "")
        # Shared by all that check it: whoever wants to lead instead waits until what was checked is committed.
        return self._sql.execute(query.with_for_update(read=True)).scalar_one_or_none() == token

    def absent(self, holder: str) -> bool | None:
        """Whether the process of this name is connected to the database no more; on SQLite nobody knows."""
        if self._sql.dialect.name == "sqlite":
            return None
        return bool(self._sql.execute(select(func.pg_try_advisory_xact_lock(lock_number(holder)))).scalar_one())

    def resign(self, name: str, token: int) -> None:
        """Let another lead at once."""
        where = (leaders.c.name == name, leaders.c.token == token)
        self._sql.execute(update(leaders).where(*where).values(holder=""))


def _in_one_order(placement: Placement) -> list[Share]:
    """Shares as every transaction comes to their rows: two that want several never wait for each other."""
    return sorted(placement, key=lambda share: share.node)
