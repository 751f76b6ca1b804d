"""Entities nested in others become rows of their own, with the keys of those they belong to."""

from collections.abc import Iterator
from typing import Any

from kifabrik.connectors.sap.asking import Caller
from kifabrik.connectors.sap.model import Version
from kifabrik.connectors.sap.pages import Row, Rows, listed, pages
from kifabrik.connectors.sap.selection import Selection
from kifabrik.errors import IntegrityError


def child_rows(caller: Caller, selection: Selection, navigation: str, rows: Rows) -> list[Row]:
    """Return the children of these rows by one navigation property; what goes on elsewhere is fetched.

    Raises:
        IntegrityError: The service did not expand what it was asked to.
    """
    prefix, keys = selection.name, selection.table.keys
    found: list[Row] = []
    for row in listed(rows):
        parent = {f"{prefix}_{key}": row[key] for key in keys if key in row}
        found += [{**child, **parent} for child in _nested(caller, selection, navigation, row)]
    return found


def _nested(caller: Caller, selection: Selection, navigation: str, row: Row) -> Iterator[Row]:
    where = f"{selection.name}/{navigation}"
    value: Any = row.get(navigation)
    link = str(row.get(f"{navigation}@odata.nextLink") or "")
    if selection.version is Version.V2 and isinstance(value, dict):
        if "__deferred" in value:
            raise IntegrityError(f"{where}: the service does not expand it", hint="Pull the set itself instead.")
        if "results" in value:
            link = str(value.get("__next") or "")
            value = value["results"]
    if value is None and navigation not in row:
        raise IntegrityError(f"{where}: the service does not expand it", hint="Pull the set itself instead.")
    if isinstance(value, dict):
        value = [value]
    if value is not None and not (isinstance(value, list) and all(isinstance(one, dict) for one in value)):
        raise IntegrityError(f"{where}: what came is no entity")
    yield from value or ()
    if link:
        for page in pages(caller, selection.version, link, where):
            yield from listed(page.rows)
