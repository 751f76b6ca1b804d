"""Pods arrive one after the other and stay; each is placed where its policy scores best, or not at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kifabrik.errors import UsageError
from kifabrik.plant.load import Floats
from kifabrik.plant.placement.cluster import MILLI, MOST_GPUS, Ints, Nodes, Pods
from kifabrik.plant.placement.scores import (
    Cluster,
    Policy,
    fits,
    jit,
    score_best_fit,
    score_clustering,
    score_dot_product,
    score_fgd,
    score_packing,
)

ARRIVALS: Final = 1.3
"""Arrivals in the paper's experiment, as a share of all GPUs."""
_TYPICAL: Final = 0.95
"""The most frequent kinds of pods that make up this share are the typical ones (the artifact's setting)."""
_RANDOM, _DOT_PRODUCT, _CLUSTERING, _PACKING, _FGD = (
    int(each) for each in (Policy.RANDOM, Policy.DOT_PRODUCT, Policy.CLUSTERING, Policy.PACKING, Policy.FGD)
)


@dataclass(frozen=True)
class Allocation:
    """What a policy gave away.

    Attributes:
        policy: Which.
        rates: Share of all GPUs that was given away in each repetition; shape (seeds,).
        arrived: Pods of each; shape (seeds,).
        refused: Pods that found no place; shape (seeds,).
    """

    policy: Policy
    rates: Floats
    arrived: Ints
    refused: Ints


def compare(
    nodes: Nodes,
    pods: Pods,
    policies: Sequence[Policy],
    seeds: Sequence[int],
    *,
    arrivals: float = ARRIVALS,
    progress: Callable[[], None] | None = None,
) -> list[Allocation]:
    """Let pods arrive in a random order until they ask for `arrivals` times all GPUs, under each policy.

    Nodes that score the same are taken in a random order, another one in each repetition, as the simulator of the
    paper does by putting a random number before their names. It matters: pods without GPUs score the same on all
    nodes under clustering and packing, and where these go decides which GPUs lack cores afterwards.

    Args:
        nodes: Of the cluster.
        pods: All of them arrive, and more are drawn from them with replacement; where they alone ask for more than
            is wanted, some are left out.
        policies: Each meets the same arrivals.
        seeds: One repetition each.
        arrivals: What all ask for, as a share of all GPUs.
        progress: Called after each repetition of each policy.

    Raises:
        UsageError: The share is not above 0.
    """
    if not arrivals > 0:
        raise UsageError(f"Arrivals of {arrivals} are not above 0.", hint="For example 1.3")
    kinds, kind = np.unique(
        np.stack([pods.cpu, pods.memory, pods.gpus, pods.milli], axis=1), axis=0, return_inverse=True
    )
    orders = [_order(pods, round(nodes.milli * arrivals), np.random.default_rng(seed)) for seed in seeds]
    lots = [np.random.default_rng([seed, 1]).permutation(len(nodes.cpu)) for seed in seeds]
    found = []
    for policy in policies:
        rates, refused = [], []
        for seed, order, lot in zip(seeds, orders, lots, strict=True):
            cluster = _empty(nodes.in_order(lot), pods)
            given, failed = _place(cluster, kinds, kind.reshape(-1)[order], int(policy), seed)
            rates.append(given / nodes.milli)
            refused.append(failed)
            if progress:
                progress()
        arrived = np.array([len(order) for order in orders])
        found.append(Allocation(policy, np.array(rates), arrived, np.array(refused)))
    return found


def _order(pods: Pods, wanted: int, luck: np.random.Generator) -> Ints:
    """Numbers of pods in order of arrival."""
    order = luck.permutation(pods.count)
    asked = (pods.gpus * pods.milli).astype(np.int64)
    extra = luck.integers(0, pods.count, pods.count)
    while int(asked[order].sum()) + int(asked[extra].sum()) < wanted:
        extra = np.concatenate([extra, luck.integers(0, pods.count, pods.count)])
    total = np.cumsum(asked[np.concatenate([order, extra])])
    return np.concatenate([order, extra])[: int(np.searchsorted(total, wanted, side="right"))]


def _empty(nodes: Nodes, pods: Pods) -> Cluster:
    left = np.where(np.arange(MOST_GPUS) < nodes.gpus[:, None], MILLI, 0).astype(np.int64)
    kinds, counts = np.unique(np.stack([pods.cpu, pods.milli, pods.gpus], axis=1), axis=0, return_counts=True)
    order = np.lexsort((*-kinds.T[::-1], -counts))
    share = counts[order] / pods.count
    most = int(np.searchsorted(np.cumsum(share), _TYPICAL - 1e-12)) + 1
    chosen = order[:most]
    return Cluster(
        nodes.cpu.copy(),
        nodes.memory.copy(),
        nodes.gpus,
        left,
        np.zeros((len(nodes.cpu), 10), dtype=np.int64),
        kinds[chosen, 0],
        kinds[chosen, 2],
        kinds[chosen, 1],
        share[:most] / share[:most].sum(),
    )


@jit
def _score(cluster: Cluster, node: int, kind: Any, policy: int) -> int:
    """A node's score, -1 where the pod does not fit; under the random policy all that fit score the same."""
    cpu, memory, gpus, milli = kind[0], kind[1], kind[2], kind[3]
    score = 0
    if not fits(cluster, node, cpu, memory, gpus, milli):
        score = -1
    elif policy == _FGD:
        score = score_fgd(cluster, node, cpu, gpus, milli)[0]
    elif policy == _DOT_PRODUCT:
        score = score_dot_product(cluster, node, cpu, gpus, milli)
    elif policy == _CLUSTERING:
        score = score_clustering(cluster, node, gpus, milli)
    elif policy == _PACKING:
        score = score_packing(cluster, node, gpus, milli)
    elif policy != _RANDOM:
        score = score_best_fit(cluster, node, cpu, gpus, milli)
    return score


@jit
def _gpu_for_part(cluster: Cluster, node: int, kind: Any, policy: int) -> int:
    """The GPU of a node that a pod gets a part of: at random, by fragmentation, or the fullest that suffices."""
    milli = kind[3]
    if policy == _FGD:
        return int(score_fgd(cluster, node, kind[0], kind[2], milli)[1])
    chosen, fitting = -1, 0
    for gpu in range(cluster.gpus[node]):
        if cluster.left[node, gpu] >= milli:
            fitting += 1
            if policy == _RANDOM:
                if np.random.randint(0, fitting) == 0:  # noqa: NPY002 - the generator of compiled code
                    chosen = gpu
            elif chosen < 0 or cluster.left[node, gpu] < cluster.left[node, chosen]:
                chosen = gpu
    return chosen


@jit
def _take(cluster: Cluster, node: int, kind: Any, policy: int) -> None:
    gpus, milli = kind[2], kind[3]
    if gpus == 1 and milli < MILLI:
        cluster.left[node, _gpu_for_part(cluster, node, kind, policy)] -= milli
        cluster.kinds[node, 9] += 1
    else:
        wanted = gpus
        for gpu in range(cluster.gpus[node]):
            if wanted > 0 and cluster.left[node, gpu] == MILLI:
                cluster.left[node, gpu] = 0
                wanted -= 1
        cluster.kinds[node, gpus] += 1
    cluster.cpu[node] -= kind[0]
    cluster.memory[node] -= kind[1]


@jit
def _fitting_node(score: Any, number: int) -> int:
    """The node with so many before it that fit, too."""
    for node in range(len(score)):
        if score[node] >= 0:
            if number == 0:
                return node
            number -= 1
    return -1


@jit
def _place(cluster: Cluster, kinds: Any, arrivals: Any, policy: int, seed: int) -> tuple[int, int]:
    """Place pods in order; gives the thousandths given away, and how many pods found no place.

    A node's score for a kind of pod is kept until something on the node changes.
    """
    np.random.seed(seed)  # noqa: NPY002 - the generator of compiled code
    nodes = len(cluster.cpu)
    version = np.ones(nodes, dtype=np.int64)
    scored = np.zeros((len(kinds), nodes), dtype=np.int64)
    score = np.zeros((len(kinds), nodes), dtype=np.int16)
    given, refused = 0, 0
    for kind in arrivals:
        best, best_score, fitting = -1, -1, 0
        for node in range(nodes):
            if scored[kind, node] != version[node]:
                scored[kind, node] = version[node]
                score[kind, node] = _score(cluster, node, kinds[kind], policy)
            fitting += score[kind, node] >= 0
            if score[kind, node] > best_score:
                best, best_score = node, score[kind, node]
        if policy == _RANDOM and fitting > 0:
            best = _fitting_node(score[kind], np.random.randint(0, fitting))  # noqa: NPY002
        if best < 0:
            refused += 1
            continue
        _take(cluster, best, kinds[kind], policy)
        version[best] += 1
        given += kinds[kind, 2] * kinds[kind, 3]
    return given, refused
