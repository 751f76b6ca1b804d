"""Opens transactions on SQLite or PostgreSQL."""

import logging
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, select
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from kifabrik.durable import is_full
from kifabrik.errors import CapacityError, ConflictError, UnavailableError, UsageError
from kifabrik.factory.records import Member, Token
from kifabrik.stores.sql.accounts import BEARER, SqlAccountRows, bearer_of
from kifabrik.stores.sql.datasets import SqlDatasetRows
from kifabrik.stores.sql.leases import SqlLeaseRows
from kifabrik.stores.sql.log import SqlLogRows
from kifabrik.stores.sql.objects import SqlObjectRows
from kifabrik.stores.sql.runs import SqlRunRows
from kifabrik.stores.sql.schema.log import logs
from kifabrik.stores.sql.sign_ins import SqlSignInRows
from kifabrik.stores.sql.statements import SqlStatementRows

_BUSY_TIMEOUT_MS: Final = 15_000
_CONNECTIONS: Final = 10
_MOST_CONNECTIONS: Final = 60
"""More than the web server has threads, so that none waits for a connection."""

_CONNECT_S: Final = 10
_IDLE_S: Final = 300
"""A transaction in which nothing is asked for so long is of a service that hangs; what it has locked is freed."""
_POSTGRES_STAMP: Final = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
_WRITING: Final = "kifabrik_writing"
_logger = logging.getLogger(__name__)


class SqlTransaction:
    """Implements `kifabrik.factory.ports.Transaction` on one connection."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection
        self._after: dict[Hashable, Callable[[], None]] = {}

    @cached_property
    def accounts(self) -> SqlAccountRows:
        """Tenants, members, tokens and sign-up codes."""
        return SqlAccountRows(self._sql)

    @cached_property
    def logs(self) -> SqlLogRows:
        """Logs."""
        return SqlLogRows(self._sql)

    @cached_property
    def statements(self) -> SqlStatementRows:
        """Statements and mail."""
        return SqlStatementRows(self._sql)

    @cached_property
    def objects(self) -> SqlObjectRows:
        """Objects, uploads and deletions."""
        return SqlObjectRows(self._sql)

    @cached_property
    def datasets(self) -> SqlDatasetRows:
        """Versions, grants and erasures."""
        return SqlDatasetRows(self._sql)

    @cached_property
    def leases(self) -> SqlLeaseRows:
        """Requests for keys."""
        return SqlLeaseRows(self._sql)

    @cached_property
    def runs(self) -> SqlRunRows:
        """Runs."""
        return SqlRunRows(self._sql)

    @cached_property
    def sign_ins(self) -> SqlSignInRows:
        """Challenges, codes and sessions of the pages."""
        return SqlSignInRows(self._sql)

    def after_commit(self, key: Hashable, act: Callable[[], None]) -> None:
        """Run `act` after the commit, once for each key."""
        self._after.setdefault(key, act)

    def committed(self) -> None:
        """Do what was to be done after the commit."""
        for key, act in self._after.items():
            try:
                act()
            except Exception:  # the change is committed: its caller must hear of success
                _logger.exception("after the commit: %s", key)


class SqlStore:
    """Implements `kifabrik.factory.ports.Store`.

    Args:
        url: SQLAlchemy URL, such as `sqlite:////srv/kifabrik/factory.db` or `postgresql+psycopg://…`.
    """

    def __init__(self, url: str) -> None:
        self.engine = _engine(url)
        self._lite = self.engine.dialect.name == "sqlite"
        self._writer = _engine(url, connections=1) if self._lite else self.engine
        self._folder = Path(self.engine.url.database or "").parent if self._lite else None
        self._bearer = str(BEARER.compile(dialect=self.engine.dialect)) if self._lite else ""
        self._turn = threading.Lock()

    def bearer(self, hashed: str) -> tuple[Token, Member | None] | None:
        """See `kifabrik.factory.ports.Store`; with SQLite's write-ahead log reading waits for nobody.

        Every request begins with this, and what SQLAlchemy does for a statement takes several times as long as
        the statement: so it is the driver's own, and one statement needs no transaction around it.
        """
        if not self._lite:
            return None
        with _translated(self._folder), closing(self.engine.raw_connection()) as borrowed:
            driver: Any = borrowed.driver_connection
            row = driver.execute(self._bearer, (hashed,)).fetchone()
        return None if row is None else bearer_of(row)

    @contextmanager
    def connect(self, *, writing: bool = False) -> Iterator[Connection]:
        """Open a connection outside any transaction, for upgrades and checks."""
        with _translated(self._folder), self.engine.connect() as connection:
            yield connection.execution_options(**{_WRITING: writing})

    @contextmanager
    def read(self) -> Iterator[SqlTransaction]:
        """Open a consistent view."""
        # SQLite reads from one snapshot by itself.
        options = {} if self._lite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with (
            _translated(self._folder),
            self.engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            yield SqlTransaction(connection)

    @contextmanager
    def write(self, *tenants: str) -> Iterator[SqlTransaction]:
        """Open a transaction that commits at the end; the writers of one tenant take turns."""
        with _translated(self._folder):
            with self._in_turn(), self._writer.connect() as plain:
                connection = plain.execution_options(**{_WRITING: True})
                with connection.begin():
                    if tenants and not self._lite:
                        # In one order, so that two who lock several do not wait for each other.
                        chosen = select(logs.c.size).where(logs.c.tenant.in_(tenants)).order_by(logs.c.tenant)
                        connection.execute(chosen.with_for_update())
                    transaction = SqlTransaction(connection)
                    yield transaction
            transaction.committed()

    @contextmanager
    def _in_turn(self) -> Iterator[None]:
        """Wait until no other thread writes, where the database takes one writer only.

        Whoever waits inside SQLite sleeps and tries again, up to a tenth of a second later; here the next one is
        woken at once. Writers of other processes still wait inside.
        """
        if not self._lite:
            yield
            return
        if not self._turn.acquire(timeout=_BUSY_TIMEOUT_MS / 1000):
            raise UnavailableError("the factory's database is busy", hint="Try again.")
        try:
            yield
        finally:
            self._turn.release()

    def stamp(self) -> int:
        """Return a number that differs after any commit of another process; on PostgreSQL also after one's own."""
        with _translated(self._folder):
            if self._lite:
                # SQLite does not count a connection's own commits, and all of this process are that connection's.
                # The driver's own: within a transaction the number would stay as it is.
                with self._in_turn(), closing(self._writer.raw_connection()) as borrowed:
                    driver: Any = borrowed.driver_connection
                    return int(driver.execute("PRAGMA data_version").fetchone()[0])
            with self.engine.connect() as connection:
                return int(connection.exec_driver_sql(_POSTGRES_STAMP).scalar_one())

    def close(self) -> None:
        """Close all connections."""
        self._writer.dispose()
        self.engine.dispose()


def _engine(url: str, connections: int = _MOST_CONNECTIONS) -> Engine:
    lite = make_url(url).get_backend_name() == "sqlite"
    kept = min(connections, _CONNECTIONS)
    engine = create_engine(
        url,
        pool_size=kept,
        max_overflow=connections - kept,
        pool_pre_ping=not lite,  # a server that was restarted has cut the connections that wait here
        connect_args={} if lite else _patience(make_url(url)),
    )
    if lite:
        event.listen(engine, "connect", _prepare)
        event.listen(engine, "begin", _begin)
    else:
        event.listen(engine, "connect", _limit_waiting)
    return engine


def _patience(url: URL) -> dict[str, Any]:
    """How long a server that does not answer is waited for (libpq); what the operator's URL says counts."""
    limits = {"connect_timeout": _CONNECT_S, "tcp_user_timeout": 1000 * _IDLE_S}
    return {name: value for name, value in limits.items() if name not in url.query}


def _limit_waiting(connection: Any, _record: object) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {_BUSY_TIMEOUT_MS}")
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_S}s'")
    connection.commit()


def _prepare(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; `_begin` does
    for pragma in (
        f"busy_timeout = {_BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITING)
    # A deferred transaction that writes late can fail as busy without waiting; this one waits at once.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


@contextmanager
def _translated(folder: Path | None) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        _logger.info("constraint: %s", error.orig)
        raise ConflictError(
            "somebody else was first, or this exists already", hint="Look, then try again."
        ) from error
    except OperationalError as error:
        said = str(error.orig).lower()
        if "full" in said or "no space" in said or (folder is not None and is_full(folder)):
            raise CapacityError("the factory's disk is full", hint="Ask its operator for room.") from error
        _logger.warning("database: %s", error.orig)
        raise UnavailableError("the factory's database is busy or out of reach", hint="Try again.") from error
    except DataError as error:
        _logger.warning("database: %s", error.orig)
        raise UsageError("something in this is longer or larger than the factory can keep") from error
    except DBAPIError as error:
        _logger.warning("database: %s", error.orig)
        raise UnavailableError("the factory's database refused", hint="Try again.") from error
    except PoolTimeoutError as error:
        raise UnavailableError("all connections to the factory's database are in use", hint="Try again.") from error
