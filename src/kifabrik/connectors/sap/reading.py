"""Read pulled tables back: what the versions took, put together to what holds now.

A table is a folder of Parquet files, `VERSION-NUMBER.parquet` with rows and `VERSION-NUMBER.removed.parquet` with
keys that are gone, to be applied in the order of their names; of a key the last word counts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from kifabrik.errors import NotFoundError

_KEYS: Final = b"kifabrik.keys"
_REMOVED: Final = ".removed.parquet"


def tables(folder: Path) -> list[str]:
    """Return the names of the tables in an opened dataset."""
    return sorted({path.parent.name for path in folder.glob("*/*.parquet")})


def read_table(folder: Path, name: str) -> pa.Table:
    """Return a table as it is now.

    Args:
        folder: The opened dataset, such as `/data/supply` in a run.
        name: Of the table.

    Raises:
        NotFoundError: There is no such table.
    """
    paths = sorted((folder / name).glob("*.parquet"))
    if not paths:
        known = ", ".join(tables(folder)) or "none"
        raise NotFoundError(f"{folder} has no table {name!r}", hint=f"It has: {known}.")
    return put_together([(path.name, pq.read_table(path)) for path in paths])


def put_together(parts: Sequence[tuple[str, pa.Table]]) -> pa.Table:
    """Return the rows that hold after these parts, given by file name in order; the last word on a key counts."""
    rows = [(at, part) for at, (name, part) in enumerate(parts) if not name.endswith(_REMOVED)]
    whole = pa.concat_tables(part for _, part in rows)
    versions = {name.partition("-")[0] for name, _ in parts}
    keys = (whole.schema.metadata or {}).get(_KEYS, b"").decode().split()
    if len(versions) == 1 or not keys:
        return whole
    last: dict[tuple[object, ...], int] = {}
    at_row = {at: start for (at, _), start in zip(rows, _starts([part for _, part in rows]), strict=True)}
    for at, (_, part) in enumerate(parts):
        named = zip(*(part.column(key).to_pylist() for key in keys), strict=True)
        for number, key in enumerate(named):
            if at in at_row:
                last[key] = at_row[at] + number
            else:
                last.pop(key, None)
    return whole.take(pa.array(sorted(last.values()), pa.int64()))


def _starts(parts: Sequence[pa.Table]) -> list[int]:
    starts, total = [], 0
    for part in parts:
        starts.append(total)
        total += part.num_rows
    return starts
