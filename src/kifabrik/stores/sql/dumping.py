"""Dumps a PostgreSQL database with PostgreSQL's own `pg_dump`: one state of all tables, beside running services.

The password reaches it through its environment, never through its arguments, which everybody on a machine can read.
"""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

from kifabrik.errors import FULL_DISK, CapacityError, UnavailableError, UsageError
from kifabrik.stores.sql.address import Address

_OURS: Final = frozenset({"context", "password"})
"""What SQLAlchemy adds for psycopg, and what is not for everybody's eyes."""


def dump(address: Address, file: Path) -> None:
    """Write a dump that `pg_restore` reads.

    Args:
        address: The database.
        file: Written anew; nobody else may read it.

    Raises:
        UsageError: There is no `pg_dump` here.
        UnavailableError: It cannot reach the database, or is older than the server; the message has its words.
        CapacityError: The disk is full.
    """
    if shutil.which("pg_dump") is None:
        raise UsageError("the factory's rows are in PostgreSQL, and there is no pg_dump here", hint=_INSTALL)
    password = address.password()
    environment = {**os.environ, "PGOPTIONS": "", **({"PGPASSWORD": password} if password else {})}
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        called = subprocess.run(
            ["pg_dump", "--format=custom", "--no-password", f"--dbname={_conninfo(address)}"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.PIPE,
            env=environment,
            check=False,
            text=True,
            errors="replace",
        )
    if called.returncode:
        said = " ".join(line.strip() for line in called.stderr.splitlines()[:2])
        if any(os.strerror(number) in said for number in FULL_DISK):
            raise CapacityError(f"the disk of {file.parent} is full", hint="Make room, and repeat.")
        raise UnavailableError(
            f"the database cannot be dumped: {said}", hint="pg_dump must be as new as the server."
        )


_INSTALL: Final = (
    "Install PostgreSQL's client programs (Debian: postgresql-client) of the server's version or newer."
)


def _conninfo(address: Address) -> str:
    """The address as libpq's programs read it."""
    from psycopg.conninfo import make_conninfo  # noqa: PLC0415 - of an extra

    _, found = address.url.get_dialect()().create_connect_args(address.url)
    parameters: dict[str, Any] = {name: value for name, value in found.items() if name not in _OURS}
    return str(make_conninfo("", **parameters))
