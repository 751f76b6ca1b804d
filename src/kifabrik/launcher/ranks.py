"""The variables by which the processes of a run find each other: torchrun's, and ours.

The job's command runs once on each node. What it finds are the values of one process on each; a program that
starts more of them (torchrun, `mp.spawn`) sets its own for those. torchrun takes the defaults of its options from
`PET_…` (torch/distributed/argparse_util.py), so on several nodes it needs nothing but `--nproc-per-node`.
"""

from typing import Final

from kifabrik.sandbox.network import DEVICE, RunNetwork, address_of

_PORT: Final = "29500"
"""The port PyTorch's own examples and torchrun's default use."""
_ALONE: Final = "127.0.0.1"


def rank_variables(network: RunNetwork | None) -> dict[str, str]:
    """Return the variables of one rank.

    Args:
        network: Of its run; None for a run on one node.
    """
    rank, nodes = (0, 1) if network is None else (network.rank, len(network.underlays))
    lead = _ALONE if network is None else address_of(0)
    found = {
        "KIFABRIK_NODES": str(nodes),
        "KIFABRIK_NODE_RANK": str(rank),
        "MASTER_ADDR": lead,
        "MASTER_PORT": _PORT,
        "RANK": str(rank),
        "LOCAL_RANK": "0",
        "WORLD_SIZE": str(nodes),
        "LOCAL_WORLD_SIZE": "1",
        "GROUP_RANK": str(rank),
        "GROUP_WORLD_SIZE": str(nodes),
        "NNODES": str(nodes),
        "NODE_RANK": str(rank),
    }
    if network is None:
        return found
    return found | {
        **dict.fromkeys(("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME", "TP_SOCKET_IFNAME"), DEVICE),
        "PET_NNODES": str(nodes),
        "PET_NODE_RANK": str(rank),
        "PET_MASTER_ADDR": lead,
        "PET_MASTER_PORT": _PORT,
    }
