"""Asking the keyholder for keys, and believing only its signed answer."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from kifabrik.client.leases import Leases
from kifabrik.errors import ConflictError, IntegrityError, RefusedError
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


class AttemptTakenError(ConflictError):
    """Another launcher works on the attempt, or it has ended: nothing of it is this one's to report or to end."""


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


def said_of(work: VerifiedWork, attempt: str, environment: str) -> AttemptRequest:
    """What an attempt asks for, without its keys and its nodes: the same on each of them.

    Args:
        work: Verified.
        attempt: Attempt id.
        environment: Tree digest of what was built.
    """
    order = work.order.predicate
    return AttemptRequest(
        tenant=order.tenant,
        run=work.run,
        attempt=attempt,
        number=work.number,
        order=work.order.digest,
        items=work.items,
        nodes=(),
        place=work.place,
        run_key="",
        recipient="",
        environment=environment,
        created="",
    )


def sign_request(
    asks: AttemptRequest,
    nodes: tuple[RequestingNode, ...],
    keys: AttemptKeys,
    node: SigningKey,
    show: Show = _nothing,
) -> Envelope:
    """Sign what the launcher can show for itself: the nodes, its own keys, what it has built.

    Args:
        asks: From `said_of`.
        nodes: By rank.
        keys: Of the attempt.
        node: Key of the first node, which signs beside the run key.
        show: Makes evidence about the first node's hardware, for the request as it stands without.
    """
    request = replace(
        asks,
        nodes=nodes,
        run_key=keys.run_key.public.hex,
        recipient=keys.identity.recipient.text,
        created=format_time(now_utc()),
    )
    own, *others = request.nodes
    if not own.evidence:
        request = replace(request, nodes=(replace(own, evidence=show(request, own)), *others))
    return sign_statement(request, {"order": asks.order}, keys.run_key, node)


def alone(keys: AttemptKeys, node: SigningKey) -> tuple[RequestingNode, ...]:
    """The nodes of an attempt that has one: its launcher's recipient is the attempt's own."""
    return (RequestingNode(node.public.hex, keys.identity.recipient.text),)


def obtain(
    leases: Leases,
    request: Envelope,
    work: VerifiedWork,
    *,
    given_up: Callable[[], bool],
    waiting: Callable[[LeaseView], None],
) -> GrantedLease | None:
    """Ask, wait for the answer, and verify it; arguments, result and errors as of `await_answer`.

    Args:
        leases: Client with the attempt's token.
        request: From `sign_request`.
        work: What the request is for.
        given_up: Whether somebody has stopped the run meanwhile.
        waiting: Told each time the answer is still open.
    """
    with unless_taken():
        leases.request(request)
    return await_answer(leases, verify_attempt_request(request), work, given_up=given_up, waiting=waiting)


@contextmanager
def unless_taken() -> Iterator[None]:
    """Do in the block what ties the attempt, or a rank of it, to this launcher.

    Raises:
        AttemptTakenError: It is another launcher's, or over.
    """
    try:
        yield
    except ConflictError as error:
        raise AttemptTakenError(error.message, hint=error.hint) from error


def await_answer(
    leases: Leases,
    asked: Statement[AttemptRequest],
    work: VerifiedWork,
    *,
    given_up: Callable[[], bool],
    waiting: Callable[[LeaseView], None],
) -> GrantedLease | None:
    """Wait for the answer to a request that was made, and verify it.

    Args:
        leases: Client with the attempt's token.
        asked: The request as this node knows it.
        work: What the request is for.
        given_up: Whether somebody has stopped the run meanwhile.
        waiting: Told each time the answer is still open.

    Returns:
        The lease, or nothing if the run was stopped while waiting.

    Raises:
        RefusedError: The keyholder refused.
        IntegrityError: The answer does not verify.
    """
    wait_s = _FIRST_WAIT_S
    while not given_up():
        view = leases.answer(asked.digest, wait_s=wait_s)
        if view.state in (RequestState.RELEASED, RequestState.REFUSED):
            return _believe(view, asked, work)
        waiting(view)
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
    return None


def _believe(view: LeaseView, asked: Statement[AttemptRequest], work: VerifiedWork) -> GrantedLease:
    keyholder = VerifyKey.from_hex(work.keyholder.keyholder_key)
    decision = Envelope.from_json(view.decision)
    if view.state is RequestState.REFUSED:
        refusal = verify_statement(decision, Refusal, [keyholder]).predicate
        if refusal.request != asked.digest:
            raise IntegrityError("the refusal answers another request")
        raise LeaseRefusedError(refusal.reason, refusal.message)
    lease = verify_attempt_lease(decision, keyholder, asked, now_utc())
    verify_headers(lease.predicate, view.headers)
    return GrantedLease(lease, view.headers)
