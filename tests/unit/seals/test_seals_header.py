import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.seals.header import (
    HEADER_LIMIT,
    Header,
    Stanza,
    decode_base64,
    encode_base64,
    owner_stanzas,
    parse_header,
    parse_whole_header,
    split_headers,
)
from kifabrik.seals.identities import HybridIdentity, Identity
from kifabrik.seals.opening import open_header, rewrap
from kifabrik.seals.sealing import make_header, new_file_key

FILE_KEY = bytes(range(16))
VISIBLE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=12)
STANZAS = st.builds(
    Stanza,
    VISIBLE.filter(lambda kind: kind != "scrypt"),
    st.lists(VISIBLE, max_size=3).map(tuple),
    st.binary(max_size=150),
)


@given(st.lists(STANZAS, min_size=1, max_size=4).map(tuple))
def test_what_is_written_is_read_back(stanzas: tuple[Stanza, ...]) -> None:
    header = Header.seal(stanzas, FILE_KEY)
    text = header.to_bytes()
    assert parse_header(text + b"body") == (header, len(text))
    assert parse_whole_header(text) == header
    header.verify_mac(FILE_KEY)
    assert max(len(line) for line in text.split(b"\n") if line[:3] not in (b"-> ", b"---")) <= 64


@given(st.lists(STANZAS, min_size=1, max_size=2).map(tuple), st.data())
def test_a_changed_header_is_malformed_or_fails_its_mac(stanzas: tuple[Stanza, ...], draw: st.DataObject) -> None:
    text = bytearray(Header.seal(stanzas, FILE_KEY).to_bytes())
    place = draw.draw(st.integers(0, len(text) - 1))
    text[place] ^= draw.draw(st.integers(1, 255))
    with pytest.raises(IntegrityError):
        parse_whole_header(bytes(text)).verify_mac(FILE_KEY)


@given(st.binary(max_size=64))
def test_base64_reads_only_what_it_writes(data: bytes) -> None:
    text = encode_base64(data)
    assert decode_base64(text) == data
    for other in (text + b"=", text + b"\n", b" " + text, text[:-1] + b"-"):
        with pytest.raises(IntegrityError):
            decode_base64(other)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_an_integrity_error(data: bytes) -> None:
    for text in (data, b"age-encryption.org/v1\n" + data, b"age-encryption.org/v1\n-> " + data):
        for read in (parse_header, parse_whole_header):
            with pytest.raises(IntegrityError):
                read(text)
        if text:
            with pytest.raises(IntegrityError):
                split_headers(text)


def test_concatenated_headers_are_split_where_they_were_joined() -> None:
    recipients = [Identity.generate().recipient for _ in range(3)]
    headers = [make_header(new_file_key(), recipients[: 1 + i % 3]) for i in range(20)]
    assert split_headers(b"".join(headers)) == headers
    assert split_headers(b"") == []


def test_a_sequence_of_headers_with_anything_else_in_it_is_refused() -> None:
    header = make_header(FILE_KEY, [Identity.generate().recipient])
    for broken in (header + b"\n", b"\n" + header, header + header[:-1], header + b"x" + header):
        with pytest.raises(IntegrityError, match="from byte"):
            split_headers(broken)


def test_a_header_may_fill_its_limit_and_not_more() -> None:
    room = HEADER_LIMIT - len(Header.seal((Stanza("fill", (), b""),), FILE_KEY).to_bytes()) - 1
    fitting = Header.seal((Stanza("fill", ("x" * room,), b""),), FILE_KEY).to_bytes()
    longer = Header.seal((Stanza("fill", ("x" * (room + 1),), b""),), FILE_KEY).to_bytes()
    assert len(fitting) == HEADER_LIMIT
    assert parse_header(fitting)[1] == HEADER_LIMIT
    assert split_headers(fitting * 2) == [fitting] * 2
    for read in (parse_header, split_headers):
        with pytest.raises(IntegrityError):
            read(longer)


def test_making_a_header_longer_than_can_be_read_is_refused() -> None:
    recipient = HybridIdentity.generate().recipient
    assert len(make_header(FILE_KEY, [recipient] * 75)) <= HEADER_LIMIT
    with pytest.raises(UsageError, match="too many"):
        make_header(FILE_KEY, [recipient] * 90)


def test_a_header_opens_for_each_recipient_and_nobody_else() -> None:
    identities = [Identity.generate() for _ in range(4)]
    header = make_header(FILE_KEY, [identity.recipient for identity in identities[:3]])
    for identity in identities[:3]:
        assert open_header(header, [identity]) == FILE_KEY
    assert open_header(header, identities[3:] + identities[:1]) == FILE_KEY
    with pytest.raises(IntegrityError, match="sealed to none of the 1 identities") as raised:
        open_header(header, identities[3:])
    assert raised.value.hint


def test_rewrapping_keeps_the_file_key_and_drops_the_old_recipients() -> None:
    old, new = Identity.generate(), Identity.generate()
    header = rewrap(make_header(FILE_KEY, [old.recipient]), [old], [new.recipient])
    assert open_header(header, [new]) == FILE_KEY
    with pytest.raises(IntegrityError):
        open_header(header, [old])


def test_a_header_with_an_added_recipient_is_refused() -> None:
    victim, thief = Identity.generate(), Identity.generate()
    header = parse_whole_header(make_header(FILE_KEY, [victim.recipient]))
    added = Header((*header.stanzas, thief.recipient.wrap(FILE_KEY)), header.mac)
    with pytest.raises(IntegrityError, match="MAC"):
        open_header(added.to_bytes(), [victim])


def test_unknown_stanzas_are_ignored_but_authenticated() -> None:
    identity = Identity.generate()
    grease = Stanza("grease-7", ("!", "~"), bytes(48))
    header = Header.seal((grease, identity.recipient.wrap(FILE_KEY), grease), FILE_KEY)
    assert open_header(header.to_bytes(), [identity]) == FILE_KEY
    with pytest.raises(IntegrityError, match="MAC"):
        open_header(Header(header.stanzas[:2], header.mac).to_bytes(), [identity])


def test_sealing_to_nobody_or_to_mixed_kinds_is_refused() -> None:
    with pytest.raises(UsageError, match="nobody"):
        make_header(FILE_KEY, [])
    with pytest.raises(UsageError, match="hybrid and plain"):
        make_header(FILE_KEY, [Identity.generate().recipient, HybridIdentity.generate().recipient])


def test_opening_without_an_identity_is_a_mistake_of_the_caller() -> None:
    header = make_header(FILE_KEY, [Identity.generate().recipient])
    with pytest.raises(UsageError):
        open_header(header, [])


@pytest.mark.parametrize("key", [b"", bytes(15), bytes(17), bytes(32)])
def test_file_keys_have_sixteen_bytes(key: bytes) -> None:
    with pytest.raises(UsageError, match="file key"):
        make_header(key, [Identity.generate().recipient])
    assert len(new_file_key()) == 16
    assert new_file_key() != new_file_key()


def test_a_stanza_wrapping_a_longer_key_is_refused_before_it_is_decrypted() -> None:
    identity = Identity.generate()
    stanza = identity.recipient.wrap(bytes(32))
    with pytest.raises(IntegrityError, match="wrong length"):
        open_header(Header.seal((stanza,), FILE_KEY).to_bytes(), [identity])


def test_a_header_says_whose_it_is_once_and_in_one_word() -> None:
    identity, key = Identity.generate(), new_file_key()
    header = make_header(key, [identity.recipient], owner="r-a/code")
    assert open_header(header, [identity], owner="r-a/code") == key
    assert open_header(header, [identity]) == key
    with pytest.raises(IntegrityError, match="does not belong to r-b/code"):
        open_header(header, [identity], owner="r-b/code")
    with pytest.raises(IntegrityError, match="does not belong"):
        open_header(make_header(key, [identity.recipient]), [identity], owner="r-a/code")
    with pytest.raises(UsageError, match="cannot name the owner"):
        make_header(key, [identity.recipient], owner="two words")


def test_a_header_that_names_two_owners_names_none() -> None:
    identity, key = Identity.generate(), new_file_key()
    stanzas = (identity.recipient.wrap(key), *owner_stanzas("r-a/code"), *owner_stanzas("r-b/code"))
    header = Header.seal(stanzas, key)
    assert header.owner == ""
    for owner in ("r-a/code", "r-b/code"):
        with pytest.raises(IntegrityError, match="does not belong"):
            open_header(header.to_bytes(), [identity], owner=owner)


def test_nobody_without_the_file_key_writes_another_owner() -> None:
    identity, key = Identity.generate(), new_file_key()
    header = make_header(key, [identity.recipient], owner="r-a/code")
    with pytest.raises(IntegrityError, match="MAC"):
        open_header(header.replace(b"r-a/code", b"r-b/code"), [identity], owner="r-b/code")


@pytest.mark.parametrize("more", [b"\n", b" ", b"\0", b"--- ", b"age-encryption.org/v1\n"])
def test_a_header_kept_apart_ends_with_its_mac_line(more: bytes) -> None:
    header = make_header(FILE_KEY, [Identity.generate().recipient])
    assert parse_header(header + more)[1] == len(header)
    with pytest.raises(IntegrityError, match="follows"):
        parse_whole_header(header + more)
    with pytest.raises(IntegrityError):
        parse_whole_header(header + header)


@pytest.mark.parametrize("place", [0, 1])
def test_a_passphrase_stands_alone_so_whoever_opens_with_another_key_is_refused_too(place: int) -> None:
    """Else who opens with a passphrase would not know that its owner sealed: anybody can seal to a recipient."""
    identity = Identity.generate()
    stanzas = [identity.recipient.wrap(FILE_KEY)]
    stanzas.insert(place, Stanza("scrypt", (encode_base64(bytes(16)).decode(), "10"), bytes(32)))
    header = Header.seal(tuple(stanzas), FILE_KEY).to_bytes()
    for read in (parse_header, lambda data: open_header(data, [identity])):
        with pytest.raises(IntegrityError, match="passphrase stanza beside others"):
            read(header)


def test_a_header_that_wraps_its_key_for_nobody_is_none() -> None:
    with pytest.raises(IntegrityError, match="malformed"):
        parse_header(Header.seal((), FILE_KEY).to_bytes())
