import re
import string
from dataclasses import replace
from pathlib import Path

import pytest

from kifabrik.customer.certificate import Certified, certified, read_envelope
from kifabrik.customer.certificate_page import WORDS, page
from kifabrik.errors import IntegrityError
from kifabrik.grants.statements import Backup, Derived, Erasure, ErasureCertificate, Release
from kifabrik.ledger.entry import Entry, EntryKind, new_entry_id
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
