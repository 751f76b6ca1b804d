"""Values of JSON become typed columns exactly, or not at all."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kifabrik.connectors.sap.columns import Column
from kifabrik.connectors.sap.literals import fitting, to_json
from kifabrik.connectors.sap.model import Field, Version
from kifabrik.errors import IntegrityError, UsageError

NAIVE = datetime  # V2's Edm.DateTime has no time zone
V2, V4 = Version.V2, Version.V4


def make(kind, values, version=V4, as_text=False, **facets):
    column = Column(Field("x", kind, **facets), version, as_text=as_text)
    return column.make(values, "here")


@pytest.mark.parametrize(
    ("version", "kind", "values", "wanted"),
    [
        (V4, "Edm.Int64", ["9007199254740993", -5, None], [9007199254740993, -5, None]),
        (V4, "Edm.Double", ["1.5", "INF", 3, None], [1.5, float("inf"), 3.0, None]),
        (V4, "Edm.Single", ["-INF", "0.5", None], [float("-inf"), 0.5, None]),
        (V4, "Edm.Single", [None], [None]),
        (V4, "Edm.Boolean", [True, False, None], [True, False, None]),
        (V4, "Edm.Binary", ["AQI", "_-8=", None], [b"\1\2", b"\xff\xef", None]),
        (V4, "Edm.Date", ["0001-01-01", "9999-12-31"], [date(1, 1, 1), date(9999, 12, 31)]),
        (V4, "Edm.TimeOfDay", ["06:30", "23:59:59.999999"], [time(6, 30), time(23, 59, 59, 999999)]),
        (V4, "Edm.DateTimeOffset", ["2026-01-02T03:04:05+02:00"], [datetime(2026, 1, 2, 1, 4, 5, tzinfo=UTC)]),
        (
            V4,
            "Edm.DateTimeOffset",
            ["9999-12-31T23:59:59.9999990Z"],
            [datetime(9999, 12, 31, 23, 59, 59, 999999, UTC)],
        ),
        (V2, "Edm.DateTime", ["/Date(-62135596800000)/"], [NAIVE(1, 1, 1)]),
        (V2, "Edm.DateTime", ["/Date(1741392000001)/"], [NAIVE(2025, 3, 8, 0, 0, 0, 1000)]),
        (V2, "Edm.DateTimeOffset", ["/Date(1735689600000+0060)/"], [datetime(2025, 1, 1, tzinfo=UTC)]),
        (V2, "Edm.Time", ["PT06H30M00S", "PT1H2M3.5S", "PT0S"], [time(6, 30), time(1, 2, 3, 500000), time(0)]),
        (V2, "Edm.DateTimeOffset", ["/Date(-62135596800000+0120)/"], [datetime(1, 1, 1, tzinfo=UTC)]),
        (
            V2,
            "Edm.DateTimeOffset",
            ["/Date(253402300799999-0840)/"],
            [datetime(9999, 12, 31, 23, 59, 59, 999000, UTC)],
        ),
        (V4, "Edm.DateTimeOffset", ["2026-01-02T03:04:05+05:45"], [datetime(2026, 1, 1, 21, 19, 5, tzinfo=UTC)]),
        (V4, "Edm.DateTimeOffset", ["2026-01-02T03:04:05.1-03:30"], [datetime(2026, 1, 2, 6, 34, 5, 100000, UTC)]),
        (V4, "Edm.DateTimeOffset", ["2026-01-01T00:00+14:00"], [datetime(2025, 12, 31, 10, tzinfo=UTC)]),
        (V4, "Edm.DateTimeOffset", ["2026-01-02T03:04:05-00:00"], [datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)]),
        (V4, "Edm.DateTimeOffset", ["0001-01-01T00:00:00-12:00"], [datetime(1, 1, 1, 12, tzinfo=UTC)]),
        (V4, "Edm.Duration", ["-P1DT2H3M4.567S", "PT0S"], ["-P1DT2H3M4.567S", "PT0S"]),
        (V4, "Edm.Binary", ["", "AA"], [b"", b"\0"]),
        (V4, "Edm.Guid", ["f5a3c2d0-0000-1000-8000-000000000000"], ["f5a3c2d0-0000-1000-8000-000000000000"]),
    ],
)
def test_values_keep_their_meaning(version, kind, values, wanted):
    assert make(kind, values, version).to_pylist() == wanted


@pytest.mark.parametrize("kind", ["Edm.Double", "Edm.Single"])
def test_a_number_of_json_that_is_too_large_is_none(kind):
    with pytest.raises(IntegrityError, match="'x'"):
        make(kind, pa.array([1.0, float("inf")]))
    assert make(kind, pa.array([1.5, None])).to_pylist() == [1.5, None]


def test_a_v2_date_is_a_date():
    found = make("Edm.DateTime", ["/Date(253402214400000)/"], V2, date_only=True)
    assert (found.type, found.to_pylist()) == (pa.date32(), [date(9999, 12, 31)])


@given(st.decimals(-(10**13) + 1, 10**13 - 1, places=2, allow_nan=False))
def test_every_decimal_is_exact_as_text_and_as_number(value):
    texts = [str(value), f"{value:E}", None]
    found = make("Edm.Decimal", texts, precision=15, scale=2)
    assert found.to_pylist() == [value, value, None]


@pytest.mark.parametrize(
    ("version", "kind", "value", "facets"),
    [
        (V4, "Edm.Decimal", "0.001", {"precision": 15, "scale": 2}),
        (V4, "Edm.Decimal", "12345678901234.00", {"precision": 15, "scale": 2}),
        (V4, "Edm.Decimal", "abc", {"precision": 15, "scale": 2}),
        (V4, "Edm.Decimal", True, {"precision": 15, "scale": 2}),
        (V4, "Edm.Double", "1e400", {}),
        (V4, "Edm.Double", "1_000", {}),
        (V4, "Edm.Double", "Infinity", {}),
        (V4, "Edm.Single", "3.5e38", {}),
        (V4, "Edm.Double", True, {}),
        (V4, "Edm.Int64", "0x1F", {}),
        (V4, "Edm.Int32", 2**31, {}),
        (V4, "Edm.Int32", "1.0", {}),
        (V4, "Edm.Int32", True, {}),
        (V4, "Edm.Byte", -1, {}),
        (V4, "Edm.Date", "2026-02-30", {}),
        (V4, "Edm.DateTimeOffset", "2026-01-01T00:00:00", {}),
        (V4, "Edm.DateTimeOffset", "2026-01-01T00:00:00.1234567Z", {}),
        (V4, "Edm.DateTimeOffset", "2026-01-01T00:00:00+24:00", {}),
        (V4, "Edm.DateTimeOffset", "2026-01-01T24:00:00Z", {}),
        (V4, "Edm.DateTimeOffset", "2026-01-01T00:00:00+01:60", {}),
        (V4, "Edm.TimeOfDay", "24:00", {}),
        (V2, "Edm.DateTimeOffset", "/Date(999999999999999999)/", {}),
        (V2, "Edm.DateTime", "/Date(9223372036854775807)/", {}),
        (V4, "Edm.Boolean", "true", {}),
        (V4, "Edm.String", 5, {}),
        (V4, "Edm.String", {"a": 1}, {}),
        (V4, "Edm.String", "\ud800", {}),
        (V4, "Edm.String", None, {"nullable": False}),
        (V4, "Edm.Binary", "!", {}),
        (V2, "Edm.DateTime", "2026-01-01", {}),
        (V2, "Edm.DateTime", "/Date(1)/", {"date_only": True}),
        (V2, "Edm.Time", "P1D", {}),
    ],
)
def test_what_does_not_fit_is_an_error_that_shows_no_value(version, kind, value, facets):
    with pytest.raises(IntegrityError, match="'x'") as raised:
        make(kind, [value], version, **facets)
    assert raised.value.__cause__ is None
    if isinstance(value, str) and len(value) > 3:
        assert value not in raised.value.message


@pytest.mark.parametrize("text", ["123456789012345678901234567890.12345678", "-0.00000001", "1E+20", "0"])
def test_a_decimal_of_38_digits_is_exact(text):
    for values in ([text], pa.array([text])):
        assert make("Edm.Decimal", values, precision=38, scale=8).to_pylist() == [Decimal(text)]
    with pytest.raises(IntegrityError):
        make("Edm.Decimal", [f"{text[0]}{'9' * 31}"], precision=38, scale=8)


def test_a_decimal_without_a_scale_stays_as_it_was_written():
    assert make("Edm.Decimal", ["1.50", 7], precision=None).to_pylist() == ["1.50", "7"]


def test_as_text_keeps_what_the_service_writes():
    values = ["2026-01-01T00:00:00.1234567Z", None, {"a": [1]}]
    assert make("Edm.GeographyPoint", values, as_text=True).to_pylist() == [values[0], None, '{"a": [1]}']


def test_a_type_without_a_column_is_refused():
    with pytest.raises(UsageError, match=r"Edm\.GeographyPoint, which makes no column"):
        make("Edm.GeographyPoint", [])


@pytest.mark.parametrize("version", [V2, V4])
@pytest.mark.parametrize(
    ("kind", "value", "facets"),
    [
        ("Edm.Decimal", Decimal("-12.50"), {"precision": 9, "scale": 2}),
        ("Edm.Int64", 2**60, {}),
        ("Edm.Double", 0.1, {}),
        ("Edm.DateTimeOffset", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), {}),
        ("Edm.Boolean", True, {}),
        ("Edm.String", "Größe ½″ 🙂", {}),
    ],
)
def test_what_is_written_is_read_as_the_same(version, kind, value, facets):
    field = Field("x", kind, **facets)
    written = to_json(field, fitting(field, value), version)
    assert Column(field, version).make([written], "here").to_pylist() == [value]


def test_a_number_is_rounded_to_what_the_field_holds_and_no_further():
    field = Field("x", "Edm.Decimal", precision=5, scale=3)
    assert fitting(field, 1.0005) == Decimal("1.000")
    assert fitting(field, 1.0015) == Decimal("1.002")
    with pytest.raises(UsageError, match=r"cannot hold '100\.0'"):
        fitting(field, 100.0)
    with pytest.raises(UsageError, match="cannot hold 'nan'"):
        fitting(field, float("nan"))


@pytest.mark.parametrize("digits", [28, 29, 38, 76])
def test_a_long_decimal_is_taken_exactly(digits: int) -> None:
    text = f"-{'1234567890' * 8}"[: digits - 1] + ".25"
    field = Field("Amount", "Edm.Decimal", precision=digits, scale=2)
    assert str(fitting(field, text)) == text
    assert to_json(field, fitting(field, Decimal(text)), Version.V4) == text


@pytest.mark.parametrize(
    ("precision", "text", "says"),
    [
        (None, "9" * 75, "with 2 behind the point it has more than 76 digits"),
        (None, f"{'9' * 74}.999", "with 2 behind the point it has more than 76 digits"),
        (30, "1" * 29, "it has 31 digits and 30 fit"),
        (None, "1e999999999", "with 2 behind the point it has more than 76 digits"),
    ],
)
def test_a_decimal_that_is_too_long_is_refused_with_its_digits(precision: int | None, text: str, says: str) -> None:
    field = Field("Amount", "Edm.Decimal", precision=precision, scale=2)
    with pytest.raises(UsageError, match=f"'Amount' is a Edm.Decimal and cannot hold '.*': {says}"):
        fitting(field, text)
