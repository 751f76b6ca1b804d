"""Batches of columns, wherever they come from, become sealed members: as pulled rows do."""

from collections.abc import Iterable, Iterator
from functools import reduce
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kifabrik.connectors.sap.gathering import in_memory
from kifabrik.connectors.sap.keys import Hasher, Seen
from kifabrik.connectors.sap.parts import PART_ROWS
from kifabrik.datasets.made import MadeShard
from kifabrik.errors import CapacityError, IntegrityError

_SALT: Final = b"one pull"
"""Hashes of keys are compared within one pull, and never leave it."""


def members_of(
    name: str, batches: Iterable[pa.RecordBatch], keys: tuple[str, ...], *, most: int, version: int = 1
) -> Iterator[MadeShard]:
    """Yield the members of a table.

    Args:
        name: Of the table.
        batches: Its rows, of one schema.
        keys: Columns that tell rows apart; none: rows are not compared.
        most: The most rows it may have.
        version: Goes into the names.

    Raises:
        CapacityError: There are more rows.
        IntegrityError: A key comes twice or is empty.
    """
    check = _Keys(name, keys)
    held: list[pa.RecordBatch] = []
    total = rows = number = 0
    for batch in batches:
        total += batch.num_rows
        if total > most:
            raise CapacityError(
                f"{name} has more than the {most:,} rows the plan allows", hint="Raise rows if so many are meant."
            )
        check.add(batch)
        held.append(batch)
        rows += batch.num_rows
        if rows >= PART_ROWS:
            yield _member(name, held, keys, version, number)
            held, rows, number = [], 0, number + 1
    if held and (rows or not number):
        yield _member(name, held, keys, version, number)


class _Keys:
    def __init__(self, name: str, keys: tuple[str, ...]) -> None:
        self._name, self._keys = name, keys
        self._hash, self._seen, self._rows = Hasher(_SALT, keys), Seen(), 0

    def add(self, batch: pa.RecordBatch) -> None:
        if not self._keys or not batch.num_rows:
            return
        parts = [batch.column(key) for key in self._keys]
        empty = reduce(pc.or_, [part.is_null() for part in parts]).index(pa.scalar(True)).as_py()
        if empty >= 0:
            raise IntegrityError(f"{self._name}: the key is empty in row {self._rows + empty + 1}")
        twice = self._seen.add_all(self._hash.columns(parts))
        if twice >= 0:
            raise IntegrityError(f"{self._name}: the same key came a second time, in row {self._rows + twice + 1}")
        self._rows += batch.num_rows


def _member(
    name: str, batches: list[pa.RecordBatch], keys: tuple[str, ...], version: int, number: int
) -> MadeShard:
    table = pa.Table.from_batches(batches)
    table = table.replace_schema_metadata({"kifabrik.keys": " ".join(keys)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return in_memory(f"{name}/{version:05d}-{number:05d}.parquet", sink.getvalue().to_pybytes())
