"""What a service has, and what it truly supports: found by trying, not by promise.

Invariants:
- a probe reads at most a page of each set, and writes nothing;
- what a service ignores silently (a page size, change tracking, a count) is said to be ignored.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from kifabrik.connectors.sap.asking import Caller
from kifabrik.connectors.sap.batch_bodies import BatchFormat
from kifabrik.connectors.sap.batch_requests import Batches
from kifabrik.connectors.sap.columns import Column
from kifabrik.connectors.sap.model import EntityType, Service, Version
from kifabrik.connectors.sap.pages import ACCEPT, Page, query, read_page
from kifabrik.connectors.sap.pull import fetch_service
from kifabrik.errors import KifabrikError, UsageError

_SMALL: Final = 2


class Finding(StrEnum):
    """How something was found to be."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"
    """Too few rows to see it, or the set cannot be read."""


@dataclass(frozen=True)
class FieldFound:
    """A field and the column it becomes; empty if it makes none."""

    name: str
    type: str
    column: str
    key: bool
    nullable: bool


@dataclass(frozen=True)
class NavigationFound:
    """Where a set leads, and whether to several."""

    name: str
    target: str
    many: bool


@dataclass(frozen=True)
class SetFound:
    """An entity set.

    Args:
        name: Of the set.
        fields: With their types and columns.
        navigations: Where it leads.
        rows: How many there are; None if the service does not say.
        page: Rows of a page when nothing was asked; None if the set was not paged.
        next_link: `absolute`, `relative` or ''.
        page_size: Whether a page size that is asked for is kept.
        changes: Whether the service gave a link to changes.
        problem: Why the set could not be tried.
    """

    name: str
    fields: tuple[FieldFound, ...]
    navigations: tuple[NavigationFound, ...]
    rows: int | None = None
    page: int | None = None
    next_link: str = ""
    page_size: Finding = Finding.UNKNOWN
    changes: Finding = Finding.UNKNOWN
    problem: str = ""


@dataclass(frozen=True)
class Probed:
    """A service.

    Args:
        service: Its URL.
        version: Of the protocol.
        batch: How it takes several requests in one round trip.
        sets: All of them.
    """

    service: str
    version: int
    batch: BatchFormat
    sets: tuple[SetFound, ...]


def probe(caller: Caller, *, only: str = "") -> Probed:
    """Look at a service.

    Args:
        caller: Signed in.
        only: Name of the one set to look at; all if empty.

    Raises:
        UsageError: There is no such set.
        KifabrikError: The service cannot be reached, or is none of OData.
    """
    service = fetch_service(caller)
    if only:
        service.entity_type(only)
    names = [only] if only else list(service.sets)
    batch = Batches(caller, service.version).find(_smallest(service, names[0]))
    sets = tuple(_look(caller, service, name) for name in names)
    return Probed(caller.service, int(service.version), batch, sets)


def _smallest(service: Service, name: str) -> str:
    """A question with the smallest answer: the key of one row."""
    keys = ",".join(service.entity_type(name).keys)
    form = "" if service.version is Version.V4 else "json"
    return query(name, {"$top": "1", "$select": keys, "$format": form})


def _look(caller: Caller, service: Service, name: str) -> SetFound:
    entity = service.entity_type(name)
    fields = tuple(_field(entity, one, service.version) for one in entity.fields)
    navigations = tuple(NavigationFound(one.name, one.target, one.many) for one in entity.navigations.values())
    try:
        first = _page(caller, service.version, name, counted=True)
        small, tracked = _asked(caller, service.version, name)
    except KifabrikError as error:
        return SetFound(name, fields, navigations, problem=error.message)
    paged = bool(first.next)
    return SetFound(
        name,
        fields,
        navigations,
        rows=first.count,
        page=len(first.rows) if paged else None,
        next_link=_kind(first.next),
        page_size=_size_kept(first, small, service.version),
        changes=_tracks(first, tracked),
    )


def _field(entity: EntityType, name: str, version: Version) -> FieldFound:
    field = entity.fields[name]
    try:
        column = str(Column(field, version).type)
    except UsageError:
        column = ""
    return FieldFound(name, field.type, column, name in entity.keys, field.nullable)


def _page(
    caller: Caller, version: Version, name: str, *, counted: bool = False, prefer: str = "", top: int = 0
) -> Page:
    v4 = version is Version.V4
    link = query(
        name,
        {
            "$count" if v4 else "$inlinecount": ("true" if v4 else "allpages") if counted else "",
            "$top": str(top) if top else "",
            "$format": "" if v4 else "json",
        },
    )
    headers = {"accept": ACCEPT[version], **({"prefer": prefer} if prefer else {})}
    return read_page(caller.get(link, headers), version, name)


def _asked(caller: Caller, version: Version, name: str) -> tuple[Page | None, Page | None]:
    """Ask for two rows at a time, and for changes; the last page is where a link to changes stands."""
    if version is Version.V2:
        return None, _last(caller, version, name, "")
    small = _page(caller, version, name, prefer=f"odata.maxpagesize={_SMALL}")
    return small, _last(caller, version, name, "odata.track-changes")


def _last(caller: Caller, version: Version, name: str, prefer: str) -> Page | None:
    """The page behind all rows: it has none, and the link to changes if there is one."""
    entity_rows = _page(caller, version, name, counted=True, top=1).count
    link = query(name, {"$skip": str(entity_rows or 0), "$format": "" if version is Version.V4 else "json"})
    headers = {"accept": ACCEPT[version], **({"prefer": prefer} if prefer else {})}
    page = read_page(caller.get(link, headers), version, name)
    return None if page.next else page


def _size_kept(first: Page, small: Page | None, version: Version) -> Finding:
    if version is Version.V2:
        return Finding.NO  # V2 knows no such wish
    if small is None or len(first.rows) <= _SMALL:
        return Finding.UNKNOWN
    return Finding.YES if len(small.rows) == _SMALL and small.next else Finding.NO


def _tracks(first: Page, tracked: Page | None) -> Finding:
    if first.delta or (tracked is not None and tracked.delta):
        return Finding.YES
    return Finding.NO if tracked is not None else Finding.UNKNOWN


def _kind(link: str) -> str:
    return "" if not link else "absolute" if "://" in link else "relative"
