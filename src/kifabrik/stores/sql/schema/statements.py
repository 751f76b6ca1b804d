"""Signed statements, and mail about them."""

from sqlalchemy import BigInteger, Column, PrimaryKeyConstraint, Table, Text

from kifabrik.stores.sql.schema.columns import digest, ident, metadata, number, word

statements = Table(
    "statements",
    metadata,
    ident("tenant"),
    digest("digest"),
    Column("envelope", Text, nullable=False),
    Column("position", BigInteger, nullable=True),
    PrimaryKeyConstraint("tenant", "digest"),
)

mail = Table(
    "mail",
    metadata,
    ident("tenant"),
    number("number"),
    word("kind"),
    digest("digest"),
    PrimaryKeyConstraint("tenant", "number"),
)
