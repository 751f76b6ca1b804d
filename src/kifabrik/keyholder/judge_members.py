"""Whether keys of results and logs are released to a member's device: a pure function of verified facts.

Invariants:
- results go to enrolled devices of members who still belong, under the recipient of their enrolment;
- engineers get the results of their own runs, stewards and owners of all, auditors of none;
- only what the run itself has made is released: outputs and log streams signed by its run keys.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kifabrik.datasets.manifest import Manifest
from kifabrik.grants.decision import decide_pull
from kifabrik.keyholder.people import KnownDevice
from kifabrik.keyholder.verdicts import Reason, Refused, Released, Verdict, refuse
from kifabrik.leases.statements import MemberRequest
from kifabrik.orders.order import Order
from kifabrik.runs.statements import LogStream
from kifabrik.signatures.statements import Statement

MEMBER_LEASE: Final = timedelta(hours=24)


@dataclass(frozen=True)
class MemberCase:
    """Everything that is known about a request of a member's device.

    Args:
        request: Verified against the device key it names.
        device: The enrolled device with that key.
        order: The order of the run.
        manifests: Verified manifests of results by digest.
        streams: Verified log streams by digest.
        recipient: What the run's results are sealed to; empty where the identity was destroyed.
        fresh_nonce: Whether no other request had its nonce.
        frozen_inputs: Whether something the run used is frozen.
        frozen: Whether everything is frozen.
        opinion: What a person has said.
        now: The keyholder's time.
    """

    request: Statement[MemberRequest]
    device: KnownDevice | None
    order: Statement[Order] | None
    manifests: Mapping[str, Manifest]
    streams: Mapping[str, LogStream]
    recipient: str
    fresh_nonce: bool
    frozen_inputs: bool
    frozen: bool
    opinion: bool | None
    now: datetime


def judge_member(case: MemberCase) -> Verdict:
    """Decide about the keys of results and logs for a member's device."""
    asked, device = case.request.predicate, case.device
    if case.frozen or case.opinion is False:
        return refuse(Reason.FROZEN if case.frozen else Reason.DENIED)
    if device is None or (device.member, device.recipient) != (asked.member, asked.recipient):
        return refuse(Reason.BAD_REQUEST)
    if case.order is None or case.order.predicate.run != asked.run:
        return refuse(Reason.UNKNOWN_ORDER)
    answer = decide_pull(
        device.member,
        device.role,
        removed=device.removed,
        orderer=case.order.predicate.member,
        erased=not case.recipient,
        frozen=case.frozen_inputs,
    )
    if not answer.permitted:
        return Refused(answer.reason, answer.message, final=answer.reason != Reason.FROZEN)
    if not case.fresh_nonce:
        return refuse(Reason.REPLAYED)
    reason = _check_results(case)
    return refuse(reason) if reason is not None else Released((), case.now + MEMBER_LEASE)


def _check_results(case: MemberCase) -> Reason | None:
    asked = case.request.predicate
    if not asked.items or len(set(asked.items)) != len(asked.items):
        return Reason.ITEMS
    for digest in asked.items:
        manifest = case.manifests.get(digest)
        if manifest is None:
            stream = case.streams.get(digest)
            if stream is None or (stream.tenant, stream.run) != (asked.tenant, asked.run):
                return Reason.MANIFEST
            continue
        run, _, part = manifest.owner.partition("/")
        if manifest.tenant != asked.tenant or run != asked.run or not part.isdecimal():
            return Reason.ITEMS
        if manifest.recipient != case.recipient:
            return Reason.FOREIGN
    return None
