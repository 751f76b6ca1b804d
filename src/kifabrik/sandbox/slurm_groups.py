"""Which Slurm job a process belongs to, by its control groups.

Slurm makes the groups as root, and a process cannot leave them by itself, so this can be believed of a
process whoever runs it, where Slurm tracks processes by control groups (`ProctrackType=proctrack/cgroup`).

Source: Slurm 22.05 to 25.11, `src/plugins/cgroup/v1` (`/slurm[_NODE]/uid_U/job_J/…`) and `v2`
(`…/[NODE_]slurmstepd.scope/job_J/…`); the node's name is there where slurmd can run more than once on a machine.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_JOB: Final = re.compile(
    r"/(?:slurm(?:_(?P<first>[^/]+))?/uid_[0-9]+|(?:(?P<second>[^/]+)_)?slurmstepd\.scope)/job_(?P<job>[0-9]+)(?:/|$)"
)


@dataclass(frozen=True)
class SlurmPlace:
    """Where in Slurm a process is.

    Args:
        job: Number of the job.
        node: Name of the node; empty where the groups do not say.
    """

    job: int
    node: str = ""

    @classmethod
    def from_path(cls, path: str) -> "SlurmPlace | None":
        """Read the path of a control group; None if it is no job's."""
        match = _JOB.search(path)
        return None if match is None else cls(int(match["job"]), match["first"] or match["second"] or "")

    def is_on(self, node: str) -> bool:
        """Whether it can be on this node."""
        return self.node in ("", node)


def slurm_place(process: Path = Path("/proc/self")) -> SlurmPlace | None:
    """Find the job a process belongs to; None if it belongs to none, or is gone.

    Args:
        process: Its folder in `/proc`.
    """
    try:
        lines = (process / "cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return None
    places = (SlurmPlace.from_path(line.split(":", 2)[2]) for line in lines if line.count(":") > 1)
    return next((place for place in places if place is not None), None)
