"""Rows of signed statements and of mail."""

from collections.abc import Iterable, Iterator

from sqlalchemy import ColumnElement, Connection, func, insert, select, update

from kifabrik.factory.records import Letter, MailKind
from kifabrik.signatures.dsse import Envelope
from kifabrik.stores.sql.rows import add_missing, chunks
from kifabrik.stores.sql.schema.statements import mail, statements


class SqlStatementRows:
    """Implements `kifabrik.factory.rows.StatementRows`."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    def add(self, tenant: str, envelope: Envelope, index: int | None = None) -> None:
        """Keep a statement; keeping it again changes nothing but a missing index."""
        digest = envelope.digest
        added = add_missing(
            self._sql, statements, tenant=tenant, digest=digest, envelope=envelope.to_json(), position=index
        )
        if not added and index is not None:
            where = (*_one(tenant, digest), statements.c.position.is_(None))
            self._sql.execute(update(statements).where(*where).values(position=index))

    def get(self, tenant: str, digest: str) -> Envelope | None:
        """Find a statement."""
        text = self._sql.scalars(select(statements.c.envelope).where(*_one(tenant, digest))).one_or_none()
        return None if text is None else Envelope.from_json(text)

    def texts(self, tenant: str, digests: Iterable[str]) -> list[str]:
        """Those of these statements that there are, as DSSE JSON, by digest."""
        found: list[str] = []
        for chunk in chunks(sorted(digests)):
            where = (statements.c.tenant == tenant, statements.c.digest.in_(chunk))
            found += self._sql.scalars(select(statements.c.envelope).where(*where).order_by(statements.c.digest))
        return found

    def index(self, tenant: str, digest: str) -> int | None:
        """The log entry a statement is recorded by."""
        return self._sql.scalars(select(statements.c.position).where(*_one(tenant, digest))).one_or_none()

    def known(self, tenant: str, digests: Iterable[str]) -> set[str]:
        """Which of these statements there are."""
        found: set[str] = set()
        for chunk in chunks(digests):
            where = (statements.c.tenant == tenant, statements.c.digest.in_(chunk))
            found |= set(self._sql.scalars(select(statements.c.digest).where(*where)))
        return found

    def digests(self, tenant: str) -> Iterator[tuple[str, int | None]]:
        """Every statement of a tenant with the index of its log entry."""
        query = select(statements.c.digest, statements.c.position).where(statements.c.tenant == tenant)
        for row in self._sql.execute(query):
            yield row.digest, row.position

    def add_letter(self, tenant: str, kind: MailKind, digest: str) -> Letter:
        """Write to the keyholder; numbers grow by one within a tenant."""
        last = self._sql.scalars(select(func.max(mail.c.number)).where(mail.c.tenant == tenant)).one()
        letter = Letter(tenant, (last or 0) + 1, kind, digest)
        self._sql.execute(insert(mail).values(tenant=tenant, number=letter.number, kind=str(kind), digest=digest))
        return letter

    def letters(self, tenant: str, after: int, limit: int) -> list[Letter]:
        """Mail with numbers above `after`."""
        where = (mail.c.tenant == tenant, mail.c.number > after)
        rows = self._sql.execute(select(mail).where(*where).order_by(mail.c.number).limit(limit))
        return [Letter(row.tenant, row.number, MailKind(row.kind), row.digest) for row in rows]


def _one(tenant: str, digest: str) -> tuple[ColumnElement[bool], ...]:
    return statements.c.tenant == tenant, statements.c.digest == digest
