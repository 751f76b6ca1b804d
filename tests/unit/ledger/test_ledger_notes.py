"""Signed notes against the vectors of Go's note package (golang.org/x/mod/sumdb/note, note_test.go)."""

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.ledger.notes import (
    LARGEST_TIMESTAMP,
    MOST_NOTE_BYTES,
    MOST_SIGNATURES,
    Note,
    NoteVerifier,
    SignatureType,
    decode_base64,
)
from kifabrik.signatures.keys import SigningKey

PETER_VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
PETER_SEED = base64.b64decode("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
ENOCH_VKEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
PETER_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
ENOCH_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"
)
PETER, ENOCH = NoteVerifier.from_vkey(PETER_VKEY), NoteVerifier.from_vkey(ENOCH_VKEY)
KEY = SigningKey(bytes(32))


def sign_note(text, name, key):
    return Note(text).signed(name, key).to_text()


def verify_note(note, verifiers):
    parsed = Note.parse(note)
    return parsed.text, parsed.verify(verifiers)


def test_a_vkey_is_read_and_written_as_go_does():
    assert NoteVerifier("PeterNeumann", SigningKey(PETER_SEED).public) == PETER
    assert PETER.vkey == PETER_VKEY
    assert PETER.key_id.hex() == "c74f20a3"


@pytest.mark.parametrize(
    "vkey",
    [  # transparency-dev/formats, note/note_cosigv1_test.go, and the log key of sum.golang.org
        "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
        "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
        "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8",
    ],
)
def test_published_vkeys_are_read_and_written(vkey):
    assert NoteVerifier.from_vkey(vkey).vkey == vkey


def test_no_piece_and_no_change_of_a_vkey_is_a_vkey():
    pieces = {PETER_VKEY[i:j] for i in range(len(PETER_VKEY)) for j in range(i + 1, len(PETER_VKEY) + 1)}
    changed = {PETER_VKEY[:i] + chr(ord(c) + 1) + PETER_VKEY[i + 1 :] for i, c in enumerate(PETER_VKEY)}
    others = {
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "rekor.sigstore.dev+12345678+AwEB",
        PETER_VKEY.upper(),
        "",
    }
    for text in (pieces | changed | others) - {PETER_VKEY}:
        with pytest.raises(UsageError):
            NoteVerifier.from_vkey(text)


def test_a_note_is_signed_byte_for_byte_as_go_signs_it():
    signed = sign_note(TEXT, "PeterNeumann", SigningKey(PETER_SEED))
    assert signed == f"{TEXT}\n{PETER_LINE}"


def test_signing_again_replaces_the_earlier_signature():
    once = Note(TEXT).signed("PeterNeumann", SigningKey(PETER_SEED))
    assert once.signed("PeterNeumann", SigningKey(PETER_SEED)) == once
    both = once.signed("PeterNeumann", KEY)
    assert len(both.signatures) == 2
    cosigned = both.signed("w", KEY, 1).signed("w", KEY, 2)
    assert len(cosigned.signatures) == 3
    witness = NoteVerifier("w", KEY.public, SignatureType.COSIGNATURE_V1)
    assert cosigned.verify([witness]) == {witness: 2}


def test_known_signatures_are_verified_and_unknown_ones_ignored():
    note = f"{TEXT}\n{PETER_LINE}{ENOCH_LINE}"
    assert verify_note(note, [PETER]) == (TEXT, {PETER: None})
    assert verify_note(note, [ENOCH, PETER]) == (TEXT, {PETER: None, ENOCH: None})
    broken_enoch = ENOCH_LINE[:60] + "ABCD" + ENOCH_LINE[60:]
    assert verify_note(f"{TEXT}\n{PETER_LINE}{PETER_LINE}{broken_enoch}", [PETER])[1] == {PETER: None}


@pytest.mark.parametrize("signature", ["short", "long", "wrong"])
def test_one_wrong_signature_of_a_known_key_spoils_the_note(signature):
    line = {
        "short": PETER_LINE[:-9] + "\n",
        "long": PETER_LINE[:60] + "ABCD" + PETER_LINE[60:],
        "wrong": PETER_LINE[:60] + "A" + PETER_LINE[61:],
    }[signature]
    with pytest.raises(IntegrityError, match="PeterNeumann"):
        verify_note(f"{TEXT}\n{ENOCH_LINE}{line}", [ENOCH, PETER])


def test_a_note_without_a_known_signature_is_refused():
    renamed = PETER_LINE.replace("PeterNeumann", "CarmenSandiego")
    other_id = PETER_LINE.replace("x08g", "xxxx")
    for line in (ENOCH_LINE, renamed, other_id):
        with pytest.raises(IntegrityError, match="not signed by a known key"):
            verify_note(f"{TEXT}\n{line}", [PETER])
    with pytest.raises(IntegrityError):
        verify_note(f"{TEXT}\n{PETER_LINE}", [])


@pytest.mark.parametrize(
    "note",
    [
        TEXT,
        TEXT + "\n",
        f"{TEXT}\n{PETER_LINE}"[:-1],
        f"\x01{TEXT}\n{PETER_LINE}",
        f"\udcff{TEXT}\n{PETER_LINE}",
        f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', 'Bad Name')}",
        f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', 'Bad+Name')}",
        f"{TEXT}\n{PETER_LINE.replace('PeterNeumann', 'Bad' + chr(0x2003) + 'Name')}",
        f"{TEXT}\n{PETER_LINE}Unexpected line.\n",
        f"{TEXT}\n{PETER_LINE.replace('— ', '- ')}",
        f"{TEXT}\n{PETER_LINE.replace('=', '')}",
        f"{TEXT}\n{PETER_LINE.replace('AM=', 'AN=')}",  # the same bytes in another base64 form
        f"{TEXT}\n— PeterNeumann x08go/==\n",
        f"{TEXT}\n{PETER_LINE * (MOST_SIGNATURES + 1)}",
        f"{TEXT}\r\n{PETER_LINE}",
        f"{'x' * 1_000_000}\n\n{PETER_LINE}",
        "",
        "\n",
        "\n\n",
        PETER_LINE,
        f"{TEXT}{PETER_LINE}",
        f"{TEXT}\n{PETER_LINE}{PETER_LINE[2:]}",
        f"{TEXT}\n{PETER_LINE}— {PETER_LINE}",
        f"{TEXT}\n{PETER_LINE}{PETER_LINE.replace('PeterNeumann', '')}",
        f"{TEXT}\n{PETER_LINE}— PeterNeumann x08go/==\n",
        f"{TEXT}\n{PETER_LINE}— PeterNeumann x08goA==\n",  # a key id and no signature
    ],
)
def test_malformed_notes_are_refused_before_any_signature_is_looked_at(note):
    with pytest.raises(IntegrityError):
        Note.parse(note)


def test_a_note_may_be_as_large_and_have_as_many_signatures_as_is_said_and_no_more():
    assert len(Note.parse(f"{TEXT}\n{ENOCH_LINE * MOST_SIGNATURES}").signatures) == MOST_SIGNATURES
    largest = f"{'x' * (MOST_NOTE_BYTES - len(PETER_LINE) - 2)}\n\n{PETER_LINE}"
    assert len(largest) == MOST_NOTE_BYTES
    assert Note.parse(largest).to_text() == largest
    with pytest.raises(IntegrityError, match="too large"):
        Note.parse("x" + largest)


@pytest.mark.parametrize("timestamp", [0, 1, LARGEST_TIMESTAMP])
def test_any_time_that_can_be_written_can_be_cosigned(timestamp):
    witness = NoteVerifier("w", KEY.public, SignatureType.COSIGNATURE_V1)
    assert Note(TEXT).signed("w", KEY, timestamp).verify([witness]) == {witness: timestamp}


def test_the_text_ends_at_the_last_blank_line():
    poem = "Ognuno sta solo sul cuor della terra\ntrafitto da un raggio di sole:\n\ned è subito sera.\n"
    signed = sign_note(poem, "a", KEY)
    assert verify_note(signed, [NoteVerifier("a", KEY.public)])[0] == poem
    ends_blank = sign_note("text\n\n", "a", KEY)
    assert verify_note(ends_blank, [NoteVerifier("a", KEY.public)])[0] == "text\n\n"


def test_a_cosignature_carries_its_time_and_signs_it():
    witness = NoteVerifier("w", KEY.public, SignatureType.COSIGNATURE_V1)
    note = Note(TEXT).signed("w", KEY, 1_679_315_147)
    assert note.verify([witness]) == {witness: 1_679_315_147}
    line = note.signatures[0]
    later = type(line)("w", line.key_id, (1_679_315_148).to_bytes(8, "big") + line.signature[8:])
    with pytest.raises(IntegrityError, match="wrong"):
        Note(TEXT, (later,)).verify([witness])
    with pytest.raises(IntegrityError, match="malformed"):
        Note(TEXT, (type(line)("w", line.key_id, b"\xff" * 72),)).verify([witness])


def test_a_plain_signature_is_no_cosignature_and_the_other_way_round():
    plain = NoteVerifier("w", KEY.public)
    witness = NoteVerifier("w", KEY.public, SignatureType.COSIGNATURE_V1)
    assert plain.key_id != witness.key_id
    with pytest.raises(IntegrityError):
        Note(TEXT).signed("w", KEY).verify([witness])
    with pytest.raises(IntegrityError):
        Note(TEXT).signed("w", KEY, 1).verify([plain])


@pytest.mark.parametrize("timestamp", [-1, 2**63])
def test_times_outside_posix_range_are_not_signed(timestamp):
    with pytest.raises(UsageError):
        Note(TEXT).signed("w", KEY, timestamp)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\tb", "a\nb", "a\u00a0b", "a\x01", "a\udef1"])
def test_names_with_spaces_or_plus_or_half_characters_are_refused(name):
    with pytest.raises(UsageError):
        NoteVerifier(name, KEY.public)


def test_texts_that_cannot_be_notes_are_not_signed():
    for text in ("abc", "a\tb\n", "a\0\n", "", "eoru,\udef1A0S\n8=\n"):
        with pytest.raises(IntegrityError):
            sign_note(text, "a", KEY)


@given(data=st.binary(min_size=1, max_size=100), at=st.integers(0, 10_000), to=st.sampled_from("AZaz09+/=\n -"))
@settings(max_examples=200)
def test_base64_has_one_form(data, at, to):
    text = base64.b64encode(data).decode()
    assert decode_base64(text) == data
    changed = text[: at % len(text)] + to + text[at % len(text) + 1 :]
    if changed != text:
        assert decode_base64(changed) != data


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=150)
def test_no_changed_byte_of_a_note_goes_unnoticed(at, bit):
    note = f"{TEXT}\n{PETER_LINE}".encode()
    at %= len(note)
    changed = note[:at] + bytes([note[at] ^ 1 << bit]) + note[at + 1 :]
    with pytest.raises(IntegrityError):
        verify_note(changed.decode(errors="surrogateescape"), [PETER])


def test_every_signature_of_a_known_key_must_be_right_and_of_several_the_first_counts():
    note = Note("text\n").signed("w", KEY, 7)
    (first,), (later,) = note.signatures, Note("text\n").signed("w", KEY, 9).signatures
    (wrong,) = Note("another\n").signed("w", KEY, 8).signatures
    witness = NoteVerifier("w", KEY.public, SignatureType.COSIGNATURE_V1)
    assert Note("text\n", (first, later)).verify((witness,)) == {witness: 7}
    assert Note("text\n", (later, first)).verify((witness,)) == {witness: 9}
    for signatures in ((first, wrong), (wrong, first), (first, later, wrong)):
        with pytest.raises(IntegrityError, match="is wrong"):
            Note("text\n", signatures).verify((witness,))
