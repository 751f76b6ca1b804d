"""Sign-up, enrolment, members."""

from typing import Annotated

from fastapi import APIRouter

from kifabrik.factory.records import Principal, TokenKind
from kifabrik.service.auth import STEWARDS, TENANT, TheFactory, allow
from kifabrik.service.bodies import detail, envelope, logged
from kifabrik.service.doors import Door
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import VerifyKey
from kifabrik.wire.tenants import (
    Enrolled,
    Enrolment,
    Logged,
    Me,
    MemberView,
    Signed,
    TenantCreated,
    TenantCreation,
)

router = APIRouter(prefix="/v1", tags=["tenants"], route_class=Door)


@router.post("/tenants")
def create_tenant(body: TenantCreation, factory: TheFactory) -> TenantCreated:
    """Sign a tenant up with a code of the operator."""
    key = VerifyKey.from_hex(body.tenant_key)
    keyholder = Envelope.from_json(body.keyholder)
    vkey, token = factory.accounts.sign_up(body.code, key, keyholder)
    return TenantCreated(tenant=key.tenant_id, log_vkey=vkey, token=token)


@router.post("/devices")
def enrol_device(body: Enrolment, factory: TheFactory) -> Enrolled:
    """Enrol a device with an invitation; its two signatures are the proof."""
    device, token = factory.members.enrol(
        Envelope.from_json(body.membership), Envelope.from_json(body.device), detail(body.detail)
    )
    return Enrolled(tenant=device.tenant, member=device.member, role=device.role, token=token)


@router.get("/me")
def me(caller: Annotated[Principal, allow(*TENANT, TokenKind.ATTEMPT)]) -> Me:
    """Who the token belongs to; the role of a keyholder or launcher is its kind."""
    role = caller.role or caller.kind.name.lower()
    return Me(tenant=caller.tenant, member=caller.member, role=str(role))


@router.get("/members")
def list_members(caller: Annotated[Principal, allow(*TENANT)], factory: TheFactory) -> list[MemberView]:
    """All members, removed ones included."""
    return [
        MemberView(
            member=one.member,
            role=one.role,
            membership=one.membership,
            device=one.device,
            removed=bool(one.removed),
        )
        for one in factory.members.list(caller.tenant)
    ]


@router.post("/members/removals")
def remove_member(
    body: Signed, caller: Annotated[Principal, allow(*STEWARDS, TokenKind.KEYHOLDER)], factory: TheFactory
) -> Logged:
    """Remove a member; the tenant key decides."""
    return logged(factory.members.remove(caller.tenant, envelope(body)))
