"""Brings the database to the present schema; Alembic is only imported if it is not there yet."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from kifabrik.errors import UnavailableError
from kifabrik.stores.sql.store import SqlStore

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_LEFT: Final = "left"
"""Stands in place of the revision of a database whose rows were copied to another one."""

_LOCK: Final = 0x6B696661
"""Number of the advisory lock PostgreSQL's upgraders take turns by; "kifa"."""


def newest_revision() -> str:
    """The revision this version of kifabrik needs: the highest number among the migrations."""
    return max(file.name.partition("_")[0] for file in (_MIGRATIONS / "versions").glob("[0-9]*_*.py"))


def present_revision(store: SqlStore) -> str:
    """The revision of the database; empty for a new one."""
    with store.connect() as connection:
        if not inspect(connection).has_table("alembic_version"):
            return ""
        return str(connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() or "")


def upgrade(store: SqlStore) -> bool:
    """Bring the database to the newest revision, whole or not at all; whether anything was to do.

    Raises:
        UnavailableError: The database is of a newer kifabrik, or its rows were copied to another one.
    """
    present, newest = present_revision(store), newest_revision()
    if present == _LEFT:
        raise UnavailableError(
            "the rows of this factory were copied to another database",
            hint="Name that one as database in factory.toml.",
        )
    if present > newest:
        raise UnavailableError(
            f"the database has schema {present}; this kifabrik knows schemas up to {newest}",
            hint="Install the newer kifabrik that wrote it.",
        )
    if present == newest:
        return False
    from alembic import command  # noqa: PLC0415 - takes a second, and is needed once per version
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    with store.connect(writing=True) as connection, connection.begin():
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL lock_timeout = 0")  # whoever upgrades before may take long
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return True


def leave(connection: Connection) -> None:
    """Let no service start on this database any more, within its transaction: its rows are elsewhere."""
    connection.execute(text("UPDATE alembic_version SET version_num = :left").bindparams(left=_LEFT))
