from dataclasses import replace

import pytest

from kifabrik.datasets.manifest import (
    BodyRef,
    Manifest,
    follows,
    is_owner,
    sign_manifest,
    verify_manifest,
)
from kifabrik.errors import IntegrityError
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement
from kifabrik.values import Kind, new_id, sha256_hex

KEY = SigningKey.generate()
RECIPIENT = "age1" + "q" * 58


def digest(text):
    return sha256_hex(text.encode())


def manifest(**changes):
    first = Manifest(
        tenant=KEY.public.tenant_id,
        owner=new_id(Kind.DATASET),
        version=1,
        previous="",
        recipient=RECIPIENT,
        headers=digest("headers"),
        headers_size=400,
        sealed_manifest=BodyRef(digest("contents"), 100),
        shards=(BodyRef(digest("one"), 1000), BodyRef(digest("two"), 2000)),
        created="2026-11-23T08:00:00Z",
    )
    return replace(first, **changes)


def test_a_signed_manifest_reads_back_as_it_was():
    said = manifest()
    statement = verify_manifest(sign_manifest(said, KEY), [KEY.public])
    assert statement.predicate == said
    assert statement.subjects == {f"{said.owner}@1": digest("contents")}
    assert statement.signer == KEY.public


def test_a_manifest_of_a_stranger_is_refused():
    with pytest.raises(IntegrityError):
        verify_manifest(sign_manifest(manifest(), SigningKey.generate()), [KEY.public])


def test_a_manifest_about_another_subject_is_refused():
    envelope = sign_statement(manifest(), {"something": digest("else")}, KEY)
    with pytest.raises(IntegrityError, match="something else"):
        verify_manifest(envelope, [KEY.public])


def test_a_manifest_without_shards_is_one_of_empty_contents():
    assert list(manifest(shards=()).objects()) == [digest("headers"), digest("contents")]


def test_all_objects_and_their_size_are_counted():
    said = manifest()
    assert list(said.objects()) == [digest(name) for name in ("headers", "contents", "one", "two")]
    assert said.sealed_size == 400 + 100 + 1000 + 2000


@pytest.mark.parametrize(
    "changes",
    [
        {"tenant": "t-x"},
        {"owner": "r-x"},
        {"owner": new_id(Kind.RUN)},
        {"owner": new_id(Kind.DATASET) + "/1"},
        {"version": 0},
        {"version": 2},
        {"previous": digest("x")},
        {"version": 2, "previous": "X" * 64},
        {"recipient": "age1"},
        {"recipient": "ssh-ed25519 AAAA"},
        {"headers": digest("x")[:-1]},
        {"headers": digest("x").upper()},
        {"headers_size": 0},
        {"headers": digest("one")},
        {"shards": (BodyRef(digest("one"), 1), BodyRef(digest("one"), 1))},
        {"shards": (BodyRef(digest("contents"), 100),)},
        {"created": "2026-11-23"},
        {"created": "2026-11-3T08:00:00Z"},
    ],
)
def test_a_manifest_that_breaks_a_rule_is_not_born(changes):
    with pytest.raises(IntegrityError, match="manifest"):
        manifest(**changes)


@pytest.mark.parametrize(("sha256", "size"), [("x" * 64, 1), ("a" * 63, 1), ("a" * 64, 0), ("a" * 64, 2**53)])
def test_a_body_has_a_digest_and_a_size(sha256, size):
    with pytest.raises(IntegrityError):
        BodyRef(sha256, size)


def test_owners_are_datasets_and_parts_of_runs():
    run = new_id(Kind.RUN)
    assert is_owner(new_id(Kind.DATASET))
    assert all(is_owner(f"{run}/{part}") for part in ("1", "12", "code", "checkpoint"))
    assert not any(is_owner(f"{run}/{part}") for part in ("", "0", "01", "x", "1/2", "code/1", "../1"))


def test_unknown_fields_in_a_manifest_or_a_body_are_refused():
    envelope = sign_manifest(manifest(), KEY)
    for before, after in (
        (b'"headers_size":400', b'"headers_size":400,"hidden":1'),
        (b'"size":100}', b'"size":100,"zz":1}'),
    ):
        payload = envelope.payload.replace(before, after)
        assert payload != envelope.payload
        with pytest.raises(IntegrityError):
            verify_manifest(Envelope.sign(payload, KEY), [KEY.public])


def test_versions_form_a_chain():
    first = manifest()
    stated = verify_manifest(sign_manifest(first, KEY), [KEY.public])
    second = replace(first, version=2, previous=stated.digest)
    assert follows(first, None)
    assert follows(second, stated)
    assert not follows(second, None)
    assert not follows(first, stated)
    assert not follows(replace(second, version=3), stated)
    assert not follows(replace(second, previous=digest("fork")), stated)
    assert not follows(replace(second, owner=new_id(Kind.DATASET)), stated)
    assert not follows(replace(second, recipient="age1" + "p" * 58), stated)
    assert not follows(replace(second, tenant=SigningKey.generate().public.tenant_id), stated)
