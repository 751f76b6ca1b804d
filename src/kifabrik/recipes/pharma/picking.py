"""Hits that are unlike each other: MaxMin, which spreads over chemical space, or the best of each Butina cluster.

Sources: MaxMin, Ashton et al., Quant. Struct.-Act. Relat. 21 (2002) 598, as RDKit's `MaxMinPicker`; clusters,
Butina, J. Chem. Inf. Comput. Sci. 39 (1999) 747, as RDKit's `Butina.ClusterData`.

Invariants:
    - The best hit is always picked first.
    - The same hits in the same order give the same picks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import numpy as np
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from rdkit.ML.Cluster import Butina
from rdkit.rdBase import BlockLogs
from rdkit.SimDivFilters.rdSimDivPickers import MaxMinPicker

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.fingerprints import BITS, RADIUS, morgan
from kifabrik.recipes.pharma.neighbours import similarities

MOST_CLUSTERED: Final = 10_000
"""Hits that can be clustered: the similarities of all pairs are held, 400 MB of them here."""
SAME_CLUSTER: Final = 0.5
"""Least Tanimoto similarity (ECFP4) of a hit to the centre of its cluster. Random pairs of drug-like compounds stay
below 0.3; analogues of one series mostly reach 0.5."""


class Picking(Enum):
    """How hits unlike each other are picked."""

    MAXMIN = "maxmin"
    BUTINA = "butina"


@dataclass(frozen=True, slots=True)
class Picks:
    """What was picked.

    Attributes:
        places: Of the picked hits, the best hit first.
        clusters: Number of each hit's cluster, from 1 in the order of their best hits; empty where none were made.
    """

    places: tuple[int, ...] = ()
    clusters: tuple[int, ...] = ()


def check(how: Picking, hits: int) -> None:
    """Refuse what does not fit into memory.

    Raises:
        UsageError: There are too many hits to cluster.
    """
    if how is Picking.BUTINA and hits > MOST_CLUSTERED:
        raise UsageError(
            f"{hits:,} hits are too many for Butina's clusters, which hold the similarities of all pairs.",
            hint=f"Take {MOST_CLUSTERED:,} hits at most, or pick by maxmin.",
        )


def pick(smiles: Sequence[str], count: int, how: Picking) -> Picks:
    """Pick hits unlike each other.

    Args:
        smiles: Of the hits, best first; RDKit can read them all.
        count: How many at most; 0: none. There can be fewer clusters than that.
        how: By which method.

    Raises:
        UsageError: There are too many hits for the method.
    """
    if not count or not smiles:
        return Picks()
    check(how, len(smiles))
    return _METHODS[how](smiles, count)


def _spread(smiles: Sequence[str], count: int) -> Picks:
    """Each next pick is the hit least like those that are picked."""
    if count >= len(smiles):
        return Picks(tuple(range(len(smiles))))
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
    with BlockLogs():
        bits = [generator.GetFingerprint(Chem.MolFromSmiles(text)) for text in smiles]

    def distance(one: int, other: int) -> float:
        return 1.0 - float(DataStructs.TanimotoSimilarity(bits[one], bits[other]))

    return Picks(tuple(MaxMinPicker().LazyPick(distance, len(bits), count, firstPicks=[0])))


def _best_of_clusters(smiles: Sequence[str], count: int) -> Picks:
    """The best hit of each cluster, the cluster with the best hit first."""
    packed = morgan(smiles)
    distances = 1.0 - similarities(packed, packed)
    members = Butina.ClusterData(  # type: ignore[no-untyped-call]
        distances, len(smiles), np.float32(1.0 - SAME_CLUSTER), isDistData=True, reordering=True
    )
    clusters = np.zeros(len(smiles), np.intp)
    ordered = sorted(sorted(int(at) for at in cluster) for cluster in members)
    for number, cluster in enumerate(ordered, 1):
        clusters[cluster] = number
    return Picks(tuple(cluster[0] for cluster in ordered[:count]), tuple(clusters.tolist()))


_METHODS: Final = {Picking.MAXMIN: _spread, Picking.BUTINA: _best_of_clusters}
