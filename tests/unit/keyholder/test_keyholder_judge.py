"""The judge alone: a case that is in order in every fact, and the same case with one fact changed."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from keyhouse import House
from kifabrik.keyholder.cases import Cases
from kifabrik.keyholder.judge import AttemptCase, judge_attempt
from kifabrik.keyholder.judge_members import MemberCase, judge_member
from kifabrik.keyholder.records import GivenLease
from kifabrik.keyholder.verdicts import SENTENCES, Asked, Reason, Refused, Released
from kifabrik.leases.statements import MemberRequest, RequestingNode
from kifabrik.leases.verify import verify_attempt_request
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import verify_statement
from kifabrik.tenants.statements import Role
from kifabrik.values import Place, Resources


@pytest.fixture
def case(house: House) -> AttemptCase:
    """A run on a dataset and on a model of another run, all in order."""
    anna = house.enrol()
    data, other = anna.seal({"a": b"x"}), anna.seal({"b": b"y"})
    house.grant(data)
    house.grant(other)
    train = anna.order(other).attempt().obtain()
    model = train.output({"m": b"w"})
    run = anna.order(data, model)
    house.round.work()
    request = run.attempt().ask()
    house.round._look()
    fetched = {one.digest: one for one in (run.code, data, model)}
    verified = verify_attempt_request(house.factory.statements[request])
    found = Cases(house.state, house.round.books).attempt(verified, fetched, None)
    assert isinstance(judge_attempt(found), Released)
    return found


def ordered(case: AttemptCase, **changes: object) -> AttemptCase:
    assert case.order is not None
    return replace(case, order=replace(case.order, predicate=replace(case.order.predicate, **changes)))


def requested(case: AttemptCase, **changes: object) -> AttemptCase:
    return replace(case, request=replace(case.request, predicate=replace(case.request.predicate, **changes)))


def two_nodes(case: AttemptCase, *nodes: RequestingNode) -> AttemptCase:
    return requested(ordered(case, resources=Resources(nodes=2)), nodes=nodes)


def device(case: AttemptCase, **changes: object) -> AttemptCase:
    assert case.device is not None
    return replace(case, device=replace(case.device, **changes))


def dataset(case: AttemptCase, *, behind: bool, **changes: object) -> AttemptCase:
    assert case.order is not None
    direct = case.order.predicate.inputs[0].owner
    name = next(one for one in case.datasets if (one != direct) == behind)
    return replace(case, datasets={**case.datasets, name: replace(case.datasets[name], **changes)})


def given(case: AttemptCase, number: int, attempt: str) -> AttemptCase:
    run = case.request.predicate.run
    lease = GivenLease("l-x", "ab" * 32, "cd" * 32, run, attempt, number, "ef" * 32, "2026-01-01T00:00:00Z")
    return replace(case, attempts=[*case.attempts, lease])


def manifest(case: AttemptCase, position: int, **changes: object) -> AttemptCase:
    digest = case.request.predicate.items[position]
    return replace(case, manifests={**case.manifests, digest: replace(case.manifests[digest], **changes)})


def without_recipient(case: AttemptCase, part: str) -> AttemptCase:
    return replace(case, recipients={k: v for k, v in case.recipients.items() if not k.endswith(part)})


ONE, TWO = (RequestingNode(SigningKey.generate().public.hex, f"age1{name}") for name in ("one", "two"))
CHANGES: dict[str, tuple[str, Callable[[AttemptCase], AttemptCase]]] = {
    "everything frozen": ("frozen", lambda c: replace(c, frozen=True)),
    "a person refused": ("denied", lambda c: replace(c, opinion=False)),
    "no order": ("unknown-order", lambda c: replace(c, order=None)),
    "no device": ("unknown-order", lambda c: replace(c, device=None)),
    "an order of another run": ("unknown-order", lambda c: ordered(c, run="r-" + "x" * 16)),
    "a removed member": ("removed-member", lambda c: device(c, removed=True)),
    "an auditor": ("role", lambda c: device(c, role=Role.AUDITOR)),
    "too late": ("deadline", lambda c: replace(c, now=c.now + timedelta(hours=9))),
    "no nodes": ("nodes", lambda c: requested(c, nodes=())),
    "more nodes than ordered": ("nodes", lambda c: requested(c, nodes=(ONE, TWO))),
    "one node named twice": ("nodes", lambda c: two_nodes(c, ONE, replace(TWO, node_key=ONE.node_key))),
    "one recipient for two nodes": ("nodes", lambda c: two_nodes(c, ONE, replace(TWO, recipient=ONE.recipient))),
    "another place": ("place", lambda c: ordered(c, place=Place("FR"))),
    "erased results": ("erased", lambda c: replace(c, erased_results=True)),
    "the same number again": ("replayed", lambda c: given(c, 1, "a-other")),
    "the same attempt again": ("replayed", lambda c: given(c, 2, c.request.predicate.attempt)),
    "a number of zero": ("attempts", lambda c: requested(c, number=0)),
    "a number too high": ("attempts", lambda c: requested(c, number=3)),
    "all attempts given": ("attempts", lambda c: given(ordered(c, attempts=1), 2, "a-2")),
    "fewer items": ("items", lambda c: requested(c, items=c.request.predicate.items[:-1])),
    "items in another order": ("items", lambda c: requested(c, items=tuple(reversed(c.request.predicate.items)))),
    "an input named twice": (
        "items",
        lambda c: requested(
            ordered(c, inputs=(c.order.predicate.inputs[0],) * 2),
            items=(c.request.predicate.items[0], *[c.request.predicate.items[1]] * 2),
        ),
    ),
    "an unknown checkpoint": ("manifest", lambda c: requested(c, items=(*c.request.predicate.items, "ab" * 32))),
    "no manifest": ("manifest", lambda c: replace(c, manifests={})),
    "a manifest of another owner": ("manifest", lambda c: manifest(c, 1, owner="d-" + "x" * 16)),
    "a manifest of another tenant": ("manifest", lambda c: manifest(c, 1, tenant="t-" + "x" * 32)),
    "a code manifest of a later version": ("manifest", lambda c: manifest(c, 0, version=2, previous="ab" * 32)),
    "another recipient": ("foreign-headers", lambda c: manifest(c, 1, recipient="age1x")),
    "code without an identity": ("foreign-headers", lambda c: without_recipient(c, "/code")),
    "a model whose key is gone": ("erased", lambda c: without_recipient(c, "/1")),
    "an unknown run behind a model": ("lineage", lambda c: replace(c, ancestry=dict.fromkeys(c.ancestry))),
    "no grant on the data": ("no-grant", lambda c: dataset(c, behind=False, grants=())),
    "no grant on the data behind the model": ("no-grant", lambda c: dataset(c, behind=True, grants=())),
    "erased data behind the model": ("erased", lambda c: dataset(c, behind=True, erased=True)),
    "frozen data behind the model": ("frozen", lambda c: dataset(c, behind=True, frozen=True)),
}


@pytest.mark.parametrize("change", CHANGES)
def test_one_wrong_fact_refuses_and_says_which(case: AttemptCase, change: str) -> None:
    reason, make = CHANGES[change]
    verdict = judge_attempt(make(case))
    assert isinstance(verdict, Refused)
    assert verdict.reason == reason
    assert verdict.final == (reason != "frozen")
    assert case.device is not None
    assert case.device.member not in verdict.message


def test_an_order_that_asks_waits_for_a_person_and_goes_on_with_one(case: AttemptCase) -> None:
    asking = ordered(case, ask=True)
    assert isinstance(judge_attempt(asking), Asked)
    assert isinstance(judge_attempt(replace(asking, opinion=True)), Released)


def test_a_release_names_every_dataset_and_which_of_them_directly(case: AttemptCase) -> None:
    verdict = judge_attempt(case)
    assert isinstance(verdict, Released)
    assert sorted(one.direct for one in verdict.used) == [False, True]
    assert {one.dataset for one in verdict.used} == set(case.datasets)
    assert all(one.grant for one in verdict.used)


def test_every_reason_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Reason)
    assert all(sentence.endswith(".") for sentence in SENTENCES.values())


@pytest.fixture
def pull(house: House) -> MemberCase:
    """A member's request for a result and a log, all in order."""
    anna = house.enrol()
    attempt = anna.order().attempt().obtain()
    model, stream = attempt.output({"m": b"w"}), attempt.stream()
    request = anna.ask_for(attempt.run.id, model, stream)
    house.round._look()
    verified = verify_statement(house.factory.statements[request], MemberRequest, [anna.key.public])
    found = Cases(house.state, house.round.books).member(verified, {one.digest: one for one in (model, stream)})
    assert isinstance(judge_member(found), Released)
    return found


def pulled(case: MemberCase, **changes: object) -> MemberCase:
    return replace(case, request=replace(case.request, predicate=replace(case.request.predicate, **changes)))


PULLS: dict[str, tuple[str, Callable[[MemberCase], MemberCase]]] = {
    "everything frozen": ("frozen", lambda c: replace(c, frozen=True)),
    "a person refused": ("denied", lambda c: replace(c, opinion=False)),
    "no device": ("bad-request", lambda c: replace(c, device=None)),
    "another member": ("bad-request", lambda c: pulled(c, member="m-" + "x" * 16)),
    "another recipient": ("bad-request", lambda c: pulled(c, recipient="age1x")),
    "no order": ("unknown-order", lambda c: replace(c, order=None)),
    "another run": ("unknown-order", lambda c: pulled(c, run="r-" + "x" * 16)),
    "results erased": ("erased", lambda c: replace(c, recipients=dict.fromkeys(c.recipients, ""))),
    "an input frozen": ("frozen", lambda c: replace(c, frozen_inputs=True)),
    "a nonce used before": ("replayed", lambda c: replace(c, fresh_nonce=False)),
    "nothing asked for": ("items", lambda c: pulled(c, items=())),
    "one thing twice": ("items", lambda c: pulled(c, items=c.request.predicate.items[:1] * 2)),
    "nothing verified": ("manifest", lambda c: replace(c, manifests={}, streams={})),
    "a removed member": ("removed-member", lambda c: replace(c, device=replace(c.device, removed=True))),
    "an auditor": ("role", lambda c: replace(c, device=replace(c.device, role=Role.AUDITOR))),
}


@pytest.mark.parametrize("change", PULLS)
def test_one_wrong_fact_refuses_a_member_and_says_which(pull: MemberCase, change: str) -> None:
    reason, make = PULLS[change]
    verdict = judge_member(make(pull))
    assert isinstance(verdict, Refused)
    assert verdict.reason == reason
