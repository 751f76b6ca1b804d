"""Opens connections to SQLite or PostgreSQL, with how long they wait and what they hold.

Invariants:
- on SQLite a writer begins with `BEGIN IMMEDIATE`; on PostgreSQL a connection begins as `READ COMMITTED`, in which
  a statement sees what others have committed before it: who has waited for a lock sees what it waited for;
- nobody waits for ever: for a lock, for a server that does not answer, or for a session that hangs.
"""

from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event

from kifabrik.errors import UnavailableError
from kifabrik.stores.sql.address import Address

MOST_CONNECTIONS: Final = 60
"""More than the web server has threads, so that none waits for a connection."""
WRITING: Final = "kifabrik_writing"
"""Execution option of a connection that is going to write."""

_KEPT: Final = 10
_CONNECT_S: Final = 10
_IDLE_S: Final = 300
"""A transaction in which nothing is asked for so long is of a service that hangs; what it has locked is freed."""
_OLDEST: Final = 130_000
"""PostgreSQL 13: the oldest with `pg_current_snapshot`."""


def make_engine(address: Address, busy_ms: int, connections: int = MOST_CONNECTIONS) -> Engine:
    """Return an engine that opens connections as they are needed.

    Args:
        address: The database.
        busy_ms: How long a lock is waited for.
        connections: Most at a time.
    """
    kept = min(connections, _KEPT)
    engine = create_engine(
        address.url,
        pool_size=kept,
        max_overflow=connections - kept,
        pool_pre_ping=not address.lite,  # a server that was restarted has cut the connections that wait here
        isolation_level=None if address.lite else "READ COMMITTED",
        connect_args={} if address.lite else _patience(address.url),
    )
    if address.lite:
        event.listen(engine, "connect", lambda connection, _record: _prepare(connection, busy_ms))
        event.listen(engine, "begin", _begin)
        return engine

    def with_password(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
        password = address.password()
        if password is not None:
            parameters["password"] = password

    event.listen(engine, "do_connect", with_password)
    event.listen(engine, "connect", lambda connection, _record: _limit_waiting(connection, busy_ms))
    return engine


def check_server(connection: Connection) -> None:
    """Check that a PostgreSQL server is one a factory can rely on.

    Raises:
        UnavailableError: It is too old, a standby, does not keep text as UTF-8, or does not sync what it commits.
    """
    ask = "SELECT current_setting('server_version_num')::int, pg_is_in_recovery()"
    ask += ", current_setting('server_encoding'), current_setting('fsync')"
    version, standby, encoding, synced = connection.exec_driver_sql(ask).one()
    if version < _OLDEST:
        raise UnavailableError(f"PostgreSQL {version // 10_000} is too old", hint="A factory needs 13 or newer.")
    if standby:
        raise UnavailableError("this PostgreSQL server is a standby", hint="Name the one that takes writes.")
    if encoding != "UTF8":
        raise UnavailableError(
            f"the database keeps text as {encoding}",
            hint="Make it with: createdb --encoding=UTF8 --template=template0",
        )
    if synced != "on":
        raise UnavailableError(
            "this PostgreSQL server acknowledges what is not on its disk (fsync = off)",
            hint="A log that loses entries after a power cut is refused by its keyholder. Set fsync = on.",
        )


def _patience(url: URL) -> dict[str, Any]:
    """How long a server that does not answer is waited for (libpq); what the operator's URL says counts."""
    limits = {
        "connect_timeout": _CONNECT_S,
        "tcp_user_timeout": 1000 * _IDLE_S,
        "application_name": "kifabrik",
    }
    return {name: value for name, value in limits.items() if name not in url.query}


def _limit_waiting(connection: Any, busy_ms: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET lock_timeout = {busy_ms}")
        # What is acknowledged lasts, whatever the server's default is.
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') = 'off'"
        )
        cursor.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_S}s'")
    connection.commit()


def _prepare(connection: Any, busy_ms: int) -> None:
    connection.isolation_level = None  # the driver begins nothing by itself; `_begin` does
    for pragma in (f"busy_timeout = {busy_ms}", "journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get(WRITING)
    # A deferred transaction that writes late can fail as busy without waiting; this one waits at once.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
