"""Errors arrive as they left; what may pass is tried again; what is not understood is said so."""

import json
from contextlib import contextmanager

import pytest
from scripted_factory import Answer, scripted

from kifabrik.client import connection as connection_module
from kifabrik.client.connection import Connection
from kifabrik.errors import (
    BY_CODE,
    CapacityError,
    IntegrityError,
    KifabrikError,
    NotFoundError,
    RefusedError,
    SignInError,
    UnavailableError,
)
from kifabrik.wire.tenants import Logged

LOGGED = Answer(body=Logged(digest="0" * 64, log_index=7).model_dump_json().encode())
BROKEN = Answer(cut=-1)
AWAY = Answer(503)


class Clock:
    """Passes only while somebody sleeps: a machine that stalls uses up nobody's patience."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(connection_module, "time", clock)
    return clock


@contextmanager
def connected(*answers, patience_s=60.0, token="kft_secret"):
    with scripted(*answers) as (url, factory):
        connection = Connection(url, token, patience_s=patience_s)
        try:
            yield connection, factory
        finally:
            connection.close()


def body(code, message="no", hint="do this"):
    return json.dumps({"code": code, "message": message, "hint": hint}).encode()


@pytest.mark.parametrize("code", sorted(set(BY_CODE) - {"unavailable"}))
def test_an_error_of_the_service_arrives_as_the_same_class_with_its_words(code):
    with connected(Answer(BY_CODE[code].http_status, body(code))) as (connection, factory):
        with pytest.raises(KifabrikError) as raised:
            connection.get_bytes("/v1/log/checkpoint")
        assert type(raised.value) is BY_CODE[code]
        assert (raised.value.message, raised.value.hint) == ("no", "do this")
        assert len(factory.asked) == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, SignInError), (403, RefusedError), (404, NotFoundError), (507, CapacityError), (418, KifabrikError)],
)
def test_an_answer_without_words_still_has_its_class(status, error):
    with connected(Answer(status, b"<html>proxy</html>")) as (connection, _):
        with pytest.raises(error) as raised:
            connection.get_bytes("/")
        assert type(raised.value) is error
        assert raised.value.message.startswith("the factory ")


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_that_does_not_reach_the_factory_is_not_taken_for_a_wrong_address(status):
    page = Answer(status, b"<html><h1>Bad Gateway</h1></html>", {"content-type": "text/html"})
    with connected(page, patience_s=0) as (connection, _):
        with pytest.raises(UnavailableError, match=rf"is not ready \(HTTP {status}\)") as raised:
            connection.get("/v1/x", Logged)
        assert "Try again" in raised.value.hint


def test_a_call_that_is_cut_off_where_a_factory_ends_is_made_again():
    with connected(Answer(500, b"Internal Server Error"), LOGGED) as (connection, factory):
        assert connection.get("/v1/x", Logged).log_index == 7
        assert len(factory.asked) == 2


def test_a_factory_that_is_away_for_a_moment_is_asked_again():
    with connected(AWAY, BROKEN, LOGGED) as (connection, factory):
        found = connection.get("/v1/x", Logged)
        assert found.log_index == 7
        assert len(factory.asked) == 3


@pytest.mark.parametrize("status", [429, 503])
def test_why_a_factory_is_not_ready_is_said_in_its_own_words(status):
    with connected(Answer(status, body("unavailable", "the database is busy", "Wait.")), patience_s=0) as (
        connection,
        _,
    ):
        with pytest.raises(UnavailableError) as raised:
            connection.get("/v1/x", Logged)
        assert (raised.value.message, raised.value.hint) == ("the database is busy", "Wait.")


def test_a_post_is_sent_again_whole():
    with connected(BROKEN, LOGGED) as (connection, factory):
        connection.post("/v1/x", None, Logged)
        assert [asked.body for asked in factory.asked] == [b"{}", b"{}"]


def test_patience_ends_with_an_error_that_names_the_factory(clock):
    with connected(AWAY, patience_s=1.0) as (connection, factory):
        with pytest.raises(UnavailableError, match="not ready"):
            connection.get("/v1/x", Logged)
        assert len(factory.asked) >= 2


def test_nobody_there_is_said_with_the_address():
    connection = Connection("http://127.0.0.1:9", patience_s=0)
    with pytest.raises(UnavailableError, match=r"http://127\.0\.0\.1:9") as raised:
        connection.get("/v1/x", Logged)
    connection.close()
    assert raised.value.hint


@pytest.mark.parametrize("answer", [b"<html>", b"[]", b'{"log_index": "seven"}', b"", b"\xff"])
def test_an_answer_that_is_no_such_body_is_not_believed(answer):
    with connected(Answer(body=answer)) as (connection, _), pytest.raises(IntegrityError):
        connection.get("/v1/x", Logged)


def test_a_missing_thing_is_nothing_to_head_and_an_error_elsewhere():
    with connected(Answer(404)) as (connection, _):
        assert connection.head("/v1/uploads/x") is None
        with pytest.raises(NotFoundError):
            connection.get_bytes("/v1/uploads/x")


def test_a_stream_that_is_cut_is_an_error_not_a_short_body():
    with (
        connected(Answer(body=b"x" * 1000, cut=500)) as (connection, _),
        pytest.raises(UnavailableError),
        connection.stream("/v1/objects/x") as answer,
    ):
        answer.read()


def test_the_token_goes_into_the_header_and_never_into_the_address():
    with connected(LOGGED) as (connection, factory):
        connection.get("/v1/x", Logged, wait_s=1, after=3)
        (asked,) = factory.asked
        assert asked.headers["authorization"] == "Bearer kft_secret"
        assert "kft_secret" not in asked.path
        assert asked.path == "/v1/x?after=3&wait=1"


def test_patience_over_all_is_counted_from_when_the_factory_was_last_reached(clock):
    connection = Connection("http://127.0.0.1:9", patience_s=0.5, patience_over_all=True)
    assert connection_tries(connection) > 1
    clock.sleep(0.5)
    assert connection_tries(connection) == 1
    connection.close()


def test_patience_over_all_begins_anew_when_the_factory_answers(clock):
    with connected(AWAY, AWAY, LOGGED, AWAY, AWAY, LOGGED) as (connection, factory):
        patient = Connection(connection.url, patience_s=2, patience_over_all=True)
        for _ in range(2):
            assert patient.get("/v1/x", Logged).log_index == 7
            clock.sleep(1.5)
        patient.close()
        assert len(factory.asked) == 6


def test_patience_for_each_call_begins_with_the_call(clock):
    connection = Connection("http://127.0.0.1:9", patience_s=2)
    for _ in range(2):
        assert connection_tries(connection) > 1
        clock.sleep(2)
    connection.close()


def connection_tries(connection):
    """How often a call that fails is tried."""
    tries, real = [], connection._http.ask

    def ask(*words, **options):
        tries.append(words)
        return real(*words, **options)

    connection._http.ask = ask
    with pytest.raises(UnavailableError):
        connection.get("/v1/x", Logged)
    connection._http.ask = real
    return len(tries)


@pytest.mark.parametrize("answer", [b"[" * 100_000, b'{"a":' * 100_000, b"7", b'[{"a": Infinity}]', b"\xff"])
def test_an_answer_that_makes_no_sense_is_a_sentence_whatever_asks_for_it(answer):
    ways = (
        lambda one: one.get("/", Logged),
        lambda one: one.get_list("/", Logged),
        lambda one: one.get_json("/", lambda said: [int(part["a"]) for part in said]),
        lambda one: one.post("/", None, Logged),
    )
    with connected(*[Answer(body=answer)] * len(ways)) as (connection, _):
        for ask in ways:
            with pytest.raises(IntegrityError, match="not understood"):
                ask(connection)


@pytest.mark.parametrize("date", ["Mon, 99 Nov 2026 08:00:00 GMT", "Fri, 31 Dec 99999 23:59:59 GMT", "soon"])
def test_a_date_no_calendar_has_tells_no_time(date):
    with connected(Answer(headers={"date": date})) as (connection, _):
        assert connection.clock_ahead_s("/") is None
