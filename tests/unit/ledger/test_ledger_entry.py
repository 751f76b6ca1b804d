"""Entries: one form, strict reading, room for kinds of the future."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.ledger.entry import MOST_ENTRY_BYTES, Entry, EntryKind, new_entry_id
from kifabrik.ledger.merkle import leaf_hash
from kifabrik.signatures.canonical import to_canonical

ID = "0123456789abcdef0123456789abcdef"
TIME = "2026-11-23T08:00:00Z"
ENTRY = Entry(
    EntryKind.LEASE_RELEASED,
    TIME,
    ID,
    {"request": "a" * 64, "datasets": ("d-1", "d-2"), "lease": "l-1", "number": 3},
    "b" * 64,
)


def changed(**fields):
    body = json.loads(ENTRY.to_bytes())
    return json.dumps({**body, **fields}, separators=(",", ":"), sort_keys=True).encode()


def test_an_entry_has_one_form_and_its_leaf_is_the_hash_of_it():
    assert ENTRY.to_bytes() == (
        b'{"detail":"' + b"b" * 64 + b'","id":"0123456789abcdef0123456789abcdef","kind":"lease.released",'
        b'"refs":{"datasets":["d-1","d-2"],"lease":"l-1","number":3,"request":"' + b"a" * 64 + b'"},'
        b'"time":"2026-11-23T08:00:00Z"}'
    )
    assert Entry.from_bytes(ENTRY.to_bytes()) == ENTRY
    assert ENTRY.leaf == leaf_hash(ENTRY.to_bytes())


def test_every_kind_is_written_and_read():
    for kind in EntryKind:
        entry = Entry.from_bytes(Entry(kind, TIME, ID).to_bytes())
        assert entry.kind is kind
        assert entry.known
        assert entry.refs == {}


def test_a_kind_of_the_future_still_parses():
    entry = Entry("audit.planned", TIME, ID, {"auditor": "m-1"})
    again = Entry.from_bytes(entry.to_bytes())
    assert again == entry
    assert again.kind == "audit.planned"
    assert not again.known


def test_a_known_kind_given_as_text_is_the_same_entry():
    assert Entry("run.ordered", TIME, ID) == Entry(EntryKind.RUN_ORDERED, TIME, ID)


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "nodot"},
        {"kind": "Run.ordered"},
        {"kind": "run.ordered "},
        {"kind": 5},
        {"kind": "a" * 32 + ".b"},
        {"time": "2026-11-23 08:00:00"},
        {"time": "2026-11-23T08:00:00+00:00"},
        {"time": "2026-11-23T08:00:00.5Z"},
        {"time": "2026-1-3T08:00:00Z"},
        {"time": "2026-02-30T08:00:00Z"},
        {"time": "2026-11-23T24:00:00Z"},
        {"time": "2026-11-23T08:00:60Z"},
        {"time": None},
        {"id": "0" * 31},
        {"id": "A" * 32},
        {"id": 7},
        {"detail": "b" * 63},
        {"detail": "B" * 64},
        {"detail": None},
        {"refs": []},
        {"refs": {"Key": "a"}},
        {"refs": {"key": "two words"}},
        {"refs": {"key": ""}},
        {"refs": {"key": "x" * 257}},
        {"refs": {"key": "m\u00fcller"}},
        {"refs": {"key": "line\n"}},
        {"refs": {"key": -1}},
        {"refs": {"key": 2**53}},
        {"refs": {"key": 1.5}},
        {"refs": {"key": True}},
        {"refs": {"key": None}},
        {"refs": {"key": {"a": "b"}}},
        {"refs": {"key": ["a", 1]}},
        {"refs": {"key": [["a"]]}},
        {"refs": {f"k{number}": "a" for number in range(65)}},
        {"extra": "field"},
    ],
)
def test_what_is_not_an_entry_is_refused(fields):
    with pytest.raises(IntegrityError):
        Entry.from_bytes(changed(**fields))


def test_other_forms_of_the_same_json_are_refused():
    data = ENTRY.to_bytes()
    body = json.loads(data)
    for other in [
        json.dumps(body).encode(),
        data + b"\n",
        b"\xef\xbb\xbf" + data,
        data.decode().encode("utf-16"),
        data.replace(b'"kind"', b'"\\u006bind"'),
        data.replace(b'"number":3', b'"number":3.0'),
        data.replace(b'"detail"', b'"detail":"","detail"', 1),
        b"[]",
        b"null",
        b"",
        b"\xff",
        b"[" * 60_000,
    ]:
        with pytest.raises(IntegrityError):
            Entry.from_bytes(other)


def test_a_missing_field_is_refused():
    for name in ("kind", "time", "id", "refs", "detail"):
        body = json.loads(ENTRY.to_bytes())
        del body[name]
        with pytest.raises(IntegrityError):
            Entry.from_bytes(json.dumps(body, separators=(",", ":"), sort_keys=True).encode())


def test_an_entry_fits_into_a_bundle():
    largest = {"items": tuple("x" * 256 for _ in range(252))}
    assert len(Entry(EntryKind.RUN_ORDERED, TIME, ID, largest).to_bytes()) <= MOST_ENTRY_BYTES
    with pytest.raises(UsageError, match="too large"):
        Entry(EntryKind.RUN_ORDERED, TIME, ID, {"items": tuple("x" * 256 for _ in range(253))}).to_bytes()
    with pytest.raises(IntegrityError, match="too large"):
        Entry.from_bytes(b" " * (MOST_ENTRY_BYTES + 1))


def test_wrong_fields_are_refused_at_birth():
    with pytest.raises(UsageError, match="reference purpose"):
        Entry(EntryKind.GRANT_GIVEN, TIME, ID, {"purpose": "line 7, press shop"})
    with pytest.raises(UsageError, match="time"):
        Entry(EntryKind.GRANT_GIVEN, "yesterday", ID)


def test_the_references_of_an_entry_do_not_change_with_the_callers_dictionary():
    refs = {"run": "r-1"}
    entry = Entry(EntryKind.RUN_ORDERED, TIME, ID, refs)
    refs["run"] = "r-2"
    assert entry.refs == {"run": "r-1"}


def test_entry_ids_are_random():
    ids = {new_entry_id() for _ in range(100)}
    assert len(ids) == 100
    assert Entry(EntryKind.RUN_ORDERED, TIME, ids.pop()).to_bytes()


REF_TEXTS = st.from_regex(r"[A-Za-z0-9._:@/+=-]{1,40}", fullmatch=True)


@given(
    kind=st.from_regex(r"[a-z]{1,12}\.[a-z]{1,12}", fullmatch=True),
    time=st.datetimes().map(lambda moment: moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M:%SZ")),
    entry_id=st.binary(min_size=16, max_size=16).map(bytes.hex),
    refs=st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9_]{0,31}", fullmatch=True),
        REF_TEXTS | st.integers(0, 2**53 - 1) | st.lists(REF_TEXTS, max_size=4).map(tuple),
        max_size=6,
    ),
)
@settings(max_examples=200)
def test_the_form_is_rfc_8785_and_reads_back(kind, time, entry_id, refs):
    entry = Entry(kind, time, entry_id, refs)
    plain = {key: list(value) if isinstance(value, tuple) else value for key, value in refs.items()}
    body = {"kind": kind, "time": time, "id": entry_id, "refs": plain, "detail": ""}
    assert entry.to_bytes() == to_canonical(body)
    assert Entry.from_bytes(entry.to_bytes()) == entry


@given(at=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=200)
def test_a_changed_byte_is_refused_or_gives_another_leaf(at, bit):
    data = ENTRY.to_bytes()
    at %= len(data)
    other = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
    with contextlib.suppress(IntegrityError):
        assert Entry.from_bytes(other).leaf != ENTRY.leaf


def test_an_entry_may_fill_its_bounds():
    def about(refs):
        return Entry(EntryKind.RUN_ORDERED, TIME, ID, refs)

    many = {f"r{number}": "x" for number in range(64)}
    assert Entry.from_bytes(about(many).to_bytes()).refs == many
    with pytest.raises(UsageError, match="at most 64"):
        about(many | {"more": "x"})
    numbers = {"least": 0, "most": 2**53 - 1}
    assert Entry.from_bytes(about(numbers).to_bytes()).refs == numbers
    for number in (-1, 2**53):
        with pytest.raises(UsageError, match="between 0 and"):
            about({"n": number})
    texts = ("x" * 256,) * 252
    left = MOST_ENTRY_BYTES - len(about({"items": (*texts, "x")}).to_bytes())
    largest = about({"items": (*texts, "x" * (1 + left))})
    assert len(largest.to_bytes()) == MOST_ENTRY_BYTES
    assert Entry.from_bytes(largest.to_bytes()) == largest
    with pytest.raises(UsageError, match="too large"):
        about({"items": (*texts, "x" * (2 + left))}).to_bytes()
