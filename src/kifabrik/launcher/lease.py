"""Asking the keyholder for keys, and believing only its signed answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from kifabrik.client.leases import Leases
from kifabrik.errors import IntegrityError, RefusedError
from kifabrik.launcher.work import VerifiedWork
from kifabrik.leases.statements import AttemptRequest, Lease, Refusal, RequestingNode
from kifabrik.leases.verify import verify_attempt_lease, verify_attempt_request, verify_headers
from kifabrik.seals.identities import Identity
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey, VerifyKey
from kifabrik.signatures.statements import Statement, sign_statement, verify_statement
from kifabrik.values import format_time, now_utc
from kifabrik.wire.leases import LeaseView, RequestState

Show: TypeAlias = Callable[[AttemptRequest, RequestingNode], str]
"""Returns the evidence of one node for a request, or nothing."""

_FIRST_WAIT_S: Final = 1.0
"""An answer usually takes a fraction of it; whoever waits longer is told why soon."""
_LONGEST_WAIT_S: Final = 25.0


class LeaseRefusedError(RefusedError):
    """The keyholder refused.

    Args:
        reason: Its stable word.
        message: Its sentence.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class AttemptKeys:
    """The keys of one attempt; they exist in this process's memory only."""

    run_key: SigningKey = field(default_factory=SigningKey.generate, repr=False)
    identity: Identity = field(default_factory=Identity.generate, repr=False)


@dataclass(frozen=True)
class GrantedLease:
    """A verified lease and the headers it signs, by manifest digest."""

    statement: Statement[Lease]
    headers: Mapping[str, bytes]


def _nothing(_request: AttemptRequest, _node: RequestingNode) -> str:
    return ""


def sign_request(
    work: VerifiedWork,
    attempt: str,
    keys: AttemptKeys,
    node: SigningKey,
    environment: str,
    show: Show = _nothing,
) -> Envelope:
    """Sign what the launcher can show for itself: the node's key, its own keys, what it has built.

    Args:
        work: What the keys are for.
        attempt: Attempt id.
        keys: Of this attempt.
        node: The node's key.
        environment: Tree digest of the environment.
        show: Makes evidence about the node's hardware, for the request as it stands without.
    """
    order = work.order.predicate
    request = AttemptRequest(
        tenant=order.tenant,
        run=order.run,
        attempt=attempt,
        number=work.number,
        order=work.order.digest,
        items=work.items,
        nodes=(RequestingNode(node.public.hex, keys.identity.recipient.text),),
        place=work.place,
        run_key=keys.run_key.public.hex,
        recipient=keys.identity.recipient.text,
        environment=environment,
        created=format_time(now_utc()),
    )
    nodes = tuple(replace(one, evidence=show(request, one)) for one in request.nodes)
    request = replace(request, nodes=nodes)
    return sign_statement(request, {"order": work.order.digest}, keys.run_key, node)


def obtain(
    leases: Leases,
    request: Envelope,
    work: VerifiedWork,
    *,
    given_up: Callable[[], bool],
    waiting: Callable[[LeaseView], None],
) -> GrantedLease | None:
    """Ask, wait for the answer, and verify it.

    Args:
        leases: Client with the attempt's token.
        request: From `sign_request`.
        work: What the request is for.
        given_up: Whether somebody has stopped the run meanwhile.
        waiting: Told each time the answer is still open.

    Returns:
        The lease, or nothing if the run was stopped while waiting.

    Raises:
        RefusedError: The keyholder refused.
        IntegrityError: The answer does not verify.
    """
    leases.request(request)
    wait_s = _FIRST_WAIT_S
    while not given_up():
        view = leases.answer(request.digest, wait_s=wait_s)
        if view.state in (RequestState.RELEASED, RequestState.REFUSED):
            return _believe(view, request, work)
        waiting(view)
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
    return None


def _believe(view: LeaseView, request: Envelope, work: VerifiedWork) -> GrantedLease:
    keyholder = VerifyKey.from_hex(work.keyholder.keyholder_key)
    decision = Envelope.from_json(view.decision)
    if view.state is RequestState.REFUSED:
        refusal = verify_statement(decision, Refusal, [keyholder]).predicate
        if refusal.request != request.digest:
            raise IntegrityError("the refusal answers another request")
        raise LeaseRefusedError(refusal.reason, refusal.message)
    lease = verify_attempt_lease(decision, keyholder, verify_attempt_request(request), now_utc())
    verify_headers(lease.predicate, view.headers)
    return GrantedLease(lease, view.headers)
