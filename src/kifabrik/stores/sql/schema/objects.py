"""Stored objects, uploads under way, deletions under way, what was deleted."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from kifabrik.stores.sql.schema.columns import digest, ident, metadata, moment, number, word

objects = Table(
    "objects",
    metadata,
    ident("tenant"),
    digest("digest"),
    number("size"),
    moment("created"),
    moment("unused_since", server_default=""),
    PrimaryKeyConstraint("tenant", "digest"),
    Index(None, "unused_since", "tenant"),
)
"""`unused_since` is when an object came or was last asked for; empty once something on record uses it."""

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
    word("why", server_default=""),
    PrimaryKeyConstraint("tenant", "digest"),
)

removed_objects = Table(
    "removed_objects",
    metadata,
    ident("tenant"),
    digest("digest"),
    word("why"),
    moment("removed"),
    PrimaryKeyConstraint("tenant", "digest"),
    Index(None, "removed"),
)
"""An upload that was held open may bring an object again after it was removed: this tells it from what a lost
database would still need."""
