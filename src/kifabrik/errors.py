"""One error tree; the name says whose fault it is, the class carries the two statuses.

    KifabrikError
    ├── UsageError          the caller asked for something that makes no sense     exit 2, HTTP 400
    ├── NotFoundError       there is no such thing, or it is not yours              exit 3, HTTP 404
    ├── RefusedError        policy, role or keyholder says no                       exit 4, HTTP 403
    │   └── SignInError     the token or invitation is missing, wrong or expired    exit 4, HTTP 401
    ├── ConflictError       somebody was first                                      exit 5, HTTP 409
    ├── IntegrityError      bytes, signatures or logs do not verify                 exit 6, HTTP 422
    ├── UnavailableError    the other side cannot be reached; trying again may help exit 7, HTTP 503
    ├── CapacityError       disk, quota, budget or hardware does not suffice        exit 8, HTTP 507
    └── RunFailedError      the customer's own program failed                       exit 9, HTTP 500

Only `kifabrik.cli.main` exits the process and only `kifabrik.service` answers HTTP; both read the
statuses from here. A message says what was wrong and where; the hint says what to do next.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Final

FULL_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""What the operating system says where there is no room."""


class KifabrikError(Exception):
    """Any failure kifabrik foresees.

    Args:
        message: What was wrong, and where.
        hint: What the person can do next; empty if nothing is known to help.
    """

    exit_status: ClassVar[int] = 1
    http_status: ClassVar[int] = 500
    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(KifabrikError):
    """The caller asked for something that makes no sense."""

    exit_status = 2
    http_status = 400
    code = "usage"


class NotFoundError(KifabrikError):
    """There is no such thing, or it belongs to another tenant: both answer alike."""

    exit_status = 3
    http_status = 404
    code = "not-found"


class RefusedError(KifabrikError):
    """A policy, a role or the keyholder says no."""

    exit_status = 4
    http_status = 403
    code = "refused"


class SignInError(RefusedError):
    """The token or the invitation is missing, wrong or expired."""

    http_status = 401
    code = "sign-in"


class ConflictError(KifabrikError):
    """Somebody else was first, or the thing is in another state than assumed."""

    exit_status = 5
    http_status = 409
    code = "conflict"


class IntegrityError(KifabrikError):
    """Bytes, signatures or logs do not verify."""

    exit_status = 6
    http_status = 422
    code = "integrity"


class UnavailableError(KifabrikError):
    """The other side cannot be reached or is not ready; trying again may help."""

    exit_status = 7
    http_status = 503
    code = "unavailable"


class CapacityError(KifabrikError):
    """Disk, quota, budget or hardware does not suffice."""

    exit_status = 8
    http_status = 507
    code = "capacity"


class RunFailedError(KifabrikError):
    """The customer's own program failed."""

    exit_status = 9
    http_status = 500
    code = "run-failed"


@contextmanager
def writing_to(folder: Path, what: str) -> Iterator[None]:
    """Turn what the operating system says about a folder into an error of ours.

    Args:
        folder: What is written to.
        what: What is written, such as `the study`.

    Raises:
        CapacityError: The disk is full.
        UsageError: The folder cannot be written to.
    """
    try:
        yield
    except OSError as error:
        if error.errno in FULL_DISK:
            message = f"The disk is full: {what} cannot be written to {folder}."
            raise CapacityError(message, hint="Free some space, or choose another folder.") from error
        reason = error.strerror or type(error).__name__
        raise UsageError(f"{folder} cannot be written to: {reason}.", hint="Choose another folder.") from error


BY_CODE = {
    error.code: error
    for error in (
        KifabrikError,
        UsageError,
        NotFoundError,
        RefusedError,
        SignInError,
        ConflictError,
        IntegrityError,
        UnavailableError,
        CapacityError,
        RunFailedError,
    )
}
"""Error class by its code, so that the HTTP client raises what the service raised."""
