"""The keyholder's statement and its recipient lists."""

from typing import Annotated

from fastapi import APIRouter

from kifabrik.factory.records import Principal, TokenKind
from kifabrik.service.auth import KEYHOLDER, TENANT, TheFactory, allow
from kifabrik.service.bodies import envelope, logged, signed
from kifabrik.service.doors import SIGNED, Door, takes
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.tenants import KeyholderUpdate, Logged, Signed

router = APIRouter(prefix="/v1", tags=["keyholder"], route_class=Door)


@router.get("/keyholder")
def keyholder(
    caller: Annotated[Principal, allow(*TENANT, TokenKind.ATTEMPT)], factory: TheFactory
) -> KeyholderUpdate:
    """The newest keyholder statement."""
    return KeyholderUpdate(keyholder=factory.keyholders.statement(caller.tenant).to_json())


@router.post("/keyholder")
def replace_keyholder(
    body: KeyholderUpdate, caller: Annotated[Principal, allow(*KEYHOLDER)], factory: TheFactory
) -> Logged:
    """Name a new keyholder after a restore."""
    return logged(factory.keyholders.replace(caller.tenant, Envelope.from_json(body.keyholder)))


@router.post("/attestation")
@takes(SIGNED)
def set_attestation(body: Signed, caller: Annotated[Principal, allow(*KEYHOLDER)], factory: TheFactory) -> Logged:
    """Say what counts as attested; the tenant key decides."""
    return logged(factory.attestation.decide(caller.tenant, envelope(body)))


@router.get("/recipients")
def recipients(caller: Annotated[Principal, allow(*TENANT)], factory: TheFactory) -> Signed:
    """The newest recipient list."""
    return signed(factory.keyholders.recipients(caller.tenant))


@router.post("/recipients")
@takes(SIGNED)
def publish_recipients(
    body: Signed, caller: Annotated[Principal, allow(*KEYHOLDER)], factory: TheFactory
) -> Logged:
    """Publish a recipient list."""
    return logged(factory.keyholders.publish(caller.tenant, envelope(body)))
