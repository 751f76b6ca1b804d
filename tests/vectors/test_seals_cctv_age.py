"""Every published age vector ends as it should, for every way of opening."""

import hashlib
import io

import pytest
from cctv_age import Vector, VectorsMissingError, load_vectors

from kifabrik.errors import IntegrityError
from kifabrik.seals.armor import add_armor, remove_armor
from kifabrik.seals.header import parse_header
from kifabrik.seals.identities import parse_identity
from kifabrik.seals.opening import BodyReader, copy_opened, open_file, open_header
from kifabrik.seals.passphrase import _encoded, _Passphrase

COUNTS = {
    "success": 26,
    "no match": 13,
    "HMAC failure": 1,
    "header failure": 62,
    "payload failure": 19,
    "armor failure": 22,
}
MESSAGES = {
    "no match": "sealed to none",
    "HMAC failure": "MAC does not match",
    "header failure": "^not an age v1 file|^age header",
    "payload failure": "^age body",
    "armor failure": "^age armor|^not an age v1 file",
}
NONCE_CUT_OFF = {"stream_no_nonce", "stream_short_nonce"}
"""The vectors count the nonce as header; with us it is the body's."""


@pytest.fixture(scope="module")
def vectors(request: pytest.FixtureRequest) -> list[Vector]:
    try:
        return load_vectors(request.config.cache.mkdir("cctv-age"))
    except VectorsMissingError as error:
        pytest.skip(str(error))


def identities_of(vector: Vector) -> list:
    return [parse_identity(text) for text in vector.identities] + [
        _Passphrase(_encoded(text), 20) for text in vector.passphrases
    ]


def open_apart(vector: Vector, sink: io.BytesIO, threads: int) -> None:
    """Open as we do: armor, header, body one after the other, the body streamed."""
    data = remove_armor(vector.data) if vector.armored else vector.data
    _, end = parse_header(data)
    file_key = open_header(data[:end], identities_of(vector))
    assert vector.file_key in (None, file_key)
    copy_opened(io.BytesIO(data[end:]), sink, file_key, threads=threads)


def outcome(vector: Vector, threads: int) -> str | None:
    """Say what is wrong with how a vector ends, or None."""
    sink = io.BytesIO()
    try:
        open_apart(vector, sink, threads)
        message = None
    except IntegrityError as error:
        message = error.message
    released = hashlib.sha256(sink.getvalue()).hexdigest()
    if vector.payload_sha256 not in (None, released):
        return f"released {len(sink.getvalue())} other bytes than expected"
    if vector.expect == "success":
        return message
    if message is None:
        return "opened"
    kind = "payload failure" if vector.name in NONCE_CUT_OFF else vector.expect
    with pytest.raises(IntegrityError, match=MESSAGES[kind]):
        raise IntegrityError(message)
    return None


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("expect", COUNTS)
def test_vectors_end_as_published(vectors: list[Vector], expect: str, threads: int) -> None:
    chosen = [vector for vector in vectors if vector.expect == expect]
    wrong = {vector.name: outcome(vector, threads) for vector in chosen}
    assert {name: problem for name, problem in wrong.items() if problem} == {}
    assert len(chosen) == COUNTS[expect]


def test_no_published_category_is_left_out(vectors: list[Vector]) -> None:
    assert {vector.expect for vector in vectors} == set(COUNTS)
    assert len(vectors) == sum(COUNTS.values())


def test_whole_files_open_exactly_if_published_as_success(vectors: list[Vector]) -> None:
    for vector in vectors:
        if not vector.identities and not vector.passphrases:
            continue
        if vector.expect == "success":
            opened = open_file(vector.data, identities_of(vector))
            assert hashlib.sha256(opened).hexdigest() == vector.payload_sha256, vector.name
        else:
            with pytest.raises(IntegrityError):
                open_file(vector.data, identities_of(vector))


def test_the_reader_refuses_a_bad_body_before_its_first_byte_or_at_the_bad_chunk(
    vectors: list[Vector],
) -> None:
    bad = [v for v in vectors if v.expect == "payload failure" and not v.armored]
    assert len(bad) == 18
    for vector in bad:
        _, end = parse_header(vector.data)
        with pytest.raises(IntegrityError):
            BodyReader(vector.data[end:], None, vector.file_key).read()


def test_well_formed_headers_are_written_as_they_were_read(vectors: list[Vector]) -> None:
    plain = [v for v in vectors if not v.armored and v.expect in ("success", "payload failure", "no match")]
    for vector in plain:
        header, end = parse_header(vector.data)
        assert header.to_bytes() == vector.data[:end], vector.name


def test_armor_is_written_as_it_was_read(vectors: list[Vector]) -> None:
    armored = [v for v in vectors if v.armored and v.expect == "success"]
    assert len(armored) == 7
    for vector in armored:
        text = b"\n".join(vector.data.strip().split(b"\r\n")) + b"\n"
        assert add_armor(remove_armor(vector.data)) == text, vector.name
