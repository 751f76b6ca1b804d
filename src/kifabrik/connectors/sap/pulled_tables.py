"""Look up what a plan names among the tables that were pulled."""

from collections.abc import Mapping

import pyarrow as pa

from kifabrik.errors import UsageError


def table(name: str, pulled: Mapping[str, pa.Table]) -> pa.Table:
    """Return a pulled table.

    Raises:
        UsageError: The plan pulls none of the name.
    """
    if name not in pulled:
        raise UsageError(f"the plan pulls no table {name!r}", hint=f"It pulls: {', '.join(pulled)}.")
    return pulled[name]


def column(found: pa.Table, source: str, name: str) -> pa.ChunkedArray:
    """Return a column of a pulled table.

    Raises:
        UsageError: It has none of the name.
    """
    if name not in found.column_names:
        raise UsageError(f"{source} has no column {name!r}", hint=f"It has: {', '.join(found.column_names)}.")
    return found.column(name)
