"""Amounts as people write them."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.portal.figures import Figures
from kifabrik.portal.rendering import WORDS
from kifabrik.values import Resources

DE, EN = Figures("de"), Figures("en")


def plain(text):
    return text.replace("\u00a0", " ")


@pytest.mark.parametrize(
    ("micro_eur", "german", "english"),
    [
        (0, "0,00 €", "0.00 €"),
        (40_000, "0,04 €", "0.04 €"),
        (5_000, "0,005 €", "0.005 €"),
        (3_600_000, "3,60 €", "3.60 €"),
        (1_234_567_890, "1.234,56789 €", "1,234.56789 €"),
    ],
)
def test_money_is_exact(micro_eur, german, english) -> None:
    assert (plain(DE.money(micro_eur)), plain(EN.money(micro_eur))) == (german, english)


@pytest.mark.parametrize(
    ("micro_eur", "german"),
    [(0, "0,00 €"), (1, "< 0,01 €"), (9_999, "< 0,01 €"), (10_000, "0,01 €"), (907_460_000, "907,46 €")],
)
def test_cents_never_make_nothing_of_something(micro_eur, german) -> None:
    assert plain(DE.cents(micro_eur)) == german


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "< 1 s"), (3.14, "3,1 s"), (59.6, "1 min"), (65, "1 min 5 s"), (7_260, "2 h 1 min"), (90_000, "1 d 1 h")],
)
def test_durations_have_their_two_largest_units(seconds, said) -> None:
    assert plain(DE.duration(seconds)) == said


@pytest.mark.parametrize(
    ("value", "german"),
    [(0, "0"), (2.0, "2"), (0.31, "0,31"), (54.6, "54,6"), (18_234.49, "18.234"), (1e-5, "0,00001")],
)
def test_numbers_have_three_significant_digits_and_no_zeros_behind(value, german) -> None:
    assert DE.significant(value) == german


def test_energies_masses_volumes_and_powers_have_the_unit_that_suits_them() -> None:
    assert plain(DE.energy(3_600_000_000)) == "1 kWh"
    assert plain(EN.energy(5_400_000_000_000)) == "1.5 MWh"
    assert plain(DE.energy(3_030)) == "3,03 J"
    assert plain(DE.mass(0)) == "< 1 mg"
    assert plain(DE.mass(2_500_000)) == "2,5 kg"
    assert DE.mass(None) == DE.dash
    assert plain(DE.volume(1_500)) == "1,5 l"
    assert plain(EN.power(2.8e6)) == "2.8 MW"
    assert plain(DE.size(1_470_000_000_000)) == "1,47 TB"


def test_times_are_written_as_in_the_country_of_the_language() -> None:
    assert DE.time("2026-11-29T08:05:09Z") == "29.11.2026 08:05"
    assert EN.time("2026-11-29T08:05:09Z", seconds=True) == "2026-11-29 08:05:09"
    assert DE.time("") == DE.dash
    assert (DE.month("2026-03"), EN.month("2026-03")) == ("März 2026", "March 2026")
    assert plain(DE.since("2026-11-29T08:00:00Z", datetime(2026, 11, 29, 9, 30, tzinfo=UTC))) == "1 h 30 min"


def test_resources_are_said_in_words() -> None:
    def say(key, **parts):
        return WORDS["de"][key].format(**parts)

    asked = Resources(cpus=8, memory_bytes=16 * 10**9, gpu_count=2, gpu_model="H200", nodes=4)
    assert plain(DE.resources(asked, say)) == "2 GPU H200, 8 Prozessorkerne, 16 GB auf 4 Rechnern"


@given(st.floats(-1e12, 1e12, allow_nan=False))
def test_any_number_can_be_written_and_read_again(value) -> None:
    text = DE.significant(value).replace(".", "").replace(",", ".")
    assert abs(float(text) - value) <= max(abs(value) * 0.0051, 1e-300)
