"""The tables, one module for each noun; `metadata` knows them all.

Times are RFC 3339 text in UTC, which sorts; digests are 64 hex digits; an empty text means not yet.
"""

from kifabrik.stores.sql.schema import accounts, datasets, leases, log, objects, orders, runs, sign_ins, statements
from kifabrik.stores.sql.schema.columns import metadata

__all__ = [
    "accounts",
    "datasets",
    "leases",
    "log",
    "metadata",
    "objects",
    "orders",
    "runs",
    "sign_ins",
    "statements",
]
