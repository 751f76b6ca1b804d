"""Grants and revocations."""

from typing import Annotated

from fastapi import APIRouter

from kifabrik.factory.records import Principal, TokenKind
from kifabrik.service.auth import STEWARDS, TheFactory, allow
from kifabrik.service.bodies import detail, envelope, logged
from kifabrik.service.doors import SIGNED, Door, takes
from kifabrik.wire.tenants import Logged, Signed

router = APIRouter(prefix="/v1", tags=["grants"], route_class=Door)
Caller = Annotated[Principal, allow(*STEWARDS, TokenKind.KEYHOLDER)]


@router.post("/grants")
@takes(SIGNED)
def grant(body: Signed, caller: Caller, factory: TheFactory) -> Logged:
    """Hand in a grant signed by the tenant key."""
    return logged(factory.grants.give(caller.tenant, envelope(body), detail(body.detail)))


@router.post("/revocations")
def revoke(body: Signed, caller: Caller, factory: TheFactory) -> Logged:
    """Hand in a revocation signed by the tenant key."""
    return logged(factory.grants.revoke(caller.tenant, envelope(body)))
