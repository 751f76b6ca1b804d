"""A tenant's runs: what goes on, what has ended, and each of them."""

from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from kifabrik.portal.door import PageDoor, TheMember
from kifabrik.portal.rendering import render
from kifabrik.portal.rows import rows
from kifabrik.runs.states import RunState, is_end
from kifabrik.service.auth import TheFactory
from kifabrik.values import format_time, now_utc

router = APIRouter(route_class=PageDoor, include_in_schema=False)

_GOING: Final = tuple(state for state in RunState if not is_end(state))
_FILTERS: Final[dict[str, tuple[RunState, ...]]] = {
    "": (),
    "going": _GOING,
    "failed": (RunState.FAILED, RunState.REFUSED),
}
_MOST_NOW: Final = 50
_MOST_ENDED: Final = 8
_LOOKED_AT: Final = 16
_PAGE: Final = 50

Before = Annotated[str, Query(max_length=64, pattern=r"^(r-[a-z2-7]{16,32})?$")]
Live = Annotated[str, Query(max_length=1)]


@router.get("/overview")
def overview(request: Request, member: TheMember, factory: TheFactory, live: Live = "") -> Response:
    """What goes on now, and what has ended last."""
    now = now_utc()
    month = format_time(now)[:7]
    shows, tenant = factory.runs.shows, member.tenant
    going = rows(shows.page(tenant, "", _MOST_NOW, _GOING), now)
    ended = [one for one in rows(shows.page(tenant, "", _LOOKED_AT), now) if one.ended]
    with factory.store.read() as transaction:
        account = transaction.accounts.tenant(tenant)
        used = [one for one in transaction.runs.usage([tenant]) if one.month == month]
    return render(
        request,
        "overview",
        live=bool(live),
        now_rows=going,
        more=len(going) == _MOST_NOW,
        going_count=sum(not one.waits for one in going),
        waiting_count=sum(one.waits for one in going),
        ended_rows=ended[:_MOST_ENDED],
        month=month,
        month_cost=sum(one.month_micro_eur for one in used),
        stored=account.bytes_used if account else 0,
    )


@router.get("/runs")
def listed(
    request: Request,
    member: TheMember,
    factory: TheFactory,
    before: Before = "",
    state: Annotated[str, Query(max_length=16)] = "",
    live: Live = "",
) -> Response:
    """Runs, newest first, a page at a time."""
    wanted = state if state in _FILTERS else ""
    found = rows(factory.runs.shows.page(member.tenant, before, _PAGE, _FILTERS[wanted]), now_utc())
    return render(
        request,
        "runs",
        live=bool(live),
        rows=found,
        filter=wanted,
        filters=list(_FILTERS),
        before=before,
        older=found[-1].run if len(found) == _PAGE else "",
    )
