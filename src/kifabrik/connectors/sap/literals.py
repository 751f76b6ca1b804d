"""Typed values as OData writes them: in JSON, and in the address of an entity.

Sources: OData ABNF 4.01 (primitive literals); OData 2.0 Overview, section 6 (literals in addresses).
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from typing import Any, Final
from urllib.parse import quote

from kifabrik.connectors.sap.model import EntityType, Field, Version
from kifabrik.errors import UsageError

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_DIGITS: Final = 76
"""Of a decimal with a scale: as many as Arrow's and Parquet's longest, decimal256, has."""
_WIDE: Final = Context(prec=_MOST_DIGITS)
"""Python's own context ends at 28."""


class _TooLongError(ValueError):
    """A decimal has too many digits; says how many."""


def fitting(field: Field, value: Any) -> Any:
    """Return a value as the field can hold it: decimals rounded half to even, whole numbers whole.

    Raises:
        UsageError: It does not fit; names the field.
    """
    if value is None:
        if not field.nullable:
            raise UsageError(f"{field.name!r} may not be empty")
        return None
    try:
        return _fitting(field, value)
    except _TooLongError as error:
        message = f"{field.name!r} is a {field.type} and cannot hold {str(value)[:40]!r}: {error}"
        raise UsageError(message) from None
    except (InvalidOperation, ValueError, TypeError, OverflowError):
        raise UsageError(f"{field.name!r} is a {field.type} and cannot hold {str(value)[:40]!r}") from None


def _fitting(field: Field, value: Any) -> Any:
    if field.type == "Edm.Decimal":
        return _decimal(field, value)
    if field.date_only:
        return _date(value)
    return _READ.get(field.type, str)(value)


def _whole(value: Any) -> int:
    if Decimal(str(value)) != int(value):
        raise ValueError
    return int(value)


def _logical(value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _date(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    return value if isinstance(value, date) else date.fromisoformat(str(value))


def _moment(value: Any) -> datetime:
    return value if isinstance(value, datetime) else datetime.fromisoformat(str(value))


def _moment_utc(value: Any) -> datetime:
    moment = _moment(value)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _clock(value: Any) -> time:
    return value if isinstance(value, time) else time.fromisoformat(str(value))


_READ: Final[Mapping[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("Edm.Byte", "Edm.SByte", "Edm.Int16", "Edm.Int32", "Edm.Int64"), _whole),
    **dict.fromkeys(("Edm.Double", "Edm.Single"), float),
    "Edm.Boolean": _logical,
    "Edm.Date": _date,
    "Edm.DateTime": _moment,
    "Edm.DateTimeOffset": _moment_utc,
    "Edm.TimeOfDay": _clock,
    "Edm.Time": _clock,
}


def _decimal(field: Field, value: Any) -> Decimal:
    number = Decimal(str(value))
    if not number.is_finite():
        raise ValueError
    if field.scale is not None:
        try:
            number = number.quantize(Decimal(1).scaleb(-field.scale), ROUND_HALF_EVEN, _WIDE)
        except InvalidOperation:
            says = f"with {field.scale} behind the point it has more than {_MOST_DIGITS} digits"
            raise _TooLongError(says) from None
    digits = len(number.as_tuple().digits)
    if field.precision is not None and digits > field.precision:
        raise _TooLongError(f"it has {digits} digits and {field.precision} fit")
    return number


def to_json(field: Field, value: Any, version: Version) -> Any:
    """Return a fitting value as JSON has it (`IEEE754Compatible=true` for V4)."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, int):
        return str(value) if field.type == "Edm.Int64" else value
    if isinstance(value, float):
        return str(value) if version is Version.V2 else value
    if isinstance(value, datetime | date | time):
        return _time_to_json(value, version)
    return value


def _time_to_json(value: datetime | date | time, version: Version) -> str:
    if isinstance(value, time):
        return (
            value.isoformat()
            if version is Version.V4
            else f"PT{value.hour:02d}H{value.minute:02d}M{value.second:02d}S"
        )
    if version is Version.V4:
        return value.isoformat().replace("+00:00", "Z")
    return f"/Date({_milliseconds(value)})/"


def _milliseconds(value: datetime | date) -> int:
    moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day, tzinfo=UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - _EPOCH
    return (delta.days * 86400 + delta.seconds) * 1000 + delta.microseconds // 1000


def address_of(set_name: str, entity: EntityType, row: dict[str, Any], version: Version) -> str:
    """Return the address of an entity, relative to the service."""
    parts = {key: _literal(entity.fields[key], row[key], version) for key in entity.keys}
    inner = (
        next(iter(parts.values())) if len(parts) == 1 else ",".join(f"{key}={text}" for key, text in parts.items())
    )
    return f"{set_name}({inner})"


def _literal(field: Field, value: Any, version: Version) -> str:
    text = _plain(field, value)
    if version is Version.V4:
        return text
    prefix = {"Edm.Guid": "guid'", "Edm.DateTime": "datetime'", "Edm.DateTimeOffset": "datetimeoffset'"}.get(
        field.type
    )
    if prefix:
        moment = f"{text}T00:00:00" if field.date_only else text
        return f"{prefix}{moment}'"
    return text + {"Edm.Decimal": "M", "Edm.Int64": "L", "Edm.Double": "d"}.get(field.type, "")


def _plain(field: Field, value: Any) -> str:
    if field.type == "Edm.String":
        return f"'{quote(str(value).replace(chr(39), chr(39) * 2), safe='')}'"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime | date | time):
        return quote(value.isoformat().replace("+00:00", "Z"), safe=":")
    return "true" if value is True else "false" if value is False else quote(str(value), safe="")
