"""What the use cases need from the outside; `kifabrik.stores` provides it, `kifabrik.wiring` joins them.

Invariants the implementations keep:
- `Store.write(tenant)` is serial among all writers of that tenant, in this and in other processes;
- what `after_commit` holds runs once, in order, after the commit, and never after a rollback;
- an object is visible under its key whole or not at all.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import Protocol

from kifabrik.factory.object_rows import ObjectRows
from kifabrik.factory.records import Member, Token
from kifabrik.factory.rows import AccountRows, DatasetRows, LeaseRows, LogRows, StatementRows
from kifabrik.factory.run_rows import RunRows
from kifabrik.factory.sign_in_records import SignInRows
from kifabrik.signatures.keys import SigningKey

Clock = Callable[[], datetime]
"""Returns the present moment (aware, whole seconds)."""


class Transaction(Protocol):
    """One unit of work: rows by noun, and what is to happen once it is committed."""

    @property
    def accounts(self) -> AccountRows:
        """Tenants, members, tokens and sign-up codes."""
        ...

    @property
    def logs(self) -> LogRows:
        """Logs."""
        ...

    @property
    def statements(self) -> StatementRows:
        """Statements and mail."""
        ...

    @property
    def objects(self) -> ObjectRows:
        """Objects, uploads and deletions."""
        ...

    @property
    def datasets(self) -> DatasetRows:
        """Versions, grants and erasures."""
        ...

    @property
    def leases(self) -> LeaseRows:
        """Requests for keys."""
        ...

    @property
    def runs(self) -> RunRows:
        """Runs."""
        ...

    @property
    def sign_ins(self) -> SignInRows:
        """Challenges, codes and sessions of the pages."""
        ...

    def after_commit(self, key: Hashable, act: Callable[[], None]) -> None:
        """Run `act` after the commit, once for each `key`; it must not raise."""
        ...


class Store(Protocol):
    """Opens transactions."""

    def bearer(self, hashed: str) -> tuple[Token, Member | None] | None:
        """Find a token by its hash, and the member it is of, if that waits for nobody; else None.

        It waits for nobody where writers hold up no readers and no other machine is asked.
        """
        ...

    def read(self) -> AbstractContextManager[Transaction]:
        """A consistent view; nothing may be written."""
        ...

    def write(self, *tenants: str) -> AbstractContextManager[Transaction]:
        """Commits at the end, rolls back on any error.

        Args:
            tenants: Whose things are written; the writers of each take turns. None where they are nobody's, or
                the tenant does not exist yet.

        Raises:
            UnavailableError: The database is busy for too long or cannot be reached.
            CapacityError: The disk is full.
        """
        ...

    def stamp(self) -> int:
        """A number that differs after any commit of another process that no hint has told of."""
        ...

    def hearing(self, name: str) -> AbstractContextManager[None]:
        """Hear what other processes hint at, and be known as alive under a name, while the block runs."""
        ...

    def close(self) -> None:
        """Let go of the database."""
        ...


class ObjectStore(Protocol):
    """Keeps whole objects under keys such as `tenant/aa/digest`."""

    @property
    def trouble(self) -> str:
        """Why objects cannot be had at present, as a sentence without its full stop; empty if they can."""
        ...

    def look(self) -> None:
        """See whether objects can be had, for `trouble`; nothing is raised."""
        ...

    def adopt(self, file: Path, key: str) -> None:
        """Move a finished local file under a key, durable and at once; an object already there is replaced.

        Raises:
            CapacityError: There is no room.
        """
        ...

    def size(self, key: str) -> int | None:
        """Bytes of an object, or None if there is none."""
        ...

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yield the bytes `[start, end)` in pieces.

        Raises:
            NotFoundError: There is no such object; raised by the call, before the first piece.
        """
        ...

    def delete(self, key: str) -> None:
        """Delete an object; one that is missing is fine."""
        ...

    def keys(self) -> Iterator[tuple[str, int]]:
        """Yield every key with the object's size."""
        ...


class LogKeys(Protocol):
    """The signing keys of the logs."""

    def create(self, tenant: str) -> SigningKey:
        """Make the tenant's log key, or return the one made before."""
        ...

    def get(self, tenant: str) -> SigningKey:
        """Return the tenant's log key.

        Raises:
            UnavailableError: It is missing.
        """
        ...
