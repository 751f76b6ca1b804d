"""Ids, times, sizes, durations and money: read what was written, refuse what is not one."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import UsageError
from kifabrik.values import (
    Kind,
    Money,
    Place,
    Resources,
    format_duration,
    format_size,
    format_time,
    is_id,
    new_id,
    now_utc,
    parse_duration,
    parse_size,
    parse_time,
)


@pytest.mark.parametrize("kind", Kind)
def test_a_new_id_is_one_of_its_kind_and_of_no_other(kind):
    made = new_id(kind)
    assert [other for other in Kind if is_id(made, other)] == [kind]
    assert made != new_id(kind)


@pytest.mark.parametrize(
    "text", ["", "r-", "r-ABCDEFGHIJKLMNOP", "r-abc", "r-abcdefghijklmno1", "x\nr-abcdefghijklmnop"]
)
def test_other_texts_are_no_ids(text):
    assert not is_id(text, Kind.RUN)


@given(st.integers(0, 250_000_000_000))
def test_a_time_that_was_written_is_read_to_the_second(seconds):
    moment = datetime.fromtimestamp(seconds, UTC)
    assert parse_time(format_time(moment)) == moment


def test_a_time_of_another_zone_is_written_in_utc():
    moment = datetime(2026, 11, 23, 9, 0, tzinfo=timezone(timedelta(hours=1)))
    assert format_time(moment) == "2026-11-23T08:00:00Z"


def test_now_is_aware_and_has_whole_seconds():
    assert now_utc().tzinfo is UTC
    assert now_utc().microsecond == 0


@given(
    st.integers(0, 10**15),
    st.sampled_from([("", 1), ("kB", 10**3), ("GB", 10**9), ("GiB", 2**30), (" mib ", 2**20)]),
)
def test_a_size_is_its_number_times_its_unit(number, unit):
    assert parse_size(f"{number}{unit[0]}") == number * unit[1]


@pytest.mark.parametrize(("text", "size"), [("1.5GB", 1_500_000_000), ("0.1 kB", 100), (4096, 4096)])
def test_sizes_may_have_decimals(text, size):
    assert parse_size(text) == size


@given(st.dictionaries(st.sampled_from("smhdw"), st.integers(0, 10**6), min_size=1))
def test_a_duration_is_the_sum_of_its_parts(parts):
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    text = " ".join(f"{number}{unit}" for unit, number in parts.items())
    assert parse_duration(text) == sum(number * seconds[unit] for unit, number in parts.items())


@given(
    st.sampled_from([parse_size, parse_duration, Money.from_text, parse_time]),
    st.text() | st.text("0123456789.²٣ smhEUR€GB-"),
)
def test_any_text_is_read_or_refused_in_one_way(parse, text):
    with suppress(UsageError):
        assert parse(text) is not None


@pytest.mark.parametrize("text", ["²", "٣ GB", "9" * 5000, "1e9", "-1", "1_000", "GB", "1.GB", "NaN"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UsageError):
        parse_size(text)


@pytest.mark.parametrize("text", ["²", "٣", "9" * 5000, "1.5h", "-1s", "h", "1h30"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(UsageError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (999_499, "999 kB"),
        (999_999, "1 MB"),
        (1_234_567, "1.23 MB"),
        (1.5e15, "1.5 PB"),
        (1.5e18, "1500 PB"),
    ],
)
def test_sizes_are_written_for_people(size, text):
    assert format_size(size) == text


@given(st.integers(0, 10**20))
def test_no_size_is_written_with_an_exponent(size):
    assert "e" not in format_size(size)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.44, "0.4s"), (12, "12s"), (59.9, "1m 00s"), (185, "3m 05s"), (7800, "2h 10m")]
)
def test_durations_are_written_for_people(seconds, text):
    assert format_duration(seconds) == text


@given(st.integers(0, 10**15), st.integers(0, 10**15))
def test_money_adds_exactly(one, other):
    assert (Money(one) + Money(other)).micro_eur == one + other


@given(st.decimals(0, 10**9 - 1, places=6))
def test_euros_are_kept_to_the_micro_euro(amount):
    assert Money.from_text(f"{amount:f}").micro_eur == amount * 10**6


@pytest.mark.parametrize("text", ["0,50", "0,50 EUR", "0.5€", " 0,5 EUR"])
def test_euros_may_have_a_decimal_comma(text):
    assert Money.from_text(text).micro_eur == 500_000


@pytest.mark.parametrize("text", ["20.000 EUR", "20,000€", "1.234 EUR", "1.234,50 EUR", "1,234"])
def test_euros_that_can_be_read_in_two_ways_are_refused(text):
    with pytest.raises(UsageError):
        Money.from_text(text)


def test_what_a_program_writes_without_a_unit_is_read_as_it_stands():
    assert Money.from_text("1.234").micro_eur == 1_234_000
    assert Money.from_text("0.125 EUR").micro_eur == 125_000


def test_more_euros_than_an_order_can_say_are_no_amount():
    assert Money.from_text("999999999 EUR").micro_eur < 2**53
    with pytest.raises(UsageError, match="not an amount"):
        Money.from_text("10000000000 EUR")


@pytest.mark.parametrize(
    ("micro", "text"), [(0, "0.00 EUR"), (25_000_000, "25.00 EUR"), (1_400, "0.0014 EUR"), (1, "0.000001 EUR")]
)
def test_money_is_written_with_as_many_places_as_it_needs(micro, text):
    assert str(Money(micro)) == text


def test_money_times_a_decimal_is_rounded_to_whole_micro_euro():
    assert Money(1) * Decimal("2.6") == Money(3)


def test_a_place_admits_what_it_does_not_restrict():
    munich = Place("DE", "munich-1", "standard")
    assert Place().admits(munich)
    assert Place("DE").admits(munich)
    assert not Place("FR").admits(munich)
    assert not Place("DE", "munich-1").admits(Place("DE"))
    assert not Place("DE", node_class="confidential").admits(munich)


@pytest.mark.parametrize(
    "wrong", [{"cpus": 0}, {"nodes": 0}, {"memory_bytes": 0}, {"gpu_count": -1}, {"disk_bytes": -1}]
)
def test_resources_that_make_no_sense_are_refused(wrong):
    with pytest.raises(UsageError):
        Resources(**wrong)


@pytest.mark.parametrize(
    "text", ["2026-1-3T8:0:0Z", "2026-01-03t08:00:00z", "2026-01-03T08:00:00 Z", "٢٠٢٦-01-03T08:00:00Z"]
)
def test_a_moment_has_one_spelling(text):
    with pytest.raises(UsageError, match="not a UTC time"):
        parse_time(text)


def test_years_before_1000_keep_their_four_digits():
    moment = datetime(999, 1, 1, tzinfo=UTC)
    assert parse_time(format_time(moment)) == moment


@pytest.mark.parametrize("amount", ["nan", "Infinity", "1e999999", "a lot"])
def test_what_is_no_amount_of_money_is_said_so(amount):
    with pytest.raises(UsageError, match="not an amount in euros"):
        Money.from_eur(amount)


def test_what_rounds_to_the_next_unit_is_written_in_it():
    assert (format_size(999.7), format_size(999.4)) == ("1 kB", "999 B")
    assert (format_duration(9.96), format_duration(9.94)) == ("10s", "9.9s")
