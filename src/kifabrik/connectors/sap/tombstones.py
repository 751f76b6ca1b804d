"""What is gone, of a V2 service: its JSON has no word for it, its Atom has `deleted-entry`.

SAP Gateway tells deletions in Atom only. So the same link to changes is read once more as Atom, for its tombstones
alone; rows keep coming as JSON, for whose values the typing is exact.

Sources: RFC 6721 (deleted-entry); RFC 4287 (feeds and their links).

Invariants:
- a document type is refused, so no entity is ever expanded (`plain_xml`);
- a link that comes a second time is an error, never a circle.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl, urlencode
from xml.etree.ElementTree import Element

from kifabrik.connectors.sap.asking import Caller
from kifabrik.connectors.sap.pages import Row
from kifabrik.connectors.sap.plain_xml import parse_plain_xml
from kifabrik.errors import IntegrityError

_ATOM: Final = "{http://www.w3.org/2005/Atom}"
_GONE: Final = "{http://purl.org/atompub/tombstones/1.0}deleted-entry"


def tombstones(caller: Caller, link: str, where: str) -> Iterator[Row]:
    """Yield what names each entity that is gone, as `{"id": address}`.

    Args:
        caller: The service.
        link: To changes, as the service gave it.
        where: Name of the set, for errors.

    Raises:
        IntegrityError: What came is no feed.
        KifabrikError: As for `Caller.get`.
    """
    seen: set[str] = set()
    link = _as_atom(link)
    while link:
        if link in seen:
            raise IntegrityError(f"{where}: the service sends the same next link a second time")
        seen.add(link)
        root = _feed(caller.get(link, {"accept": "application/atom+xml"}).body, where)
        for one in root.iter(_GONE):
            yield {"id": one.get("ref", "")}
        onward = next((one.get("href", "") for one in root.iter(f"{_ATOM}link") if one.get("rel") == "next"), "")
        link = _as_atom(onward) if onward else ""


def _feed(data: bytes, where: str) -> Element:
    root = parse_plain_xml(data, f"{where}: the feed of changes")
    if root.tag != f"{_ATOM}feed":
        raise IntegrityError(f"{where}: the service tells changes in JSON only")
    return root


def _as_atom(link: str) -> str:
    """The same link without the wish for JSON."""
    path, mark, options = link.partition("?")
    kept = [pair for pair in parse_qsl(options, keep_blank_values=True) if pair[0] != "$format"]
    return f"{path}{mark}{urlencode(kept, safe='$!,()/:' + chr(39))}"
