"""Rows of results to write back: a file of one's own, or one of a run's that is opened in memory."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from kifabrik.connectors.sap.pages import Row
from kifabrik.errors import NotFoundError, UsageError


@dataclass(frozen=True)
class Results:
    """Where rows come from.

    Args:
        name: For sentences; what it ends with says whether it is Parquet.
        open: Opens its bytes.
    """

    name: str
    open: Callable[[], BinaryIO]

    @classmethod
    def of_file(cls, path: Path) -> "Results":
        """Return the results in a file on this machine.

        Raises:
            NotFoundError: There is none.
        """
        if not path.is_file():
            raise NotFoundError(f"there is no file {path}", hint="Name a Parquet or CSV file with the results.")
        return cls(str(path), lambda: path.open("rb"))

    @classmethod
    def of_bytes(cls, name: str, data: bytes) -> "Results":
        """Return results that are in memory, and nowhere else."""
        return cls(name, lambda: io.BytesIO(data))

    def rows(self, columns: set[str]) -> Iterator[Row]:
        """Yield rows with these columns, and maybe others; what is empty is None.

        Raises:
            UsageError: A column is missing, or it is neither Parquet nor CSV.
        """
        return self._parquet(columns) if self.name.lower().endswith(".parquet") else self._csv(columns)

    def _csv(self, columns: set[str]) -> Iterator[Row]:
        with self.open() as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text, strict=True)
            try:
                self._check(columns, reader.fieldnames or ())
                for row in reader:
                    if None in row or None in row.values():
                        raise UsageError(
                            f"{self.name}, line {reader.line_num}: not as many cells as there are headings",
                            hint="A row that is cut off would empty fields of the service.",
                        )
                    yield {name: value if value != "" else None for name, value in row.items()}
            except (csv.Error, UnicodeDecodeError) as error:
                raise UsageError(f"{self.name} is no CSV in UTF-8: {error}") from None

    def _parquet(self, columns: set[str]) -> Iterator[Row]:
        import pyarrow as pa  # noqa: PLC0415 - CSV needs none of it
        import pyarrow.parquet as pq  # noqa: PLC0415

        try:
            with self.open() as raw, pq.ParquetFile(raw) as file:
                self._check(columns, file.schema_arrow.names)
                for batch in file.iter_batches(columns=sorted(columns)):
                    yield from batch.to_pylist()
        except pa.ArrowException:
            raise UsageError(f"{self.name} is no Parquet file") from None

    def _check(self, wanted: set[str], there: Iterable[str]) -> None:
        known = list(there)
        missing = sorted(wanted - set(known))
        if missing:
            raise UsageError(f"{self.name} has no column {missing[0]!r}", hint=f"It has: {', '.join(known)}.")
        twice = sorted(name for name in wanted if known.count(name) > 1)
        if twice:
            raise UsageError(f"{self.name} has the column {twice[0]!r} {known.count(twice[0])} times")
