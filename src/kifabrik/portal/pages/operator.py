"""The operator's pages: nodes, plant and alarms; the queue; tenants and money."""

import shutil
import time
from collections.abc import Iterator
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from markupsafe import Markup

from kifabrik.factory.oversight import Overlook
from kifabrik.plant.governor.rules import Permit
from kifabrik.portal import plant
from kifabrik.portal.charts import course, portion
from kifabrik.portal.door import PageDoor, TheOperator
from kifabrik.portal.figures import Figures
from kifabrik.portal.premises import Premises
from kifabrik.portal.rendering import Visit, render
from kifabrik.portal.rows import queued
from kifabrik.portal.sentences import in_language
from kifabrik.service.auth import TheFactory
from kifabrik.values import now_utc

router = APIRouter(prefix="/operator", route_class=PageDoor, include_in_schema=False)
Live = Annotated[str, Query(max_length=1)]
_LITTLE_ROOM: Final = 0.1
_MOST_NAMED: Final = 40
_SILENT_S: Final = 3600
"""A meter that has said nothing for so long is looked after."""


@router.get("")
def overview(request: Request, operator: TheOperator, factory: TheFactory, live: Live = "") -> Response:  # noqa: ARG001
    """Nodes, plant, and what needs attention."""
    premises: Premises = request.app.state.premises
    seen, permit, site = factory.oversight.look(), premises.permit(time.time()), plant.look(premises.meters)
    return render(
        request,
        "operator",
        live=bool(live),
        seen=seen,
        alarms=list(_alarms(seen, premises, permit, site, Visit.of(request))),
        clustered=factory.runs.cluster is not None,
        portion=portion,
        course=course,
        plant=site,
        permit=permit,
    )


@router.get("/queue")
def queue(request: Request, operator: TheOperator, factory: TheFactory, live: Live = "") -> Response:  # noqa: ARG001
    """What waits, and why."""
    seen = factory.oversight.look()
    return render(request, "queue", live=bool(live), seen=seen, rows=queued(seen.next_ones, now_utc()))


@router.get("/tenants")
def tenants(request: Request, operator: TheOperator, factory: TheFactory) -> Response:  # noqa: ARG001
    """Tenants' shares against their weights, and the month's money."""
    return render(request, "tenants", seen=factory.oversight.look(), portion=portion)


def _alarms(
    seen: Overlook, premises: Premises, permit: Permit | None, site: plant.Plant, visit: Visit
) -> Iterator[Markup]:
    """What an operator should look at, as sentences."""
    say, figures = visit.say, Figures(visit.language)
    if not seen.driven:
        yield say("alarm_driver")
    if premises.home is not None:
        disk = shutil.disk_usage(premises.home)
        if disk.free < _LITTLE_ROOM * disk.total:
            yield say("alarm_disk", free=figures.size(disk.free))
    if seen.overdue:
        yield say("alarm_deadline", count=seen.overdue)
    yield from _of_tenants(seen, visit)
    drained = [one.node.name for kind in seen.kinds for one in kind.nodes if not one.node.enabled]
    yield from (say("alarm_drained", node=name) for name in drained[:_MOST_NAMED])
    if permit is not None and permit.share < 1:
        yield say("alarm_permit", reason=in_language(permit.reason, visit.language))
    silent = [one for one in site.meters if time.time() - one.time > _SILENT_S]
    yield from (say("alarm_meter", meter=one.name, time=figures.time(one.at)) for one in silent)


def _of_tenants(seen: Overlook, visit: Visit) -> Iterator[Markup]:
    """Tenants whose runs wait for a keyholder that does not call."""
    figures = Figures(visit.language)
    for one in seen.tenants:
        if one.away and one.waiting:
            key = "alarm_keyholder" if one.tenant.keyholder_seen else "alarm_keyholder_never"
            at = figures.time(one.tenant.keyholder_seen)
            yield visit.say(key, tenant=one.note or one.tenant.tenant, time=at, count=one.waiting)
