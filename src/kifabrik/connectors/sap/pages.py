"""Pages of an entity set as rows, of OData V2 and V4 alike.

Invariants:
- a page is whole before its rows count, and its next link is followed until there is none;
- a link that comes a second time, or many empty pages in a row, is an error, never a circle;
- entities nested in a page that go on elsewhere are fetched to their end.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from urllib.parse import quote

import pyarrow as pa

from kifabrik.connectors.sap.asking import Answer, Caller
from kifabrik.connectors.sap.model import Version
from kifabrik.errors import IntegrityError

_MOST_EMPTY: Final = 100
_COUNT: Final = re.compile(r"[0-9]{1,18}")
ACCEPT: Final = {
    Version.V4: "application/json;odata.metadata=minimal;IEEE754Compatible=true",
    Version.V2: "application/json",
}

Row = dict[str, Any]
Rows: TypeAlias = list[Row] | pa.StructArray
"""Of a page: entities as JSON has them, or as columns that were read from it at once."""


def listed(rows: Rows) -> list[Row]:
    """Return rows one by one, whichever way they were read."""
    return rows if isinstance(rows, list) else rows.to_pylist()


@dataclass(frozen=True)
class Page:
    """One page.

    Args:
        rows: Entities; numbers with a point are text.
        next: Link to the next page, or ''.
        delta: Link to what changes from now on, or ''.
        count: How many entities there are in all, if the page says so.
        removed: Entities that are gone: their keys, or what names them.
    """

    rows: Rows
    next: str = ""
    delta: str = ""
    count: int | None = None
    removed: list[Row] = field(default_factory=list)


def pages(
    caller: Caller,
    version: Version,
    link: str,
    where: str,
    read: Callable[[Answer], Page] | None = None,
    fetch: Callable[[str], Answer] | None = None,
) -> Iterator[Page]:
    """Yield pages from a link on, to the last one.

    Args:
        caller: The service.
        version: Of the protocol.
        link: The first page.
        where: Name of the set, for errors.
        read: Reads a page; None for `read_page`.
        fetch: Fetches what a link leads to; None to ask the caller.

    Raises:
        IntegrityError: What came is no page, or the pages go round in a circle.
        KifabrikError: As for `Caller.get`.
    """
    headers = {"accept": ACCEPT[version]}
    seen: set[int] = set()
    empty = 0
    while link:
        mark = hash(link)
        if mark in seen:
            raise IntegrityError(
                f"{where}: the service sends the same next link a second time, so its pages never end",
                hint="Nothing of this set was sealed. Report it to whoever runs the service.",
            )
        seen.add(mark)
        answer = caller.get(link, headers) if fetch is None else fetch(link)
        page = read_page(answer, version, where) if read is None else read(answer)
        empty = 0 if len(page.rows) or page.removed else empty + 1
        if empty > _MOST_EMPTY and page.next:
            raise IntegrityError(f"{where}: {_MOST_EMPTY} empty pages in a row, and a next one")
        yield page
        link = page.next


def read_page(answer: Answer, version: Version, where: str) -> Page:
    """Read one page.

    Raises:
        IntegrityError: It is none.
    """
    body = read_json(answer, where)
    if version is Version.V2:
        inner = body.get("d")
        if isinstance(inner, list):  # OData 1 has the rows right there
            inner = {"results": inner}
        if not isinstance(inner, dict):
            raise IntegrityError(f"{where}: the answer is no page of OData V2")
        rows = inner.get("results")
        names = ("__next", "__delta", "__count")
    else:
        inner, rows = body, body.get("value")
        names = ("@odata.nextLink", "@odata.deltaLink", "@odata.count")
    if not isinstance(rows, list) or any(type(row) is not dict for row in rows):
        raise IntegrityError(f"{where}: the answer is no page of OData V{version.value}")
    upcoming, delta, count = (inner.get(name, inner.get(name.replace("odata.", ""))) for name in names)
    if not (isinstance(upcoming or "", str) and isinstance(delta or "", str)):
        raise IntegrityError(
            f"{where}: a link of the page is no text", hint="Report it to whoever runs the service."
        )
    gone = [row for row in rows if _is_removed(row)] if may_tell_of_removals(answer.body) else []
    if gone:
        rows = [row for row in rows if not _is_removed(row)]
    return Page(rows, upcoming or "", delta or "", _count(count), gone)


def read_json(answer: Answer, where: str) -> dict[str, Any]:
    """Read an object; numbers with a point stay text, so that none loses a digit.

    Raises:
        IntegrityError: It is not JSON in UTF-8, or no object.
    """
    try:
        body = json.loads(answer.body.decode("utf-8"), parse_float=str)
    except UnicodeDecodeError as error:
        raise IntegrityError(
            f"{where}: the answer is not UTF-8 (byte {error.start})",
            hint="Nothing of it was sealed. Report it to whoever runs the service.",
        ) from None
    except (ValueError, RecursionError):
        kind = answer.headers.get("content-type", "no type")[:60]
        raise IntegrityError(f"{where}: the answer is not JSON ({kind})", hint="Check the address.") from None
    if type(body) is not dict:
        raise IntegrityError(f"{where}: the answer is no object")
    return body


def may_tell_of_removals(body: bytes) -> bool:
    """Whether there may be entries of removals in a page; if not, there are none."""
    return b"removed" in body or b"$deletedEntity" in body


def _is_removed(row: Mapping[str, Any]) -> bool:
    """Whether an entry of a delta says that an entity is gone (JSON Format 4.01, section 15.3; 4.0, 14.2)."""
    return (
        "@removed" in row
        or "@odata.removed" in row
        or str(row.get("@odata.context", "")).endswith("$deletedEntity")
    )


def _count(value: Any) -> int | None:
    return int(value) if type(value) in (int, str) and _COUNT.fullmatch(str(value)) else None


def query(path: str, options: Mapping[str, str]) -> str:
    """Return a link from a path and its query options; those that are empty are left out."""
    parts = [f"{name}={quote(value, safe=_PLAIN)}" for name, value in options.items() if value]
    return f"{path}?{'&'.join(parts)}" if parts else path


_PLAIN: Final = "(),'*:$!/=;"
