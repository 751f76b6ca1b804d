"""The governor's permit on a cluster: how many GPUs all tenants' jobs may hold together.

The limit stands on the account above those of all tenants (its association's GrpTRES), beside the limits of
tenants' QOS, which stay. Slurm starts no job beyond it and stops none.
"""

import math
from typing import Final

from kifabrik.engines.slurm.account_plan import PARENT
from kifabrik.engines.slurm.accounts import NO_LIMIT
from kifabrik.engines.slurm.commands import SlurmCommands
from kifabrik.engines.slurm.node_view import NodeView

REASONS: Final = frozenset({"AssocGrpGRES", "AssocGrpCpuLimit"})
"""Codes of jobs that wait for a limit of an account: the tenant's account has none of its own (`account_plan`)."""
_GPU: Final = "gres/gpu"
_CPU: Final = "cpu"
_ROUNDING: Final = 1e-9


def limit_power(commands: SlurmCommands, share: float) -> str:
    """Let jobs of all tenants hold this share of the cluster's GPUs, or of its cores where it has none.

    Args:
        commands: Slurm's.
        share: 0 to 1; with 1 there is no limit.

    Returns:
        The limit, as Slurm writes it.

    Raises:
        RefusedError: This user may not change Slurm's accounting.
        UnavailableError: Slurm does not answer, or its accounting is off.
        KifabrikError: There is no such account: `kifabrik admin slurm sync` makes it.
    """
    nodes = NodeView(commands).nodes()
    gpus = sum(sum(node.gpus.values()) for node in nodes)
    name, count = (_GPU, gpus) if gpus else (_CPU, sum(node.cpus for node in nodes))
    most = NO_LIMIT if share >= 1 else math.floor(count * share + _ROUNDING)
    limit = f"{name}={most}"
    where = ("where", f"Name={PARENT}", "set", f"GrpTRES={limit}")
    commands.run("sacctmgr", "--immediate", "--quiet", "modify", "account", *where)
    return limit
