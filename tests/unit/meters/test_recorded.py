from dataclasses import replace

import pytest
from any_readings import any_readings
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import IntegrityError
from kifabrik.ledger.entry import Entry, EntryKind, new_entry_id
from kifabrik.ledger.rules import History
from kifabrik.meters.footprint import Site, footprint
from kifabrik.meters.reading import EnergyReading, EnergySource, Reading
from kifabrik.meters.recorded import recorded, references
from kifabrik.values import Money

readings = any_readings(10**17, st.just("x"))
sites = st.builds(
    Site,
    carbon_g_per_kwh=st.integers(0, 1200),
    pue_percent=st.integers(100, 300),
    market_g_per_kwh=st.none() | st.integers(0, 1200),
    reused_percent=st.integers(0, 100),
    withdrawn_ml_per_kwh=st.integers(0, 10**6),
    consumed_ml_per_kwh=st.integers(0, 10**4),
)
SITE = Site(380, 107, 20, 8, 180_000, 20)
ONE = Reading(
    "2026-11-23T08:00:00Z", "2026-11-23T09:00:00Z", 3_600_000, 7_200_000, 3_600_000, "H100", 1, 10**9, 500,
    (
        EnergyReading(EnergySource.NVML, "GPU-1", 1_800_000_000),
        EnergyReading(EnergySource.ESTIMATED, "cpu", 36_000_000),
    ),
)  # fmt: skip


@given(st.lists(readings, min_size=1, max_size=4), sites, st.integers(0, 10**9))
def test_a_footprint_comes_back_from_an_entry_of_the_log_as_it_was(found, site, cost):
    used = footprint(found, Money(cost), site)
    entry = Entry(EntryKind.RUN_FINISHED, "2026-11-23T09:00:00Z", new_entry_id(), references(used, site))
    back = recorded(Entry.from_bytes(entry.to_bytes()).refs)
    assert back is not None
    assert (back.energy, back.carbon_mg, back.surroundings) == (used.energy, used.carbon_mg, used.surroundings)
    assert (back.site, back.cost_micro_eur) == (site, cost)
    assert back.is_of(found)


@given(st.lists(readings, min_size=1, max_size=3), readings)
def test_a_footprint_is_not_that_of_other_readings(found, more):
    back = recorded(references(footprint(found, Money(0)), None))
    assert back is not None
    assert back.site is None
    assert back.is_of([*found, more]) is not any((more.wall_ms, more.cpu_ms, more.gpu_ms, more.energy_mj))


def test_an_entry_without_a_footprint_says_nothing_of_it():
    assert recorded({"run": "r-1", "attempt": "a-1", "segments": 3}) is None


def test_a_log_keeps_its_rules_with_and_without_footprints():
    history = History()
    with_one = references(footprint([ONE], Money(7), SITE), SITE)
    kinds = (
        (EntryKind.TENANT_CREATED, {"tenant": "t-1"}),
        (EntryKind.RUN_ORDERED, {"order": "ab" * 32, "run": "r-1"}),
        (EntryKind.RUN_FINISHED, {"run": "r-1", "attempt": "a-1"}),
        (EntryKind.RUN_FINISHED, {"run": "r-1", "attempt": "a-2", **with_one}),
    )
    for kind, refs in kinds:
        entry = Entry(kind, "2026-11-23T09:00:00Z", new_entry_id(), refs)
        assert history.violation(Entry.from_bytes(entry.to_bytes())) == ""


def test_a_later_version_of_the_footprint_is_left_alone():
    assert recorded({"footprint": ("v=2", "energy_mj=7")}) is None


def test_names_this_version_does_not_know_are_left_alone():
    refs = references(footprint([ONE], Money(7), SITE), SITE)
    more = {"footprint": (*refs["footprint"], "noise_db=60"), "site": (*refs["site"], "trees=12")}
    assert recorded(more) == recorded(refs)


@pytest.mark.parametrize(
    ("name", "said"), [("heat_mj", "144"), ("carbon_mg", "1"), ("uncertain_percent", "0"), ("market_mg", "0")]
)
def test_what_does_not_follow_from_the_energy_is_refused(name, said):
    refs = references(footprint([ONE], Money(7), SITE), SITE)
    told = tuple(f"{name}={said}" if text.startswith(f"{name}=") else text for text in refs["footprint"])
    with pytest.raises(IntegrityError, match=f"says {name}={said}; its energy and the site's factors give"):
        recorded(refs | {"footprint": told})


def test_other_factors_than_those_it_was_reckoned_by_are_refused():
    refs = references(footprint([ONE], Money(7), SITE), SITE)
    with pytest.raises(IntegrityError, match="factors give"):
        recorded(
            refs | {"site": references(footprint([ONE], Money(7), SITE), replace(SITE, pue_percent=106))["site"]}
        )


@pytest.mark.parametrize(
    "texts",
    [
        ("v=1",),
        ("v=1", "wall_ms=-1"),
        ("v=1", "wall_ms=01"),
        ("v=1", "v=1"),
        ("v=1", "wall ms=1"),
        ("v=1", "wall_ms=1e3"),
        "v=1",
        7,
    ],
)
def test_what_is_no_footprint_is_refused(texts):
    with pytest.raises(IntegrityError, match="a footprint in the log"):
        recorded({"footprint": texts})


def test_factors_that_cannot_be_are_refused():
    refs = references(footprint([ONE], Money(7), SITE), SITE)
    wrong = tuple("pue_percent=90" if text.startswith("pue_") else text for text in refs["site"])
    with pytest.raises(IntegrityError, match="a PUE is at least 100"):
        recorded(refs | {"site": wrong})
