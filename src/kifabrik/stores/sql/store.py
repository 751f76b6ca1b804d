"""Opens transactions on SQLite or PostgreSQL.

What each of them guarantees:
- reading sees one moment and waits for nobody: SQLite by its snapshot, PostgreSQL by `REPEATABLE READ`, read only;
- the writers of one tenant take turns: SQLite has one writer at all; on PostgreSQL a writer locks the rows of its
  tenants' logs first, in one order, and goes on as `READ COMMITTED`: what it reads then is what the one before it
  left. So nothing a tenant's use case looks at changes before it commits, no serialisation fails, and an entry's
  index, a run's position and a letter's number are the next ones;
- what belongs to no tenant (nodes, sign-up codes, who leads) is changed by one conditional update of its row;
- no transaction waits for anything but the database.
"""

import logging
import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import closing, contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError

from kifabrik.errors import UnavailableError
from kifabrik.factory.hints import Hints
from kifabrik.factory.records import Member, Token
from kifabrik.stores.sql.accounts import BEARER, SqlAccountRows, bearer_of
from kifabrik.stores.sql.address import Address
from kifabrik.stores.sql.connecting import WRITING, check_server, make_engine
from kifabrik.stores.sql.courier import Courier
from kifabrik.stores.sql.datasets import SqlDatasetRows
from kifabrik.stores.sql.failures import first_line, translated
from kifabrik.stores.sql.leases import SqlLeaseRows
from kifabrik.stores.sql.log import SqlLogRows
from kifabrik.stores.sql.objects import SqlObjectRows
from kifabrik.stores.sql.runs import SqlRunRows
from kifabrik.stores.sql.schema.log import logs
from kifabrik.stores.sql.sign_ins import SqlSignInRows
from kifabrik.stores.sql.statements import SqlStatementRows

_BUSY_TIMEOUT_MS: Final = 15_000
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
        address: The database, or its URL, such as `sqlite:////srv/kifabrik/factory.db` or `postgresql://…`.

    Raises:
        UsageError: It is none a factory can use.
    """

    def __init__(self, address: Address | str) -> None:
        self.address = address if isinstance(address, Address) else Address.from_text(address)
        self.engine = make_engine(self.address, _BUSY_TIMEOUT_MS)
        self._lite = self.address.lite
        self._writer = make_engine(self.address, _BUSY_TIMEOUT_MS, connections=1) if self._lite else self.engine
        self._folder = Path(self.address.url.database or "").parent if self._lite else None
        self._courier = None if self._lite else Courier(self.engine)
        self._bearer = str(BEARER.compile(dialect=self.engine.dialect)) if self._lite else ""
        self._turn = threading.Lock()

    def bearer(self, hashed: str) -> tuple[Token, Member | None] | None:
        """See `kifabrik.factory.ports.Store`; with SQLite's write-ahead log reading waits for nobody.

        Every request begins with this, and what SQLAlchemy does for a statement takes several times as long as
        the statement: so it is the driver's own, and one statement needs no transaction around it.
        """
        if not self._lite:
            return None
        with translated(self._folder), closing(self.engine.raw_connection()) as borrowed:
            driver: Any = borrowed.driver_connection
            row = driver.execute(self._bearer, (hashed,)).fetchone()
        return None if row is None else bearer_of(row)

    @contextmanager
    def connect(self, *, writing: bool = False) -> Iterator[Connection]:
        """Open a connection outside any transaction, for upgrades and checks."""
        with translated(self._folder), self.engine.connect() as connection:
            yield connection.execution_options(**{WRITING: writing})

    @contextmanager
    def read(self) -> Iterator[SqlTransaction]:
        """Open a consistent view."""
        # SQLite reads from one snapshot by itself.
        options = {} if self._lite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with (
            translated(self._folder),
            self.engine.connect().execution_options(**options) as connection,
            connection.begin(),
        ):
            yield SqlTransaction(connection)

    @contextmanager
    def write(self, *tenants: str) -> Iterator[SqlTransaction]:
        """Open a transaction that commits at the end; the writers of one tenant take turns."""
        with translated(self._folder):
            with self._in_turn(), self._writer.connect() as plain:
                connection = plain.execution_options(**{WRITING: True})
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

    def check(self) -> None:
        """Check that the database answers and is one a factory can rely on; its operator is told what it says.

        Raises:
            UnavailableError: It does not, or is not.
        """
        if self._lite:
            return
        try:
            with self.engine.connect() as connection:
                check_server(connection)
        except DBAPIError as error:
            raise UnavailableError(
                f"the factory's database {self.address} cannot be used: {first_line(error)}",
                hint="See database in factory.toml, and docs/operations.md, PostgreSQL.",
            ) from error

    def stamp(self) -> int:
        """Return a number that differs after any commit of another process.

        On PostgreSQL other processes say what they have committed; there it differs after something of that may
        have been missed.
        """
        if self._courier is not None:
            return self._courier.missed
        # SQLite does not count a connection's own commits, and all of this process are that connection's.
        # The driver's own: within a transaction the number would stay as it is.
        with translated(self._folder), self._in_turn(), closing(self._writer.raw_connection()) as borrowed:
            driver: Any = borrowed.driver_connection
            return int(driver.execute("PRAGMA data_version").fetchone()[0])

    def tell(self, hints: Hints) -> None:
        """From now on, tell other processes on PostgreSQL what this one hints at."""
        if self._courier is not None:
            self._courier.tell(hints)

    @contextmanager
    def hearing(self, name: str) -> Iterator[None]:
        """On PostgreSQL, pass on what other processes hint at, and be known as alive, while the block runs.

        Args:
            name: Of this process, as `SqlFleetTable.absent` asks for it.
        """
        if self._courier is None:
            yield
            return
        with self._courier.hearing(name):
            yield

    def close(self) -> None:
        """Close all connections, once what was to be told is told."""
        if self._courier is not None:
            self._courier.close()
        self._writer.dispose()
        self.engine.dispose()
