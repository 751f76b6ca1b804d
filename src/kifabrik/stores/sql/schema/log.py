"""The transparency logs."""

from sqlalchemy import Column, LargeBinary, PrimaryKeyConstraint, Table, Text

from kifabrik.stores.sql.schema.columns import digest, ident, metadata, number, word

logs = Table(
    "logs",
    metadata,
    ident("tenant", primary_key=True),
    Column("vkey", Text, nullable=False),
    number("size"),
    Column("tree", LargeBinary, nullable=False),
    Column("head", Text, nullable=False),
    number("cosigned_size"),
    Column("cosigned", Text, nullable=False),
)

entries = Table(
    "log_entries",
    metadata,
    ident("tenant"),
    number("position"),
    word("kind"),
    Column("data", LargeBinary, nullable=False),
    Column("leaf", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "position"),
)

nodes = Table(
    "log_nodes",
    metadata,
    ident("tenant"),
    number("level"),
    number("position"),
    Column("value", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "level", "position"),
)

details = Table(
    "log_details",
    metadata,
    ident("tenant"),
    digest("sha256"),
    Column("sealed", LargeBinary, nullable=False),
    PrimaryKeyConstraint("tenant", "sha256"),
)
