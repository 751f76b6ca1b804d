"""CSV and Parquet files of one's own as typed batches: the plain way in, with the typing of a pull."""

import csv
from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from kifabrik.connectors.sap.columns import Column
from kifabrik.connectors.sap.file_plan import FileTable, field_of
from kifabrik.connectors.sap.model import Version
from kifabrik.errors import IntegrityError, NotFoundError, UsageError

_BATCH_ROWS: Final = 16_384
_DATES: Final = {"iso": "%Y-%m-%d", "german": "%d.%m.%Y", "sap": "%Y%m%d"}
_NO_DATE: Final = "00000000"
"""What ABAP writes for an empty date (type DATS)."""
_LOGICAL: Final = {"true": True, "false": False, "x": True, "1": True, "0": False, "yes": True, "no": False}
_NUMBERS: Final = frozenset({"Edm.Decimal", "Edm.Int64", "Edm.Double"})


def read_files(name: str, wanted: FileTable) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a table, file after file.

    Raises:
        NotFoundError: A file is missing.
        UsageError: It lacks a column, or is no such file.
        IntegrityError: A value is not of its type.
    """
    columns = [
        Column(field_of(one, kind, nullable=one not in wanted.keys), Version.V4)
        for one, kind in wanted.columns.items()
    ]
    for file in wanted.files:
        if not file.is_file():
            raise NotFoundError(f"{name}: there is no file {file}", hint="Paths are relative to the plan.")
        yield from (_parquet if file.suffix.lower() == ".parquet" else _csv)(file, wanted, columns)


def _csv(file: Path, wanted: FileTable, columns: list[Column]) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([column.arrow for column in columns])
    readers = [_reader(wanted, column) for column in columns]
    names = [wanted.headings.get(column.name, column.name) for column in columns]
    with file.open(newline="", encoding="utf-8-sig") as stream:
        rows = csv.DictReader(stream, delimiter=wanted.delimiter, strict=True)
        done = 0
        try:
            _check(file, names, rows.fieldnames or ())
            while chunk := list(islice(rows, _BATCH_ROWS)):
                where = f"{file}, rows {done + 1} to {done + len(chunk)}"
                yield pa.RecordBatch.from_arrays(
                    [
                        column.make([_value(read, row[name], where, column) for row in chunk], where)
                        for column, read, name in zip(columns, readers, names, strict=True)
                    ],
                    schema=schema,
                )
                done += len(chunk)
        except UnicodeDecodeError:
            raise UsageError(f"{file} is not UTF-8", hint="Export it as UTF-8.") from None
        except csv.Error as error:
            raise UsageError(f"{file}, after row {done}: no CSV: {error}") from None


def _value(read: Callable[[str], Any], text: str | None, where: str, column: Column) -> Any:
    if text is None:
        raise UsageError(f"{where}: a row has fewer cells than there are headings")
    try:
        return read(text) if text != "" else None
    except (ValueError, KeyError):
        raise IntegrityError(
            f"{where}: a value of {column.name!r} is no {column.type}", hint="Check decimal and dates in the plan."
        ) from None


def _reader(wanted: FileTable, column: Column) -> Callable[[str], Any]:
    kind = column.field.type
    if kind == "Edm.Boolean":
        return lambda text: _LOGICAL[text.strip().lower()]
    if kind == "Edm.Date":
        form = _DATES[wanted.dates]
        return lambda text: None if text == _NO_DATE else datetime.strptime(text, form).date().isoformat()  # noqa: DTZ007
    if kind in _NUMBERS and wanted.decimal == ",":
        return lambda text: _signed(text.replace(".", "").replace(",", "."))
    return _signed if kind in _NUMBERS else str


def _signed(text: str) -> str:
    """ABAP writes the sign behind the number."""
    text = text.strip()
    return f"-{text[:-1].strip()}" if text.endswith("-") else text


def _parquet(file: Path, wanted: FileTable, columns: list[Column]) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([column.arrow for column in columns])
    names = [wanted.headings.get(column.name, column.name) for column in columns]
    try:
        with pq.ParquetFile(file) as source:
            _check(file, names, source.schema_arrow.names)
            for batch in source.iter_batches(_BATCH_ROWS, columns=names):
                arrays = [
                    _cast(batch.column(name), column, file) for name, column in zip(names, columns, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
    except (pa.ArrowInvalid, OSError) as error:
        raise UsageError(f"{file} is no Parquet file: {str(error).splitlines()[0][:120]}") from None


def _cast(array: pa.Array, column: Column, file: Path) -> pa.Array:
    fault = IntegrityError(
        f"{file}: a value of {column.name!r} ({array.type}) does not fit {column.type} exactly",
        hint="Give the column the type it has in the file.",
    )
    # Arrow would round binary fractions to decimals without a word.
    if pa.types.is_floating(array.type) and pa.types.is_decimal(column.type):
        raise fault
    try:
        return array.cast(column.type)
    except pa.ArrowException:
        raise fault from None


def _check(file: Path, wanted: list[str], there: Any) -> None:
    missing = [name for name in wanted if name not in there]
    if missing:
        raise UsageError(
            f"{file} has no column {missing[0]!r}",
            hint=f"It has: {', '.join(map(str, there))[:300]}. Other words go under headings in the plan.",
        )
