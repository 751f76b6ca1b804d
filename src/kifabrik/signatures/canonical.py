"""Canonical JSON after RFC 8785: one value, one byte string."""

import json
from typing import Any

import rfc8785

from kifabrik.errors import IntegrityError, UsageError


def to_canonical(value: Any) -> bytes:
    """Return the RFC 8785 form of a JSON value.

    Raises:
        UsageError: The value is not JSON (a float that is not finite, an integer beyond 2^53, …).
    """
    try:
        return rfc8785.dumps(value)
    except rfc8785.CanonicalizationError as error:
        raise UsageError(f"not representable as canonical JSON: {error}") from error


def from_canonical(data: bytes) -> Any:
    """Parse bytes that must be in canonical form.

    Raises:
        IntegrityError: The bytes are not JSON or not in canonical form.
    """
    try:
        value = json.loads(data)
        canonical = rfc8785.dumps(value)
    except (ValueError, RecursionError, rfc8785.CanonicalizationError):
        raise IntegrityError("not canonical JSON") from None
    if canonical != data:
        raise IntegrityError("JSON is not in canonical form (RFC 8785)")
    return value
