import re
import string

import pytest

from kifabrik.customer.usage import Period, usage_of
from kifabrik.customer.usage_page import page
from kifabrik.customer.usage_words import REASONS, WORDS
from kifabrik.errors import UsageError
from kifabrik.grants.statements import Grant
from kifabrik.ledger.entry import Entry, EntryKind, new_entry_id
from kifabrik.values import Place

LINE, OTHER = "d-aaaaaaaaaaaaaaaa", "d-bbbbbbbbbbbbbbbb"
ANNA, RUN, SWEEP = "m-aaaaaaaaaaaaaaaa", "r-aaaaaaaaaaaaaaaa", "r-bbbbbbbbbbbbbbbb"
NAMES = {LINE: "press <7>", OTHER: "other", ANNA: "Anna Huber", RUN: "train", SWEEP: "search"}
GRANT = Grant(
    "g-1", "t-1", LINE, "maintenance", (ANNA,), Place("DE"), None, 5, True, True, "", "2027-02-01T00:00:00Z"
)


def entry(kind, day, **refs):
    return Entry(kind, f"2026-{day}T08:30:00Z", new_entry_id(), refs)


def log():
    return [
        entry(EntryKind.DATASET_SEALED, "01-01", dataset=LINE, member=ANNA, version=1),
        entry(EntryKind.DATASET_SEALED, "01-02", dataset=LINE, member=ANNA, version=2),
        entry(EntryKind.DATASET_SEALED, "01-02", dataset=OTHER, member=ANNA, version=1),
        entry(EntryKind.GRANT_GIVEN, "01-03", grant="g-1", dataset=LINE),
        entry(EntryKind.RUN_ORDERED, "01-04", run=RUN, purpose="maintenance", member=ANNA),
        entry(EntryKind.LEASE_REQUESTED, "01-04", request="1", run=RUN, attempt="a-1"),
        entry(EntryKind.LEASE_RELEASED, "01-04", request="1", run=RUN, datasets=(LINE,), receiver="a-1"),
        entry(EntryKind.RUN_ORDERED, "02-01", run=SWEEP, purpose="maintenance", member=ANNA),
        entry(
            EntryKind.LEASE_RELEASED, "02-01", request="2", run=f"{SWEEP}-3", datasets=(LINE, OTHER), receiver="a-2"
        ),
        entry(EntryKind.LEASE_RELEASED, "02-02", request="3", run=RUN, datasets=(), receiver=ANNA),
        entry(EntryKind.RUN_ORDERED, "02-03", run="r-cccccccccccccccc", purpose="marketing", member=ANNA),
        entry(EntryKind.LEASE_REFUSED, "02-03", request="4", run="r-cccccccccccccccc", reason="no-grant"),
        entry(EntryKind.GRANT_REVOKED, "02-04", grant="g-1"),
        entry(EntryKind.ERASURE_DECIDED, "02-05", dataset=LINE),
        entry(EntryKind.DATASET_ERASED, "02-06", dataset=LINE),
    ]


def record(period=None, dataset="", terms=GRANT):
    return usage_of("t-1", log(), NAMES, lambda _: terms, period or Period(), dataset)


def test_each_release_is_told_with_its_purpose_its_orderer_and_its_entry():
    found = record()
    assert [(one.index, one.datasets, one.purpose, one.member, one.is_run) for one in found.releases] == [
        (6, (LINE,), "maintenance", ANNA, True),
        (8, (LINE, OTHER), "maintenance", ANNA, True),
        (9, (), "maintenance", ANNA, False),
    ]
    assert found.named(f"{SWEEP}-3") == "search"
    [refused] = found.refused
    assert (refused.index, refused.purpose, refused.reason, refused.member) == (11, "marketing", "no-grant", ANNA)


def test_grants_versions_and_erasures_are_told_with_their_times():
    found = record()
    [given] = found.permissions
    assert (given.revoked, given.terms) == ("2026-02-04T08:30:00Z", GRANT)
    line, other = found.datasets
    assert len(line.versions) == 2
    assert (line.decided, line.erased) == ("2026-02-05T08:30:00Z", "2026-02-06T08:30:00Z")
    assert not other.erased


def test_a_period_holds_its_first_and_its_last_day_whole():
    days = [one.time[:10] for one in record(Period("2026-01-04", "2026-02-01")).releases]
    assert days == ["2026-01-04", "2026-02-01"]
    assert record(Period("2026-02-03", "")).releases == ()
    assert len(record(Period("", "2026-02-02")).refused) == 0


@pytest.mark.parametrize(
    "days", [("2026-02-30", ""), ("", "gestern"), ("20260101", ""), ("2026-02-01", "2026-01-31")]
)
def test_a_period_that_is_none_is_refused(days):
    with pytest.raises(UsageError):
        Period(*days)


def test_one_dataset_alone_has_its_own_uses_and_grants_only():
    found = record(dataset=OTHER)
    assert [one.index for one in found.releases] == [8]
    assert (found.permissions, [one.dataset for one in found.datasets]) == ((), [OTHER])


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("de", ["04.01.2026 08:30", "nur in DE", "widerrufen 04.02.2026", "Keine Erlaubnis für diesen Zweck."]),
        ("en", ["2026-01-04 08:30", "only in DE", "revoked 2026-02-04", "No grant for this purpose."]),
    ],
)
def test_the_page_says_it_in_the_readers_language_and_loads_nothing(language, said):
    text = page(record(), language)
    for one in [*said, "press &lt;7&gt;", "Anna Huber", "search"]:
        assert one in text, one
    assert "press <7>" not in text
    assert not re.search(r"<script|src=|href=|url\(|@import", text)
    assert f'<html lang="{language}">' in text


def test_a_state_that_only_the_factory_has_signed_is_marked_so():
    assert "Achtung: Der Keyholder hat diesen Stand nicht bestätigt" in page(record(), "de")


def test_a_grant_whose_statement_is_withheld_is_told_all_the_same():
    text = page(record(terms=None), "en")
    assert "terms cannot be had" in text
    assert "g-1" in text


def test_both_languages_have_the_same_texts_with_the_same_figures():
    def figures(text):
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert WORDS["de"].keys() == WORDS["en"].keys()
    assert all(figures(WORDS["de"][key]) == figures(text) for key, text in WORDS["en"].items())
    assert all(set(one) == {"de", "en"} for one in REASONS.values())


def test_the_page_says_when_it_was_made():
    assert "erstellt am 29.11.2026 21:58 (UTC)" in page(record(), "de", made="2026-11-29T21:58:29Z")
    assert "erstellt am" not in page(record(), "de")
