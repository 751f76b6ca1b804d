"""Ends and removes what `remains` finds.

Invariants:
- what belongs to a user id is touched only while the id is claimed here, so never of a run that goes on, or
  of one that begins meanwhile;
- a process is killed through a handle that was opened before it was looked at again, so never another one
  that was given its number;
- what could not be removed is returned, not passed over.
"""

import contextlib
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Final

from kifabrik.errors import KifabrikError
from kifabrik.sandbox import kernel
from kifabrik.sandbox.limits import end_left_group
from kifabrik.sandbox.proc_files import status_of
from kifabrik.sandbox.remains import Remain, RemainKind, find_remains, memory_mounts
from kifabrik.sandbox.uids import DEFAULT_RANGE, UidRange, claim_if_free

PATIENCE_S: Final = 20.0
"""A process that is killed while the kernel writes its memory down can take this long."""
_LEAST_TRIES: Final = 3
"""However long they took: a machine that stalls is no reason to call something stuck that was just told to go."""
_PAUSE_S: Final = 0.2


def clear_remains(
    runs: Path, uids: UidRange = DEFAULT_RANGE, *, patience_s: float = PATIENCE_S
) -> tuple[Remain, ...]:
    """Clear up after runs that nobody holds any more, and return what is left in spite of that.

    Args:
        runs: Folder of attempts on this node.
        uids: User ids of runs.
        patience_s: Seconds until something counts as not removable.
    """
    end = time.monotonic() + patience_s
    tries = 0
    while left := find_remains(runs, uids):
        tries += 1
        for remain in left:
            with contextlib.suppress(OSError, KifabrikError):
                _clear(remain, uids)
        if not (left := find_remains(runs, uids)) or (tries >= _LEAST_TRIES and time.monotonic() > end):
            break
        time.sleep(_PAUSE_S)
    return tuple(sorted(left, key=lambda remain: remain.what))


def kill(pid: int, uid: int = -1, *, memory: Path | None = None) -> None:
    """Kill a process, if it is still the one that was found; gone is as good.

    Args:
        pid: Its number.
        uid: One of its user ids; -1 for any.
        memory: Where it sees memory of a run mounted; None where that does not matter.
    """
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if _holds(pid, uid, memory):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
        finally:
            os.close(handle)


def remove(path: Path) -> None:
    """Remove a file, or a folder with everything in it; links are not followed.

    Raises:
        OSError: It could not be removed.
    """
    try:
        path.unlink()
    except IsADirectoryError:
        shutil.rmtree(path)
    except FileNotFoundError:
        return


def _clear(remain: Remain, uids: UidRange) -> None:
    with contextlib.ExitStack() as claims:
        if remain.uid >= 0:
            claimed = claim_if_free(remain.uid, uids)
            if claimed is None:
                return
            claims.enter_context(claimed)
        if remain.kind in (RemainKind.PROCESS, RemainKind.HELD_MOUNT):
            kill(remain.pid, remain.uid, memory=remain.path)
        elif remain.path is None:
            raise AssertionError(remain)
        elif remain.kind is RemainKind.GROUP:
            end_left_group(remain.path)
        elif remain.kind is RemainKind.MOUNT:
            kernel.unmount(remain.path, detach=True)
        else:
            remove(remain.path)


def _holds(pid: int, uid: int, memory: Path | None) -> bool:
    """Whether a process is what it was found as."""
    process = Path(f"/proc/{pid}")
    status = status_of(process)
    if status is None or (uid >= 0 and uid not in status.uids):
        return False
    return memory is None or memory in memory_mounts(process)
