"""Large pages straight into columns: Arrow reads the JSON, and no row becomes an object of Python's.

The first page is read as ever; it shows how this service writes each field (text, whole number, truth). Pages after
it are read with these types, and every doubt sends a page back to the reader of rows: a value of another kind, a
field that may be missing, an entity that may be gone. So the fast way gives what the slow way gives, or nothing.

Invariants:
- no number with a point is read as anything but text, except for fields that are floats themselves;
- a field that is missing in a row is never taken for one that is null.
"""

from typing import Final

import pyarrow as pa
from pyarrow import json as arrow_json

from kifabrik.connectors.sap.asking import Answer
from kifabrik.connectors.sap.model import Version
from kifabrik.connectors.sap.pages import Page, Row, may_tell_of_removals, read_page
from kifabrik.connectors.sap.selection import Selection

_LEAST_BYTES: Final = 32 * 1024
"""Smaller pages are read as quickly row by row."""
_MOST_MISSES: Final = 3
"""Pages in a row that had to go back, until all of them go the slow way."""
_ROOM: Final = 64
_FLOATS: Final = frozenset({"Edm.Double", "Edm.Single"})
_WHOLE: Final = frozenset({"Edm.Byte", "Edm.SByte", "Edm.Int16", "Edm.Int32"})
_OF_ENTITIES: Final = frozenset({"uri", "type", "id", "etag", "content_type", "media_src", "edit_media"})
"""Names that V2 says of each entity under `__metadata`: a field of such a name cannot be counted."""
_NEXT: Final = {Version.V4: ("@odata.nextLink", "@nextLink"), Version.V2: ("__next",)}
_DELTA: Final = {Version.V4: ("@odata.deltaLink", "@deltaLink"), Version.V2: ("__delta",)}


class PageReader:
    """Reads the pages of one entity set, one after the other.

    Args:
        selection: What is asked for.
    """

    def __init__(self, selection: Selection) -> None:
        self._name, self._version = selection.name, selection.version
        self._fields = {column.name: column.field.type for column in selection.table.columns}
        self._schema: pa.Schema | None = None
        # Entities nested in others are not columns.
        self._misses = _MOST_MISSES if selection.children else 0

    def __call__(self, answer: Answer) -> Page:
        """Read a page.

        Raises:
            IntegrityError: It is none.
        """
        tried = self._schema is not None and self._misses < _MOST_MISSES and len(answer.body) >= _LEAST_BYTES
        if tried:
            found = self._columnar(answer.body)
            if found is not None:
                self._misses = 0
                return found
            self._misses += 1
        page = read_page(answer, self._version, self._name)
        if self._misses < _MOST_MISSES and isinstance(page.rows, list) and page.rows:
            self._schema = self._learnt(page.rows)
        return page

    def _learnt(self, rows: list[Row]) -> pa.Schema:
        entity = pa.struct([(name, self._kind(name, kind, rows)) for name, kind in self._fields.items()])
        links = [(name, pa.string()) for name in (*_NEXT[self._version], *_DELTA[self._version])]
        if self._version is Version.V2:
            return pa.schema([("d", pa.struct([*links, ("results", pa.list_(entity))]))])
        return pa.schema([*links, ("value", pa.list_(entity))])

    def _kind(self, name: str, kind: str, rows: list[Row]) -> pa.DataType:
        if kind in _FLOATS:
            return pa.float64() if self._version is Version.V4 else pa.string()
        seen = {type(row[name]) for row in rows if row.get(name) is not None}
        if seen == {bool} or (not seen and kind == "Edm.Boolean"):
            return pa.bool_()
        if seen == {int} or (not seen and kind in _WHOLE):
            return pa.int64()
        return pa.string()

    def _columnar(self, body: bytes) -> Page | None:
        if may_tell_of_removals(body) or not _is_utf8(body):
            return None
        try:
            read = arrow_json.read_json(
                pa.BufferReader(body),
                read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(body) + _ROOM),
                parse_options=arrow_json.ParseOptions(
                    explicit_schema=self._schema, newlines_in_values=True, unexpected_field_behavior="ignore"
                ),
            )
        except pa.ArrowException:
            return None
        if read.num_rows != 1 or any(one.num_chunks != 1 for one in read.columns):
            return None
        outer: dict[str, pa.Array] = {name: read.column(name).chunk(0) for name in read.column_names}
        if self._version is Version.V2:
            outer = {one.name: outer["d"].field(one.name) for one in outer["d"].type}
        rows = outer["results" if self._version is Version.V2 else "value"]
        if rows.null_count:
            return None
        entities = rows.flatten()
        if entities.null_count or not self._complete(entities, body):
            return None
        upcoming, delta = (
            next((found for one in names[self._version] if (found := outer[one][0].as_py())), "")
            for names in (_NEXT, _DELTA)
        )
        return Page(entities, upcoming, delta)

    def _complete(self, entities: pa.StructArray, body: bytes) -> bool:
        """Whether what is null is written as null: the field's name stands once for each row."""
        empty = [name for name in self._fields if entities.field(name).null_count]
        if self._version is Version.V2 and not _OF_ENTITIES.isdisjoint(empty):
            return False
        return all(body.count(f'"{name}":'.encode()) == len(entities) for name in empty)


def _is_utf8(body: bytes) -> bool:
    if body.isascii():
        return True
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True
