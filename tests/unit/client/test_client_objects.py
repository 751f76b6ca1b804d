"""Objects by digest: sent from where an earlier try stopped, and believed only if the digest fits."""

import hashlib
import io
from contextlib import contextmanager

import pytest
from scripted_factory import Answer, scripted

from kifabrik.client.connection import Connection
from kifabrik.client.objects import Objects
from kifabrik.errors import IntegrityError, NotFoundError

DATA = bytes(range(256)) * 400
DIGEST = hashlib.sha256(DATA).hexdigest()


@contextmanager
def objects(*answers):
    with scripted(*answers) as (url, factory):
        connection = Connection(url, "t", patience_s=2)
        try:
            yield Objects(connection), factory
        finally:
            connection.close()


def at(offset, status=204):
    return Answer(status, b"", {"upload-offset": str(offset)})


def test_an_upload_goes_on_where_the_factory_says():
    with objects(at(1000), at(len(DATA))) as (store, factory):
        sent = []
        store.upload(io.BytesIO(DATA), DIGEST, len(DATA), sent.append)
        assert [asked.method for asked in factory.asked] == ["HEAD", "PATCH"]
        assert factory.asked[1].body == DATA[1000:]
        assert factory.asked[1].headers["upload-offset"] == "1000"
        assert sum(sent) == len(DATA)


def test_an_upload_that_was_cut_is_resumed_after_asking_again():
    with objects(at(0), Answer(cut=-1), at(5000), at(len(DATA))) as (store, factory):
        store.upload(io.BytesIO(DATA), DIGEST, len(DATA))
        assert [asked.method for asked in factory.asked] == ["HEAD", "PATCH", "HEAD", "PATCH"]
        assert factory.asked[3].body == DATA[5000:]


def test_an_upload_of_what_is_there_sends_nothing():
    with objects(at(len(DATA))) as (store, factory):
        store.upload(io.BytesIO(DATA), DIGEST, len(DATA))
        assert [asked.method for asked in factory.asked] == ["HEAD"]


def test_an_empty_object_is_sent_once():
    with objects(at(0)) as (store, factory):
        store.upload(io.BytesIO(b""), hashlib.sha256(b"").hexdigest(), 0)
        assert [asked.method for asked in factory.asked] == ["PATCH"]


def test_a_small_object_is_sent_without_asking_first():
    with objects(at(1000)) as (store, factory):
        store.upload(io.BytesIO(DATA[:1000]), hashlib.sha256(DATA[:1000]).hexdigest(), 1000)
        assert [asked.method for asked in factory.asked] == ["PATCH"]


@pytest.mark.parametrize("answer", [at(0), at(-1), at(10**9), at("x"), Answer(204, b"")])
def test_a_factory_that_makes_no_sense_ends_an_upload(answer):
    with objects(at(0), answer) as (store, factory):
        with pytest.raises(IntegrityError):
            store.upload(io.BytesIO(DATA), DIGEST, len(DATA))
        assert len(factory.asked) == 2


def test_a_fetched_object_has_the_digest_that_was_asked_for():
    with objects(Answer(body=DATA)) as (store, _):
        assert store.fetch(DIGEST, len(DATA)) == DATA
        with pytest.raises(IntegrityError, match="other bytes"):
            store.fetch("0" * 64, len(DATA))


def test_a_fetched_object_may_not_be_larger_than_expected():
    with objects(Answer(body=DATA)) as (store, _), pytest.raises(IntegrityError, match="larger"):
        store.fetch(DIGEST, len(DATA) - 1)


def test_a_missing_object_is_said_so():
    with objects(Answer(404)) as (store, _), pytest.raises(NotFoundError):
        store.fetch(DIGEST, 10)
