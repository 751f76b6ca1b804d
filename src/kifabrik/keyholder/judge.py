"""Whether keys are released to an attempt: a pure function of verified facts.

Invariants:
- without an order in the log, signed by an enrolled device of a member who still belongs, nothing leaves;
- what leaves is exactly what the order names: its code, its inputs, and a checkpoint of the same run;
- every dataset behind a run, also behind the models it uses, needs a live grant for this purpose;
- an order covers its own run or the tasks its sweep numbers, and each of them has its own attempts;
- before every run of the very orders it needs has ended well, by its signed end, nothing leaves; an input that did
  not exist when the order was signed is what such a run has put out;
- an attempt number is used once, for one request; a retry is not a new run;
- whatever is not expressly in order is refused, with one stable word and a sentence without names.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from kifabrik.datasets.manifest import Manifest
from kifabrik.grants.decision import Answer, GrantFacts, Use, decide_use
from kifabrik.grants.policy import USERS, Condition
from kifabrik.keyholder.attested import Attested, Unattested
from kifabrik.keyholder.lineage import is_dataset, run_of
from kifabrik.keyholder.people import KnownDevice
from kifabrik.keyholder.records import GivenLease, UsedDataset
from kifabrik.keyholder.verdicts import MAY_CHANGE, Asked, Reason, Refused, Released, Verdict, refuse
from kifabrik.leases.statements import AttemptRequest, RequestingNode
from kifabrik.orders.order import Order
from kifabrik.orders.tasks import covers, is_awaited, numbers_of
from kifabrik.signatures.statements import Statement
from kifabrik.values import parse_time

GRACE: Final = timedelta(minutes=30)
"""Beyond the longest duration: for opening the data before, and sealing the results after."""


@dataclass(frozen=True)
class DatasetFacts:
    """What is known of one dataset: blocks, and every grant on it, live or not."""

    erased: bool
    frozen: bool
    grants: tuple[GrantFacts, ...]


@dataclass(frozen=True)
class AttemptCase:
    """Everything that is known about a request of an attempt.

    Args:
        request: All its signatures verified.
        order: The order it names: verified, in the log before the request, and the first of its run.
        device: The enrolled device that signed the order.
        manifests: Verified manifests by digest, of what is asked for.
        recipients: The recipient whose identity this keyholder holds, by owner.
        ancestry: Inputs of the runs behind the inputs, by run; None for an unknown run.
        datasets: Facts by dataset id, for every dataset named in `order` and `ancestry`.
        attempts: Leases given to attempts of this run before.
        again: The earlier order whose code this one runs again, if it says so and the log has it before.
        needed: Digest of every order it needs all of whose runs have ended well, by run.
        outputs: Digest of the manifest that a needed run has ended with, by owner; empty if it has not.
        erased_results: Whether the run's results were erased.
        code: Code and packages, from `bound_code`; None where no grant asks for them.
        attested: What the nodes' evidence proves, or why it does not; None where no grant asks for it.
        opinion: What a person has said.
        frozen: Whether everything is frozen.
        now: The keyholder's time.
    """

    request: Statement[AttemptRequest]
    order: Statement[Order] | None
    device: KnownDevice | None
    manifests: Mapping[str, Manifest]
    recipients: Mapping[str, str]
    ancestry: Mapping[str, tuple[str, ...] | None]
    datasets: Mapping[str, DatasetFacts]
    attempts: Sequence[GivenLease]
    again: Statement[Order] | None
    needed: Mapping[str, str]
    outputs: Mapping[str, str]
    erased_results: bool
    code: str | None
    attested: Attested | Unattested | None
    opinion: bool | None
    frozen: bool
    now: datetime


def judge_attempt(case: AttemptCase) -> Verdict:
    """Decide about the keys of an attempt."""
    order, device = case.order, case.device
    if case.frozen or case.opinion is False:
        return refuse(Reason.FROZEN if case.frozen else Reason.DENIED)
    if order is None or device is None or not covers(order.predicate, case.request.predicate.run):
        return refuse(Reason.UNKNOWN_ORDER)
    if device.removed or device.role not in USERS:
        return refuse(Reason.REMOVED if device.removed else Reason.ROLE)
    for check in (_check_order, _check_again, _check_attempt, _check_needs, _check_items):
        reason = check(case, order.predicate)
        if reason is not None:
            return refuse(reason)
    return _judge_uses(case, order.predicate, device)


def _check_order(case: AttemptCase, order: Order) -> Reason | None:
    asked = case.request.predicate
    if case.now > parse_time(order.deadline):
        return Reason.DEADLINE
    if not _distinct_nodes(asked.nodes, order.resources.nodes):
        return Reason.NODES
    if not order.place.admits(asked.place):
        return Reason.PLACE
    return Reason.ERASED if case.erased_results else None


def _distinct_nodes(nodes: Sequence[RequestingNode], most: int) -> bool:
    """Whether there are as many nodes as the order allows at most, and none stands there twice."""
    keys, recipients = {node.node_key for node in nodes}, {node.recipient for node in nodes}
    return 1 <= len(keys) == len(recipients) == len(nodes) <= most


def _check_again(case: AttemptCase, order: Order) -> Reason | None:
    """Check that code is run again by whom it belongs to: a colleague's order is nobody's to copy from."""
    if not order.again:
        return None
    earlier = case.again.predicate if case.again is not None else None
    if earlier is None or earlier.again:
        return Reason.AGAIN
    same = (earlier.tenant, earlier.member, earlier.code) == (order.tenant, order.member, order.code)
    return None if same else Reason.AGAIN


def _code_owner(case: AttemptCase, order: Order) -> str:
    return f"{case.again.predicate.run if case.again is not None else order.run}/code"


def _check_attempt(case: AttemptCase, order: Order) -> Reason | None:
    asked = case.request.predicate
    given = {(lease.number, lease.receiver) for lease in case.attempts}
    if any((number == asked.number) or (attempt == asked.attempt) for number, attempt in given):
        return Reason.REPLAYED
    if not 1 <= asked.number <= order.attempts or len(given) >= order.attempts:
        return Reason.ATTEMPTS
    return None


def _check_needs(case: AttemptCase, order: Order) -> Reason | None:
    """Check that what it needs has succeeded, and that an input without a digest is what that has put out."""
    if any(case.needed.get(need.run) != need.order for need in order.needs):
        return Reason.NEEDS
    asked = case.request.predicate.items[1:]
    for position, item in enumerate(order.inputs):
        made = case.outputs.get(item.owner, "")
        if is_awaited(item) and (not made or asked[position : position + 1] != (made,)):
            return Reason.NEEDS
    return None


def _check_items(case: AttemptCase, order: Order) -> Reason | None:
    asked = case.request.predicate.items
    named = (order.code, *(item.manifest or case.outputs.get(item.owner, "") for item in order.inputs))
    owners = [_code_owner(case, order), *(item.owner for item in order.inputs)]
    versions = [1, *(item.version for item in order.inputs)]
    if asked[: len(named)] != named or len(asked) > len(named) + 1 or len(set(asked)) != len(asked):
        return Reason.ITEMS
    if any(owner.endswith(("/code", "/checkpoint")) for owner in owners[1:]):
        return Reason.ITEMS
    if len(asked) > len(named):
        owners.append(f"{case.request.predicate.run}/checkpoint")
    for position, (digest, owner) in enumerate(zip(asked, owners, strict=True)):
        manifest = case.manifests.get(digest)
        if manifest is None or (manifest.tenant, manifest.owner) != (order.tenant, owner):
            return Reason.MANIFEST
        if position < len(versions) and manifest.version != versions[position]:
            return Reason.MANIFEST
        # A dataset whose identity was destroyed is refused by its erasure, with a better sentence.
        if owner in case.recipients and manifest.recipient != case.recipients[owner]:
            return Reason.FOREIGN
    return None


def _judge_uses(case: AttemptCase, order: Order, device: KnownDevice) -> Verdict:
    direct = [item.owner for item in order.inputs if is_dataset(item.owner)]
    behind: list[str] = []
    for inputs in case.ancestry.values():
        if inputs is None:
            return refuse(Reason.LINEAGE)
        behind += [owner for owner in inputs if is_dataset(owner) and owner not in (*direct, *behind)]
    answers = {dataset: _decide(case, order, device, dataset) for dataset in (*direct, *behind)}
    refused = [answer for answer in answers.values() if not answer.permitted and answer.reason != Condition.ASK]
    if refused:
        return _refusal(case, refused[0])
    unpermitted = [answer.message for answer in answers.values() if not answer.permitted]
    if unpermitted and case.opinion is not True:
        return Asked(unpermitted[0])
    if order.ask and case.opinion is not True:
        sweep = f" One answer is for all {len(numbers_of(order))} tasks of the sweep." if order.tasks else ""
        return Asked(f"The order asks for a person's decision.{sweep}")
    missing = [item.owner for item in order.inputs if item.owner not in case.recipients]
    if missing or _code_owner(case, order) not in case.recipients:
        return refuse(Reason.ERASED if any(map(run_of, missing)) else Reason.FOREIGN)
    used = tuple(UsedDataset(dataset, answer.grant, dataset in direct) for dataset, answer in answers.items())
    attested = case.attested.nodes if isinstance(case.attested, Attested) else ()
    return Released(used, _expiry(case, order, used), attested)


def _refusal(case: AttemptCase, answer: Answer) -> Refused:
    """Say why a grant does not permit it; of evidence, what exactly is wrong with it."""
    if answer.reason == Condition.ATTESTED and isinstance(case.attested, Unattested):
        return Refused(case.attested.reason, case.attested.message, final=False)
    return Refused(answer.reason, answer.message, final=answer.reason not in MAY_CHANGE)


def _decide(case: AttemptCase, order: Order, device: KnownDevice, dataset: str) -> Answer:
    facts = case.datasets[dataset]
    use = Use(
        member=device.member,
        role=device.role,
        removed=device.removed,
        dataset=dataset,
        erased=facts.erased,
        frozen=facts.frozen,
        purpose=order.purpose,
        place=case.request.predicate.place,
        code=case.code,
        attested=isinstance(case.attested, Attested),
        approved=case.opinion is True,
        now=case.now,
    )
    return decide_use(use, facts.grants)


def _expiry(case: AttemptCase, order: Order, used: Sequence[UsedDataset]) -> datetime:
    """Return when the attempt must stop: in good time, and not after a grant it relies on."""
    grants = {fact.grant.grant: fact.grant for facts in case.datasets.values() for fact in facts.grants}
    ends = [parse_time(grants[one.grant].expires) for one in used]
    return min([case.now + timedelta(seconds=order.max_duration_s) + GRACE, *ends])
