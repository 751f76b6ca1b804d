"""Codes for browsers, to members' devices that sign a challenge."""

from typing import Annotated

from fastapi import APIRouter

from kifabrik.factory.records import Principal
from kifabrik.service.auth import MEMBERS, TheFactory, allow
from kifabrik.service.bodies import envelope
from kifabrik.service.doors import Door
from kifabrik.wire.sign_ins import Challenge, SignInCode
from kifabrik.wire.tenants import Signed

router = APIRouter(prefix="/v1/sign-ins", tags=["sign-ins"], route_class=Door)
Caller = Annotated[Principal, allow(*MEMBERS)]


@router.post("/challenges")
def challenge(caller: Caller, factory: TheFactory) -> Challenge:
    """Something for the caller's device to sign; an earlier challenge of it ends."""
    return Challenge(challenge=factory.sign_ins.challenge(caller))


@router.post("")
def prove(body: Signed, caller: Caller, factory: TheFactory) -> SignInCode:
    """Exchange a signed challenge for a code that signs a browser in to the pages."""
    return SignInCode(code=factory.sign_ins.prove(caller, envelope(body)))
