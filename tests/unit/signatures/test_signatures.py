"""Ed25519, DSSE and in-toto, beside published vectors and an independent implementation."""

import base64
import json
from dataclasses import dataclass, replace

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as OtherEnvelope
from securesystemslib.signer import SSlibKey

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.signatures.canonical import from_canonical, to_canonical
from kifabrik.signatures.dsse import IN_TOTO_TYPE, Envelope, pre_authentication_encoding
from kifabrik.signatures.keys import SigningKey, VerifyKey
from kifabrik.signatures.statements import predicate, read_unverified, sign_statement, verify_statement

RFC_8032 = [  # RFC 8032, section 7.1: secret key, public key, message, signature
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@predicate("test-order/v1")
@dataclass(frozen=True)
class Ordered:
    """What is said in these tests."""

    run: str
    attempts: int


@pytest.fixture(scope="module")
def key():
    return SigningKey.generate()


SAID = Ordered("r-one", 2)
SUBJECTS = {"order": "0" * 64}


@pytest.mark.parametrize(("seed", "public", "message", "signature"), RFC_8032)
def test_keys_sign_and_verify_as_rfc_8032_says(seed, public, message, signature):
    key = SigningKey(bytes.fromhex(seed))
    assert key.public.hex == public
    assert key.sign(bytes.fromhex(message)).hex() == signature
    key.public.verify(bytes.fromhex(signature), bytes.fromhex(message))
    with pytest.raises(IntegrityError):
        key.public.verify(bytes.fromhex(signature), bytes.fromhex(message) + b"\0")


def test_a_seed_never_shows(key):
    assert key.seed.hex() not in repr(key)
    assert repr(key.seed) not in repr(key)


@pytest.mark.parametrize("text", ["", "zz", "00" * 31, "00" * 33])
def test_what_is_no_public_key_is_refused(text):
    with pytest.raises(UsageError):
        VerifyKey.from_hex(text)


def test_the_pre_authentication_encoding_is_the_one_of_the_dsse_specification():
    # github.com/secure-systems-lab/dsse, protocol.md, test vectors
    encoded = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@given(st.binary(max_size=200))
def test_securesystemslib_verifies_what_we_sign(payload):
    key = SigningKey(b"\7" * 32)
    envelope = Envelope.sign(payload, key)
    other = OtherEnvelope.from_dict(json.loads(envelope.to_json()))
    assert other.payload == payload
    public = SSlibKey(key.public.keyid, "ed25519", "ed25519", {"public": key.public.hex})
    other.verify([public], threshold=1)


def test_an_envelope_survives_its_json_form(key):
    envelope = sign_statement(SAID, SUBJECTS, key)
    assert Envelope.from_json(envelope.to_json()) == envelope


def test_a_statement_says_what_was_signed_and_who_signed(key):
    envelope = sign_statement(SAID, SUBJECTS, SigningKey.generate(), key)
    statement = verify_statement(envelope, Ordered, [key.public])
    assert (statement.predicate, statement.subjects, statement.signer) == (SAID, SUBJECTS, key.public)
    assert statement.digest == envelope.digest


def test_a_stranger_who_claims_a_trusted_key_id_is_refused(key):
    forged = sign_statement(SAID, SUBJECTS, SigningKey.generate())
    claimed = Envelope.from_json(forged.to_json().replace(forged.signatures[0].keyid, key.public.keyid))
    for envelope in (forged, claimed):
        with pytest.raises(IntegrityError):
            verify_statement(envelope, Ordered, [key.public])


def test_every_named_key_must_have_signed_whoever_else_has(key):
    others = [SigningKey.generate() for _ in range(40)]
    envelope = Envelope.from_json(sign_statement(SAID, SUBJECTS, key, *others).to_json())
    envelope.verify_every([one.public for one in (key, *others[:39])])
    with pytest.raises(IntegrityError, match="not signed"):
        envelope.verify_every([key.public, SigningKey.generate().public])
    swapped = Envelope(envelope.payload, (envelope.signatures[0], replace(envelope.signatures[1], sig=bytes(64))))
    with pytest.raises(IntegrityError):
        swapped.verify_every([key.public, others[0].public])
    swapped.verify_every([key.public])


@given(st.data())
def test_any_flipped_bit_of_a_payload_is_noticed(data):
    key = SigningKey(b"\7" * 32)
    envelope = sign_statement(SAID, SUBJECTS, key)
    at = data.draw(st.integers(0, len(envelope.payload) * 8 - 1))
    changed = bytearray(envelope.payload)
    changed[at // 8] ^= 1 << at % 8
    with pytest.raises(IntegrityError):
        verify_statement(Envelope(bytes(changed), envelope.signatures), Ordered, [key.public])


def test_a_signature_over_another_payload_type_does_not_count(key):
    envelope = sign_statement(SAID, SUBJECTS, key)
    body = json.loads(envelope.to_json()) | {"payloadType": "application/json"}
    with pytest.raises(IntegrityError):
        Envelope.from_json(json.dumps(body))


def _changed(**changes):
    envelope = sign_statement(SAID, SUBJECTS, SigningKey(b"\7" * 32))
    return from_canonical(envelope.payload) | changes


MALFORMED = {
    "another type": _changed(_type="https://in-toto.io/Statement/v0.1"),
    "another kind": _changed(predicateType="https://kifabrik.org/test-order/v2"),
    "an unknown field": _changed(more=1),
    "a predicate with an unknown field": _changed(predicate={"run": "r", "attempts": 2, "more": 1}),
    "a predicate that lacks a field": _changed(predicate={"run": "r"}),
    "a text for a number": _changed(predicate={"run": "r", "attempts": "2"}),
    "a truth value for a number": _changed(predicate={"run": "r", "attempts": True}),
    "a subject whose name is a number": _changed(subject=[{"name": 1, "digest": {"sha256": "0" * 64}}]),
    "a subject whose name is nothing": _changed(subject=[{"name": None, "digest": {"sha256": "0" * 64}}]),
    "a subject twice": _changed(subject=[{"name": "a", "digest": {"sha256": "0" * 64}}] * 2),
    "a subject with another digest": _changed(subject=[{"name": "a", "digest": {"md5": "0" * 32}}]),
    "a subject with two digests": _changed(subject=[{"name": "a", "digest": {"sha256": "0" * 64, "md5": "0"}}]),
    "a subject with an unknown field": _changed(
        subject=[{"name": "a", "digest": {"sha256": "0" * 64}, "uri": "u"}]
    ),
    "a digest that is none": _changed(subject=[{"name": "a", "digest": {"sha256": "0" * 63}}]),
    "a digest that is a number": _changed(subject=[{"name": "a", "digest": {"sha256": 0}}]),
    "no subjects": {name: value for name, value in _changed().items() if name != "subject"},
    "a list": [1],
    "a number": 1,
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_well_signed_statement_that_is_malformed_is_refused(body):
    key = SigningKey(b"\7" * 32)
    with pytest.raises(IntegrityError):
        verify_statement(Envelope.sign(to_canonical(body), key), Ordered, [key.public])


@pytest.mark.parametrize(
    "payload", [b'{"a": 1}', b'{"a":1,"a":2}', b'{"b":1,"a":2}', b"{", b"[" * 100_000, b"\xff", b""]
)
def test_json_that_is_not_canonical_is_refused(payload):
    with pytest.raises(IntegrityError):
        from_canonical(payload)
    with pytest.raises(IntegrityError):
        read_unverified(Envelope(payload, ()), Ordered)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "[" * 100_000,
        json.dumps({"payload": "", "payloadType": IN_TOTO_TYPE, "signatures": []}),
        json.dumps({"payload": "e30", "payloadType": IN_TOTO_TYPE, "signatures": [{"keyid": "", "sig": ""}]}),
        json.dumps({"payload": "e30=", "payloadType": IN_TOTO_TYPE, "signatures": [{"keyid": "", "sig": "é"}]}),
        json.dumps({"payload": "e30=", "payloadType": IN_TOTO_TYPE, "signatures": [{"keyid": "", "sig": ""}] * 17}),
        json.dumps({"payload": "e30=", "payloadType": IN_TOTO_TYPE, "signatures": 3}),
        json.dumps({"payload": 7, "payloadType": IN_TOTO_TYPE, "signatures": [{"keyid": "", "sig": ""}]}),
        json.dumps({"payload": "e30=", "payloadType": IN_TOTO_TYPE, "signatures": [{"keyid": [], "sig": ""}]}),
        json.dumps({"payload": "e30=", "payloadType": IN_TOTO_TYPE, "signatures": [{"keyid": 7, "sig": ""}]}),
        json.dumps({"payload": "e30=", "payloadType": IN_TOTO_TYPE, "signatures": [{"keyid": "a", "sig": ""}] * 2}),
    ],
)
def test_what_is_no_envelope_is_refused(text):
    with pytest.raises(IntegrityError):
        Envelope.from_json(text)


def test_an_envelope_has_room_for_the_signatures_of_the_largest_run_and_for_no_more():
    def text(count):
        signatures = [{"keyid": str(number), "sig": ""} for number in range(count)]
        return json.dumps({"payload": "", "payloadType": IN_TOTO_TYPE, "signatures": signatures})

    assert len(Envelope.from_json(text(1 + 3000)).signatures) == 3001
    with pytest.raises(IntegrityError):
        Envelope.from_json(text(3002))


@given(st.text() | st.binary())
def test_any_text_is_an_envelope_or_refused(text):
    try:
        Envelope.from_json(text)
    except IntegrityError:
        return
    raise AssertionError("nothing random is an envelope")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**60, object(), {1: 2}])
def test_what_canonical_json_cannot_hold_is_refused(value):
    with pytest.raises(UsageError):
        to_canonical(value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(-1e15, 1e15) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(_JSON)
@example({"\uffff": 1, "\U00010000": 2, '\x7f\x1f\n"\\/': [], "": {}})
@example([10**15 - 1, 10**15, -(10**15), 1.0, 1e21, -0.0, 5e-324])
@example({"a": [True, 1, None, "\x00"], "B": {"b": (), "": 0}})
def test_canonical_json_is_what_the_reference_writes_and_read_back_as_it_was(value):
    try:
        data = rfc8785.dumps(value)
    except rfc8785.CanonicalizationError:
        with pytest.raises(UsageError):
            to_canonical(value)
        return
    assert to_canonical(value) == data
    assert from_canonical(data) == json.loads(data)


@pytest.mark.parametrize(
    "payload", [b"1.0", b"-0", b"1e3", b"9007199254740993", b'"\\u0041"', b'"\\/"', b"NaN", b'{"b":0,"a":0}', b"1 "]
)
def test_numbers_and_strings_written_otherwise_are_not_canonical(payload):
    with pytest.raises(IntegrityError):
        from_canonical(payload)


def test_the_digest_of_a_statement_is_over_its_payload_not_its_signatures(key):
    one = sign_statement(SAID, SUBJECTS, key)
    other = sign_statement(SAID, SUBJECTS, SigningKey.generate())
    assert one.digest == other.digest
    assert base64.b64decode(json.loads(one.to_json())["payload"]) == one.payload


SMALL_ORDER = (  # y of the points whose order divides 8, with and without the bit of x; and what is 0 or 1 beyond p
    "00" * 32,
    "01" + "00" * 31,
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
)


@pytest.mark.parametrize("text", SMALL_ORDER)
def test_points_of_small_order_are_no_keys_in_any_spelling(text: str) -> None:
    for raw in (bytes.fromhex(text), bytes.fromhex(text)[:31] + bytes([bytes.fromhex(text)[31] | 0x80])):
        with pytest.raises(UsageError, match="small order"):
            VerifyKey(raw)


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_keys_have_32_bytes(size: int) -> None:
    with pytest.raises(UsageError, match=f"has 32 bytes, not {size}"):
        VerifyKey(b"\x58" * size)
    with pytest.raises(UsageError, match=f"has 32 bytes, not {size}"):
        SigningKey(b"\x58" * size)


def test_a_key_has_one_text() -> None:
    text = SigningKey.generate().public.hex
    assert VerifyKey.from_hex(text).hex == text
    for other in (text.upper(), f" {text}", f"{text}\n", f"{text[:2]} {text[2:]}"):
        with pytest.raises(UsageError, match="not an Ed25519 public key"):
            VerifyKey.from_hex(other)
