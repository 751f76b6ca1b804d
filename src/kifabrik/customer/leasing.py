"""A member's device asks the keyholder for keys of a run's results, and checks the answer."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from kifabrik.customer.session import Session
from kifabrik.errors import IntegrityError, RefusedError, UnavailableError
from kifabrik.leases.statements import Lease, MemberRequest, Refusal
from kifabrik.leases.verify import verify_headers, verify_member_lease
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.statements import Statement, sign_statement, verify_statement
from kifabrik.values import format_time, now_utc
from kifabrik.wire.leases import LeaseView, RequestState

_WAIT_S: Final = 20.0
_PATIENCE_S: Final = 120.0


@dataclass(frozen=True)
class MemberLease:
    """A verified lease to this device, with headers by item digest."""

    statement: Statement[Lease]
    headers: Mapping[str, bytes]


@dataclass(frozen=True)
class AskedLease:
    """A request for keys that stands in the log; the keyholder works on it.

    Args:
        envelope: The request as signed.
        request: The same, verified.
    """

    envelope: Envelope
    request: Statement[MemberRequest]
    _session: Session

    def answer(self) -> MemberLease:
        """Wait for the keyholder's answer and verify it.

        Raises:
            RefusedError: The keyholder refused.
            UnavailableError: The keyholder did not answer in time.
            IntegrityError: The answer does not verify.
        """
        session = self._session
        view = _await_answer(session, self.envelope)
        decision = Envelope.from_json(view.decision)
        if view.state is RequestState.REFUSED:
            refusal = verify_statement(decision, Refusal, [session.keyholder_key]).predicate
            if refusal.request != self.envelope.digest:
                raise IntegrityError("the refusal answers another request")
            raise RefusedError(f"the keyholder refused: {refusal.message}")
        lease = verify_member_lease(decision, session.keyholder_key, self.request, now_utc())
        verify_headers(lease.predicate, view.headers)
        return MemberLease(lease, view.headers)


def ask_for_results(session: Session, run: str, items: Sequence[str]) -> AskedLease:
    """Ask for the keys of outputs or log streams of a run; returns once the request stands in the log.

    Args:
        session: Connected.
        run: Run id.
        items: Digests of output manifest statements or log stream statements.
    """
    request = MemberRequest(
        tenant=session.tenant,
        member=session.profile.member,
        device_key=session.profile.device.public.hex,
        recipient=session.profile.opener.recipient.text,
        run=run,
        items=tuple(items),
        created=format_time(now_utc()),
        nonce=secrets.token_hex(16),
    )
    subjects = {f"item-{number}": item for number, item in enumerate(items)}
    envelope = sign_statement(request, subjects, session.profile.device)
    asked = verify_statement(envelope, MemberRequest, [session.profile.device.public])
    session.leases.request(envelope)
    return AskedLease(envelope, asked, session)


def lease_results(session: Session, run: str, items: Sequence[str]) -> MemberLease:
    """Ask for keys of a run's results and wait for the answer; raises what `AskedLease.answer` does."""
    return ask_for_results(session, run, items).answer()


def _await_answer(session: Session, envelope: Envelope) -> LeaseView:
    until = now_utc().timestamp() + _PATIENCE_S
    while True:
        view = session.leases.answer(envelope.digest, wait_s=_WAIT_S)
        if view.state in (RequestState.RELEASED, RequestState.REFUSED):
            return view
        if now_utc().timestamp() >= until:
            seen = f"it was last seen at {view.keyholder_seen}" if view.keyholder_seen else "it was never seen"
            raise UnavailableError(
                f"the keyholder has not answered ({seen})", hint="Start it with: kifabrik keyholder run"
            )
