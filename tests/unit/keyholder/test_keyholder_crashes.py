"""The keyholder is killed at every step of a decision, and goes on where it was."""

from datetime import timedelta

import pytest

from keyhouse import House, killed_at
from kifabrik.errors import (
    CapacityError,
    IntegrityError,
    KifabrikError,
    NotFoundError,
    RefusedError,
    SignInError,
    UnavailableError,
    UsageError,
)
from kifabrik.keyholder.events import EventKind
from kifabrik.ledger.entry import EntryKind


def _request(house: House):
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    attempt = anna.order(data).attempt()
    return attempt, attempt.ask()


@pytest.mark.parametrize("call", range(1, 12))
def test_killed_at_any_call_it_answers_once_and_the_same(house: House, call: int) -> None:
    attempt, request = _request(house)
    with killed_at(house, call):
        house.round.work()
    first = house.factory.decisions.get(request)
    house.restart()
    house.round.work()
    lease = house.lease(request)
    assert first is None or first.digest == lease.digest
    assert lease.predicate.receiver == attempt.attempt
    assert house.factory.kinds().count("lease.released") == 1
    assert len(house.round.books.records.attempts(attempt.run.id)) == 1


def test_an_answer_that_got_lost_is_sent_again_byte_for_byte(house: House) -> None:
    attempt, request = _request(house)
    honest, sent = house.factory.decide, []

    def lose(statement, headers, detail):
        sent.append((statement, headers))
        honest(statement, headers, detail)
        raise UnavailableError("the connection broke")

    house.factory.decide = lose
    for _ in range(3):
        with pytest.raises(UnavailableError):
            house.round.work()
        house.restart()
    house.factory.decide = honest
    house.round.work()
    assert house.lease(request).digest == sent[0][0].digest
    headers = [headers for _, headers in sent if headers]
    assert all(one == house.factory.headers[request] for one in headers)
    assert attempt


def test_while_the_factory_is_away_nothing_is_lost(house: House) -> None:
    _, request = _request(house)
    house.factory.away = True
    with pytest.raises(UnavailableError):
        house.round.work()
    house.factory.away = False
    house.round.work()
    assert house.lease(request)


def rejecting(house: House, error: KifabrikError):
    """Let the factory reject every decision; return how to make it honest again."""
    honest = house.factory.decide

    def reject(statement, headers, detail):
        assert not headers, "keys left for a decision that is not on record"
        raise error

    house.factory.decide = reject
    return honest


ANSWERS = [
    RefusedError("this is not for keyholders"),
    SignInError("this token is not known"),
    IntegrityError("not signed by the keyholder"),
    NotFoundError("there is no such request"),
    CapacityError("the disk is full"),
    UsageError("malformed request"),
]


@pytest.mark.parametrize("answer", ANSWERS, ids=lambda error: type(error).__name__)
def test_a_lease_the_factory_rejects_is_not_forgotten_and_no_second_one_is_signed(
    house: House, answer: KifabrikError
) -> None:
    attempt, request = _request(house)
    honest = rejecting(house, answer)
    house.round.work()
    first = house.round.books.records.decision(request)
    house.restart()
    house.round.work()
    other = attempt.run.attempt(2).ask()
    house.round.work()
    assert house.round.books.records.decision(request).envelope.digest == first.envelope.digest
    assert house.round.books.records.decision(other) is None, "more was released although a lease is missing"
    assert len(house.round.books.records.attempts(attempt.run.id)) == 1
    house.factory.decide = honest
    house.round.work()
    assert house.lease(request).digest == first.envelope.digest
    assert house.lease(other)


def test_a_rejection_is_said_once(house: House) -> None:
    _request(house)
    rejecting(house, RefusedError("no"))
    for _ in range(3):
        house.round.work()
    assert len([text for text in house.said(EventKind.WARNING) if "does not take" in text]) == 1


def test_a_rejected_lease_that_has_expired_is_judged_anew(house: House) -> None:
    attempt, request = _request(house)
    honest = rejecting(house, RefusedError("the lease has expired"))
    house.round.work()
    first = house.round.books.records.decision(request)
    house.clock.ahead = timedelta(hours=2)
    house.round.work()
    house.factory.decide = honest
    house.round.work()
    assert house.lease(request).digest != first.envelope.digest
    assert len(house.round.books.records.attempts(attempt.run.id)) == 1


def test_a_rejected_lease_under_a_grant_that_is_over_becomes_a_refusal(house: House) -> None:
    attempt, request = _request(house)
    grant = house.keyholder.status().grants[0].grant.grant
    honest = rejecting(house, RefusedError("the grant is revoked"))
    house.round.work()
    house.steward.revoke(grant)
    house.round.work()
    house.factory.decide = honest
    house.round.work()
    assert house.refusal(request).reason == "revoked"
    assert house.round.books.records.attempts(attempt.run.id) == []


def test_a_rejected_lease_that_turns_up_in_the_log_after_it_was_taken_back_stops_everything(house: House) -> None:
    attempt, request = _request(house)
    rejecting(house, RefusedError("the grant is revoked"))
    house.round.work()
    kept = house.round.books.records.decision(request).envelope
    house.steward.revoke(house.keyholder.status().grants[0].grant.grant)
    house.round.work()
    house.factory.put(EntryKind.LEASE_RELEASED, kept, request=request, statement=kept.digest)
    with pytest.raises(IntegrityError, match="taken back"):
        house.round.work()
    assert attempt


def test_keys_the_factory_does_not_take_now_are_offered_again(house: House) -> None:
    _, request = _request(house)
    honest = house.factory.decide

    def full(statement, headers, detail):
        if headers:
            raise CapacityError("the disk is full")
        return honest(statement, headers, detail)

    house.factory.decide = full
    house.round.work()
    assert request not in house.factory.headers
    house.factory.decide = honest
    house.round.work()
    assert house.lease(request)


def test_keys_stay_here_when_their_member_is_removed_between_decision_and_delivery(house: House) -> None:
    attempt, request = _request(house)

    def remove_now(_decision) -> bool:
        house.factory.append_decision = lambda _decision: True
        house.steward.remove_member("Anna")
        return True

    house.factory.append_decision = remove_now
    house.round.work()
    assert request in house.factory.decisions
    assert request not in house.factory.headers
    assert attempt
