"""What an S3 store may answer, in words: short ones for whoever calls the factory, all of it for its operator."""

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,  # noqa: A004 - botocore's name
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
    ProfileNotFound,
    SSLError,
)
from urllib3.exceptions import HTTPError

from kifabrik.errors import CapacityError, KifabrikError, UnavailableError
from kifabrik.stores.s3.place import S3Place
from kifabrik.values import format_time, now_utc

_logger = logging.getLogger(__name__)
_SKEW_S: Final = 300
"""Beyond this a refusal may be the clock's fault; stores refuse from 900 s on."""
_FULL: Final = frozenset({"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "InsufficientCapacity"})
_KEYS: Final = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken"})
_BUSY: Final = frozenset({"SlowDown", "Throttling", "RequestTimeout"})
_FORBIDDEN: Final = 403
_THEIR_FAULT: Final = 500
_NO_ROOM: Final = 507
MISSING: Final = frozenset({"404", "NoSuchKey", "NotFound"})
_SIGNED: Final = re.compile(r"\?X-Amz-[^\s\"]*")
"""What makes a URL good for whoever reads it."""
_FOR_OPERATOR: Final = "Try again in a while: nothing is lost. The factory's operator finds more in service.log."


class StoreAwayError(UnavailableError):
    """The object store cannot be reached at all, or does not answer."""


class StoreRefusesError(UnavailableError):
    """The object store answers, and refuses: its settings or ours are wrong."""


@contextmanager
def s3_errors(place: S3Place, *, told: bool = False, known_away: bool = False) -> Iterator[None]:
    """Translate errors of the store.

    Args:
        place: The store.
        told: Whether the whole truth goes into the message: to operators only, since it names hosts and buckets.
        known_away: Whether the operator knows that the store is away: each caller would tell them again.

    Raises:
        CapacityError: There is no room.
        StoreAwayError: It cannot be reached.
        StoreRefusesError: It refuses.
    """
    try:
        yield
    except (ClientError, BotoCoreError, HTTPError, OSError) as error:
        raise translated(error, place, told=told, known_away=known_away) from error


def code_of(error: ClientError) -> str:
    """The store's own word for what went wrong; where an answer has no body, its status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def translated(error: Exception, place: S3Place, *, told: bool = False, known_away: bool = False) -> KifabrikError:
    """Return an error of ours for one of the store's."""
    found = _refused(error, place) if isinstance(error, ClientError) else _unreachable(error, place)
    if told:
        return found
    if not (known_away and isinstance(found, StoreAwayError)):
        _logger.warning("objects: %s. %s", found.message, found.hint)
    if isinstance(found, CapacityError):
        return CapacityError("the factory's object store is full", hint="Ask its operator for room.")
    if isinstance(found, StoreAwayError):
        return StoreAwayError("the factory's object store cannot be reached", hint=_FOR_OPERATOR)
    return StoreRefusesError("the factory's object store refuses", hint=_FOR_OPERATOR)


def _unreachable(error: Exception, place: S3Place) -> KifabrikError:
    if isinstance(error, NoCredentialsError | PartialCredentialsError | ProfileNotFound):
        return StoreRefusesError(
            f"there are no credentials for {place.named}: {error}",
            hint="Name a file as `credentials` in [objects], or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.",
        )
    if isinstance(error, SSLError):
        return StoreAwayError(
            f"the certificate of {place.named} is not trusted: {error}",
            hint="Name its authority's PEM file as `ca` in [objects].",
        )
    if isinstance(error, ConnectionError | HTTPClientError | HTTPError | OSError):
        return StoreAwayError(
            f"{place.named} cannot be reached or does not answer: {_short(error)}",
            hint="Is the store up, and its address in [objects] of factory.toml right?",
        )
    return StoreRefusesError(f"{place.named} cannot be used: {error}", hint="Correct [objects] in factory.toml.")


def _refused(error: ClientError, place: S3Place) -> KifabrikError:
    code, meta = code_of(error), error.response.get("ResponseMetadata", {})
    status, what = int(meta.get("HTTPStatusCode", 0)), error.operation_name
    theirs = _their_time(meta.get("HTTPHeaders", {}))
    if code == "RequestTimeTooSkewed" or (status == _FORBIDDEN and _is_far(theirs)):
        return _skewed(place, theirs)
    if code in _FULL or status == _NO_ROOM:
        return CapacityError(f"{place.named} is full: {code}", hint="Make room there, or raise its quota.")
    if status >= _THEIR_FAULT or code in _BUSY:
        return StoreAwayError(f"{place.named} is not ready: {what} was answered with {code or status}")
    message, hint = _wrong_settings(code, status, what, place)
    return StoreRefusesError(message or f"{place.named} refuses {what}: {code} {_short(error)}", hint=hint)


def _wrong_settings(code: str, status: int, what: str, place: S3Place) -> tuple[str, str]:
    """What to say of a refusal that somebody's settings have caused; nothing if it is another one."""
    if code == "NoSuchBucket":
        hint = "Create it, or correct `url` in [objects] of factory.toml."
        return f"there is no bucket {place.bucket} at {place.endpoint or place.region}", hint
    if code in _KEYS:
        hint = "Correct them where they are kept; they are read again at the next start."
        return f"{place.named} does not take the credentials: {code}", hint
    if status == _FORBIDDEN:
        hint = "docs/operations.md, Objects on S3, lists what the factory's user must be allowed."
        return f"{place.named} does not allow {what} ({code})", hint
    return "", ""


def _skewed(place: S3Place, theirs: datetime | None) -> StoreRefusesError:
    return StoreRefusesError(
        f"the clocks of this machine and of {place.named} differ: {format_time(now_utc())} here, "
        f"{format_time(theirs.replace(microsecond=0)) if theirs else 'another time'} there",
        hint="Set the wrong one right; signatures hold for a quarter of an hour.",
    )


def _their_time(headers: Mapping[str, Any]) -> datetime | None:
    try:
        return parsedate_to_datetime(str(headers.get("date", ""))).astimezone(UTC)
    except ValueError:
        return None


def _is_far(theirs: datetime | None) -> bool:
    return theirs is not None and abs((theirs - now_utc()).total_seconds()) > _SKEW_S


def _short(error: Exception) -> str:
    return " ".join(_SIGNED.sub("?", str(error)).split())[:200]
