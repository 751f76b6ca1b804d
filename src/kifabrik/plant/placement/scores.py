"""How good a node is for a pod, by policy: whole numbers from 0 to 100, as the Kubernetes scheduler has them.

Rounding to whole numbers matters: nodes that score the same are taken in order of their numbers.
"""

import math
from enum import IntEnum
from typing import Any, Final, NamedTuple

import numba

MILLI: Final = 1000
MOST: Final = 100
_CPU_OF_LARGEST: Final = 128_000.0
_MILLI_OF_LARGEST: Final = 8_000
jit = numba.njit(cache=True, nogil=True, error_model="numpy", boundscheck=False)
_inlined = numba.njit(inline="always", error_model="numpy", boundscheck=False)


class Policy(IntEnum):
    """Placement policies of the paper's comparison."""

    RANDOM = 0
    DOT_PRODUCT = 1
    CLUSTERING = 2
    PACKING = 3
    BEST_FIT = 4
    FGD = 5


class Cluster(NamedTuple):
    """What is left on each node, and what a typical pod is."""

    cpu: Any  # [node] thousandths of cores left
    memory: Any  # [node] MiB left
    gpus: Any  # [node]
    left: Any  # [node, gpu] thousandths left
    kinds: Any  # [node, 10] running pods by GPUs they have: 0 none, 1-8, 9 a part of one
    typical_cpu: Any  # [typical]
    typical_gpus: Any
    typical_milli: Any
    typical_share: Any


@jit
def fragmented(cluster: Cluster, cpu: int, left: Any, gpus: int) -> float:
    """Thousandths of GPUs that a typical pod cannot use, on average (section 4.2 of the paper).

    Args:
        cluster: For the typical pods.
        cpu: Thousandths of cores left on the node.
        left: Thousandths left of each GPU; shape (gpus,).
        gpus: Of the node.
    """
    total = 0
    for gpu in range(gpus):
        total += left[gpu]
    lost = 0.0
    for each in range(len(cluster.typical_cpu)):
        milli = cluster.typical_milli[each]
        fitting, small = 0, 0
        for gpu in range(gpus):
            if left[gpu] >= milli:
                fitting += 1
            else:
                small += left[gpu]
        usable = milli > 0 and fitting >= cluster.typical_gpus[each] and cpu >= cluster.typical_cpu[each]
        lost += cluster.typical_share[each] * (small if usable else total)
    return lost


@jit
def fits(cluster: Cluster, node: int, cpu: int, memory: int, gpus: int, milli: int) -> bool:
    """Whether a node has room for a pod."""
    if cluster.cpu[node] < cpu or cluster.memory[node] < memory:
        return False
    fitting = 0
    for gpu in range(cluster.gpus[node]):
        fitting += cluster.left[node, gpu] >= milli
    return bool(fitting >= gpus)


@jit
def score_fgd(cluster: Cluster, node: int, cpu: int, gpus: int, milli: int) -> tuple[int, int]:
    """Least growth of fragmentation; with it, the GPU for a pod that asks for a part of one."""
    left, count = cluster.left[node], cluster.gpus[node]
    before = fragmented(cluster, cluster.cpu[node], left, count)
    after = left.copy()
    if gpus == 1 and milli < MILLI:
        best, best_gpu = -1, -1
        for gpu in range(count):
            if left[gpu] >= milli:
                after[gpu] -= milli
                score = _squashed(before - fragmented(cluster, cluster.cpu[node] - cpu, after, count))
                after[gpu] += milli
                if score > best:
                    best, best_gpu = score, gpu
        return best, best_gpu
    wanted = gpus
    for gpu in range(count):
        if wanted > 0 and left[gpu] == MILLI:
            after[gpu] = 0
            wanted -= 1
    return _squashed(before - fragmented(cluster, cluster.cpu[node] - cpu, after, count)), -1


@_inlined
def _squashed(gain: float) -> int:
    return int(MOST / (1.0 + math.exp(-gain / MILLI)))


@jit
def total_left(cluster: Cluster, node: int) -> int:
    """Thousandths of GPUs left on a node."""
    total = 0
    for gpu in range(cluster.gpus[node]):
        total += cluster.left[node, gpu]
    return total


@jit
def score_dot_product(cluster: Cluster, node: int, cpu: int, gpus: int, milli: int) -> int:
    """Least alignment of what is left with what is asked (after Tetris, Grandl et al., SIGCOMM'14)."""
    ours = cluster.cpu[node] / _CPU_OF_LARGEST * (cpu / _CPU_OF_LARGEST)
    theirs = total_left(cluster, node) / _MILLI_OF_LARGEST * (gpus * milli / _MILLI_OF_LARGEST)
    return int(MOST * (1.0 - (ours + theirs) / 2))


@jit
def score_best_fit(cluster: Cluster, node: int, cpu: int, gpus: int, milli: int) -> int:
    """Least left afterwards, cores and GPUs weighing the same."""
    cores = (cluster.cpu[node] - cpu) / _CPU_OF_LARGEST
    parts = (total_left(cluster, node) - gpus * milli) / _MILLI_OF_LARGEST
    return int(MOST * (1.0 - (cores + parts) / 2))


@jit
def score_clustering(cluster: Cluster, node: int, gpus: int, milli: int) -> int:
    """With pods that ask for as many GPUs, on the fullest of such nodes (after Gandiva, OSDI'18)."""
    if gpus == 0:
        return 0
    kind = 9 if milli < MILLI else gpus
    kinds = 0
    for each in range(1, 10):
        kinds += cluster.kinds[node, each] > 0
    quarter = MOST // 4
    fullness = quarter * (_MILLI_OF_LARGEST - total_left(cluster, node)) // _MILLI_OF_LARGEST
    if cluster.kinds[node, kind] > 0:
        return int(fullness + (3 if kinds == 1 else 2) * quarter)
    return int(fullness + (quarter if kinds == 0 else 0))


@jit
def score_packing(cluster: Cluster, node: int, gpus: int, milli: int) -> int:
    """GPUs in use first, then free GPUs of nodes in use, then free nodes (after MLaaS in the Wild, NSDI'22)."""
    if gpus == 0:
        return 0
    count, free = cluster.gpus[node], 0
    for gpu in range(count):
        free += cluster.left[node, gpu] == MILLI
    if free == count:
        return int(max(MOST // 3 - free, free))
    if milli == MILLI:
        return int(max(MOST // 2 - gpus, MOST // 3))
    tightest = MILLI + 1
    for gpu in range(count):
        if milli <= cluster.left[node, gpu] < tightest:
            tightest = cluster.left[node, gpu]
    if tightest == MILLI:
        return int(max(MOST // 2 - 1, MOST // 3))
    return int(max(MOST - tightest * 100 // MILLI // 10, MOST // 2))
