"""Whether keys of results and logs are released to a member's device: a pure function of verified facts.

Invariants:
- results go to enrolled devices of members who still belong, under the recipient of their enrolment;
- engineers get the results of their own runs, stewards and owners of all, auditors of none;
- only what the run itself has made is released: outputs and log streams signed by its run keys; a sweep may be
  asked about as a whole, for any of the tasks its order covers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kifabrik.datasets.manifest import Manifest
from kifabrik.grants.decision import decide_pull
from kifabrik.keyholder.people import KnownDevice
from kifabrik.keyholder.records import UsedDataset
from kifabrik.keyholder.verdicts import Reason, Refused, Released, Verdict, refuse
from kifabrik.leases.statements import MemberRequest
from kifabrik.orders.order import Order
from kifabrik.orders.tasks import covers
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
        recipients: What the results of each run concerned are sealed to; empty where the identity was destroyed.
        fresh_nonce: Whether no other request had its nonce.
        behind: Datasets the runs concerned have used, also by way of models.
        frozen_inputs: Whether one of them is frozen.
        frozen: Whether everything is frozen.
        opinion: What a person has said.
        now: The keyholder's time.
    """

    request: Statement[MemberRequest]
    device: KnownDevice | None
    order: Statement[Order] | None
    manifests: Mapping[str, Manifest]
    streams: Mapping[str, LogStream]
    recipients: Mapping[str, str]
    fresh_nonce: bool
    behind: tuple[str, ...]
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
    if case.order is None or not _is_of(case.order.predicate, asked.run):
        return refuse(Reason.UNKNOWN_ORDER)
    answer = decide_pull(
        device.member,
        device.role,
        removed=device.removed,
        orderer=case.order.predicate.member,
        erased=not all(case.recipients.values()),
        frozen=case.frozen_inputs,
    )
    if not answer.permitted:
        return Refused(answer.reason, answer.message, final=answer.reason != Reason.FROZEN)
    if not case.fresh_nonce:
        return refuse(Reason.REPLAYED)
    reason = _check_results(case)
    used = tuple(UsedDataset(dataset, "", direct=False) for dataset in case.behind)
    return refuse(reason) if reason is not None else Released(used, case.now + MEMBER_LEASE)


def _check_results(case: MemberCase) -> Reason | None:
    asked = case.request.predicate
    if not asked.items or len(set(asked.items)) != len(asked.items):
        return Reason.ITEMS
    for digest in asked.items:
        manifest = case.manifests.get(digest)
        if manifest is None:
            stream = case.streams.get(digest)
            if stream is None or stream.tenant != asked.tenant or not _within(case, stream.run):
                return Reason.MANIFEST
            continue
        run, _, part = manifest.owner.partition("/")
        if manifest.tenant != asked.tenant or not _within(case, run) or not part.isdecimal():
            return Reason.ITEMS
        if manifest.recipient != case.recipients.get(run):
            return Reason.FOREIGN
    return None


def _is_of(order: Order, run: str) -> bool:
    """Whether an order covers a run, or a sweep is asked about as a whole."""
    return run == order.run or covers(order, run)


def _within(case: MemberCase, run: str) -> bool:
    """Whether what a run has made may be asked for: of the run itself, or of any task of the sweep asked about."""
    asked, order = case.request.predicate.run, case.order
    return run == asked or (order is not None and asked == order.predicate.run and covers(order.predicate, run))
