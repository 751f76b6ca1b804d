"""Numbers and units as people write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.endpoints import Limit, limit_of
from kifabrik.recipes.pharma.numbers import Decimal, Number, Relation, decimal_of, number_of
from kifabrik.recipes.pharma.units import converted, unit_in, unit_of, units_wished


@pytest.mark.parametrize(
    ("text", "decimal", "value"),
    [
        ("1.5", Decimal.POINT, 1.5),
        ("1,5", Decimal.COMMA, 1.5),
        ("1.234,5", Decimal.COMMA, 1234.5),
        ("1,234.5", Decimal.POINT, 1234.5),
        ("1.234", Decimal.COMMA, 1234.0),
        ("1,234", Decimal.POINT, 1234.0),
        ("3,7", Decimal.UNKNOWN, 3.7),
        ("-0.5e-3", Decimal.POINT, -0.0005),
        ("\N{MINUS SIGN}2", Decimal.UNKNOWN, -2.0),
        ("ja", Decimal.UNKNOWN, 1.0),
        ("Inactive", Decimal.UNKNOWN, 0.0),
    ],
)
def test_numbers_are_read_in_both_ways_of_writing(text: str, decimal: Decimal, value: float) -> None:
    assert number_of(text, decimal) == Number(value)


@pytest.mark.parametrize("text", ["1,234", "12,345"])
def test_a_number_that_could_be_either_is_not_guessed(text: str) -> None:
    found = number_of(text, Decimal.UNKNOWN)
    assert isinstance(found, str)
    assert "--decimal" in found


@pytest.mark.parametrize("text", ["abc", "1.2.3", "1e999", "12 nM", "inf", "0x10", "1_000"])
def test_what_is_no_number_says_so(text: str) -> None:
    assert isinstance(number_of(text, Decimal.POINT), str)


@pytest.mark.parametrize(
    ("text", "relation"), [("<10", Relation.BELOW), (">= 10", Relation.ABOVE), ("~10", Relation.EQUAL)]
)
def test_bounds_are_kept(text: str, relation: Relation) -> None:
    assert number_of(text, Decimal.POINT) == Number(10.0, relation)


def test_a_column_shows_how_it_is_written() -> None:
    assert decimal_of(["1,234", "5,6"]) is Decimal.COMMA
    assert decimal_of(["1.234", "5.6"]) is Decimal.POINT
    assert decimal_of(["5,6", "5.6"]) is Decimal.UNKNOWN
    assert decimal_of(["1", "2"]) is Decimal.UNKNOWN


@pytest.mark.parametrize(
    ("value", "given_unit", "wanted", "mass", "expected"),
    [
        (1.0, "uM", "nM", 0.0, 1000.0),
        (1.0, "µM", "nmol/L", 0.0, 1000.0),
        (6.0, "pIC50", "uM", 0.0, 1.0),
        (100.0, "nM", "pIC50", 0.0, 7.0),
        (180.16, "mg/L", "mM", 180.16, 1.0),
        (1.0, "mM", "ug/mL", 250.0, 250.0),
        (2.0, "h", "min", 0.0, 120.0),
        (50.0, "%", "share", 0.0, 0.5),
    ],
)
def test_units_are_turned_into_each_other(
    value: float, given_unit: str, wanted: str, mass: float, expected: float
) -> None:
    assert converted(value, unit_of(given_unit), unit_of(wanted), mass) == pytest.approx(expected)


@pytest.mark.parametrize(("given_unit", "wanted"), [("nM", "%"), ("h", "nM"), ("widgets", "nM"), ("%", "h")])
def test_units_of_different_things_are_not(given_unit: str, wanted: str) -> None:
    assert converted(1.0, unit_of(given_unit), unit_of(wanted), 300.0) is None


def test_nothing_has_no_logarithm() -> None:
    assert converted(0.0, unit_of("nM"), unit_of("pIC50"), 0.0) is None


@given(st.floats(1e-6, 1e6), st.sampled_from(["M", "mM", "uM", "nM", "-log10(M)", "log10(nM)"]))
def test_there_and_back_is_the_same(value: float, unit: str) -> None:
    there = converted(value, unit_of("nM"), unit_of(unit), 0.0)
    assert there is not None
    back = converted(there, unit_of(unit), unit_of("nM"), 0.0)
    assert back is not None
    assert math.isclose(back, value, rel_tol=1e-9)


def test_a_bound_decides_a_class_only_where_it_can() -> None:
    limit = limit_of("IC50<1000")
    assert limit == Limit("IC50", Relation.BELOW, 1000.0)
    assert limit.decide(500, Relation.EQUAL) is True
    assert limit.decide(1000, Relation.EQUAL) is True
    assert limit.decide(1001, Relation.EQUAL) is False
    assert limit.decide(500, Relation.BELOW) is True
    assert limit.decide(5000, Relation.ABOVE) is False
    assert limit.decide(500, Relation.ABOVE) is None
    assert limit.decide(5000, Relation.BELOW) is None


@pytest.mark.parametrize("text", ["IC50", "<5", "IC50=5", "IC50<x"])
def test_a_limit_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--active"):
        limit_of(text)


def test_a_wish_without_a_unit_is_refused() -> None:
    with pytest.raises(UsageError, match="--unit"):
        units_wished(("IC50",))


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("IC50 (nM)", "nM"),
        ("Ki [µM]", "uM"),
        ("t1/2 (h) ", "h"),
        ("logS (mol/L)", ""),
        ("pIC50 (M)", ""),
        ("log10(nM)", ""),
        ("activity (a.u.)", ""),
        ("IC50", ""),
    ],
)
def test_a_unit_in_the_name_of_a_column_is_read_where_it_is_known(name: str, unit: str) -> None:
    assert unit_in(name) == unit
