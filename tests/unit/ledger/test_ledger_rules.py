"""Each rule of the log's content, with the story that breaks it."""

import pytest
from sample_log import an_entry

from kifabrik.ledger.entry import EntryKind as K
from kifabrik.ledger.rules import History

REQUEST, OTHER = "a" * 64, "c" * 64


def told(*story):
    """Return what is wrong with each entry of a story of (kind, refs)."""
    history = History()
    return [history.violation(an_entry(number, kind, **refs)) for number, (kind, refs) in enumerate(story)]


def test_a_whole_life_breaks_no_rule():
    story = [
        (K.TENANT_CREATED, {"tenant": "t-1"}),
        (K.KEYHOLDER_ENROLLED, {"statement": "e" * 64}),
        (K.MEMBER_ENROLLED, {"member": "m-1"}),
        (K.RECIPIENTS_PUBLISHED, {"sequence": 1}),
        (K.ATTESTATION_SET, {"sequence": 1}),
        (K.DATASET_SEALED, {"dataset": "d-1", "manifest": "b" * 64}),
        (K.GRANT_GIVEN, {"grant": "g-1", "dataset": "d-1"}),
        (K.RUN_ORDERED, {"order": "f" * 64, "run": "r-1"}),
        (K.RUN_ADMITTED, {"run": "r-1"}),
        (K.LEASE_REQUESTED, {"request": REQUEST, "run": "r-1", "attempt": "a-1"}),
        (K.LEASE_RELEASED, {"request": REQUEST, "lease": "l-1", "datasets": ("d-1",), "grants": ("g-1",)}),
        (K.RUN_FINISHED, {"run": "r-1", "attempt": "a-1"}),
        (K.LEASE_REQUESTED, {"request": OTHER, "run": "r-1"}),
        (K.LEASE_REFUSED, {"request": OTHER, "reason": "no-grant"}),
        (K.MODEL_ACCEPTED, {"run": "r-1", "model": "b" * 64}),
        (K.MODEL_PROMOTED, {"run": "r-1-1", "outputs": ("b" * 64,)}),
        (K.GRANT_REVOKED, {"grant": "g-1"}),
        (K.ERASURE_DECIDED, {"dataset": "d-1"}),
        (K.DATASET_ERASED, {"dataset": "d-1"}),
        (K.MEMBER_REMOVED, {"member": "m-1"}),
        (K.KEYHOLDER_RESTORED, {"sequence": 2}),
        (K.DEADLINE_MISSED, {"run": "r-1"}),
    ]
    assert {kind for kind, _ in story} | {K.RUN_STOPPED, K.MODEL_PROMOTED} == set(K)
    assert told(*story) == [""] * len(story)


@pytest.mark.parametrize("decision", [K.LEASE_RELEASED, K.LEASE_REFUSED])
def test_a_decision_needs_an_earlier_request_of_the_same_digest(decision):
    assert "no entry before it requests" in told((decision, {"request": REQUEST}))[0]
    story = told((K.LEASE_REQUESTED, {"request": OTHER}), (decision, {"request": REQUEST}))
    assert f"requests {REQUEST}" in story[1]
    late = told((decision, {"request": REQUEST}), (K.LEASE_REQUESTED, {"request": REQUEST}))
    assert late[0]
    assert "requests anything" in told((decision, {}))[0]


@pytest.mark.parametrize("first", [K.LEASE_RELEASED, K.LEASE_REFUSED])
@pytest.mark.parametrize("second", [K.LEASE_RELEASED, K.LEASE_REFUSED])
def test_a_request_is_decided_once(first, second):
    asked = (K.LEASE_REQUESTED, {"request": REQUEST})
    story = told(asked, (first, {"request": REQUEST}), asked, (second, {"request": REQUEST}))
    assert story[:3] == ["", "", ""]
    assert "already decided by entry 1" in story[3]


@pytest.mark.parametrize("erasure", [K.ERASURE_DECIDED, K.DATASET_ERASED])
@pytest.mark.parametrize("refs", [{"datasets": ("d-2", "d-1")}, {"dataset": "d-1"}])
def test_nothing_is_released_for_an_erased_dataset(erasure, refs):
    story = told(
        (erasure, {"dataset": "d-1"}),
        (K.LEASE_REQUESTED, {"request": REQUEST}),
        (K.LEASE_RELEASED, {"request": REQUEST, **refs}),
    )
    assert "dataset d-1 was erased by entry 0" in story[2]  # also by one whose decision is missing
    fine = told(
        (erasure, {"dataset": "d-1"}),
        (K.LEASE_REQUESTED, {"request": REQUEST}),
        (K.LEASE_RELEASED, {"request": REQUEST, "datasets": ("d-2",)}),
    )
    assert fine[2] == ""


def test_an_erased_dataset_may_still_be_refused():
    asked = (K.LEASE_REQUESTED, {"request": REQUEST})
    erased = [(kind, {"dataset": "d-1"}) for kind in (K.ERASURE_DECIDED, K.DATASET_ERASED)]
    assert told(*erased, asked, (K.LEASE_REFUSED, {"request": REQUEST})) == ["", "", "", ""]


def test_nothing_is_erased_before_that_was_decided():
    story = told((K.DATASET_ERASED, {"dataset": "d-1"}), (K.ERASURE_DECIDED, {"dataset": "d-1"}))
    assert "no entry before it decides that dataset d-1 be erased" in story[0]
    assert story[1] == ""


@pytest.mark.parametrize("refs", [{"grants": ("g-2", "g-1")}, {"grant": "g-1"}])
def test_nothing_is_released_under_a_revoked_grant(refs):
    story = told(
        (K.GRANT_GIVEN, {"grant": "g-1"}),
        (K.GRANT_REVOKED, {"grant": "g-1"}),
        (K.GRANT_GIVEN, {"grant": "g-1"}),
        (K.LEASE_REQUESTED, {"request": REQUEST}),
        (K.LEASE_RELEASED, {"request": REQUEST, **refs}),
    )
    assert "grant g-1 was revoked by entry 1" in story[4]


def test_only_a_given_grant_can_be_revoked():
    assert "no entry before it gives grant g-1" in told((K.GRANT_REVOKED, {"grant": "g-1"}))[0]


@pytest.mark.parametrize("kind", [K.RUN_ADMITTED, K.RUN_FINISHED, K.RUN_STOPPED])
def test_a_run_that_goes_on_was_ordered(kind):
    assert "no entry before it orders r-1" in told((kind, {"run": "r-1"}))[0]
    assert told((K.RUN_ORDERED, {"run": "r-1"}), (kind, {"run": "r-1"}))[1] == ""


def test_a_run_is_known_through_its_order():
    story = [
        (K.RUN_ORDERED, {"order": OTHER}),
        (K.RUN_ADMITTED, {"order": OTHER, "run": "r-1"}),
        (K.RUN_FINISHED, {"run": "r-1"}),
    ]
    assert told(*story) == ["", "", ""]


def test_an_attempt_ends_once():
    ends = [(K.RUN_FINISHED, {"run": "r-1", "attempt": attempt}) for attempt in ("a-1", "a-2", "a-1")]
    story = told((K.RUN_ORDERED, {"run": "r-1"}), *ends)
    assert story[:3] == ["", "", ""]
    assert "attempt a-1 ended already by entry 1" in story[3]


def test_a_tenant_is_created_only_first():
    created = (K.TENANT_CREATED, {"tenant": "t-1"})
    assert "first entry only" in told(created, created)[1]


def test_an_entry_cannot_be_replayed():
    history = History()
    entry = an_entry(1)
    assert history.violation(an_entry(0)) == ""
    assert history.violation(entry) == ""
    assert "its id is that of entry 1" in history.violation(entry)


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        (K.LEASE_REQUESTED, "names no request"),
        (K.ERASURE_DECIDED, "names no dataset"),
        (K.DATASET_ERASED, "names no dataset"),
        (K.GRANT_GIVEN, "names no grant"),
        (K.RUN_ORDERED, "names no order"),
    ],
)
def test_a_reference_a_rule_relies_on_must_be_there(kind, missing):
    assert missing in told((kind, {"other": "x"}))[0]
    assert told((kind, {"other": "x"}))[0].startswith(str(kind))


def test_kinds_of_the_future_have_no_rules_but_count():
    assert told(("audit.planned", {"request": REQUEST}), (K.LEASE_RELEASED, {"request": REQUEST}))[0] == ""
