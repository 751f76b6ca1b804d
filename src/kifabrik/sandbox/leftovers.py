"""What a killed launcher can leave behind: a control group, and in it, if all else failed, processes.

Everything else it had ends with it: its mounts, its memory, the lock on its user id.
"""

import os
import re
from pathlib import Path
from typing import Final

from kifabrik.sandbox.hierarchies import find_hierarchies
from kifabrik.sandbox.limits import end_left_group
from kifabrik.sandbox.uids import DEFAULT_RANGE, RunUid, UidRange, claim_if_free

_NAME: Final = re.compile(r"kifabrik-(\d+)")


def group_name(owner: RunUid) -> str:
    """Return the name of the control group of a run."""
    return f"kifabrik-{owner.uid}" if owner.of_its_own else f"kifabrik-{owner.uid}-{os.getpid()}"


def remove_leftovers(uids: UidRange = DEFAULT_RANGE) -> tuple[str, ...]:
    """End and remove the groups of runs whose launcher is dead; groups of living runs are left alone.

    Returns:
        The groups that were removed, as paths.
    """
    removed: list[str] = []
    for hierarchy in find_hierarchies():
        for folder in sorted(hierarchy.parent.glob("kifabrik-*")):
            removed += [str(folder)] if _remove(folder, uids) else []
    return tuple(removed)


def _remove(folder: Path, uids: UidRange) -> bool:
    match = _NAME.fullmatch(folder.name)
    if match is None or not uids.first <= int(match[1]) < uids.first + uids.count:
        return False
    claimed = claim_if_free(int(match[1]), uids)
    if claimed is None:
        return False
    with claimed:
        return end_left_group(folder)
