"""Puts a launcher into the control groups of a job, so that the job's limits hold for it and Slurm's kill finds it.

Sources: cgroups(7); Documentation/admin-guide/cgroup-v1 and cgroup-v2.rst.
"""

from pathlib import Path
from typing import Final

from kifabrik.errors import UnavailableError
from kifabrik.sandbox.hierarchies import groups_of
from kifabrik.sandbox.limits import end_left_group

_PROC: Final = Path("/proc")


def join_groups(pid: int, member: int) -> tuple[Path, ...]:
    """Move a process into every control group another one is in; return their folders.

    Args:
        pid: Is moved, with what it starts from now on.
        member: Is in the groups.

    Raises:
        UnavailableError: The kernel refuses, or the other process has ended.
    """
    own = set(groups_of(_PROC / str(pid)))
    groups = groups_of(_PROC / str(member))
    if not groups:
        raise UnavailableError("the job has ended")
    for folder in groups:
        if folder in own:
            continue
        try:
            (folder / "cgroup.procs").write_text(str(pid), encoding="ascii")
        except OSError as error:
            raise UnavailableError(f"the job's group {folder} takes no launcher: {error.strerror}") from None
    return groups


def clear_groups(groups: tuple[Path, ...]) -> None:
    """End and remove what a killed launcher has left below the groups of its job, which Slurm then can remove."""
    for folder in groups:
        for left in folder.glob("kifabrik-*") if "/job_" in str(folder) else ():
            end_left_group(left)
