"""Versions and their objects, grants, erasures."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from kifabrik.stores.sql.schema.columns import digest, ident, metadata, moment, number, word

versions = Table(
    "versions",
    metadata,
    ident("tenant"),
    ident("owner"),
    number("version"),
    digest("manifest"),
    number("shards"),
    number("size"),
    moment("created"),
    moment("erased"),
    PrimaryKeyConstraint("tenant", "owner", "version"),
    Index(None, "tenant", "manifest", unique=True),
)

version_objects = Table(
    "version_objects",
    metadata,
    ident("tenant"),
    digest("manifest"),
    digest("digest"),
    PrimaryKeyConstraint("tenant", "manifest", "digest"),
    Index(None, "tenant", "digest"),
)

grants = Table(
    "grants",
    metadata,
    ident("tenant"),
    ident("grant_id"),
    ident("dataset"),
    digest("statement"),
    moment("revoked"),
    PrimaryKeyConstraint("tenant", "grant_id"),
    Index(None, "tenant", "dataset"),
)

erasures = Table(
    "erasures",
    metadata,
    ident("tenant"),
    ident("dataset"),
    digest("statement"),
    word("state"),
    digest("certificate"),
    number("objects_deleted"),
    PrimaryKeyConstraint("tenant", "dataset"),
)
