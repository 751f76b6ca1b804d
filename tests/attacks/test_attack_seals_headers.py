"""Whoever holds sealed files changes or makes up headers; nothing but an `IntegrityError` comes of it."""

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kifabrik.errors import IntegrityError
from kifabrik.seals.armor import add_armor
from kifabrik.seals.header import HEADER_LIMIT, Header, Stanza, encode_base64, parse_header, split_headers
from kifabrik.seals.identities import HybridIdentity, Identity
from kifabrik.seals.opening import open_bytes, open_file, open_header, rewrap
from kifabrik.seals.passphrase import open_with_passphrase, seal_with_passphrase
from kifabrik.seals.sealing import make_header, new_file_key, seal_bytes, seal_file

PLAIN = b"temperature of press line 7: 412.5\n" * 9
MINE, HYBRID, THIEF = Identity.generate(), HybridIdentity.generate(), Identity.generate()
FILES = {
    "x25519": (seal_file(PLAIN, [THIEF.recipient, MINE.recipient]), [MINE]),
    "hybrid": (seal_file(PLAIN, [HYBRID.recipient]), [HYBRID]),
    "armor": (add_armor(seal_file(PLAIN, [MINE.recipient])), [MINE]),
}
LOCKED = seal_with_passphrase(PLAIN, "x", work_factor=2)

# What a hostile writer of headers would reach for.
KINDS = st.sampled_from(["X25519", "mlkem768x25519", "scrypt", "x25519", "grease", "-", "--->"])
SHARES = st.binary(max_size=40) | st.sampled_from([bytes(32), b"\1" + bytes(31), bytes(1120), bytes(16)])
ARGUMENTS = st.lists(SHARES.map(lambda s: encode_base64(s).decode() or "~") | st.just("18"), max_size=3)
STANZAS = st.builds(Stanza, KINDS, ARGUMENTS.map(tuple), st.sampled_from([b"", bytes(31), bytes(32), bytes(48)]))


@settings(max_examples=300)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_a_changed_byte_anywhere_in_a_file_is_refused(name: str, data: st.DataObject) -> None:
    file, identities = FILES[name]
    place = data.draw(st.integers(0, len(file) - 1))
    bits = data.draw(st.integers(1, 255))
    changed = bytearray(file)
    changed[place] ^= bits
    if name == "armor" and bytes(changed).strip(b" \t\r\n") == file.strip():
        return  # white space around armor is free
    with pytest.raises(IntegrityError):
        open_file(bytes(changed), identities)


@settings(max_examples=200)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_a_file_with_bytes_cut_out_or_put_in_is_refused(name: str, data: st.DataObject) -> None:
    file, identities = FILES[name]
    start = data.draw(st.integers(0, len(file) - 1))
    stop = data.draw(st.integers(start, min(len(file), start + 80)))
    changed = file[:start] + data.draw(st.binary(max_size=80)) + file[stop:]
    if changed.strip(b" \t\r\n") == file.strip() or (name == "armor" and b"\r" in changed):
        return
    with pytest.raises(IntegrityError):
        open_file(changed, identities)


@settings(max_examples=60)
@given(st.integers(0, len(LOCKED) - 1), st.integers(1, 255))
def test_a_changed_byte_in_a_file_under_a_passphrase_is_refused(place: int, bits: int) -> None:
    changed = bytearray(LOCKED)
    changed[place] ^= bits
    with pytest.raises(IntegrityError):
        open_with_passphrase(bytes(changed), "x", max_work_factor=4)


@settings(max_examples=300)
@given(st.lists(STANZAS, min_size=1, max_size=4).map(tuple), st.binary(max_size=40))
def test_made_up_headers_never_open(stanzas: tuple[Stanza, ...], body: bytes) -> None:
    header = Header.seal(stanzas, bytes(16)).to_bytes()
    with pytest.raises(IntegrityError):
        open_header(header, [MINE, HYBRID])
    with pytest.raises(IntegrityError):
        open_file(header + body, [MINE, HYBRID])
    with pytest.raises(IntegrityError):
        open_with_passphrase(header + body, "x", max_work_factor=2)


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [
                b"age-encryption.org/v1",
                b"\n",
                b"-> ",
                b"X25519",
                b" ",
                b"--- ",
                b"---",
                b"\r",
                b"=",
                b"A" * 43,
                b"A" * 64,
                b"\0",
                b"-----BEGIN AGE ENCRYPTED FILE-----",
                b"-----END AGE ENCRYPTED FILE-----",
            ]
        ),
        max_size=14,
    ).map(b"".join)
)
def test_text_made_of_the_formats_own_pieces_raises_nothing_else(text: bytes) -> None:
    for data in (text, b"age-encryption.org/v1\n" + text):
        for read in (parse_header, split_headers):
            with suppress(IntegrityError):
                read(data)
        with pytest.raises(IntegrityError):
            open_file(data, [MINE, HYBRID])
        with pytest.raises(IntegrityError):
            open_with_passphrase(data, "x")


def test_a_header_taken_from_another_file_does_not_open_the_body() -> None:
    bodies = [seal_bytes(PLAIN, new_file_key()) for _ in range(2)]
    foreign = open_header(make_header(new_file_key(), [MINE.recipient]), [MINE])
    for body in bodies:
        with pytest.raises(IntegrityError):
            open_bytes(body, foreign)


def test_a_foreign_header_cannot_be_rewrapped() -> None:
    """The keyholder is not an oracle: without the identity it opens nothing, whatever is presented."""
    foreign = make_header(new_file_key(), [THIEF.recipient])
    with pytest.raises(IntegrityError, match="sealed to none"):
        rewrap(foreign, [MINE], [THIEF.recipient])


def test_stanzas_of_two_files_cannot_be_mixed_to_pass_the_mac() -> None:
    first, second = (make_header(new_file_key(), [MINE.recipient]) for _ in range(2))
    stanzas = [parse_header(header)[0] for header in (first, second)]
    mixed = Header(stanzas[0].stanzas, stanzas[1].mac)
    with pytest.raises(IntegrityError, match="MAC"):
        open_header(mixed.to_bytes(), [MINE])


LONG = {
    "argument": b"-> " + b"a" * HEADER_LIMIT + b"\n\n",
    "arguments": b"-> a" + b" a" * (HEADER_LIMIT // 2) + b"\n\n",
    "body": b"-> x\n" + (b"A" * 64 + b"\n") * (HEADER_LIMIT // 65 + 1) + b"\n",
    "stanzas": b"-> x\n\n" * (HEADER_LIMIT // 6 + 1),
}
"""Well-formed parts of a header, each longer than a whole one may be."""


@pytest.mark.parametrize("filling", LONG.values(), ids=LONG)
@pytest.mark.parametrize("end", [b"", b"--- " + b"A" * 43 + b"\n"], ids=["endless", "with an end"])
def test_a_header_that_never_ends_is_refused_within_its_limit(filling: bytes, end: bytes) -> None:
    """With an end, nothing but its length is wrong with it."""
    endless = b"age-encryption.org/v1\n" + filling * 4 + end
    for read in (parse_header, split_headers, lambda data: open_file(data, [MINE])):
        with pytest.raises(IntegrityError):
            read(endless)


def test_a_header_of_the_longest_size_is_read() -> None:
    size = HEADER_LIMIT - len(b"age-encryption.org/v1\n-> \n\n--- \n") - 43
    whole = b"age-encryption.org/v1\n-> " + b"a" * size + b"\n\n--- " + b"A" * 43 + b"\n"
    assert parse_header(whole)[1] == len(whole) == HEADER_LIMIT
    assert split_headers(whole) == [whole]
    with pytest.raises(IntegrityError):
        parse_header(whole.replace(b"-> a", b"-> aa"))
