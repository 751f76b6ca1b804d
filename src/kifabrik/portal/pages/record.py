"""A tenant's log, a page at a time."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from kifabrik.portal.door import PageDoor, TheMember
from kifabrik.portal.rendering import render
from kifabrik.service.auth import TheFactory

router = APIRouter(route_class=PageDoor, include_in_schema=False)
_PAGE: Final = 60


@router.get("/record")
def page(
    request: Request,
    member: TheMember,
    factory: TheFactory,
    before: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> Response:
    """Entries, the newest first, and how to verify them."""
    found = factory.trails.page(member.tenant, before, _PAGE)
    older = found.entries[-1].index if found.entries and found.entries[-1].index else 0
    return render(request, "record", log=found, older=older, before=before)
