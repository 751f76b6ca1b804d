"""Any statement by its digest."""

from typing import Annotated

from fastapi import APIRouter

from kifabrik.factory.records import Principal, TokenKind
from kifabrik.service.auth import TENANT, TheFactory, allow
from kifabrik.service.bodies import Digest, signed
from kifabrik.service.doors import Door
from kifabrik.wire.tenants import Signed

router = APIRouter(prefix="/v1", tags=["statements"], route_class=Door)


@router.get("/statements/{digest}")
def statement(
    digest: Digest, caller: Annotated[Principal, allow(*TENANT, TokenKind.ATTEMPT)], factory: TheFactory
) -> Signed:
    """Any statement of the tenant; verify it before use."""
    return signed(factory.statements.get(caller.tenant, digest))
