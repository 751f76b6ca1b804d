"""One SQLite file: durable commits, one writer at a time, deleted bytes overwritten.

Invariants:
- what `transaction` wrote is on disk when it returns, or nothing of it is;
- several processes may use the file: the serving keyholder and a steward's commands beside it;
- no network call happens within a transaction;
- a file of an earlier version is brought to the present one when it is opened, whole or not at all.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from kifabrik.durable import is_full
from kifabrik.errors import CapacityError, IntegrityError, KifabrikError, UnavailableError
from kifabrik.keyholder.schema import FIRST, STEPS, TABLES, VERSION

_DAMAGED: Final = "Keep a copy of its folder, then restore a backup into another one: kifabrik keyholder restore"
_BUSY_S: Final = 30.0


class Database:
    """A connection usable from several threads, one at a time.

    Args:
        path: The file; made with mode 0600 if missing.

    Raises:
        IntegrityError: The file is no keyholder database, or one of a newer version.
        UnavailableError: The file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        try:
            # SQLite gives its side files the mode of the main file.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        except OSError as error:
            raise UnavailableError(
                f"cannot open {path}: {error.strerror or error}", hint="This user must be able to write there."
            ) from error
        with self._translated():
            self._connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None, check_same_thread=False)
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        self._connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "secure_delete = ON"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        with self.transaction():
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in TABLES.split(";\n"):
                    self._connection.execute(statement)
                version = FIRST
            elif not FIRST <= version <= VERSION:
                wanted = "a newer" if version > VERSION else "an older"
                raise IntegrityError(
                    f"{self._path} was written by {wanted} version of kifabrik", hint="Install that one."
                )
            for step in range(version + 1, VERSION + 1):
                for statement in STEPS[step]:
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {step}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; closing twice is harmless."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Hold the write lock; commit at the end, undo everything on an error. May be nested.

        Raises:
            CapacityError: The disk is full.
            UnavailableError: The file cannot be written, or another process holds it too long.
        """
        with self._lock, self._translated():
            if self._depth:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._depth = 1
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                self._depth = 0
                # A full disk has undone everything by itself already; a failed commit has not.
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")

    def execute(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Run one statement and return how many rows it changed."""
        with self._lock, self._translated():
            return self._connection.execute(statement, values).rowcount

    def insert_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each row."""
        with self._lock, self._translated():
            self._connection.executemany(statement, rows)

    def rows(self, query: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        with self._lock, self._translated():
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """Return the first row of a query."""
        with self._lock, self._translated():
            found: sqlite3.Row | None = self._connection.execute(query, values).fetchone()
            return found

    def revision(self) -> int:
        """Return a number that changes whenever another connection commits."""
        with self._lock, self._translated():
            return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def shred(self) -> None:
        """Rewrite the file so that no deleted row is left in it or in its journal.

        Raises:
            CapacityError: The disk has no room for the new file beside the old one.
            UnavailableError: Another program reads the file for so long that its journal cannot be emptied.
        """
        with self._lock, self._translated():
            self._connection.execute("VACUUM")
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise UnavailableError(
                f"{self._path} is in use by another program; what was deleted still stands in its journal",
                hint="End that program: perhaps a copy of the folder is being made. It is tried again.",
            )

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except KifabrikError:
            raise
        except sqlite3.DatabaseError as error:
            if "full" in str(error) or is_full(self._path.parent):
                raise CapacityError(f"cannot write {self._path}: {error}", hint="Free some space.") from error
            if isinstance(error, sqlite3.OperationalError):
                raise UnavailableError(f"cannot use {self._path}: {error}", hint="Try again.") from error
            raise IntegrityError(f"cannot use {self._path}: {error}", hint=_DAMAGED) from error
