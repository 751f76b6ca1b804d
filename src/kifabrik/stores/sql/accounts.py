"""Rows of tenants, members, tokens and sign-up codes."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select, update

from kifabrik.factory.records import Member, SignUpCode, Tenant, Token, TokenKind
from kifabrik.stores.sql.rows import plain, record
from kifabrik.stores.sql.schema.accounts import codes, members, tenants, tokens
from kifabrik.tenants.statements import Role

_OF_TOKEN: Final = [field.name for field in fields(Token)]
_OF_MEMBER: Final = [field.name for field in fields(Member)]
BEARER: Final = (
    select(*(tokens.c[name] for name in _OF_TOKEN), *(members.c[name] for name in _OF_MEMBER))
    .select_from(tokens)
    .outerjoin(members, (members.c.tenant == tokens.c.tenant) & (members.c.member == tokens.c.member))
    .where(tokens.c.hash == bindparam("hash"))
)
"""A token by its hash, and the member it is of; `bearer_of` reads the row."""


def bearer_of(row: Sequence[Any]) -> tuple[Token, Member | None]:
    """Read what `BEARER` has found; a token of no member has nulls there."""
    token = dict(zip(_OF_TOKEN, row, strict=False))
    member = dict(zip(_OF_MEMBER, row[len(_OF_TOKEN) :], strict=True))
    return (
        Token(**token | {"kind": TokenKind(token["kind"])}),
        None if member["role"] is None else Member(**member | {"role": Role(member["role"])}),
    )


class SqlAccountRows:
    """Implements `kifabrik.factory.rows.AccountRows`."""

    def __init__(self, connection: Connection) -> None:
        self._sql = connection

    def add_code(self, code: SignUpCode) -> None:
        """Add a sign-up code."""
        self._sql.execute(insert(codes).values(**plain(code)))

    def code(self, hashed: str) -> SignUpCode | None:
        """Find a sign-up code."""
        row = self._sql.execute(select(codes).where(codes.c.hash == hashed)).one_or_none()
        return None if row is None else record(SignUpCode, row)

    def codes(self) -> list[SignUpCode]:
        """All sign-up codes, oldest first."""
        return [record(SignUpCode, row) for row in self._sql.execute(select(codes).order_by(codes.c.created))]

    def use_code(self, hashed: str, tenant: str) -> bool:
        """Mark a code as used; whether it was unused."""
        change = update(codes).where(codes.c.hash == hashed, codes.c.tenant == "").values(tenant=tenant)
        return self._sql.execute(change).rowcount == 1

    def add_tenant(self, tenant: Tenant) -> None:
        """Add a tenant."""
        self._sql.execute(insert(tenants).values(**plain(tenant)))

    def tenant(self, tenant: str) -> Tenant | None:
        """Find a tenant."""
        row = self._sql.execute(select(tenants).where(tenants.c.tenant == tenant)).one_or_none()
        return None if row is None else record(Tenant, row)

    def tenants(self) -> list[Tenant]:
        """All tenants, oldest first."""
        query = select(tenants).order_by(tenants.c.created, tenants.c.tenant)
        return [record(Tenant, row) for row in self._sql.execute(query)]

    def set_keyholder(self, tenant: str, statement: str, sequence: int) -> bool:
        """Name a newer keyholder; whether the sequence has grown."""
        change = (
            update(tenants)
            .where(tenants.c.tenant == tenant, tenants.c.keyholder_sequence < sequence)
            .values(keyholder=statement, keyholder_sequence=sequence)
        )
        return self._sql.execute(change).rowcount == 1

    def set_recipients(self, tenant: str, statement: str, sequence: int) -> bool:
        """Name a newer recipient list; whether the sequence has grown."""
        change = (
            update(tenants)
            .where(tenants.c.tenant == tenant, tenants.c.recipients_sequence < sequence)
            .values(recipients=statement, recipients_sequence=sequence)
        )
        return self._sql.execute(change).rowcount == 1

    def set_keyholder_seen(self, tenant: str, seen: str) -> None:
        """Note when the keyholder last called."""
        self._sql.execute(update(tenants).where(tenants.c.tenant == tenant).values(keyholder_seen=seen))

    def reserve_bytes(self, tenant: str, size: int, quota: int) -> bool:
        """Add to the bytes in use if they fit; whether they do. Giving back always fits."""
        change = update(tenants).where(tenants.c.tenant == tenant).values(bytes_used=tenants.c.bytes_used + size)
        if size > 0:
            change = change.where(tenants.c.bytes_used + size <= quota)
        return self._sql.execute(change).rowcount == 1

    def add_member(self, member: Member) -> None:
        """Add a member."""
        self._sql.execute(insert(members).values(**plain(member)))

    def member(self, tenant: str, member: str) -> Member | None:
        """Find a member."""
        query = select(members).where(members.c.tenant == tenant, members.c.member == member)
        row = self._sql.execute(query).one_or_none()
        return None if row is None else record(Member, row, role=Role(row.role))

    def members(self, tenant: str) -> list[Member]:
        """All members of a tenant."""
        query = select(members).where(members.c.tenant == tenant).order_by(members.c.member)
        return [record(Member, row, role=Role(row.role)) for row in self._sql.execute(query)]

    def remove_member(self, tenant: str, member: str, removed: str) -> None:
        """Note when a member was removed."""
        where = (members.c.tenant == tenant, members.c.member == member)
        self._sql.execute(update(members).where(*where).values(removed=removed))

    def add_token(self, token: Token) -> None:
        """Add a token."""
        self._sql.execute(insert(tokens).values(**plain(token)))

    def token(self, hashed: str) -> Token | None:
        """Find a token by its hash."""
        row = self._sql.execute(select(tokens).where(tokens.c.hash == hashed)).one_or_none()
        return None if row is None else record(Token, row, kind=TokenKind(row.kind))

    def tokens_of(self, tenant: str, *, kind: TokenKind, member: str = "", attempt: str = "") -> list[Token]:
        """All tokens of one holder."""
        query = select(tokens).where(*_holder(tenant, kind, member, attempt))
        return [record(Token, row, kind=TokenKind(row.kind)) for row in self._sql.execute(query)]

    def mark_used(self, hashed: str, used: str) -> None:
        """Note when a token first signed in."""
        self._sql.execute(update(tokens).where(tokens.c.hash == hashed, tokens.c.used == "").values(used=used))

    def drop_tokens(self, tenant: str, *, kind: TokenKind, member: str = "", attempt: str = "") -> None:
        """Delete all tokens of one holder."""
        self._sql.execute(delete(tokens).where(*_holder(tenant, kind, member, attempt)))


def _holder(tenant: str, kind: TokenKind, member: str, attempt: str) -> tuple[ColumnElement[bool], ...]:
    return (
        tokens.c.tenant == tenant,
        tokens.c.kind == str(kind),
        tokens.c.member == member,
        tokens.c.attempt == attempt,
    )
