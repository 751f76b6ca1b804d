"""The factory shows the keyholder a log it has tampered with."""

from dataclasses import replace

import pytest

from keyhouse import Attempt, House, Person, as_input
from kifabrik.client.logs import News
from kifabrik.errors import ConflictError, IntegrityError, RefusedError, UnavailableError
from kifabrik.grants.statements import ErasureCertificate, Revocation
from kifabrik.keyholder.events import EventKind
from kifabrik.keyholder.outbox import Errand, Outbox
from kifabrik.ledger.entry import Entry, EntryKind
from kifabrik.ledger.policy import Policy
from kifabrik.ledger.verify import verify_log
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.tenants.statements import Removal, Role
from kifabrik.values import Kind, new_id


def _waiting(house: House) -> tuple[Person, Attempt, str]:
    """A request that would be granted."""
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    attempt = anna.order(data).attempt()
    house.round.work()
    return anna, attempt, attempt.ask()


def _nothing_left(house: House, request: str) -> None:
    """The alarm was raised, evidence kept, nothing released; also after a restart."""
    with pytest.raises(IntegrityError, match="cannot be trusted"):
        house.round.work()
    assert house.said(EventKind.ALARM)
    assert house.keyholder.evidence()[0].data.startswith(b"kifabrik.org/log/")
    cosigned = len(house.factory.cosigned)
    house.restart()
    house.round.work([request])
    assert house.refusal(request).reason == "frozen"
    assert len(house.factory.cosigned) == cosigned
    assert not house.keyholder.status().healthy


def test_a_rolled_back_log_stops_everything(house: House) -> None:
    _, _, request = _waiting(house)
    del house.factory.entries[-3:]
    _nothing_left(house, request)


def test_a_fork_of_the_same_size_stops_everything(house: House) -> None:
    _, _, request = _waiting(house)
    house.round.watch.follow()
    house.factory.forge(2, extra="x")
    _nothing_left(house, request)


def test_a_longer_fork_stops_everything(house: House) -> None:
    _, _, request = _waiting(house)
    house.factory.forge(2, extra="x")
    _nothing_left(house, request)


@pytest.mark.parametrize("shown", [0, 1])
def test_entries_that_are_withheld_stop_everything(house: House, shown: int) -> None:
    _, _, request = _waiting(house)
    house.factory.append("deadline.missed", run="r-x")
    honest, news = house.factory.tile, house.factory.since
    house.factory.tile = lambda path: honest(path.replace(".p/", ".p/1"))

    def since(size: int, *, statements: bool) -> News:
        found = news(size, statements=statements)
        return replace(found, entries=found.entries[:shown])

    house.factory.since = since
    _nothing_left(house, request)


def test_an_entry_that_comes_along_and_is_not_the_logs_stops_everything(house: House) -> None:
    _, _, request = _waiting(house)
    news = house.factory.since

    def since(size: int, *, statements: bool) -> News:
        found = news(size, statements=statements)
        return replace(found, entries=[one.replace(b'"kind"', b'"kinD"') for one in found.entries])

    house.factory.since = since
    _nothing_left(house, request)


def test_statements_that_come_along_stand_for_no_other(house: House) -> None:
    _, attempt, request = _waiting(house)
    foreign = sign_statement(Removal("t-x", "m-x", ""), {}, SigningKey.generate())
    news = house.factory.since

    def since(size: int, *, statements: bool) -> News:
        found = news(size, statements=statements)
        return replace(found, statements=["", "{}", "null", foreign.to_json()])

    house.factory.since = since
    house.round.work()
    assert house.lease(request).predicate.receiver == attempt.attempt


def test_a_head_by_another_key_counts_for_nothing_and_leaves_everything_as_it_was(house: House) -> None:
    _, attempt, request = _waiting(house)
    own, house.factory.log_key = house.factory.log_key, SigningKey.generate()
    with pytest.raises(IntegrityError, match="not signed by"):
        house.round.work()
    assert request not in house.factory.decisions
    house.factory.log_key = own
    house.round.work()
    assert house.lease(request).predicate.receiver == attempt.attempt


def test_a_request_that_is_not_in_the_log_is_never_answered(house: House) -> None:
    _, _, request = _waiting(house)
    house.factory.entries.pop()
    house.round.work([request])
    assert request not in house.factory.decisions


def test_a_decision_the_factory_leaves_out_keeps_its_keys_here_and_stops_all_others(house: House) -> None:
    anna, attempt, request = _waiting(house)
    house.factory.append_decision = lambda _decision: False
    house.round.work()
    second = anna.order(*attempt.run.inputs).attempt()
    other = second.ask()
    house.restart()
    house.round.work()
    assert not house.factory.headers
    assert other not in house.factory.decisions
    assert any("does not show the keyholder's decision" in text for text in house.said(EventKind.ALARM))
    house.factory.append_decision = lambda _decision: True
    house.round.work()
    assert house.lease(request)
    assert house.lease(other)


def test_a_decision_that_vanishes_after_the_lease_is_a_rollback(house: House) -> None:
    anna, attempt, request = _waiting(house)
    house.round.work()
    assert house.lease(request)
    index = house.factory.kinds().index("lease.released")
    house.factory.entries[index] = house.factory.entries[index - 1]
    other = anna.order(*attempt.run.inputs).attempt().ask()
    _nothing_left(house, other)


def test_a_release_the_factory_made_up_raises_an_alarm(house: House) -> None:
    _, _, request = _waiting(house)
    house.factory.append(EntryKind.LEASE_RELEASED, request=request, statement="ab" * 32)
    with pytest.raises(IntegrityError, match="never made"):
        house.round.work()
    assert request not in house.factory.headers
    house.keyholder.thaw()
    house.round.work()


def test_a_person_can_thaw_after_looking_and_a_persisting_fork_freezes_again(house: House) -> None:
    _, _, _request = _waiting(house)
    honest = list(house.factory.entries)
    del house.factory.entries[-3:]
    with pytest.raises(IntegrityError):
        house.round.work()
    house.keyholder.thaw()
    with pytest.raises(IntegrityError):
        house.round.work()
    house.factory.entries = honest
    house.keyholder.thaw()
    house.round.work()
    assert len(house.keyholder.evidence()) == 2


def test_an_entry_that_is_not_well_formed_counts_for_nothing(house: House) -> None:
    _, _, request = _waiting(house)
    house.factory.entries.append(b'{"kind":"grant.given"}')
    house.round.work()
    assert house.lease(request)
    assert any("malformed" in text for text in house.said(EventKind.WARNING))
    assert Entry.from_bytes(house.factory.entries[-1]).kind == EntryKind.LEASE_RELEASED


@pytest.mark.parametrize("lie", [{"grants": ()}, {"grants": ("g-aaaaaaaaaaaaaaaa",)}, {"datasets": ()}])
def test_an_entry_that_hides_what_its_lease_rests_on_stops_everything(house: House, lie: dict[str, object]) -> None:
    """Who verifies the log alone judges by the entry: without grants no rule about revoked ones could fire."""
    _, _, request = _waiting(house)
    house.factory.release_refs = lie
    with pytest.raises(IntegrityError, match="does not name the grants and datasets"):
        house.round.work()
    assert request not in house.factory.headers


@pytest.mark.parametrize("lie", ["another statement", "another receiver", "another run", "another lease"])
def test_an_entry_that_hides_which_lease_it_records_or_for_whom_stops_everything(house: House, lie: str) -> None:
    _, attempt, request = _waiting(house)
    own = house.factory.put

    def put(kind, envelope, **refs):
        if kind is EntryKind.LEASE_RELEASED:
            refs |= {
                "another statement": {"statement": "ab" * 32, "more": envelope.digest},
                "another receiver": {"receiver": "a-aaaaaaaaaaaaaaaa"},
                "another run": {"run": "r-aaaaaaaaaaaaaaaa"},
                "another lease": {"lease": "l-aaaaaaaaaaaaaaaa"},
            }[lie]
        return own(kind, envelope, **refs)

    house.factory.put = put
    with pytest.raises(IntegrityError):
        house.round.work()
    assert house.said(EventKind.ALARM)
    assert request not in house.factory.headers
    assert attempt


def test_a_refusal_that_is_entered_as_a_release_stops_everything(house: House) -> None:
    anna, attempt, _ = _waiting(house)
    own = house.factory.put

    def put(kind, envelope, **refs):
        return own(EntryKind.LEASE_RELEASED if kind is EntryKind.LEASE_REFUSED else kind, envelope, **refs)

    house.factory.put = put
    anna.order(*attempt.run.inputs, purpose="marketing").attempt().ask()
    with pytest.raises(IntegrityError, match="no refusal"):
        house.round.work()


def test_a_revocation_must_stand_where_members_look_for_its_statement(house: House) -> None:
    _waiting(house)
    own = house.factory.append

    def append(kind, **refs):
        lies = {"statement": "ab" * 32, "more": refs.get("statement", "")}
        return own(kind, **(refs | lies if kind is EntryKind.GRANT_REVOKED else refs))

    house.factory.append = append
    house.steward.revoke(house.keyholder.status().grants[0].grant.grant)
    with pytest.raises(IntegrityError, match="the log does not show it"):
        house.round.work()


def test_a_release_that_is_entered_after_its_grant_was_revoked_is_found_by_whoever_verifies_the_log(
    house: House,
) -> None:
    _, _, request = _waiting(house)
    grant = house.keyholder.status().grants[0].grant.grant
    kept = []
    house.factory.append_decision = kept.append
    house.round.work()
    house.steward.revoke(grant)
    house.factory.append_decision = lambda _decision: True
    house.factory.enter_decision(kept[0])
    house.round.work()
    assert request not in house.factory.headers
    finding = _verified_by_an_auditor(house)
    assert finding.first == house.factory.kinds().index("lease.released")
    assert f"grant {grant} was revoked by entry" in finding.what


def test_the_log_of_an_honest_release_verifies(house: House) -> None:
    _, _, request = _waiting(house)
    house.round.work()
    assert house.lease(request)
    house.steward.revoke(house.keyholder.status().grants[0].grant.grant)
    house.round.work()
    assert _verified_by_an_auditor(house) is None


def _verified_by_an_auditor(house: House):
    """What `ledger verify` finds with nothing but the log, the newest cosigned head and an invitation's policy."""
    policy = Policy.parse(house.steward.invite(Role.AUDITOR, "Ada").policy)
    return verify_log(house.factory.tile, house.factory.cosigned[-1], policy).finding


@pytest.mark.parametrize(
    "kind",
    [
        EntryKind.GRANT_GIVEN,
        EntryKind.GRANT_REVOKED,
        EntryKind.ERASURE_DECIDED,
        EntryKind.MEMBER_REMOVED,
        EntryKind.RECIPIENTS_PUBLISHED,
        EntryKind.DATASET_ERASED,
    ],
)
def test_what_the_factory_answers_to_have_recorded_and_has_not_stops_everything(
    house: House, kind: EntryKind
) -> None:
    anna, attempt, _ = _waiting(house)
    grant = house.keyholder.status().grants[0].grant
    house.factory.accept_statement = lambda one, _envelope: one is not kind
    house.steward.grant(grant.dataset, "second purpose")
    house.steward.revoke(grant.grant)
    house.steward.remove_member("Anna")
    house.steward.erase(grant.dataset)  # also publishes a list without its recipient, and a certificate
    with pytest.raises(IntegrityError, match="the log does not show it"):
        house.round.work()
    assert house.said(EventKind.ALARM)
    assert not house.keyholder.status().healthy
    assert anna
    assert attempt


@pytest.mark.parametrize("lie", ["unsigned", "other dataset", "withheld"])
def test_a_certificate_of_erasure_the_factory_made_up_raises_an_alarm(house: House, lie: str) -> None:
    """Else an auditor would believe it by an exported log, which this keyholder has cosigned."""
    _waiting(house)
    one = house.unused_dataset()
    said = ErasureCertificate(
        house.factory.tenant, one, "ab" * 32, (), (), (), (), "", complete=True, destroyed=house.now()
    )
    key = house.state.keyholder_key if lie == "other dataset" else SigningKey.generate()
    envelope = sign_statement(said, {}, key)
    named = new_id(Kind.DATASET) if lie == "other dataset" else one
    house.factory.put(
        EntryKind.DATASET_ERASED, envelope, dataset=named, erasure="ab" * 32, certificate=envelope.digest
    )
    if lie == "withheld":
        del house.factory.statements[envelope.digest]
    cosigned = len(house.factory.cosigned)
    with pytest.raises(IntegrityError, match="a certificate of erasure this keyholder never made"):
        house.round.work()
    assert house.said(EventKind.ALARM)
    assert len(house.factory.cosigned) == cosigned


@pytest.mark.parametrize("answer", ["conflict", "refusal"])
def test_a_revocation_the_factory_calls_known_already_is_not_forgotten(house: House, answer: str) -> None:
    """It holds here all the same; a keyholder restored from an older backup learns of it from the log alone."""
    _waiting(house)
    honest = house.factory.revoke

    def revoke(_envelope):
        raise {"conflict": ConflictError, "refusal": RefusedError}[answer]("it is revoked already")

    house.factory.revoke = revoke
    house.steward.revoke(house.keyholder.status().grants[0].grant.grant)
    house.round.work()
    assert "grant.revoked" not in house.factory.kinds()
    assert house.keyholder.status().undelivered == 1
    assert any("does not take a revocation" in text for text in house.said(EventKind.WARNING))
    house.factory.revoke = honest
    house.round.work()
    assert house.factory.kinds().count("grant.revoked") == 1
    assert house.keyholder.status().undelivered == 0


def test_what_the_log_shows_to_be_said_already_is_not_sent_for_ever(house: House) -> None:
    _waiting(house)
    grant = house.keyholder.status().grants[0].grant.grant
    house.steward.revoke(grant)
    house.round.work()

    def revoke(_envelope):
        raise ConflictError("it is revoked already")

    house.factory.revoke = revoke
    house.steward.revoke(grant)
    house.round.work()
    assert house.keyholder.status().undelivered == 0
    made_up = sign_statement(
        Revocation(house.factory.tenant, "g-" + "a" * 16, "2026-11-23T08:00:00Z"), {}, SigningKey.generate()
    )
    house.factory.put(EntryKind.GRANT_REVOKED, made_up, grant="g-" + "a" * 16, statement=made_up.digest)
    real = sign_statement(Revocation(house.factory.tenant, "g-" + "a" * 16, house.now()), {}, house.tenant_key)
    Outbox(house.state.db).put(Errand.REVOCATION, real, None, house.now())
    house.round.work()
    assert house.keyholder.status().undelivered == 1, "what the factory made up says nothing"


def test_what_was_withheld_is_tried_again_although_the_factory_was_away_meanwhile(house: House) -> None:
    anna, _, _ = _waiting(house)
    data = anna.seal({"b": b"y"})
    house.round.work()
    grant = house.steward.grant(as_input(data).owner, "other")
    digest = next(one for one, kept in house.factory.statements.items() if grant.grant.encode() in kept.payload)
    withheld = house.factory.statements.pop(digest)
    house.round.work()
    assert house.keyholder.status().unresolved == 1
    house.restart()
    house.factory.away = True
    with pytest.raises(UnavailableError):
        house.round.try_again()
    house.factory.away = False
    house.factory.statements[digest] = withheld
    house.restart()
    house.round.try_again()
    assert house.keyholder.status().unresolved == 0
    assert anna.order(data, purpose="other").attempt().obtain().lease


@pytest.mark.parametrize("index", [0, -1, 10**15])
def test_a_statement_must_stand_where_the_factory_says(house: House, index: int) -> None:
    _waiting(house)
    honest = house.factory.put
    house.factory.put = lambda *args, **refs: honest(*args, **refs).model_copy(update={"log_index": index})
    house.steward.revoke(house.keyholder.status().grants[0].grant.grant)
    with pytest.raises(IntegrityError, match="the log does not show it"):
        house.round.work()


def test_an_entry_that_says_otherwise_than_its_statement_stops_everything(house: House) -> None:
    """A revocation recorded as that of another grant would keep `ledger verify` from finding releases."""
    _waiting(house)
    honest = house.factory.append
    house.factory.append = lambda kind, **refs: honest(kind, **(refs | {"grant": "g-aaaaaaaaaaaaaaaa"}))
    house.steward.revoke(house.keyholder.status().grants[0].grant.grant)
    with pytest.raises(IntegrityError, match="the log does not show it"):
        house.round.work()
