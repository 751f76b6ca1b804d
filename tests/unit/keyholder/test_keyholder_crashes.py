"""The keyholder is killed at every step of a decision, and goes on where it was."""

import contextlib

import pytest

from keyhouse import House
from kifabrik.errors import RefusedError, UnavailableError


class Killed(BaseException):
    """Stands for kill -9: nothing catches it."""


def _request(house: House):
    anna = house.enrol()
    data = anna.seal({"a": b"x"})
    house.grant(data)
    attempt = anna.order(data).attempt()
    return attempt, attempt.ask()


@pytest.mark.parametrize("call", range(1, 12))
def test_killed_at_any_call_it_answers_once_and_the_same(house: House, call: int) -> None:
    attempt, request = _request(house)
    house.factory.calls.clear()
    honest = house.factory.call

    def die(name: str) -> None:
        honest(name)
        if len(house.factory.calls) == call:
            raise Killed

    house.factory.call = die
    with contextlib.suppress(Killed):
        house.round.work()
    first = house.factory.decisions.get(request)
    house.factory.call = honest
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


def test_a_decision_the_factory_will_not_put_on_record_is_taken_back_and_judged_anew(house: House) -> None:
    attempt, request = _request(house)
    honest = house.factory.decide

    def reject(statement, headers, detail):
        assert not headers
        raise RefusedError("the lease has expired")

    house.factory.decide = reject
    house.round.work()
    assert not house.factory.headers
    assert house.round.books.records.attempts(attempt.run.id) == []
    house.factory.decide = honest
    house.round.work()
    assert house.lease(request)
