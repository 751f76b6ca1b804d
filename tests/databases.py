"""Which database tests of rows and use cases run on: SQLite, or a PostgreSQL server that is named or their own.

`KIFABRIK_TEST_POSTGRES` names a server by its URL, or says `own`: then each process of pytest starts one.
"""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from postgres import PROGRAMS, PostgresServer, folder_of_a_server

_NAME: Final = "KIFABRIK_TEST_POSTGRES"
_OWN: Final = "own"
sqlite_only = pytest.mark.skipif(_NAME in os.environ, reason="of SQLite alone")
postgres_only = pytest.mark.skipif(_NAME not in os.environ, reason="of PostgreSQL alone; make test-services")


def fresh_database(file: Path) -> str:
    """Return the address of a new database: this file, or one on the server that tests run on."""
    server = os.environ.get(_NAME)
    if not server:
        return f"sqlite:///{file}"
    from sqlalchemy import create_engine  # takes time, for those who use it

    name = f"kifabrik_{secrets.token_hex(6)}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    if engine.url.password:
        os.environ["PGPASSWORD"] = str(engine.url.password)  # no address of a factory's contains one
    url = engine.url.set(database=name, password=None).render_as_string()
    engine.dispose()
    return url


def use_postgres(settings: Path) -> None:
    """Give a factory a fresh database on the server that tests run on, if there is one."""
    if os.environ.get(_NAME):
        settings.write_text(f'database = "{fresh_database(settings)}"\n' + settings.read_text())


@pytest.fixture(scope="session", autouse=True)
def server_of_our_own() -> Iterator[None]:
    """Run a server for all tests of this process, if one of their own is asked for."""
    if os.environ.get(_NAME) != _OWN:
        yield
        return
    if not PROGRAMS:
        pytest.fail("needs PostgreSQL: apt-get install postgresql-15")
    server = PostgresServer(PROGRAMS[-1], folder_of_a_server())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(_NAME, server.url)
        yield
    server.close()
