import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.seals.header import Stanza, decode_base64, encode_base64
from kifabrik.seals.identities import HybridIdentity, Identity, parse_identity
from kifabrik.seals.recipients import HybridRecipient, Recipient, parse_recipient

# The examples in c2sp.org/age, where it describes each type.
PUBLISHED_SECRET = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
PUBLISHED_RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
PUBLISHED_HYBRID_SECRET = "AGE-SECRET-KEY-PQ-1XX76JRALNLXDMEW0CRK45QMCCH4X06SE84UN3VPM33W6HWDX0H3SK3ZQFR"
PUBLISHED_HYBRID_START = "age1pq1x34nzsvr0rxjsgdn8zgyhfe8j7ceq5r9rdelkjuh3y235jzxshfg87pzf5zrqtzdxz95paef6caq5aap"
PUBLISHED_HYBRID_END = "fzv49zc0k"
FILE_KEY = bytes(range(16))
LOW_ORDER = [
    bytes(32),
    b"\x01" + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),  # RFC 7748, order 8
]


def test_the_published_identity_has_the_published_recipient() -> None:
    identity = Identity.from_text(PUBLISHED_SECRET)
    assert identity.recipient.text == PUBLISHED_RECIPIENT
    assert identity.text == PUBLISHED_SECRET
    assert Recipient.from_text(PUBLISHED_RECIPIENT) == identity.recipient


def test_the_published_hybrid_identity_has_the_published_recipient() -> None:
    identity = HybridIdentity.from_text(PUBLISHED_HYBRID_SECRET)
    assert identity.recipient.text.startswith(PUBLISHED_HYBRID_START)
    assert identity.recipient.text.endswith(PUBLISHED_HYBRID_END)
    assert identity.text == PUBLISHED_HYBRID_SECRET


@pytest.mark.parametrize("kind", [Identity, HybridIdentity])
def test_keys_survive_being_written_and_read(kind: type) -> None:
    identity = kind.generate()
    assert parse_identity(identity.text) == identity
    assert parse_recipient(identity.recipient.text) == identity.recipient
    assert parse_recipient(f" {identity.recipient.text}\n") == identity.recipient
    assert str(identity.recipient) == identity.recipient.text


@pytest.mark.parametrize("kind", [Identity, HybridIdentity])
def test_no_secret_shows_in_repr_or_error(kind: type) -> None:
    identity = kind.generate()
    assert identity.text not in repr(identity) + str(identity)
    assert identity.secret.hex() not in repr(identity)
    for broken in (identity.text[:-1], identity.text + "x", identity.text.lower()[:40]):
        with pytest.raises(UsageError) as raised:
            parse_identity(broken)
        assert identity.text[20:40].lower() not in (raised.value.message + raised.value.hint).lower()


@pytest.mark.parametrize("kind", [Identity, HybridIdentity])
def test_only_its_own_identity_unwraps_a_stanza(kind: type) -> None:
    mine, other = kind.generate(), kind.generate()
    stanza = mine.recipient.wrap(FILE_KEY)
    assert mine.unwrap((other.recipient.wrap(FILE_KEY), stanza)) == FILE_KEY
    assert other.unwrap((stanza,)) is None
    assert mine.unwrap((Stanza("grease", ("x",), b"y"),)) is None


def test_two_stanzas_for_one_recipient_share_nothing() -> None:
    recipient = Identity.generate().recipient
    first, second = recipient.wrap(FILE_KEY), recipient.wrap(FILE_KEY)
    assert first.arguments != second.arguments
    assert first.body != second.body


@pytest.mark.parametrize("raw", LOW_ORDER)
def test_a_point_of_low_order_never_becomes_a_recipient(raw: bytes) -> None:
    with pytest.raises(UsageError, match="low order"):
        Recipient(raw)
    good = HybridIdentity.generate().recipient.raw
    with pytest.raises(UsageError, match="low order"):
        HybridRecipient(good[:-32] + raw)


@pytest.mark.parametrize("raw", LOW_ORDER)
def test_a_share_of_low_order_is_refused_not_ignored(raw: bytes) -> None:
    stanza = Stanza("X25519", (encode_base64(raw).decode(),), bytes(32))
    with pytest.raises(IntegrityError, match="low order"):
        Identity.generate().unwrap((stanza,))


@pytest.mark.parametrize("raw", LOW_ORDER)
def test_a_hybrid_share_of_low_order_is_refused_not_ignored(raw: bytes) -> None:
    identity = HybridIdentity.generate()
    good = identity.recipient.wrap(FILE_KEY)
    share = decode_base64(good.arguments[0].encode())
    bad = Stanza(good.kind, (encode_base64(share[:-32] + raw).decode(),), good.body)
    with pytest.raises(IntegrityError, match="low order"):
        identity.unwrap((bad, good))


@pytest.mark.parametrize("kind", [Identity, HybridIdentity])
@pytest.mark.parametrize("place", [0, 1])
def test_a_malformed_stanza_of_its_own_kind_refuses_the_header_wherever_it_stands(kind: type, place: int) -> None:
    identity = kind.generate()
    good = identity.recipient.wrap(FILE_KEY)
    for bad in (
        Stanza(good.kind, (*good.arguments, "more"), good.body),
        Stanza(good.kind, (), good.body),
        Stanza(good.kind, good.arguments, good.body + b"x"),
        Stanza(good.kind, (good.arguments[0][:-1],), good.body),
    ):
        stanzas = [good]
        stanzas.insert(place, bad)
        with pytest.raises(IntegrityError):
            identity.unwrap(tuple(stanzas))


def test_bytes_that_are_no_mlkem_key_never_become_a_recipient() -> None:
    x25519 = X25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(UsageError, match="ML-KEM"):
        HybridRecipient(b"\xff" * 1184 + x25519)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "age1",
        PUBLISHED_SECRET,
        PUBLISHED_RECIPIENT.upper(),
        PUBLISHED_RECIPIENT[:-1] + "q",
        "ssh-ed25519 AAAA",
        "age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t",
    ],
)
def test_what_is_no_recipient_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_recipient(text)


@pytest.mark.parametrize("text", ["", PUBLISHED_RECIPIENT, PUBLISHED_SECRET.lower()])
def test_what_is_no_identity_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_identity(text)


def test_white_space_around_a_key_is_ignored() -> None:
    assert Recipient.from_text(f" {PUBLISHED_RECIPIENT}\n").text == PUBLISHED_RECIPIENT
    assert parse_identity(f"\t{PUBLISHED_HYBRID_SECRET}\r\n").text == PUBLISHED_HYBRID_SECRET


@pytest.mark.parametrize("size", [0, 31, 33])
def test_keys_of_wrong_length_are_refused(size: int) -> None:
    for kind in (Recipient, HybridRecipient, Identity, HybridIdentity):
        with pytest.raises(UsageError):
            kind(bytes(size))
