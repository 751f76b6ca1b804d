"""A policy that errors: Cedar skips a `forbid` it cannot evaluate, and then permits. The keyholder does not."""

import cedarpy
import pytest

from keyhouse import House
from kifabrik.grants import decision
from kifabrik.grants.policy import RULES, parsed, policy_of, schema
from kifabrik.grants.statements import Grant
from kifabrik.keyholder.judge import AttemptCase, judge_attempt

FORBID = '@id("strict") forbid (principal, action, resource) when { Grant::"g-nowhere".revoked };'
OVERFLOWS = """@id("sum") forbid (principal, action == Action::"use", resource)
when { context.now + 9223372036854775807 > 0 };"""


@pytest.fixture(params=[FORBID, OVERFLOWS], ids=["unknown entity", "overflow"])
def erring(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A standing rule that fits the schema and fails when it is evaluated."""
    parsed(RULES + request.param)
    monkeypatch.setattr(decision, "RULES", RULES + request.param)
    return str(request.param)


def test_cedar_itself_permits_where_a_forbid_errs(
    house: House, erring: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: without the keyholder's rule about diagnostics the answer would be yes."""
    asked: list[tuple[object, ...]] = []
    honest = cedarpy.is_authorized

    def watch(*arguments: object) -> object:
        asked.append(arguments)
        return honest(*arguments)

    monkeypatch.setattr(cedarpy, "is_authorized", watch)
    assert _asked_for(house) == "policy-error"
    request, _, entities, _ = asked[0]
    (grant,) = (one.grant for one in house.keyholder.status().grants)
    assert isinstance(grant, Grant)
    answer = honest(request, RULES + erring + policy_of(grant), entities, schema())
    assert answer.allowed
    assert answer.diagnostics.errors


def _asked_for(house: House) -> str:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    return house.refused(anna.order(data).attempt().ask())


def test_no_key_is_released_under_a_policy_that_errs(house: House, erring: str) -> None:
    assert erring
    assert _asked_for(house) == "policy-error"
    assert not house.factory.headers


def test_results_are_not_released_under_a_policy_that_errs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    attempt = anna.order(data).attempt().obtain()
    model = attempt.output({"m": b"w"})
    monkeypatch.setattr(decision, "RULES", RULES + FORBID)
    assert house.refused(anna.ask_for(attempt.run.id, model)) == "policy-error"


@pytest.mark.parametrize("missing", ["purpose", "now", "country", "attested", "approved"])
def test_a_request_that_lacks_a_fact_gets_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    whole = decision._use_request

    def lacking(use: decision.Use) -> dict[str, object]:
        request = whole(use)
        del request["context"][missing]
        return request

    monkeypatch.setattr(decision, "_use_request", lacking)
    assert _asked_for(house) == "policy-error"


def test_a_grant_bound_to_code_the_keyholder_cannot_read_permits_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attribute `code` of the grant is then missing; the policy asks whether it is there."""
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data, code="ab" * 32)
    judged: list[AttemptCase] = []
    monkeypatch.setattr(
        "kifabrik.keyholder.desk.judge_attempt", lambda case: judged.append(case) or judge_attempt(case)
    )
    monkeypatch.setattr("kifabrik.keyholder.desk.bound_code", lambda *_: None)
    assert house.refused(anna.order(data).attempt().ask()) == "code"
    assert judged[0].code is None
