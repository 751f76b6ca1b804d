"""Locks of the runs ordered from this machine, kept so that their environments can be verified later."""

from pathlib import Path

from kifabrik.customer.profile import member_folder
from kifabrik.environments.lockfile import Lock
from kifabrik.errors import IntegrityError, NotFoundError


def keep_lock(home: Path, lock: Lock) -> None:
    """Remember a lock by its digest."""
    (member_folder(home, "locks") / f"{lock.digest}.txt").write_text(lock.text, encoding="utf-8", newline="\n")


def kept_lock(home: Path, digest: str) -> Lock:
    """Return a lock this machine has ordered with.

    Raises:
        NotFoundError: It was ordered from another machine.
        IntegrityError: The file was changed.
    """
    try:
        text = (member_folder(home, "locks") / f"{digest}.txt").read_text(encoding="utf-8")
    except FileNotFoundError:
        raise NotFoundError(
            "this machine does not hold the run's lock", hint="Verify on the machine the run was ordered from."
        ) from None
    lock = Lock.from_text(text)
    if lock.digest != digest:
        raise IntegrityError("the lock kept on this machine was changed")
    return lock
