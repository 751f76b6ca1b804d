"""Moves a factory's rows into another database, and checks that the factory stands on it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from kifabrik.factory.findings import Finding
from kifabrik.stores.sql.address import Address
from kifabrik.stores.sql.copying import Copied, copy_rows, count_rows
from kifabrik.stores.sql.store import SqlStore
from kifabrik.wiring.factory import database_of, open_factory
from kifabrik.wiring.factory_config import read_config


@dataclass(frozen=True)
class Moved:
    """What was done.

    Args:
        left: The database the rows were in, as it may be shown.
        target: The one they are in now.
        tables: What was copied, by table.
        findings: What `kifabrik admin check` says of the factory on the new database.
    """

    left: str
    target: str
    tables: tuple[Copied, ...]
    findings: tuple[Finding, ...]


class DatabaseMove:
    """A factory's rows on their way.

    Args:
        home: The factory's folder.
        address: Where to, as `database` in the settings.
        password_file: Holds the password; None where libpq is to find it.

    Raises:
        UsageError: There is no factory, or one of the databases is none.
        UnavailableError: The new database cannot be reached, or is none a factory can rely on.
    """

    def __init__(self, home: Path, address: str, password_file: Path | None = None) -> None:
        self._home = home
        self._source = SqlStore(database_of(home, read_config(home)))
        self._target = SqlStore(Address.from_text(address, password_file))
        self._target.check()

    def rows(self) -> int:
        """How many rows there are to copy."""
        return count_rows(self._source)

    def run(self, told: Callable[[int], object] | None = None) -> Moved:
        """Copy, compare, check.

        Args:
            told: Called with numbers of rows copied or compared: each row counts twice.

        Raises:
            ConflictError: The service runs.
            UsageError: The new database is not empty.
            IntegrityError: What arrived is not what was sent.
        """
        try:
            tables = copy_rows(self._source, self._target, told or (lambda _rows: None))
        finally:
            self._source.close()
            self._target.close()
        factory = open_factory(self._home, database=self._target.address)
        try:
            ends = str(self._source.address), str(self._target.address)
            return Moved(*ends, tuple(tables), tuple(factory.check.run()))
        finally:
            factory.store.close()
