"""Whoever holds sealed bodies changes them; nothing but an `IntegrityError` comes of it."""

import io
import os
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kifabrik.errors import IntegrityError
from kifabrik.seals.opening import BodyReader, copy_opened, open_body_into, open_bytes
from kifabrik.seals.sealing import seal_bytes
from kifabrik.seals.stream import BATCH, PLAIN_CHUNK, SEALED_CHUNK

FILE_KEY = os.urandom(16)
PLAIN = os.urandom(PLAIN_CHUNK * 3 + 1000)
BODY = seal_bytes(PLAIN, FILE_KEY)
LONG = os.urandom(1 << 20) * 3
LONG_BODY = seal_bytes(LONG, FILE_KEY)
PLACES = st.integers(0, len(BODY) - 1)


def chunks_of(body: bytes) -> list[bytes]:
    return [body[i : i + SEALED_CHUNK] for i in range(16, len(body), SEALED_CHUNK)]


def flip(body: bytes, place: int, bits: int) -> bytes:
    return body[:place] + bytes([body[place] ^ bits]) + body[place + 1 :]


def assert_refused_everywhere(body: bytes, plain: bytes) -> None:
    """Every way of opening refuses, and what is out by then is a verified part of the plaintext."""
    with pytest.raises(IntegrityError):
        open_bytes(body, FILE_KEY)
    for threads in (1, 2):
        sink = io.BytesIO()
        with pytest.raises(IntegrityError):
            copy_opened(io.BytesIO(body), sink, FILE_KEY, threads=threads)
        assert plain.startswith(sink.getvalue())
        room = bytearray(len(plain) + SEALED_CHUNK)
        with pytest.raises(IntegrityError):
            open_body_into(body, None, FILE_KEY, room, threads=threads)
        assert_nothing_unverified(room, plain)


def assert_nothing_unverified(room: bytearray, plain: bytes) -> None:
    """A chunk's room holds that chunk's plaintext, or nothing."""
    for start in range(0, len(room), PLAIN_CHUNK):
        part = room[start : start + PLAIN_CHUNK]
        expected = plain[start : start + PLAIN_CHUNK]
        assert part == expected.ljust(len(part), b"\0") or not any(part), f"at {start}"


@settings(max_examples=60)
@given(PLACES, st.integers(1, 255))
@example(0, 1)
@example(16, 128)
@example(len(BODY) - 1, 1)
def test_a_flipped_bit_anywhere_is_refused(place: int, bits: int) -> None:
    assert_refused_everywhere(flip(BODY, place, bits), PLAIN)


@settings(max_examples=60)
@given(st.integers(0, len(BODY) - 1))
@example(0)
@example(15)
@example(16)
@example(32)
@example(16 + SEALED_CHUNK)
@example(16 + 3 * SEALED_CHUNK)
@example(16 + 3 * SEALED_CHUNK + 16)
def test_a_body_cut_off_anywhere_is_refused(size: int) -> None:
    assert_refused_everywhere(BODY[:size], PLAIN)


@settings(max_examples=40)
@given(st.binary(min_size=1, max_size=200) | st.integers(1, 3).map(lambda n: BODY[16 : 16 + n * SEALED_CHUNK]))
@example(bytes(16))
@example(BODY)
def test_a_body_with_something_appended_is_refused(tail: bytes) -> None:
    assert_refused_everywhere(BODY + tail, PLAIN)
    aligned = seal_bytes(PLAIN[: 2 * PLAIN_CHUNK], FILE_KEY)
    assert_refused_everywhere(aligned + tail, PLAIN[: 2 * PLAIN_CHUNK])


@settings(max_examples=60)
@given(st.lists(st.integers(0, 3), max_size=6).filter(lambda order: order != [0, 1, 2, 3]))
@example([0, 1, 2])
@example([1, 0, 2, 3])
@example([0, 1, 2, 3, 3])
@example([3])
@example([])
def test_chunks_reordered_repeated_or_left_out_are_refused(order: list[int]) -> None:
    chunks = chunks_of(BODY)
    assert_refused_everywhere(BODY[:16] + b"".join(chunks[i] for i in order), PLAIN)


@pytest.mark.parametrize("place", range(4))
def test_chunks_of_another_body_under_the_same_key_are_refused(place: int) -> None:
    ours, theirs = chunks_of(BODY), chunks_of(seal_bytes(PLAIN, FILE_KEY))
    mixed = [*ours[:place], theirs[place], *ours[place + 1 :]]
    assert_refused_everywhere(BODY[:16] + b"".join(mixed), PLAIN)


@pytest.mark.parametrize("chunks", [1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH, 3 * BATCH - 1])
def test_a_long_body_cut_off_between_batches_is_refused(chunks: int) -> None:
    assert_refused_everywhere(LONG_BODY[: 16 + chunks * SEALED_CHUNK], LONG)


def test_a_body_without_its_last_chunk_is_refused_before_any_byte_is_read() -> None:
    with pytest.raises(IntegrityError, match="cut off after chunk 2"):
        BodyReader(BODY[: 16 + 3 * SEALED_CHUNK], None, FILE_KEY)
    whole = seal_bytes(PLAIN[:PLAIN_CHUNK], FILE_KEY)
    with pytest.raises(IntegrityError, match="something follows chunk 0"):
        copy_opened(io.BytesIO(whole + b"more"), io.BytesIO(), FILE_KEY)


def test_an_empty_last_chunk_behind_others_is_refused() -> None:
    from kifabrik.seals.stream import chunk_nonce, payload_cipher

    cipher = payload_cipher(FILE_KEY, BODY[:16])
    body = BODY[:16] + cipher.encrypt(chunk_nonce(0, last=False), PLAIN[:PLAIN_CHUNK], None)
    body += cipher.encrypt(chunk_nonce(1, last=True), b"", None)
    assert_refused_everywhere(body, PLAIN[:PLAIN_CHUNK])


@pytest.mark.parametrize(
    "read",
    [
        lambda reader, room: reader.read_into_at(0, room),
        lambda reader, room: reader.read_into_at(PLAIN_CHUNK - 5, room[PLAIN_CHUNK - 5 :]),
        lambda reader, room: reader.readinto(room),
    ],
)
@pytest.mark.parametrize("bad", [0, 1, 2])
def test_no_unverified_plaintext_is_left_in_the_callers_buffer(
    read: Callable[[BodyReader, memoryview], int], bad: int
) -> None:
    body = flip(BODY, 16 + (bad + 1) * SEALED_CHUNK - 1, 1)  # the tag: every plaintext byte decrypts
    with BodyReader(body, None, FILE_KEY) as reader:
        room = bytearray(len(PLAIN))
        with pytest.raises(IntegrityError, match=f"chunk {bad} does not verify"):
            read(reader, memoryview(room))
        assert not any(room[bad * PLAIN_CHUNK : (bad + 1) * PLAIN_CHUNK])
        assert PLAIN[bad * PLAIN_CHUNK :][:64] not in bytes(reader._own.plain)
        with pytest.raises(IntegrityError):
            reader.read_at(bad * PLAIN_CHUNK + 9, 1)  # still bad when asked again
        good = (bad + 1) % 3 * PLAIN_CHUNK
        assert reader.read_at(good, 100) == PLAIN[good : good + 100]  # the others still good


@settings(max_examples=150)
@given(st.binary(max_size=400) | st.binary(max_size=64).map(lambda tail: BODY[:16] + tail), st.integers(1, 2))
def test_no_bytes_posing_as_a_body_raise_anything_else(data: bytes, threads: int) -> None:
    with pytest.raises(IntegrityError):
        open_bytes(data, FILE_KEY)
    with pytest.raises(IntegrityError):
        copy_opened(io.BytesIO(data), io.BytesIO(), FILE_KEY, threads=threads)


@settings(max_examples=60)
@given(st.data())
def test_a_store_that_lies_about_ranges_is_noticed(data: st.DataObject) -> None:
    """A positioned read may return other bytes each time it is asked."""

    def lie(offset: int, size: int) -> bytes:
        shift = data.draw(st.sampled_from([0, 0, 0, 1, SEALED_CHUNK]))
        return BODY[offset + shift : offset + shift + size]

    try:
        with BodyReader(lie, len(BODY), FILE_KEY) as reader:
            assert reader.read_at(PLAIN_CHUNK, 100) == PLAIN[PLAIN_CHUNK : PLAIN_CHUNK + 100]
    except IntegrityError:
        pass
