"""Models."""

from typing import Annotated

from fastapi import APIRouter

from kifabrik.factory.records import Principal
from kifabrik.service.auth import WRITERS, TheFactory, allow
from kifabrik.service.bodies import detail, envelope, logged
from kifabrik.service.doors import SIGNED, Door, takes
from kifabrik.wire.tenants import Logged, Signed

router = APIRouter(prefix="/v1/models", tags=["models"], route_class=Door)


@router.post("/acceptances")
@takes(SIGNED)
def accept(body: Signed, caller: Annotated[Principal, allow(*WRITERS)], factory: TheFactory) -> Logged:
    """Put on record that a model was accepted."""
    return logged(factory.models.accept(caller.tenant, caller.member, envelope(body), detail(body.detail)))


@router.post("/promotions")
@takes(SIGNED)
def promote(body: Signed, caller: Annotated[Principal, allow(*WRITERS)], factory: TheFactory) -> Logged:
    """Put on record that the output of a sweep's task is a version of the job's model."""
    return logged(factory.models.promote(caller.tenant, caller.member, envelope(body)))
