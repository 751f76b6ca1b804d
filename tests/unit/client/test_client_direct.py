"""Objects past the service: what goes to a store, and where it does not go."""

import hashlib
import io
import json
import socket
from contextlib import contextmanager

import pytest
from scripted_factory import Answer, scripted

from kifabrik.client.connection import Connection
from kifabrik.client.direct import Direct
from kifabrik.client.objects import Objects
from kifabrik.errors import NotFoundError
from kifabrik.wire.datasets import WayView

DATA = bytes(range(256)) * 400
DIGEST = hashlib.sha256(DATA).hexdigest()
SIGNED = {"x-amz-content-sha256": DIGEST, "content-length": str(len(DATA)), "if-none-match": "*"}


def way(url, headers=None, *, direct=True):
    said = {"direct": direct, "url": url, "headers": SIGNED if headers is None else headers, "lasts_s": 60}
    return Answer(200, json.dumps(said).encode(), {"content-type": "application/json"})


@contextmanager
def parties(*answers, store=()):
    """A factory with its answers, a store with its own, and a client of both."""
    with scripted(*store or [Answer(500)]) as (at, kept), scripted(*(one(at) for one in answers)) as (url, factory):
        connection = Connection(url, "kfd_secret", patience_s=0)
        try:
            yield Objects(connection, Direct(connection)), factory, kept
        finally:
            connection.close()


def said(answer):
    return lambda _at: answer


def arrived():
    return said(Answer(204, b""))


def through(offset):
    return said(Answer(204, b"", {"upload-offset": str(offset)}))


def upload(store):
    told = []
    store.upload(io.BytesIO(DATA), DIGEST, len(DATA), told.append)
    assert sum(told) == len(DATA)


def test_the_store_is_sent_what_was_signed_and_nothing_of_ours():
    with parties(lambda at: way(f"{at}/b/k?X-Amz-Signature=1%2F2"), arrived(), store=[Answer()]) as found:
        store, factory, kept = found
        upload(store)
        (sent,) = kept.asked
        assert (sent.method, sent.path, sent.body) == ("PUT", "/b/k?X-Amz-Signature=1%2F2", DATA)
        assert {name.lower() for name in sent.headers} <= {*SIGNED, "host", "accept-encoding", "user-agent"}
        assert "kfd_secret" not in str(sent)
        assert [one.path for one in factory.asked] == [
            f"/v1/uploads/{DIGEST}/way?size={len(DATA)}",
            f"/v1/uploads/{DIGEST}/arrived",
        ]


def test_an_object_that_is_in_the_store_already_is_only_looked_for():
    with parties(lambda at: way(f"{at}/k?x"), arrived(), store=[Answer(412)]) as (store, factory, _):
        upload(store)
        assert factory.asked[-1].path.endswith("/arrived")


@pytest.mark.parametrize("refusal", [Answer(403), Answer(500), Answer(301, b"", {"location": "http://evil/"})])
def test_a_store_that_does_not_take_it_is_asked_twice_and_then_it_goes_through_the_service(refusal):
    ways = [lambda at: way(f"{at}/k?x")] * 2
    with parties(*ways, through(0), through(len(DATA)), store=[refusal]) as (store, factory, kept):
        upload(store)
        assert [one.method for one in kept.asked] == ["PUT", "PUT"]
        assert [one.method for one in factory.asked] == ["POST", "POST", "HEAD", "PATCH"]
        assert factory.asked[-1].body == DATA


def test_a_store_that_cannot_be_reached_is_left_alone():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        dead = f"http://127.0.0.1:{nobody.getsockname()[1]}/k?x"
        answers = [lambda _at: way(dead), *[through(0), through(len(DATA))] * 2]
        with parties(*answers) as (store, factory, _):
            upload(store)
            upload(store)
            assert [one.method for one in factory.asked] == ["POST", "HEAD", "PATCH", "HEAD", "PATCH"]


def test_a_factory_without_ways_is_asked_once():
    for answer in (
        way("", {}, direct=False),
        Answer(404, b'{"code":"not-found","message":"there is no such path"}'),
    ):
        with parties(said(answer), *[through(0), through(len(DATA))] * 2) as (store, factory, kept):
            upload(store)
            upload(store)
            assert [one.method for one in factory.asked] == ["POST", "HEAD", "PATCH", "HEAD", "PATCH"]
            assert kept.asked == []


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("ftp://store/k?x", {}),
        ("file:///etc/passwd", {}),
        ("http:///k", {}),
        ("http://store/k?x\r\nevil: 1", {}),
        ("http://store/k", {"authorization": "Bearer x"}),
        ("http://store/k", {"host": "internal"}),
        ("http://store/k", {"if-none-match": "*\r\nevil: 1"}),
    ],
)
def test_a_way_that_is_none_is_not_gone(url, headers):
    with parties(said(way(url, headers)), through(0), through(len(DATA))) as (store, factory, _):
        upload(store)
        assert [one.method for one in factory.asked] == ["POST", "HEAD", "PATCH"]


def test_from_tls_nobody_is_led_to_where_there_is_none():
    direct = Direct(Connection("https://factory.example"))
    assert direct._may_be_sent(WayView(direct=True, url="https://store.example/k?x"))
    assert not direct._may_be_sent(WayView(direct=True, url="http://store.example/k?x"))


def test_a_download_that_breaks_goes_on_where_it_broke_and_a_way_is_asked_for_once():
    cut, rest = Answer(200, DATA, cut=5000), Answer(206, DATA[5000:])
    with parties(lambda at: way(f"{at}/k?x", {}), store=[cut, rest]) as (store, factory, kept):
        assert b"".join(store.pieces(DIGEST)) == DATA
        assert [one.headers.get("range") for one in kept.asked] == [None, "bytes=5000-"]
        assert len(factory.asked) == 1


def test_a_store_that_ignores_a_range_is_not_believed():
    service = Answer(206, DATA[10:20])
    with parties(lambda at: way(f"{at}/k?x", {}), said(service), store=[Answer(200, DATA)]) as (store, _, _kept):
        assert store.read(DIGEST, 10, 10) == DATA[10:20]


def test_what_is_not_there_is_not_there_and_not_asked_for_through_the_service():
    missing = Answer(404, b'{"code":"not-found","message":"there is no such object"}')
    with parties(said(missing)) as (store, factory, _):
        with pytest.raises(NotFoundError, match="no such object"):
            list(store.pieces(DIGEST))
        assert len(factory.asked) == 1


def test_small_objects_are_sent_and_fetched_as_before():
    with parties(through(1000)) as (store, factory, _):
        store.upload(io.BytesIO(DATA[:1000]), hashlib.sha256(DATA[:1000]).hexdigest(), 1000)
        assert [one.method for one in factory.asked] == ["PATCH"]
    with parties(said(Answer(body=DATA))) as (store, factory, _):
        assert store.fetch(DIGEST, len(DATA)) == DATA
        assert [one.method for one in factory.asked] == ["GET"]
