"""Stored objects, uploads under way, deletions under way."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from kifabrik.stores.sql.schema.columns import digest, ident, metadata, moment, number, word

objects = Table(
    "objects",
    metadata,
    ident("tenant"),
    digest("digest"),
    number("size"),
    moment("created"),
    PrimaryKeyConstraint("tenant", "digest"),
)

uploads = Table(
    "uploads",
    metadata,
    ident("tenant"),
    digest("digest"),
    number("size"),
    moment("touched"),
    PrimaryKeyConstraint("tenant", "digest"),
    Index(None, "touched"),
)

deletions = Table(
    "deletions",
    metadata,
    ident("tenant"),
    digest("digest"),
    number("size"),
    word("claim"),
    moment("until"),
    PrimaryKeyConstraint("tenant", "digest"),
)
