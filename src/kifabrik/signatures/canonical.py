"""Canonical JSON after RFC 8785: one value, one byte string."""

import json
from typing import Any, Final, NoReturn

import rfc8785

from kifabrik.errors import IntegrityError, UsageError

_MOST_DIGITS: Final = 15
"""Of an integer that is canonical whatever it is; RFC 8785 ends at 2^53."""


def to_canonical(value: Any) -> bytes:
    """Return the RFC 8785 form of a JSON value.

    Raises:
        UsageError: The value is not JSON (a float that is not finite, an integer beyond 2^53, …).
    """
    try:
        return _plain(value) or rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise UsageError(f"not representable as canonical JSON: {error}") from error


def from_canonical(data: bytes) -> Any:
    """Parse bytes that must be in canonical form.

    Raises:
        IntegrityError: The bytes are not JSON or not in canonical form.
    """
    try:
        value = json.loads(data)
        canonical = _plain(value) or rfc8785.dumps(value)
    except (ValueError, RecursionError, rfc8785.CanonicalizationError):
        raise IntegrityError("not canonical JSON") from None
    if canonical != data:
        raise IntegrityError("JSON is not in canonical form (RFC 8785)")
    return value


def _plain(value: Any) -> bytes | None:
    """What Python's own encoder, some ten times as fast, writes where it does as RFC 8785 says; else None.

    It orders keys by code points instead of UTF-16, writes floats its own way, and takes more for JSON than is.
    """
    try:
        text = _ENCODER.encode(value)
        same = text.isascii() and _DECODER.decode(text) == value
    except (TypeError, ValueError, RecursionError):
        return None
    return text.encode() if same else None


def _refuse(number: str) -> NoReturn:
    raise ValueError(number)


def _small(number: str) -> int:
    return int(number) if len(number) <= _MOST_DIGITS else _refuse(number)


_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_DECODER: Final = json.JSONDecoder(parse_float=_refuse, parse_int=_small)
