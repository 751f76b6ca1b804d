"""Rows become Parquet files of bounded size, in memory.

Invariants:
- at most `PART_ROWS` rows and one page of a table are held, as columns and compressed;
- a key that comes twice is an error, before anything of its part is sealed.
"""

from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from kifabrik.connectors.sap.keys import Hasher, Seen
from kifabrik.connectors.sap.pages import Row
from kifabrik.connectors.sap.selection import Table
from kifabrik.errors import ConflictError, IntegrityError

PART_ROWS: Final = 131_072
_BATCH_ROWS: Final = 16_384
_COMPRESSION: Final = "zstd"


class PartBuilder:
    """Collects the rows of one table.

    Args:
        table: Which.
        salt: For hashes of keys.
        seen: Keys that have come already.
        notes: For the schema's metadata.
    """

    def __init__(self, table: Table, salt: bytes, seen: Seen, notes: Mapping[str, str]) -> None:
        self.table = table
        self.rows = 0
        """In the part that is being made."""
        self.total = 0
        """In all parts so far."""
        self.fresh = array("Q")
        """Hashes of the keys in the part that is being made."""
        self._hash = Hasher(salt, table.keys)
        self._seen = seen
        self._schema = table.schema(dict(notes))
        self._waiting: list[Row] = []
        self._start()

    def add(self, rows: Sequence[Row]) -> None:
        """Take rows.

        Raises:
            ConflictError: One has a key that came before.
            IntegrityError: One lacks a field, or a value is not of its type.
        """
        try:
            numbers = self._hash.many(rows)
        except KeyError as error:
            raise self._lacks(error) from None
        twice = self._seen.add_all(numbers)
        if twice >= 0:
            raise ConflictError(
                f"{self.table.name}: the same key came a second time, in row {self.total + twice + 1}",
                hint="The data moved while its pages were read. Repeat the command: this set begins anew.",
            )
        self.fresh.extend(numbers)
        self.total += len(rows)
        self._waiting += rows
        self.rows += len(rows)
        if len(self._waiting) >= _BATCH_ROWS:
            self._write()

    def finish(self) -> bytes:
        """Return the part as a Parquet file, and begin the next one."""
        self._write()
        self._writer.close()
        data: bytes = self._sink.getvalue().to_pybytes()
        self._start()
        return data

    def _start(self) -> None:
        self._sink = pa.BufferOutputStream()
        self._writer = pq.ParquetWriter(self._sink, self._schema, compression=_COMPRESSION)
        self.rows = 0
        self.fresh = array("Q")

    def _write(self) -> None:
        if not self._waiting:
            return
        first = self.total - len(self._waiting) + 1
        where = f"{self.table.name}, rows {first} to {self.total}"
        arrays = []
        for column in (*self.table.parents, *self.table.columns):
            name = column.name
            try:
                values: list[Any] = [row[name] for row in self._waiting]
            except KeyError as error:
                raise self._lacks(error) from None
            arrays.append(column.make(values, where))
        self._writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self._schema))
        self._waiting = []

    def _lacks(self, error: KeyError) -> IntegrityError:
        return IntegrityError(
            f"{self.table.name}: a row came without the field {error.args[0]!r}",
            hint="The service leaves out what was asked for; take the field out of the plan.",
        )
