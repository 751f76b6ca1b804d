"""Rows of challenges, codes and sessions."""

from sqlalchemy import Connection, delete, insert, select

from kifabrik.factory.sign_in_records import SignIn, SignInKind
from kifabrik.stores.sql.rows import plain, record
from kifabrik.stores.sql.schema.sign_ins import sign_ins


class SqlSignInRows:
    """Implements `kifabrik.factory.sign_in_records.SignInRows`."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    def add(self, one: SignIn) -> None:
        """Add one."""
        self._sql.execute(insert(sign_ins).values(**plain(one)))

    def find(self, hashed: str) -> SignIn | None:
        """Find one by its hash, expired or not."""
        row = self._sql.execute(select(sign_ins).where(sign_ins.c.hash == hashed)).one_or_none()
        return None if row is None else record(SignIn, row, kind=SignInKind(row.kind))

    def take(self, hashed: str) -> bool:
        """Delete one; whether it was there."""
        return self._sql.execute(delete(sign_ins).where(sign_ins.c.hash == hashed)).rowcount == 1

    def drop(self, tenant: str, member: str, kind: SignInKind | None = None) -> None:
        """Delete all of a member, or all of one kind."""
        where = [sign_ins.c.tenant == tenant, sign_ins.c.member == member]
        if kind is not None:
            where.append(sign_ins.c.kind == str(kind))
        self._sql.execute(delete(sign_ins).where(*where))

    def drop_expired(self, now: str) -> None:
        """Delete what has expired by now."""
        self._sql.execute(delete(sign_ins).where(sign_ins.c.expires <= now))
