"""The job Slurm calls a prolog or an epilog for.

Source: Slurm's Prolog and Epilog Guide, "Environment Variables".
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kifabrik.errors import UsageError

_OURS: Final = re.compile(r"kf-[a-z2-7]{16}")
"""Unix users of tenants: `engines.slurm.account_plan.unix_user`."""
_LIST: Final = re.compile(r"[0-9]{1,4}(?:,[0-9]{1,4})*")


@dataclass(frozen=True)
class HookJob:
    """What Slurm says of it.

    Args:
        job: Its number.
        uid: Number of the user it belongs to.
        user: The user's name.
        node: Slurm's name of this node.
        gpus: Numbers of the device files of its GPUs here.
        unreadable: What Slurm says of its GPUs, if it names no device files; else empty.
        restarts: How often Slurm has requeued it.
        conf: The cluster's slurm.conf; None for the system's own.
    """

    job: int
    uid: int
    user: str
    node: str
    gpus: tuple[int, ...] = ()
    unreadable: str = ""
    restarts: int = 0
    conf: Path | None = None

    @property
    def ours(self) -> bool:
        """Whether it belongs to a tenant of the factory."""
        return self.uid != 0 and _OURS.fullmatch(self.user) is not None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> "HookJob":
        """Read it.

        Raises:
            UsageError: It is not Slurm that calls.
        """
        try:
            job, uid = int(environment["SLURM_JOB_ID"]), int(environment["SLURM_JOB_UID"])
            node = environment["SLURMD_NODENAME"]
        except (KeyError, ValueError) as error:
            raise UsageError(
                f"Slurm did not say for which job this is ({error})",
                hint="slurmd calls it. What slurm.conf must name is printed with --print-script.",
            ) from None
        listed, conf = environment.get("SLURM_JOB_GPUS", ""), environment.get("SLURM_CONF", "")
        readable = not listed or _LIST.fullmatch(listed) is not None
        return cls(
            job,
            uid,
            environment.get("SLURM_JOB_USER", ""),
            node,
            tuple(sorted({int(number) for number in listed.split(",")})) if listed and readable else (),
            "" if readable else listed[:80],
            int(restarts) if (restarts := environment.get("SLURM_JOB_RESTART_COUNT", "")).isdigit() else 0,
            Path(conf) if conf else None,
        )
