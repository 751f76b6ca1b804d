"""Challenges, codes and sessions of the pages."""

from sqlalchemy import Index, Table

from kifabrik.stores.sql.schema.columns import digest, ident, metadata, moment, word

sign_ins = Table(
    "sign_ins",
    metadata,
    digest("hash", primary_key=True),
    word("kind"),
    ident("tenant"),
    ident("member"),
    digest("device"),
    moment("expires"),
    Index(None, "tenant", "member"),
    Index(None, "expires"),
)
"""Without a tenant: the operator's."""
