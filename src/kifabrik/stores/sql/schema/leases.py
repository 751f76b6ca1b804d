"""Requests for keys and the headers released for them."""

from sqlalchemy import Column, Index, LargeBinary, PrimaryKeyConstraint, Table

from kifabrik.stores.sql.schema.columns import digest, ident, metadata, moment, word

requests = Table(
    "key_requests",
    metadata,
    ident("tenant"),
    digest("digest"),
    ident("run"),
    ident("member"),
    ident("attempt"),
    word("state"),
    moment("created"),
    digest("decision"),
    PrimaryKeyConstraint("tenant", "digest"),
    Index(None, "tenant", "run"),
)

headers = Table(
    "lease_headers",
    metadata,
    ident("tenant"),
    digest("request"),
    digest("item"),
    Column("headers", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "request", "item"),
)
