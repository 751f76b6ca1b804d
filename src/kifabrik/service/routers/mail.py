"""The keyholder's mailbox."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from kifabrik.factory.hints import mail_topic
from kifabrik.factory.records import Principal
from kifabrik.service.auth import KEYHOLDER, TheFactory, allow
from kifabrik.service.bodies import detail, envelope, logged
from kifabrik.service.doors import SIGNED, Door, takes
from kifabrik.service.limits import MIB
from kifabrik.service.streams import TheWaiters, WaitSeconds, Watch, long_poll
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.leases import Asking, Cosignature, Decision, Mail, MailKind
from kifabrik.wire.tenants import Logged, Signed

router = APIRouter(prefix="/v1/keyholder", tags=["keyholder"], route_class=Door)
Caller = Annotated[Principal, allow(*KEYHOLDER)]


@router.get("/mail", response_model=list[Mail])
@long_poll
def mail(
    caller: Caller,
    factory: TheFactory,
    waiters: TheWaiters,  # noqa: ARG001 - used by `long_poll`
    after: Annotated[int, Query(ge=0, le=2**53)] = 0,
    wait: WaitSeconds = 0,
) -> Watch[list[Mail]]:
    """Messages with numbers above `after`; waits for one."""

    def read() -> list[Mail]:
        factory.mailbox.seen(caller.tenant)
        return [
            Mail(number=one.number, kind=MailKind(one.kind), digest=one.digest)
            for one in factory.mailbox.letters(caller.tenant, after)
        ]

    return Watch(mail_topic(caller.tenant), read, bool, wait)


@router.post("/decisions")
@takes(64 * MIB)
def decide(body: Decision, caller: Caller, factory: TheFactory) -> Logged:
    """A lease with its new headers, or a refusal."""
    return logged(
        factory.leases.decide(caller.tenant, Envelope.from_json(body.statement), body.headers, detail(body.detail))
    )


@router.post("/asking", status_code=204, response_class=Response)
def ask(body: Asking, caller: Caller, factory: TheFactory) -> None:
    """A person must decide."""
    factory.leases.ask(caller.tenant, body.request)


@router.post("/cosignatures", status_code=204, response_class=Response)
def cosign(body: Cosignature, caller: Caller, factory: TheFactory) -> None:
    """A cosigned tree head."""
    factory.log.cosign(caller.tenant, body.note)


@router.post("/certificates")
@takes(SIGNED)
def certify(body: Signed, caller: Caller, factory: TheFactory) -> Logged:
    """An erasure certificate."""
    return logged(factory.erasures.certify(caller.tenant, envelope(body)))
