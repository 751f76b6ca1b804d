"""Where the factory's database is, and how its password comes to the driver.

Invariants:
- no password stands in the settings, in a process's arguments, in a log or in a message: it is read from its file,
  or by libpq from where libpq reads it (`PGPASSWORD`, `~/.pgpass`, a service file, a client certificate);
- the file is read anew for every connection, so a password is changed without a restart;
- what names a database that is neither SQLite nor PostgreSQL is refused before anything is opened.
"""

import stat
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from kifabrik.errors import UsageError

_DRIVER: Final = "postgresql+psycopg"
_SPELLINGS: Final = ("postgres", "postgresql", _DRIVER)
"""As libpq, SQLAlchemy and people write it; all mean psycopg 3."""
_OTHERS: Final = stat.S_IROTH | stat.S_IWOTH | stat.S_IXOTH
_EXAMPLE: Final = "postgresql://kifabrik@db.example/kifabrik"


@dataclass(frozen=True)
class Address:
    """A database.

    Args:
        url: Of SQLAlchemy, without a password.
        password_file: Holds the password on its first line; None where libpq finds it by itself or needs none.
    """

    url: URL
    password_file: Path | None = None

    @classmethod
    def from_text(cls, text: str, password_file: Path | None = None) -> "Address":
        """Read an address as it stands in the settings.

        Args:
            text: `sqlite:///FILE` or `postgresql://USER@HOST/DATABASE?…`; what follows `?` are libpq's parameters.
            password_file: See the class.

        Raises:
            UsageError: It is no such address, it contains a password, or psycopg is missing.
        """
        try:
            url = make_url(text)
        except (ArgumentError, ValueError):
            # Not the text itself: who mistypes an address may have written a password into it.
            raise UsageError("the address of the database is none", hint=f"It looks like {_EXAMPLE}") from None
        if url.drivername == "sqlite":
            return cls(url)
        if url.drivername not in _SPELLINGS:
            raise UsageError(
                f"a factory keeps its rows in SQLite or PostgreSQL, not in {url.drivername}",
                hint=f"The address of a PostgreSQL database looks like {_EXAMPLE}",
            )
        if url.password is not None or "password" in url.query:
            raise UsageError(
                "the address of the database contains a password",
                hint="Put it into a file only the service's user can read; name that as database_password_file.",
            )
        if find_spec("psycopg") is None:
            raise UsageError(
                "a database on PostgreSQL needs psycopg, which is not installed",
                hint="Install it: pip install 'kifabrik[postgres]'",
            )
        return cls(url.set(drivername=_DRIVER), password_file)

    @property
    def lite(self) -> bool:
        """Whether it is a file of SQLite's."""
        return self.url.get_backend_name() == "sqlite"

    def __str__(self) -> str:
        """As it may be shown to anybody, and stand in the settings."""
        shown = self.url.set(drivername=self.url.get_backend_name()).render_as_string(hide_password=True)
        front, mark, parameters = shown.partition("?")
        return front + mark + parameters.replace("%2F", "/")  # a socket's folder stays readable

    def password(self) -> str | None:
        """The password for the next connection; None where libpq is to find it.

        Raises:
            UsageError: The file is missing, empty, or others than its owner and group may use it.
        """
        file = self.password_file
        if file is None:
            return None
        try:
            with file.open(encoding="utf-8") as opened:
                mode, line = file.stat().st_mode, opened.readline().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"the password of the database cannot be read from {file}: {error}") from None
        if mode & _OTHERS:
            raise UsageError(f"everybody here can read the database's password in {file}", hint=f"chmod 600 {file}")
        if not line:
            raise UsageError(f"the first line of {file} is empty", hint="It holds the database's password.")
        return line
