import json
import re
import string
from dataclasses import replace
from pathlib import Path

import pytest

from kifabrik.customer.certificate import Certified, certified, read_envelope
from kifabrik.customer.certificate_page import WORDS, page
from kifabrik.errors import IntegrityError
from kifabrik.grants.statements import (
    Backup,
    Derived,
    Erasure,
    ErasureCertificate,
    KeyedRun,
    Release,
    Restored,
)
from kifabrik.ledger.entry import Entry, EntryKind, new_entry_id
from kifabrik.ledger.merkle import root_of
from kifabrik.signatures.canonical import to_canonical
from kifabrik.signatures.dsse import Envelope
from kifabrik.signatures.keys import SigningKey
from kifabrik.signatures.statements import sign_statement

KEY, OTHER = SigningKey.generate(), SigningKey.generate()
LINE, RUN, ANNA = "d-aaaaaaaaaaaaaaaa", "r-aaaaaaaaaaaaaaaa", "m-aaaaaaaaaaaaaaaa"
TIME = "2026-11-23T10:30:00Z"
SAID = ErasureCertificate(
    tenant="t-1",
    dataset=LINE,
    erasure="ab" * 32,
    manifests=("cd" * 32, "ef" * 32),
    releases=(Release("l-1", RUN, "a-1", TIME), Release("l-2", "", ANNA, TIME)),
    derived=(Derived(f"{RUN}/1", "ab" * 32, erased=False),),
    backups=(Backup("b-1", TIME, "2026-12-24T00:00:00Z"),),
    recovery="age1xyz",
    complete=False,
    destroyed=TIME,
)


def signed(said=SAID, key=KEY):
    return sign_statement(said, {}, key)


def log(envelope, dataset=LINE):
    refs = {"dataset": dataset, "erasure": "ab" * 32, "certificate": envelope.digest}
    entry = Entry(EntryKind.DATASET_ERASED, TIME, new_entry_id(), refs)
    return [Entry(EntryKind.TENANT_CREATED, TIME, new_entry_id(), {"tenant": "t-1"}), entry]


def check(envelope, entries, cosigned=2):
    return certified(envelope, entries, KEY.public, "t-1", cosigned)


def test_a_certificate_holds_if_the_keyholder_signed_it_and_the_log_names_it():
    envelope = signed()
    found = check(envelope, log(envelope))
    assert (found.certificate, found.index, found.is_signed, found.is_witnessed) == (SAID, 1, True, True)
    assert not check(envelope, log(envelope), cosigned=1).is_witnessed


def test_one_that_somebody_else_signed_or_the_log_does_not_name_is_refused():
    envelope = signed()
    with pytest.raises(IntegrityError):
        check(signed(key=OTHER), log(envelope))
    with pytest.raises(IntegrityError, match="does not name this certificate"):
        check(signed(replace(SAID, complete=True)), log(envelope))
    with pytest.raises(IntegrityError, match="does not name this certificate"):
        check(envelope, log(envelope, dataset="d-bbbbbbbbbbbbbbbb"))
    with pytest.raises(IntegrityError, match="of another tenant"):
        check(signed(replace(SAID, tenant="t-2")), log(envelope))


def test_another_statement_is_no_certificate():
    erasure = sign_statement(Erasure("t-1", LINE, derived=True, created=TIME), {}, KEY)
    for text in (erasure.to_json(), "{}", "x"):
        with pytest.raises(IntegrityError, match="is no certificate of erasure"):
            read_envelope(text, Path("c.json"))
    assert read_envelope(signed().to_json(), Path("c.json")).digest == signed().digest


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            "de",
            [
                "noch nicht vollständig",
                "24.12.2026",
                "press &lt;7&gt;",
                "search@2",
                "Mitglied Anna",
                "nicht gegengezeichnet",
            ],
        ),
        (
            "en",
            ["not yet complete", "2026-12-24", "press &lt;7&gt;", "search@2", "member Anna", "has not cosigned"],
        ),
    ],
)
def test_the_page_names_all_that_is_not_gone(language, said):
    names = {LINE: "press <7>", f"{RUN}/1": "search@2", ANNA: "Anna"}
    text = page(Certified(SAID, "ab" * 32, 7, TIME, is_signed=False, is_witnessed=False), language, names)
    for one in [*said, "age1xyz", "b-1", "a-1"]:
        assert one.lower() in text.lower(), one
    assert not re.search(r"<script|src=|href=|url\(", text)


def test_both_languages_have_the_same_texts_with_the_same_figures():
    def figures(text):
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert WORDS["de"].keys() == WORDS["en"].keys()
    assert all(figures(WORDS["de"][key]) == figures(text) for key, text in WORDS["en"].items())


def entry(kind, **refs):
    return Entry(kind, TIME, new_entry_id(), refs)


CODE, MODEL, SECOND, SCORE = "c0" * 32, "aa" * 32, "bb" * 32, "5c" * 32
FIRST_RUN, NEXT_RUN = RUN, "r-bbbbbbbbbbbbbbbb"
STORY = [
    entry(EntryKind.TENANT_CREATED, tenant="t-1"),
    entry(EntryKind.DATASET_SEALED, dataset=LINE, manifest="cd" * 32),
    entry(EntryKind.LEASE_REQUESTED, request="01" * 32, run=FIRST_RUN, attempt="a-1", items=(CODE, "cd" * 32)),
    entry(
        EntryKind.LEASE_RELEASED, request="01" * 32, run=FIRST_RUN, lease="l-1", receiver="a-1", datasets=(LINE,)
    ),
    entry(EntryKind.RUN_FINISHED, run=FIRST_RUN, attempt="a-1", outputs=(MODEL,)),
    entry(EntryKind.LEASE_REQUESTED, request="02" * 32, run=NEXT_RUN, attempt="a-2", items=(CODE, MODEL)),
    entry(EntryKind.LEASE_RELEASED, request="02" * 32, run=NEXT_RUN, lease="l-2", receiver="a-2"),
    entry(EntryKind.RUN_FINISHED, run=NEXT_RUN, attempt="a-2", outputs=(SCORE,)),
    entry(EntryKind.LEASE_REQUESTED, request="03" * 32, run=NEXT_RUN, member=ANNA, items=(SCORE,)),
    entry(EntryKind.LEASE_RELEASED, request="03" * 32, run=NEXT_RUN, lease="l-3", receiver=ANNA),
    entry(EntryKind.ERASURE_DECIDED, dataset=LINE, statement="ab" * 32),
]
WHOLE = replace(
    SAID,
    manifests=("cd" * 32,),
    releases=(Release("l-1", FIRST_RUN, "a-1", TIME),),
    derived=(Derived(f"{FIRST_RUN}/1", MODEL, erased=True), Derived(f"{NEXT_RUN}/1", SCORE, erased=True)),
    runs=(KeyedRun(FIRST_RUN, ended=True, erased=True), KeyedRun(NEXT_RUN, ended=True, erased=True)),
    results_released=(Release("l-2", NEXT_RUN, "a-2", TIME), Release("l-3", NEXT_RUN, ANNA, TIME)),
    log_size=len(STORY),
    log_root=root_of(one.leaf for one in STORY).hex(),
)


def story(envelope, *more):
    refs = {"dataset": LINE, "erasure": "ab" * 32, "certificate": envelope.digest}
    return [*STORY, Entry(EntryKind.DATASET_ERASED, TIME, new_entry_id(), refs), *more]


def test_a_certificate_that_names_all_the_log_shows_holds():
    envelope = signed(WHOLE)
    found = check(envelope, story(envelope), cosigned=99)
    assert (found.index, found.later) == (len(STORY), None)


@pytest.mark.parametrize(
    ("wrong", "missing"),
    [
        ({"manifests": ()}, "version cdcd"),
        ({"releases": ()}, "release l-1 to a-1"),
        ({"derived": WHOLE.derived[:1]}, "result 5c5c"),
        ({"runs": WHOLE.runs[:1]}, f"run {NEXT_RUN}"),
        ({"results_released": WHOLE.results_released[:1]}, f"release l-3 to {ANNA}"),
        ({"results_released": WHOLE.results_released[1:]}, "release l-2 to a-2"),
    ],
)
def test_a_certificate_that_leaves_out_what_the_log_shows_is_refused(wrong, missing):
    envelope = signed(replace(WHOLE, **wrong))
    with pytest.raises(IntegrityError, match=missing):
        check(envelope, story(envelope))


def test_what_the_log_shows_after_the_head_a_certificate_covers_is_no_fault_of_it():
    envelope = signed(WHOLE)
    later = entry(EntryKind.RUN_FINISHED, run=NEXT_RUN, attempt="a-3", outputs=(SECOND,))
    again = entry(EntryKind.DATASET_ERASED, dataset=LINE, erasure="ab" * 32, certificate="ee" * 32)
    found = check(envelope, story(envelope, later, again))
    assert found.later == len(STORY) + 2


@pytest.mark.parametrize("wrong", [{"log_root": "00" * 32}, {"log_size": len(STORY) + 1}, {"log_size": 3}])
def test_a_certificate_over_another_log_is_refused(wrong):
    envelope = signed(replace(WHOLE, **wrong))
    with pytest.raises(IntegrityError, match="not the first ones of this log"):
        check(envelope, story(envelope))


def test_a_certificate_of_an_earlier_version_is_still_read():
    said = json.loads(signed().payload)
    for name in ("runs", "results_released", "restored", "log_size", "log_root"):
        del said["predicate"][name]
    old = Envelope.sign(to_canonical(said), KEY)
    assert check(read_envelope(old.to_json(), Path("c.json")), log(old)).certificate == SAID


def test_the_page_says_what_is_still_open_and_up_to_where_it_holds():
    said = replace(
        WHOLE,
        backups=(),
        recovery="",
        runs=(KeyedRun(FIRST_RUN, ended=False, erased=False),),
        restored=(Restored("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"),),
    )
    found = Certified(said, "ab" * 32, 12, TIME, is_signed=True, is_witnessed=True, later=14)
    text = page(found, "en", {FIRST_RUN: "train <1>"})
    for one in ["train &lt;1&gt; had the key before", "from a backup of 2026-11-01", "entry 14", "its entry 10"]:
        assert one in text, one
    assert "complete: no" not in text
