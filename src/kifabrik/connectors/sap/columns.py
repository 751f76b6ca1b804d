"""Values as a service writes them in JSON become typed Arrow columns, exactly or not at all.

| `$metadata` says | column |
|---|---|
| `Edm.Decimal` with a scale | `decimal128(precision, scale)` |
| `Edm.Decimal` without | text, as the service wrote it |
| `Edm.Date`, a V2 `Edm.DateTime` shown as a date | `date32` |
| `Edm.DateTimeOffset` | `timestamp[us, UTC]` |
| V2 `Edm.DateTime` | `timestamp[us]`: it has no time zone |
| `Edm.TimeOfDay`, V2 `Edm.Time` | `time64[us]` |
| whole numbers | of their width, signed |
| `Edm.Guid`, `Edm.Duration`, `Edm.String` | text |

Sources: OData JSON Format 4.01, sections 4.4 and 7.1; OData 2.0 JSON format, "Primitive Types".

Invariants:
- numbers are read from their digits (`json.loads(..., parse_float=str)`), never by way of a binary float;
- a value that does not fit its type exactly is an error that names field and type, and shows no value.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from kifabrik.connectors.sap.model import Field, Version
from kifabrik.errors import IntegrityError, UsageError

_V2_TIME: Final = r"^/Date\((-?\d{1,18})(?:[+-]\d{1,4})?\)/$"
_V4_CLOCK: Final = re.compile(r"(?P<h>\d\d):(?P<m>\d\d)(?::(?P<s>\d\d)(?:[.](?P<f>\d{1,12}))?)?")
_V2_CLOCK: Final = re.compile(
    r"PT(?:(?P<h>\d{1,2})H)?(?:(?P<m>\d{1,2})M)?(?:(?P<s>\d{1,2})(?:[.](?P<f>\d{1,12}))?S)?"
)
_OVER_MICROSECONDS: Final = re.compile(r"([.]\d{6})0+(?=Z|[+-]|$)")
_FLOAT: Final = re.compile(r"[+-]?(?:\d+[.]?\d*|[.]\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_INFINITE: Final = frozenset({"INF", "-INF"})
_NO_NUMBERS: Final = _INFINITE | {"NaN"}
_MOST_PRECISION: Final = 38
Values: TypeAlias = Sequence[Any] | pa.Array
"""As `json.loads(..., parse_float=str)` gives them, or as a column that was read from JSON."""
Maker = Callable[[Values], pa.Array]


class Column:
    """How one field becomes a column.

    Args:
        field: As `$metadata` has it.
        version: Of the protocol, which decides how times are written.
        as_text: Whether to keep what the service wrote, as text.

    Raises:
        UsageError: The type has no column; keep it as text, or leave the field out.
    """

    def __init__(self, field: Field, version: Version, *, as_text: bool = False) -> None:
        self.field = field
        self.type, self._make = (pa.string(), _texts) if as_text else _choose(field, version)

    @property
    def name(self) -> str:
        """Of the field."""
        return self.field.name

    @property
    def arrow(self) -> pa.Field:
        """The column in a schema."""
        return pa.field(self.name, self.type, self.field.nullable, {"edm": self.field.type})

    def make(self, values: Values, where: str) -> pa.Array:
        """Return the column of these values.

        Args:
            values: The same for each row.
            where: Names entity set and rows in errors.

        Raises:
            IntegrityError: A value is none of the type, or null where none may be.
        """
        try:
            array = self._make(values)
        except (pa.ArrowException, TypeError, ValueError, OverflowError, AttributeError, binascii.Error):
            raise IntegrityError(
                f"{where}: a value of {self.name!r} is no {self.field.type} that fits {self.type}",
                hint=f"To keep what the service writes, name {self.name!r} under as_text in the plan.",
            ) from None
        if array.null_count and not self.field.nullable:
            raise IntegrityError(f"{where}: {self.name!r} is empty where $metadata says that it never is")
        return array


def _choose(field: Field, version: Version) -> tuple[pa.DataType, Maker]:
    kind = field.type
    if kind == "Edm.Decimal":
        return _decimal(field)
    if kind == "Edm.DateTime" and version is Version.V2 and field.date_only:
        return _V2_DATE
    found = _PLAIN.get(kind) or (_V2_TIMES if version is Version.V2 else _V4_TIMES).get(kind)
    if found is not None:
        return found
    raise UsageError(
        f"{field.name!r} has the type {kind}, which makes no column",
        hint="Leave the field out of the plan, or name it under as_text.",
    )


def _decimal(field: Field) -> tuple[pa.DataType, Maker]:
    if field.scale is None or field.precision is None or field.precision > _MOST_PRECISION:
        return pa.string(), _digits
    kind = pa.decimal128(field.precision, field.scale)
    return kind, lambda values: _digits(values).cast(kind)


def _text_array(values: Values) -> pa.Array:
    if not isinstance(values, pa.Array):
        return pa.array(values, pa.string())
    if not pa.types.is_string(values.type):
        raise TypeError
    return values


def _listed(values: Values) -> Sequence[Any]:
    return values.to_pylist() if isinstance(values, pa.Array) else values


def _once(texts: pa.Array, make: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Make a column of what there is of different texts: days and times come again and again."""
    encoded = texts.dictionary_encode()
    if 2 * len(encoded.dictionary) > len(texts):
        return make(texts)
    return make(encoded.dictionary).take(encoded.indices)


def _number_texts(values: Values) -> list[str | None]:
    return [one if one is None or type(one) is str else _plain_number(one) for one in values]


def _plain_number(value: Any) -> str:
    if type(value) is not int:
        raise TypeError
    return str(value)


def _digits(values: Values) -> pa.Array:
    if isinstance(values, pa.Array):
        return values.cast(pa.string()) if pa.types.is_int64(values.type) else _text_array(values)
    return pa.array(_number_texts(values), pa.string())


def _texts(values: Values) -> pa.Array:
    import json  # noqa: PLC0415 - seldom used

    return pa.array(
        [
            one if one is None or type(one) is str else json.dumps(one, ensure_ascii=False)
            for one in _listed(values)
        ],
        pa.string(),
    )


def _whole(kind: pa.DataType) -> tuple[pa.DataType, Maker]:
    def make(values: Values) -> pa.Array:
        if isinstance(values, pa.Array):
            return values.cast(kind) if pa.types.is_int64(values.type) else whole(_text_array(values))
        if set(map(type, values)) <= {int, type(None)}:
            return pa.array(values, kind)
        return whole(_digits(values))

    def whole(texts: pa.Array) -> pa.Array:
        if any(pc.any(pc.match_substring(texts, letter)).as_py() for letter in "xX"):
            raise ValueError  # Arrow would take 0x1F for 31
        return texts.cast(kind)

    return kind, make


def _float(value: Any) -> float | None:
    if value is None or value in _NO_NUMBERS:
        return None if value is None else float(value)
    if type(value) is bool or (type(value) is str and _FLOAT.fullmatch(value) is None):
        raise TypeError
    number = float(value)
    if math.isinf(number):
        raise OverflowError
    return number


def _infinite(values: Values) -> int | None:
    """How many values say that they are infinite; None if all are null, as Arrow counts."""
    said = [one for one in _listed(values) if one is not None]
    return sum(one in _INFINITE for one in said) if said else None


def _logical(value: Any) -> bool | None:
    if value is None or type(value) is bool:
        return value
    raise TypeError


def _binary(value: str | None) -> bytes | None:
    if value is None:
        return None
    text = value.replace("-", "+").replace("_", "/")
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _cast(kind: pa.DataType) -> tuple[pa.DataType, Maker]:
    def make(values: Values) -> pa.Array:
        texts = _text_array(values)
        try:
            return _once(texts, lambda some: some.cast(kind))
        except pa.ArrowInvalid:
            exact = [one and _exact_microseconds(one) for one in texts.to_pylist()]
            return pa.array(exact, pa.string()).cast(kind)

    return kind, make


def _exact_microseconds(text: str) -> str:
    """Leave out digits beyond the microsecond that are zeros: Arrow takes none of them."""
    return _OVER_MICROSECONDS.sub(r"\1", text)


def _v2_milliseconds(values: Values) -> pa.Array:
    """The numbers in `/Date(...)/`: UTC, and an offset only says in which zone they were entered."""
    numbers = pc.replace_substring_regex(_text_array(values), _V2_TIME, r"\1")
    return numbers.cast(pa.int64())  # fails for what was no such text, for then nothing was replaced


def _v2_times(kind: pa.DataType) -> tuple[pa.DataType, Maker]:
    def make(texts: pa.Array) -> pa.Array:
        return _v2_milliseconds(texts).cast(pa.timestamp("ms", kind.tz)).cast(kind)

    return kind, lambda values: _once(_text_array(values), make)


def _v2_dates(values: Values) -> pa.Array:
    return _once(_text_array(values), _v2_days)


def _v2_days(texts: pa.Array) -> pa.Array:
    moments = _v2_milliseconds(texts).cast(pa.timestamp("ms"))
    days = moments.cast(pa.date32())
    if not days.cast(pa.timestamp("ms")).equals(moments):
        raise ValueError  # there is a time of day, so it is no date
    return days


def _clock(form: re.Pattern[str]) -> tuple[pa.DataType, Maker]:
    def make(texts: pa.Array) -> pa.Array:
        microseconds = [_clock_microseconds(form, one) for one in texts.to_pylist()]
        return pa.array(microseconds, pa.int64()).cast(pa.time64("us"))

    return pa.time64("us"), lambda values: _once(_text_array(values), make)


def _clock_microseconds(form: re.Pattern[str], value: str | None) -> int | None:
    if value is None:
        return None
    found = form.fullmatch(value)
    if found is None:
        raise ValueError
    hours, minutes, seconds = (int(found[part] or 0) for part in "hms")
    fraction = (found["f"] or "").ljust(6, "0")
    if hours >= 24 or minutes >= 60 or seconds >= 60 or fraction[6:].strip("0"):  # noqa: PLR2004 - of a clock
        raise ValueError
    return ((hours * 60 + minutes) * 60 + seconds) * 10**6 + int(fraction[:6])


def _each(kind: pa.DataType, read: Callable[[Any], Any]) -> tuple[pa.DataType, Maker]:
    def make(values: Values) -> pa.Array:
        floats = isinstance(values, pa.Array) and values.type == pa.float64() and pa.types.is_floating(kind)
        if isinstance(values, pa.Array) and (values.type == kind or floats):
            made = values.cast(kind, safe=False)  # as the nearest float, which is what reading each would give
            if floats and pc.any(pc.is_inf(made)).as_py():
                raise OverflowError  # JSON has no number that is infinite; services write it as text
            return made
        made = pa.array([read(one) for one in _listed(values)], kind)
        if kind == pa.float32() and pc.sum(pc.is_inf(made)).as_py() != _infinite(values):
            raise OverflowError
        return made

    return kind, make


_PLAIN: Final = {
    **dict.fromkeys(("Edm.String", "Edm.Guid", "Edm.Duration"), (pa.string(), _text_array)),
    "Edm.Byte": _whole(pa.uint8()),
    "Edm.SByte": _whole(pa.int8()),
    "Edm.Int16": _whole(pa.int16()),
    "Edm.Int32": _whole(pa.int32()),
    "Edm.Int64": _whole(pa.int64()),
    "Edm.Double": _each(pa.float64(), _float),
    "Edm.Single": _each(pa.float32(), _float),
    "Edm.Boolean": _each(pa.bool_(), _logical),
    "Edm.Binary": _each(pa.binary(), _binary),
}
_UTC: Final = pa.timestamp("us", "UTC")
_V2_DATE: Final = (pa.date32(), _v2_dates)
_V4_TIMES: Final = {
    "Edm.Date": _cast(pa.date32()),
    "Edm.DateTimeOffset": _cast(_UTC),
    "Edm.TimeOfDay": _clock(_V4_CLOCK),
}
_V2_TIMES: Final = {
    "Edm.DateTime": _v2_times(pa.timestamp("us")),
    "Edm.DateTimeOffset": _v2_times(_UTC),
    "Edm.Time": _clock(_V2_CLOCK),
}
