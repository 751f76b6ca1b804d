"""The decision about a use: denied unless a grant expressly permits it, and the reason is the right one."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import cedarpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kifabrik.errors import IntegrityError
from kifabrik.grants import decision, policy
from kifabrik.grants.decision import GrantFacts, Use, decide_pull, decide_use, salted_code
from kifabrik.grants.policy import RULES, Condition, conditions, literal, parsed, policy_of, schema
from kifabrik.grants.statements import CodeDigest, Grant
from kifabrik.tenants.statements import Role
from kifabrik.values import Place, format_time

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ANNA, OTTO = "m-" + "a" * 16, "m-" + "b" * 16
DATASET = "d-" + "c" * 16
TREE = "ab" * 32

GRANT = Grant(
    grant="g-" + "d" * 16,
    tenant="t-" + "e" * 32,
    dataset=DATASET,
    purpose="predictive-maintenance",
    members=(),
    place=Place(),
    code=None,
    runs_per_day=0,
    attested=False,
    ask=False,
    created="2026-01-01T00:00:00Z",
    expires="2027-01-01T00:00:00Z",
)
USE = Use(
    member=ANNA,
    role=Role.ENGINEER,
    removed=False,
    dataset=DATASET,
    erased=False,
    frozen=False,
    purpose="predictive-maintenance",
    place=Place("DE", "munich", "standard"),
    code=None,
    attested=False,
    approved=False,
    now=NOW,
)


def facts(grant: Grant = GRANT, *, revoked: bool = False, runs: int = 0) -> GrantFacts:
    return GrantFacts(grant, revoked, runs)


def test_a_grant_that_fits_permits_and_is_named() -> None:
    answer = decide_use(USE, [facts()])
    assert answer.permitted
    assert (answer.grant, answer.reason, answer.message) == (GRANT.grant, "", "")


@pytest.mark.parametrize(
    ("use", "known", "reason"),
    [
        (USE, [], "no-grant"),
        (replace(USE, purpose="marketing"), [facts()], "no-grant"),
        (replace(USE, dataset="d-" + "x" * 16), [facts()], "no-grant"),
        (replace(USE, now=NOW + timedelta(days=400)), [facts()], "expired"),
        (replace(USE, now=datetime(2027, 1, 1, tzinfo=UTC)), [facts()], "expired"),
        (replace(USE, role=Role.AUDITOR), [facts()], "role"),
        (replace(USE, removed=True), [facts()], "removed-member"),
        (replace(USE, erased=True), [facts()], "erased"),
        (replace(USE, frozen=True), [facts()], "frozen"),
        (USE, [facts(revoked=True)], "revoked"),
        (USE, [facts(replace(GRANT, members=(OTTO,)))], "member"),
        (USE, [facts(replace(GRANT, place=Place("FR")))], "place"),
        (USE, [facts(replace(GRANT, place=Place("DE", "berlin")))], "place"),
        (replace(USE, place=Place()), [facts(replace(GRANT, place=Place("DE")))], "place"),
        (USE, [facts(replace(GRANT, attested=True))], "not-attested"),
        (USE, [facts(replace(GRANT, runs_per_day=5), runs=5)], "limit"),
        (USE, [facts(replace(GRANT, ask=True))], "ask"),
        (USE, [facts(replace(GRANT, code=CodeDigest("00", "11" * 32)))], "code"),
        (replace(USE, code=TREE), [facts(replace(GRANT, code=CodeDigest("00", "11" * 32)))], "code"),
    ],
)
def test_what_does_not_fit_is_denied_with_its_reason(use: Use, known: list[GrantFacts], reason: str) -> None:
    answer = decide_use(use, known)
    assert not answer.permitted
    assert answer.reason == reason
    assert answer.message.endswith(".")
    assert ANNA not in answer.message


def test_everything_a_grant_asks_for_can_be_met() -> None:
    grant = replace(
        GRANT,
        members=(OTTO, ANNA),
        place=Place("DE", "munich", "standard"),
        code=CodeDigest("5a17", salted_code("5a17", TREE)),
        runs_per_day=5,
        attested=True,
        ask=True,
    )
    use = replace(USE, code=TREE, attested=True, approved=True)
    assert decide_use(use, [facts(grant, runs=4)]).permitted


def test_a_grant_that_needs_no_person_is_preferred_and_one_that_can_be_asked_is_not_overlooked() -> None:
    asking = replace(GRANT, grant="g-" + "z" * 16, ask=True, created="2025-01-01T00:00:00Z")
    assert decide_use(USE, [facts(asking), facts()]).grant == GRANT.grant
    expired = replace(GRANT, expires="2026-02-01T00:00:00Z")
    assert decide_use(USE, [facts(expired), facts(asking)]).reason == "ask"


def test_a_limit_of_one_grant_leaves_another_in_force() -> None:
    limited = replace(GRANT, runs_per_day=1)
    other = replace(GRANT, grant="g-" + "z" * 16, created="2026-02-01T00:00:00Z")
    assert decide_use(USE, [facts(limited, runs=1), facts(other)]).grant == other.grant


PLACES = st.builds(Place, st.sampled_from(["", "DE", "FR"]), st.sampled_from(["", "munich"]), st.just(""))
GRANTS = st.builds(
    replace,
    st.just(GRANT),
    purpose=st.sampled_from(["a", 'b"', "ä\n", "\\u{41}"]),
    members=st.sampled_from([(), (ANNA,), (OTTO,), (ANNA, OTTO)]),
    place=PLACES,
    code=st.sampled_from([None, CodeDigest("5a", salted_code("5a", TREE)), CodeDigest("5a", "00" * 32)]),
    runs_per_day=st.integers(0, 3),
    attested=st.booleans(),
    ask=st.booleans(),
    expires=st.sampled_from([format_time(NOW), format_time(NOW + timedelta(seconds=1))]),
)
USES = st.builds(
    replace,
    st.just(USE),
    member=st.sampled_from([ANNA, OTTO]),
    role=st.sampled_from(Role),
    removed=st.booleans(),
    erased=st.booleans(),
    frozen=st.booleans(),
    purpose=st.sampled_from(["a", 'b"', "ä\n", "A"]),
    place=PLACES,
    code=st.sampled_from([None, TREE]),
    attested=st.booleans(),
    approved=st.booleans(),
)


def _by_hand(use: Use, fact: GrantFacts) -> bool:
    """What a grant permits, said once more in plain Python."""
    grant = fact.grant
    return (
        not (use.erased or use.frozen or use.removed or fact.revoked)
        and use.purpose == grant.purpose
        and format_time(use.now) < grant.expires
        and use.role is not Role.AUDITOR
        and (not grant.members or use.member in grant.members)
        and grant.place.admits(use.place)
        and (grant.code is None or (use.code is not None and salted_code("5a", use.code) == grant.code.sha256))
        and (not grant.runs_per_day or fact.runs_last_day < grant.runs_per_day)
        and (use.attested or not grant.attested)
        and (use.approved or not grant.ask)
    )


@settings(max_examples=300)
@given(USES, GRANTS, st.booleans(), st.integers(0, 3))
def test_the_policy_says_what_plain_python_says(use: Use, grant: Grant, revoked: bool, runs: int) -> None:
    fact = GrantFacts(grant, revoked, runs)
    answer = decide_use(use, [fact])
    assert answer.permitted == _by_hand(use, fact)
    assert bool(answer.reason) != answer.permitted


@settings(max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_no_text_of_a_grant_escapes_its_literal(text: str) -> None:
    body = f'permit (principal, action == Action::"use", resource) when {{ context.purpose == {literal(text)} }};'
    request = decision._use_request(replace(USE, purpose=text))
    entities = decision._entities(USE, [])
    assert cedarpy.is_authorized(request, body, entities, schema()).allowed
    other = decision._use_request(replace(USE, purpose=text + "x"))
    assert not cedarpy.is_authorized(other, body, entities, schema()).allowed


@pytest.mark.parametrize("missing", ["Grant", "Member", "Dataset"])
def test_a_fact_the_policy_lacks_denies(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = decision._entities

    def lacking(use: Use, known: object) -> list[dict[str, object]]:
        return [one for one in whole(use, known) if one["uid"]["type"] != missing]

    monkeypatch.setattr(decision, "_entities", lacking)
    answer = decide_use(USE, [facts()])
    assert (answer.permitted, answer.reason) == (False, "policy-error")


@pytest.mark.parametrize("name", ["purpose", "now", "country", "site", "node_class", "attested", "approved"])
def test_an_attribute_the_request_lacks_denies(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = decision._use_request

    def lacking(use: Use) -> dict[str, object]:
        request = whole(use)
        request["context"].pop(name)
        return request

    monkeypatch.setattr(decision, "_use_request", lacking)
    assert decide_use(USE, [facts()]).reason == "policy-error"


@pytest.mark.parametrize("broken", ["permit (", "permit (principal, action, resource) when { context.nothing };"])
def test_policies_that_do_not_parse_or_do_not_fit_the_schema_deny(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(IntegrityError):
        parsed(broken)
    monkeypatch.setattr(decision, "RULES", RULES + broken)
    assert decide_use(USE, [facts()]).reason == "policy-error"


def test_one_erring_policy_denies_although_another_permits(monkeypatch: pytest.MonkeyPatch) -> None:
    erring = 'permit (principal, action == Action::"use", resource) when { Grant::"none".revoked };'
    parsed(erring)
    monkeypatch.setattr(decision, "RULES", RULES + erring)
    assert decide_use(USE, [facts()]).reason == "policy-error"


@pytest.mark.parametrize(
    "grant",
    [
        replace(GRANT, grant='g-"'),
        replace(GRANT, dataset="press-line-7"),
        replace(GRANT, members=("anna",)),
        replace(GRANT, purpose=""),
        replace(GRANT, runs_per_day=-1),
        replace(GRANT, purpose="\ud800"),
    ],
)
def test_a_malformed_grant_makes_no_policy_and_permits_nothing(grant: Grant) -> None:
    with pytest.raises(IntegrityError):
        policy_of(grant)
    assert not decide_use(replace(USE, dataset=grant.dataset), [facts(grant)]).permitted


def test_every_condition_has_a_sentence_and_stands_in_the_policy() -> None:
    grant = replace(
        GRANT,
        members=(ANNA,),
        place=Place("DE"),
        code=CodeDigest("5a", "00" * 32),
        runs_per_day=1,
        attested=True,
        ask=True,
    )
    assert set(conditions(grant)) == set(Condition)
    assert all(expression in policy_of(grant) for expression in conditions(grant).values())
    assert set(Condition) <= set(decision._SENTENCES)
    assert policy.parsed(RULES + policy_of(grant))


@pytest.mark.parametrize(
    ("role", "own", "permitted"),
    [
        (Role.ENGINEER, True, True),
        (Role.ENGINEER, False, False),
        (Role.STEWARD, False, True),
        (Role.OWNER, False, True),
        (Role.AUDITOR, True, False),
    ],
)
def test_results_are_for_the_orderer_stewards_and_owners(role: Role, own: bool, permitted: bool) -> None:
    orderer = ANNA if own else OTTO
    answer = decide_pull(ANNA, role, removed=False, orderer=orderer, erased=False, frozen=False)
    assert answer.permitted == permitted
    for stop in ("removed", "erased", "frozen"):
        flags = {"removed": False, "erased": False, "frozen": False} | {stop: True}
        assert not decide_pull(ANNA, role, orderer=orderer, **flags).permitted
