"""Requests for keys and their answers."""

from typing import Annotated

from fastapi import APIRouter

from kifabrik.factory.hints import lease_topic
from kifabrik.factory.records import Principal, TokenKind
from kifabrik.service.auth import MEMBERS, TheFactory, allow
from kifabrik.service.bodies import Digest, logged
from kifabrik.service.doors import NODES_PARTS, SIGNED, Door, takes
from kifabrik.service.limits import MIB
from kifabrik.service.streams import TheWaiters, WaitSeconds, Watch, long_poll
from kifabrik.signatures.dsse import Envelope
from kifabrik.wire.leases import KeysWanted, LeaseView, RequestState
from kifabrik.wire.tenants import Logged

router = APIRouter(prefix="/v1/leases", tags=["leases"], route_class=Door)
Caller = Annotated[Principal, allow(*MEMBERS, TokenKind.ATTEMPT)]


@router.post("")
@takes(SIGNED, parts=NODES_PARTS, of_attempts=40 * MIB)
def request(body: KeysWanted, caller: Caller, factory: TheFactory) -> Logged:
    """Ask for keys; the token says whether for an attempt or for a member's device."""
    return logged(factory.leases.request(caller, Envelope.from_json(body.statement)))


@router.get("/{digest}", response_model=LeaseView)
@long_poll
def answer(
    digest: Digest,
    caller: Caller,
    factory: TheFactory,
    waiters: TheWaiters,  # noqa: ARG001 - used by `long_poll`
    wait: WaitSeconds = 0,
) -> Watch[LeaseView]:
    """How a request of the caller stands; waits for the decision."""

    def read() -> LeaseView:
        found = factory.leases.answer(caller, digest)
        return LeaseView(
            request=digest,
            state=RequestState(found.request.state),
            keyholder_seen=found.keyholder_seen,
            decision=found.decision.to_json() if found.decision else "",
            headers=dict(found.headers),
        )

    return Watch(lease_topic(caller.tenant, digest), read, lambda view: bool(view.decision), wait)
