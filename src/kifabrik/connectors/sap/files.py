"""CSV and Parquet files of one's own as typed batches: the plain way in, with the typing of a pull."""

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from kifabrik.connectors.sap.columns import Column
from kifabrik.connectors.sap.csv_cells import Cell, cell_reader
from kifabrik.connectors.sap.file_plan import FileTable, field_of
from kifabrik.connectors.sap.model import Version
from kifabrik.errors import IntegrityError, NotFoundError, UsageError

_BATCH_ROWS: Final = 16_384
_HEADINGS_WITHIN: Final = 40
"""Lines: lists of SAP begin with a title and what was selected."""
_RULE: Final = re.compile(r"[-\s]*")
"""A line that is drawn."""
_TOTAL: Final = re.compile(r"[*\u03a3]+")
"""How ALV marks a line of totals."""


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


@dataclass(frozen=True)
class _Row:
    """Cells of a line, and its number from 1."""

    cells: list[str]
    line: int


def _csv(file: Path, wanted: FileTable, columns: list[Column]) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([column.arrow for column in columns])
    readers = [cell_reader(wanted, column) for column in columns]
    kinds = [f"{name!r} is no {kind}" for name, kind in wanted.columns.items()]
    last = 0
    try:
        with file.open(
            newline="", encoding="utf-8-sig" if wanted.encoding == "utf-8" else wanted.encoding
        ) as stream:
            lines = _lines(stream, wanted.delimiter)
            rows = (_Row(cells, lines.line_num) for cells in lines)
            headings = _headings(file, rows, [wanted.headings.get(one.name, one.name) for one in columns])
            places = [headings.places[wanted.headings.get(one.name, one.name)] for one in columns]
            keys = [place for place, one in zip(places, columns, strict=True) if one.name in wanted.keys]
            whole = (_checked(file, row, headings.width, keys) for row in rows if not _is_empty(row, wanted))
            while chunk := list(islice(whole, _BATCH_ROWS)):
                yield pa.RecordBatch.from_arrays(
                    [
                        _array(file, chunk, [_value(file, row, read, place, kind) for row in chunk], column, kind)
                        for column, read, place, kind in zip(columns, readers, places, kinds, strict=True)
                    ],
                    schema=schema,
                )
                last = chunk[-1].line
    except UnicodeError:
        raise UsageError(
            f"{file} is not {wanted.encoding.upper()}",
            hint="Name what it is in the plan, encoding: windows-1252 for one, or export it as UTF-8.",
        ) from None
    except csv.Error as error:
        raise UsageError(f"{file}, after line {last}: no CSV: {error}") from None


def _lines(stream: TextIO, delimiter: str) -> Any:
    if delimiter == "|":  # lists of SAP quote nothing: an inch sign is an inch sign
        return csv.reader(stream, delimiter=delimiter, strict=True, quoting=csv.QUOTE_NONE)
    return csv.reader(stream, delimiter=delimiter, strict=True)


@dataclass(frozen=True)
class _Headings:
    """Where the columns stand, by heading, and how many cells a row has."""

    places: dict[str, int]
    width: int


def _headings(file: Path, rows: Iterator[_Row], wanted: Sequence[str]) -> _Headings:
    """Go on to the first line that has all headings."""
    nearest: list[str] = []
    for row in islice(rows, _HEADINGS_WITHIN):
        names = [cell.strip() for cell in row.cells]
        found = [name for name in wanted if name in names]
        if len(found) == len(wanted):
            twice = [name for name in wanted if names.count(name) > 1]
            if twice:
                raise UsageError(
                    f"{file}, line {row.line}: the heading {twice[0]!r} stands there {names.count(twice[0])} times",
                    hint="Give the columns different headings in the list's layout, and export again.",
                )
            return _Headings({name: names.index(name) for name in wanted}, len(names))
        if not nearest or len(found) > len(set(wanted) & set(nearest)):
            nearest = names
    missing = next(name for name in wanted if name not in nearest)
    if not set(wanted) & set(nearest):
        raise UsageError(
            f"{file}: none of its first {_HEADINGS_WITHIN} lines has the heading {missing!r}",
            hint="Check delimiter, encoding and headings in the plan.",
        )
    raise _lacking(file, missing, nearest)


def _is_empty(row: _Row, wanted: FileTable) -> bool:
    """Whether nothing stands in a line, or it is drawn."""
    text = "".join(row.cells).strip()
    return not text or (wanted.delimiter == "|" and _RULE.fullmatch(text) is not None)


def _checked(file: Path, row: _Row, width: int, keys: Sequence[int]) -> _Row:
    count = len(row.cells)
    if count != width:
        few = "fewer" if count < width else "more"
        raise UsageError(
            f"{file}, line {row.line}: a row has {few} cells than there are headings ({count}, not {width})",
            hint="A text may hold the delimiter; export with another one." if count > width else "",
        )
    if any(_TOTAL.fullmatch(row.cells[place].strip()) for place in keys):
        raise UsageError(f"{file}, line {row.line} is a line of totals", hint="Export the list without totals.")
    return row


def _value(file: Path, row: _Row, read: Cell, place: int, kind: str) -> Any:
    try:
        return read(row.cells[place])
    except (ValueError, KeyError):
        raise _misfit(file, row, kind) from None


def _array(file: Path, rows: list[_Row], values: list[Any], column: Column, kind: str) -> pa.Array:
    try:
        return column.make(values, str(file))
    except IntegrityError:
        for row, value in zip(rows, values, strict=True):
            _check_one(file, row, value, column, kind)
        raise


def _check_one(file: Path, row: _Row, value: Any, column: Column, kind: str) -> None:
    try:
        column.make([value], str(file))
    except IntegrityError:
        if value is None:
            raise IntegrityError(f"{file}, line {row.line}: the key {column.name!r} is empty") from None
        raise _misfit(file, row, kind) from None


def _misfit(file: Path, row: _Row, kind: str) -> IntegrityError:
    return IntegrityError(
        f"{file}, line {row.line}: a value of {kind}", hint="Check decimal, thousands and dates in the plan."
    )


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
        raise _lacking(file, missing[0], there)


def _lacking(file: Path, missing: str, there: Any) -> UsageError:
    known = ", ".join(str(name) for name in there if name)[:300]
    return UsageError(
        f"{file} has no column {missing!r}", hint=f"It has: {known}. Other words go under headings in the plan."
    )
