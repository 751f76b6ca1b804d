"""An isolation forest in arrays (Liu, Ting, Zhou: Isolation Forest, ICDM 2008).

Every tree splits a random sample at random until each reading stands alone; what is odd is alone early.
A forest is three arrays of shape (trees, nodes): the feature and threshold of each split, and the path
length a reading has when it ends in a node. Children of node i are 2i+1 and 2i+2.
"""

import numpy as np

EULER = 0.5772156649


def average_path(n):
    """Average path length of an unsuccessful search in a binary search tree of n keys (their eq. 1)."""
    n = np.asarray(n, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        length = 2 * (np.log(n - 1) + EULER) - 2 * (n - 1) / n
    return np.where(n > 2, length, np.where(n == 2, 1.0, 0.0))


def grow(readings, sample, depth, random):
    """Grow one tree on a random sample; returns feature (int32), threshold and length (float32)."""
    nodes = 2 ** (depth + 1) - 1
    feature = np.full(nodes, -1, dtype=np.int32)
    threshold = np.zeros(nodes, dtype=np.float32)
    length = np.zeros(nodes, dtype=np.float32)
    rows = readings[random.choice(len(readings), size=sample, replace=False)]
    waiting = [(0, 0, rows)]
    while waiting:
        node, level, here = waiting.pop()
        low, high = (here.min(axis=0), here.max(axis=0)) if len(here) else (0, 0)
        varying = np.flatnonzero(high > low) if len(here) > 1 else ()
        if level == depth or len(varying) == 0:
            length[node] = level + average_path(len(here))
            continue
        chosen = random.choice(varying)
        cut = random.uniform(low[chosen], high[chosen])
        feature[node], threshold[node] = chosen, cut
        left = here[:, chosen] < cut
        waiting += [(2 * node + 1, level + 1, here[left]), (2 * node + 2, level + 1, here[~left])]
    return feature, threshold, length


def score(readings, feature, threshold, length, sample):
    """Anomaly score of each reading between 0 and 1; above 0.6 is odd (their eq. 2)."""
    total = np.zeros(len(readings))
    every = np.arange(len(readings))
    for tree in range(len(feature)):
        node = np.zeros(len(readings), dtype=np.int64)
        while True:
            split = feature[tree][node]
            inner = split >= 0
            if not inner.any():
                break
            right = readings[every, np.maximum(split, 0)] >= threshold[tree][node]
            node = np.where(inner, 2 * node + 1 + right, node)
        total += length[tree][node]
    return 2 ** (-total / len(feature) / average_path(sample))


def auc(scores, odd):
    """Area under the ROC curve: the chance that an odd reading scores higher than a normal one."""
    order = np.argsort(scores, kind="stable")
    _, first, counts = np.unique(scores[order], return_index=True, return_counts=True)
    ranks = np.empty(len(scores))
    ranks[order] = np.repeat(first + (counts + 1) / 2, counts)
    positives = odd.sum()
    return (ranks[odd].sum() - positives * (positives + 1) / 2) / (positives * (len(odd) - positives))
