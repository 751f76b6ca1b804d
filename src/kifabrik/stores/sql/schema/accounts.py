"""Sign-up codes, tenants, members, tokens."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from kifabrik.stores.sql.schema.columns import digest, ident, metadata, moment, number, word

codes = Table(
    "codes",
    metadata,
    digest("hash", primary_key=True),
    word("note"),
    moment("created"),
    ident("tenant"),
)

tenants = Table(
    "tenants",
    metadata,
    ident("tenant", primary_key=True),
    digest("tenant_key"),
    digest("keyholder"),
    number("keyholder_sequence"),
    moment("created"),
    digest("recipients"),
    number("recipients_sequence"),
    number("bytes_used"),
    moment("keyholder_seen"),
)

members = Table(
    "members",
    metadata,
    ident("tenant"),
    ident("member"),
    word("role"),
    digest("membership"),
    digest("device"),
    moment("removed"),
    PrimaryKeyConstraint("tenant", "member"),
)

tokens = Table(
    "tokens",
    metadata,
    digest("hash", primary_key=True),
    word("kind"),
    ident("tenant"),
    moment("created"),
    ident("member"),
    digest("device"),
    ident("run"),
    ident("attempt"),
    moment("used"),
    Index(None, "tenant", "kind", "member", "attempt"),
)
