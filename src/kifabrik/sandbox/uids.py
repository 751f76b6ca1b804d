"""A user id for each run, so that no run can touch the processes or files of another.

Invariants:
- of two runs alive on one machine no two have the same id: it is held by a lock on a file, which the
  kernel drops when the launcher is gone, however it went;
- a launcher that is not root runs everything as itself.
"""

import fcntl
import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from kifabrik.errors import CapacityError, UnavailableError


@dataclass(frozen=True)
class UidRange:
    """User ids, and group ids of the same number, set aside for runs on this machine.

    Args:
        first: The lowest.
        count: How many, which is also how many runs the machine can hold at once.
        locks: Folder of the lock files.
    """

    first: int = 700_000
    count: int = 10_000
    locks: Path = Path("/run/kifabrik/uids")


DEFAULT_RANGE: Final = UidRange()


@dataclass(frozen=True)
class RunUid:
    """The user a room runs as; let go of it by `release` or at the end of a `with` block.

    Args:
        uid: User id on the machine.
        gid: Group id on the machine.
        of_its_own: Whether it belongs to this run alone, or is simply the launcher's.
    """

    uid: int
    gid: int
    of_its_own: bool
    _lock: int = -1

    def release(self) -> None:
        """Let another run have the id; to be called once, after the room is gone."""
        if self._lock >= 0:
            os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def claim_uid(uids: UidRange = DEFAULT_RANGE) -> RunUid:
    """Claim the lowest free user id of the range, or give the launcher's own if it is not root.

    Raises:
        CapacityError: As many runs are alive as there are ids.
        UnavailableError: The ids do not exist here, or the lock folder cannot be made.
    """
    if os.geteuid() != 0:
        return RunUid(os.geteuid(), os.getegid(), of_its_own=False)
    if not maps(uids):
        raise UnavailableError(
            f"the user ids {uids.first} to {uids.first + uids.count - 1} do not exist in this container",
            hint="Set the range of run user ids to one that /proc/self/uid_map covers.",
        )
    for uid in range(uids.first, uids.first + uids.count):
        claimed = claim_if_free(uid, uids)
        if claimed:
            return claimed
    raise CapacityError(
        f"all {uids.count} user ids for runs are taken", hint="Wait for a run to end, or widen the range."
    )


def claim_if_free(uid: int, uids: UidRange) -> RunUid | None:
    """Claim one user id of the range; None if a run has it.

    Raises:
        UnavailableError: The lock folder cannot be made.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        uids.locks.mkdir(mode=0o755, parents=True, exist_ok=True)
        lock = os.open(uids.locks / f"{uid}.lock", flags, 0o600)
    except OSError as error:
        raise UnavailableError(f"no lock for a user id in {uids.locks}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return RunUid(uid, uid, of_its_own=True, _lock=lock)


def maps(uids: UidRange, maps_folder: Path = Path("/proc/self")) -> bool:
    """Whether every user and group id of the range exists in this process's user namespace."""
    return all(_covers(maps_folder / name, uids) for name in ("uid_map", "gid_map"))


def _covers(id_map: Path, uids: UidRange) -> bool:
    for line in id_map.read_text(encoding="ascii").splitlines():
        first, _, count = (int(field) for field in line.split())
        if first <= uids.first and uids.first + uids.count <= first + count:
            return True
    return False
