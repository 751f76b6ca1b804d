"""What anybody may see: what this factory is, and whether it works."""

import time

from fastapi import APIRouter, Request
from fastapi.responses import Response

from kifabrik import __version__
from kifabrik.factory.factory import Factory
from kifabrik.factory.leader import is_led
from kifabrik.portal.door import PageDoor
from kifabrik.portal.pages.visiting import noticed
from kifabrik.portal.premises import Premises
from kifabrik.portal.rendering import Visit, render
from kifabrik.service.auth import TheFactory
from kifabrik.values import format_time, now_utc

router = APIRouter(route_class=PageDoor, include_in_schema=False)


@router.get("/")
def start(request: Request, factory: TheFactory) -> Response:
    """What this factory is, its promises and prices, how to join and how to verify it."""
    noticed(request, factory)
    premises: Premises = request.app.state.premises
    origin = premises.address or str(request.base_url).rstrip("/")
    return render(request, "start", prices=premises.prices, examples=premises.examples, origin=origin)


@router.get("/health")
def health(request: Request, factory: TheFactory) -> Response:
    """Whether service, database, scheduler and nodes work; nothing of any customer."""
    noticed(request, factory)
    parts = _parts(factory, Visit.of(request))
    well = all(fine for _, fine, _ in parts)
    return render(request, "health", status=200 if well else 503, parts=parts, version=__version__)


def _parts(factory: Factory, visit: Visit) -> list[tuple[str, bool, str]]:
    begun = time.monotonic()
    with factory.store.read() as transaction:
        nodes = sum(node.enabled for node in transaction.runs.nodes())
        driven = is_led(transaction, format_time(now_utc()))
    took_ms = max(round((time.monotonic() - begun) * 1000), 1)
    return [
        ("health_service", True, visit.say("health_service_ok")),
        ("health_store", True, visit.say("health_store_ok", ms=took_ms)),
        ("health_driver", driven, visit.say("health_driver_ok" if driven else "health_driver_none")),
        (
            "health_nodes",
            nodes > 0,
            visit.say("health_nodes_ok", count=nodes) if nodes else visit.say("health_nodes_none"),
        ),
    ]
