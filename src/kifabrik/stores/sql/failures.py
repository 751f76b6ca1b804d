"""What databases say when something fails, as errors of ours.

What PostgreSQL says is known by its SQLSTATE (PostgreSQL's manual, appendix A). A caller is never told what the
database says itself: that stands in the service's log.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from kifabrik.durable import is_full
from kifabrik.errors import CapacityError, ConflictError, UnavailableError, UsageError

_NO_ROOM: Final = frozenset({"53100"})
"""disk_full."""
_LOST_A_RACE: Final = frozenset({"40001", "40P01"})
"""serialization_failure, deadlock_detected: nothing was changed, and doing it again succeeds."""
_IF_IT_LASTS: Final = "Try again in a moment. If it stays so, tell the factory's operator: service.log says why."
_logger = logging.getLogger(__name__)


@contextmanager
def translated(folder: Path | None) -> Iterator[None]:
    """Turn errors of SQLAlchemy and its drivers into ours.

    Args:
        folder: Of SQLite's file, whose disk may be full; None for PostgreSQL.

    Raises:
        ConflictError: A row is there already.
        CapacityError: The database's disk is full.
        UnavailableError: It is busy, out of reach, or has cut the connection; nothing is known to be changed.
        UsageError: A value does not fit into its column.
    """
    try:
        yield
    except IntegrityError as error:
        _logger.info("constraint: %s", first_line(error))
        raise ConflictError(
            "somebody else was first, or this exists already", hint="Look, then try again."
        ) from error
    except OperationalError as error:
        raise _operational(error, folder) from error
    except DataError as error:
        _logger.warning("database: %s", first_line(error))
        raise UsageError("something in this is longer or larger than the factory can keep") from error
    except DBAPIError as error:
        _logger.warning("database: %s", first_line(error))
        raise UnavailableError("the factory's database refused", hint="Try again.") from error
    except PoolTimeoutError as error:
        raise UnavailableError("all connections to the factory's database are in use", hint="Try again.") from error


def first_line(error: BaseException) -> str:
    """The first line of what the database says, for its operator; SQLAlchemy's own words are left out."""
    said = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    lines = [line.strip() for line in str(said).splitlines() if line.strip()]
    return lines[0] if lines else type(said).__name__


def _operational(error: OperationalError, folder: Path | None) -> CapacityError | UnavailableError:
    state = getattr(error.orig, "sqlstate", None)
    if state in _NO_ROOM or (folder is not None and _lite_is_full(str(error.orig).lower(), folder)):
        return CapacityError("the factory's disk is full", hint="Ask its operator for room.")
    if state in _LOST_A_RACE:
        _logger.info("database: %s", first_line(error))
        return UnavailableError("two changes were in each other's way; this one was not made", hint="Try again.")
    _logger.warning("database: %s", first_line(error))
    return UnavailableError("the factory's database is busy or out of reach", hint=_IF_IT_LASTS)


def _lite_is_full(said: str, folder: Path) -> bool:
    return "full" in said or "no space" in said or is_full(folder)
