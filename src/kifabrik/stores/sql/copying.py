"""Copies all rows of a factory into another database, of either kind.

Invariants:
- nobody writes to the source while it is copied, and nobody has it open when that begins;
- the target was empty, and gets all rows in one transaction or none;
- what the target then holds is read back and compared, row by row, before the source is marked as left;
- the source keeps its rows, and no service starts on it any more.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Table, func, insert, select

from kifabrik.errors import ConflictError, IntegrityError, UsageError
from kifabrik.stores.sql.schema import metadata
from kifabrik.stores.sql.store import SqlStore
from kifabrik.stores.sql.upgrade import leave, upgrade

_BATCH: Final = 1000
_OTHERS: Final = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'kifabrik' AND backend_type = 'client backend'
"""


@dataclass(frozen=True)
class Copied:
    """What was copied of a table.

    Args:
        table: Its name.
        rows: How many.
    """

    table: str
    rows: int


def copy_rows(
    source: SqlStore, target: SqlStore, told: Callable[[int], object] = lambda _rows: None
) -> list[Copied]:
    """Copy every row, compare, and leave the source; the tables of both are brought to the present schema first.

    Args:
        source: Where the rows are.
        target: An empty database.
        told: Called with the number of rows copied or compared since the last call.

    Raises:
        ConflictError: Somebody has the source open.
        UsageError: The target holds rows, or both are one.
        IntegrityError: What the target holds is not what was copied; nothing is kept in it.
    """
    if source.address.url == target.address.url:
        raise UsageError("these are one database", hint="Name another one.")
    _check_alone(source)
    upgrade(source)
    upgrade(target)
    with _held(source) as one, target.connect(writing=True) as two, two.begin():
        _check_empty(two)
        copied = []
        for table in metadata.sorted_tables:
            count, digest = _copy(one, two, table, told)
            if (count, digest) != _digest(two, table, told):
                raise IntegrityError(f"the rows of {table.name} are not the same in {target.address}")
            copied.append(Copied(table.name, count))
    with source.connect(writing=True) as one, one.begin():
        leave(one)
    return copied


def count_rows(store: SqlStore) -> int:
    """How many rows all tables have together."""
    with store.connect() as connection:
        return sum(_count(connection, table) for table in metadata.sorted_tables)


def _copy(one: Connection, two: Connection, table: Table, told: Callable[[int], object]) -> tuple[int, int]:
    count = digest = 0
    for rows in _batches(one, table):
        two.execute(insert(table), [row._asdict() for row in rows])
        count, digest = count + len(rows), digest + sum(map(_hash, rows))
        told(len(rows))
    return count, digest


def _digest(connection: Connection, table: Table, told: Callable[[int], object]) -> tuple[int, int]:
    """Number of rows, and the sum of their hashes: two databases may sort text differently."""
    count = digest = 0
    for rows in _batches(connection, table):
        count, digest = count + len(rows), digest + sum(map(_hash, rows))
        told(len(rows))
    return count, digest


def _batches(connection: Connection, table: Table) -> Iterator[Sequence[Row[Any]]]:
    return connection.execute(select(table), execution_options={"yield_per": _BATCH}).partitions()


def _hash(row: Row[Any]) -> int:
    return int.from_bytes(hashlib.sha256(repr(tuple(row)).encode()).digest())


def _count(connection: Connection, table: Table) -> int:
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _check_empty(connection: Connection) -> None:
    for table in metadata.sorted_tables:
        if connection.execute(select(table).limit(1)).first() is not None:
            raise UsageError(
                f"the database to copy to holds rows already, in {table.name}", hint="Name an empty database."
            )


def _check_alone(store: SqlStore) -> None:
    """Check that no other process has a database open, as a running service does."""
    store.close()  # what this process has open
    store.check()
    if store.address.lite:
        # Only who is alone may leave the write-ahead log; every connection of ours goes back to it.
        with closing(sqlite3.connect(store.address.url.database or "", timeout=1)) as alone:
            try:
                (mode,) = alone.execute("PRAGMA journal_mode = DELETE").fetchone()
            except sqlite3.OperationalError:
                mode = "locked"
        others = mode != "delete"
    else:
        with store.connect() as connection:
            others = int(connection.exec_driver_sql(_OTHERS).scalar_one()) > 1
    if others:
        raise ConflictError(
            "another process has the factory's database open", hint="Stop the service first; runs go on meanwhile."
        )


@contextmanager
def _held(store: SqlStore) -> Iterator[Connection]:
    """Open a connection to a database in which nobody writes until the block ends."""
    with store.connect(writing=True) as connection, connection.begin():
        if not store.address.lite:
            names = ", ".join(f'"{table.name}"' for table in metadata.sorted_tables)
            connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE MODE")
        yield connection
