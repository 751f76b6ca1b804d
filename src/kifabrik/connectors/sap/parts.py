"""Rows become Parquet files of bounded size, in memory.

Invariants:
- at most `PART_ROWS` rows and one page of a table are held, as columns and compressed;
- a key that comes twice is an error, before anything of its part is sealed.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kifabrik.connectors.sap.columns import Values
from kifabrik.connectors.sap.keys import Hasher, KeyWatch, NestedWatch, Numbers, Watch
from kifabrik.connectors.sap.pages import Row, Rows
from kifabrik.connectors.sap.selection import Table
from kifabrik.errors import ConflictError, IntegrityError

PART_ROWS: Final = 131_072
_BATCH_ROWS: Final = 16_384
_GROUP_ROWS: Final = 32_768
"""Rows that are written together: fewer are larger, slower to write and slower to read."""
_COMPRESSION: Final = "zstd"


@dataclass(frozen=True)
class Part:
    """A file that is ready to be sealed.

    Args:
        data: Parquet.
        rows: In it.
        numbers: Hashes of their keys.
    """

    data: bytes
    rows: int
    numbers: Numbers


class PartBuilder:
    """Collects the rows of one table.

    Args:
        table: Which.
        salt: For hashes of keys.
        notes: For the schema's metadata.
        total: Rows there are in earlier parts.
        recall: Returns the hashes of the keys in earlier parts; None if nobody keeps them.
        nested: Whether these are children, all those of one parent added at once.
    """

    def __init__(
        self,
        table: Table,
        salt: bytes,
        notes: Mapping[str, str],
        *,
        total: int = 0,
        recall: Callable[[], Numbers] | None = None,
        nested: bool = False,
    ) -> None:
        self.table = table
        self.rows = 0
        """In the part that is being made."""
        self.total = total
        """In all parts so far."""
        self._recall = recall
        self._watch: Watch = NestedWatch()
        if not nested:
            self._watch = KeyWatch(self._all_numbers if recall is not None and not total else None)
        if recall is not None and total:
            self._watch.take([], recall())
        self._hash = Hasher(salt, table.keys)
        self._columns = (*table.parents, *table.columns)
        self._schema = table.schema(dict(notes))
        self._waiting: list[Row] = []
        self._start()

    def add(self, rows: Rows) -> None:
        """Take rows.

        Raises:
            ConflictError: One has a key that came before; at the latest when the part is finished.
            IntegrityError: One lacks a field, or a value is not of its type; likewise.
        """
        if isinstance(rows, pa.StructArray):
            self._write_waiting()
            self.total += len(rows)
            self.rows += len(rows)
            self._write(
                len(rows), rows.field, lambda: self._hash.columns([rows.field(one) for one in self.table.keys])
            )
            return
        self.total += len(rows)
        self.rows += len(rows)
        self._waiting += rows
        if len(self._waiting) >= _BATCH_ROWS:
            self._write_waiting()

    def finish(self) -> Part:
        """Return the part as a Parquet file, and begin the next one."""
        self._write_waiting()
        self._write_group()
        self._writer.close()
        data: bytes = self._sink.getvalue().to_pybytes()
        part = Part(data, self.rows, np.concatenate([np.empty(0, np.uint64), *self._numbers]))
        self._start()
        return part

    def _start(self) -> None:
        self._sink = pa.BufferOutputStream()
        # A column that is the key by itself repeats nothing, so a dictionary of it would only cost.
        repeating = [name for name in self._schema.names if (name,) != self.table.keys]
        self._writer = pq.ParquetWriter(
            self._sink, self._schema, compression=_COMPRESSION, use_dictionary=repeating
        )
        self._group: list[pa.RecordBatch] = []
        self.rows = 0
        self._numbers: list[Numbers] = []

    def _all_numbers(self) -> Numbers:
        earlier = self._recall() if self._recall is not None else np.empty(0, np.uint64)
        return np.concatenate([earlier, *self._numbers])

    def _write_waiting(self) -> None:
        rows, self._waiting = self._waiting, []
        if rows:
            self._write(len(rows), lambda name: [row[name] for row in rows], lambda: self._hash.rows(rows))

    def _write(self, count: int, values: Callable[[str], Values], hashed: Callable[[], Numbers]) -> None:
        first = self.total - len(self._waiting) - count + 1
        where = f"{self.table.name}, rows {first} to {first + count - 1}"
        try:
            numbers = hashed()
            made = {column.name: column.make(values(column.name), where) for column in self._columns}
        except KeyError as error:
            raise IntegrityError(
                f"{self.table.name}: a row came without the field {error.args[0]!r}",
                hint="The service leaves out what was asked for; take the field out of the plan.",
            ) from None
        twice = self._watch.take([made[key] for key in self.table.keys], numbers)
        if twice >= 0:
            raise ConflictError(
                f"{self.table.name}: the same key came a second time, in row {first + twice}",
                hint="The data moved while its pages were read. Repeat the command: this set begins anew.",
            )
        self._numbers.append(numbers)
        self._group.append(pa.RecordBatch.from_arrays(list(made.values()), schema=self._schema))
        if sum(batch.num_rows for batch in self._group) >= _GROUP_ROWS:
            self._write_group()

    def _write_group(self) -> None:
        group, self._group = self._group, []
        if group:
            self._writer.write_table(pa.Table.from_batches(group))
