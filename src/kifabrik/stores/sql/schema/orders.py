"""Orders that were admitted, and which of them wait for which."""

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from kifabrik.stores.sql.schema.columns import digest, ident, metadata, moment, number, word

orders = Table(
    "orders",
    metadata,
    ident("tenant"),
    digest("order"),
    ident("run"),
    number("position"),
    word("nonce"),
    number("tasks"),
    number("max_parallel"),
    number("budget_micro_eur"),
    moment("created"),
    moment("stopped"),
    moment("alarmed"),
    PrimaryKeyConstraint("tenant", "order"),
    Index(None, "tenant", "run", unique=True),
    Index(None, "tenant", "nonce", unique=True),
    Index(None, "tenant", "position", unique=True),
)
"""One row for each order; its runs stand in `runs`, from `position` on."""

needs = Table(
    "order_needs",
    metadata,
    ident("tenant"),
    ident("run"),
    ident("need"),
    PrimaryKeyConstraint("tenant", "run", "need"),
    Index(None, "tenant", "need"),
)
"""`run` waits until all runs of the order `need` have succeeded; both are run ids of orders."""
