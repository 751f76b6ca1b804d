"""What a killed launcher can leave behind: a control group, and in it, if all else failed, processes.

Everything else it had ends with it: its mounts, its memory, the lock on its user id.
"""

import os
import re
from pathlib import Path
from typing import Final

from kifabrik.sandbox.hierarchies import find_hierarchies, group_mounts
from kifabrik.sandbox.limits import end_left_group
from kifabrik.sandbox.uids import DEFAULT_RANGE, RunUid, UidRange, claim_if_free

_NAME: Final = re.compile(r"kifabrik-(\d+)")


def group_name(owner: RunUid) -> str:
    """Return the name of the control group of a run."""
    return f"kifabrik-{owner.uid}" if owner.of_its_own else f"kifabrik-{owner.uid}-{os.getpid()}"


def remove_leftovers(uids: UidRange = DEFAULT_RANGE, *, everywhere: bool = False) -> tuple[str, ...]:
    """End and remove the groups of runs whose launcher is dead; groups of living runs are left alone.

    Args:
        uids: User ids of runs.
        everywhere: Whether to look beyond where this process makes groups: one before it may have lived in
            another group of the machine.

    Returns:
        The groups that were removed, as paths.
    """
    parents = {hierarchy.parent for hierarchy in find_hierarchies()}
    found = {folder for parent in parents for folder in parent.glob("kifabrik-*")}
    if everywhere:
        walked = (
            step for point in group_mounts() for step in os.walk(point)
        )  # which passes over what goes meanwhile
        found |= {Path(above, name) for above, names, _ in walked for name in names if _NAME.fullmatch(name)}
    return tuple(str(folder) for folder in sorted(found) if _remove(folder, uids))


def _remove(folder: Path, uids: UidRange) -> bool:
    match = _NAME.fullmatch(folder.name)
    if match is None or not uids.first <= int(match[1]) < uids.first + uids.count:
        return False
    claimed = claim_if_free(int(match[1]), uids)
    if claimed is None:
        return False
    with claimed:
        return end_left_group(folder)
