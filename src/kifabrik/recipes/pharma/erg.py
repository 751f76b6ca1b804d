"""Extended reduced graphs (Stiefl et al., J. Chem. Inf. Model. 46 (2006) 208), as RDKit makes fingerprints of them.

Rings of fewer than eight atoms get a centre; ring atoms with two neighbours and no feature are left out. Each pair
of features of a distance of 1 to 15 counts one, and 0.3 at the distances beside.

Invariants:
    - Values equal those of `rdkit.Chem.rdReducedGraphs.GetErGFingerprint`.
"""

from typing import Any, Final

import numba
import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import Mol

from kifabrik.recipes.pharma.skeleton import Skeleton

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Truth = NDArray[np.bool_]

_ACYL: Final = "$(*-*=[O,N,P,S])"
_FURAN: Final = "[o;+0;!$([o]:n);!$([o]:c:n)]"
_ALKYL: Final = "[$([C,a]);!$([C,a](=O))]"
_CARBON: Final = "[C;!$(C(=O))]"
FEATURES: Final = (
    "[$([N;!H0;v3,v4&+1]),$([O,S;H1;+0]),n&H1&+0]",
    f"[$([O,S;H1;v2;!{_ACYL}]),$([O;H0;v2]),$([O,S;v1;-]),$([N;v3;!$(N-*=[O,N,P,S])]),n&H0&+0,$({_FURAN})]",
    f"[#7;+,$([N;H2&+0]{_ALKYL}),$([N;H1&+0]({_ALKYL}){_ALKYL}),$([N;H0&+0]({_CARBON})({_CARBON}){_CARBON})]",
    "[$([C,S](=[O,S,P])-[O;H1,-1])]",
    "[$([C;D3,D4](-[CH3])-[CH3]),$([S;D2](-C)-C)]",
)
"""Donors, acceptors, positive, negative and aliphatic atoms, by the definitions of RDKit's ErG (adapted from
Gobbi and Poppinger, Biotechnol. Bioeng. 61 (1998) 47)."""
_ALIPHATIC: Final = 4
_AROMATIC: Final = 5
_TYPES: Final = 6
_LONGEST: Final = 15
_FUZZ: Final = 0.3
_VALUES: Final = _TYPES * (_TYPES + 1) // 2 * _LONGEST
_MOST_IN_RING: Final = 7
_jit = numba.njit(cache=True, nogil=True, error_model="numpy")


def reduced_graph(molecule: Mol, skeleton: Skeleton, features: Truth) -> Floats:
    """Fingerprint of the reduced graph, shape (315,).

    Args:
        molecule: Sanitised.
        skeleton: Of the molecule.
        features: Which of `FEATURES` each atom is, shape (n, 5).
    """
    atom_of: list[int] = []
    centre_of: list[int] = []
    kinds: list[int] = []
    for ring in molecule.GetRingInfo().AtomRings():
        if len(ring) <= _MOST_IN_RING:
            atom_of += ring
            centre_of += [len(kinds)] * len(ring)
            kinds.append(_AROMATIC if _is_flat(molecule, skeleton, ring) else _ALIPHATIC)
    table = skeleton.table
    left_out = (table[8] > 0) & (table[1] == 2) & ~features.any(axis=1)  # noqa: PLR2004 - two neighbours
    values: Floats = _pairs(
        features,
        left_out,
        skeleton.ends,
        np.array(atom_of, np.int64),
        np.array(centre_of, np.int64),
        np.array(kinds, np.int64),
    )
    return values


def _is_flat(molecule: Mol, skeleton: Skeleton, ring: Any) -> bool:
    """Whether a ring counts as aromatic: two aromatic atoms, or half of its atoms sp2."""
    if sum(skeleton.atoms[at][7] for at in ring) >= 2:  # noqa: PLR2004 - as said
        return True
    others = (at for at in ring if not skeleton.atoms[at][7])
    return sum(molecule.GetAtomWithIdx(at).GetHybridization() == Chem.HybridizationType.SP2 for at in others) >= (
        len(ring) // 2
    )


@_jit
def _has(features: Truth, kinds: Ints, node: int, feature: int) -> bool:
    """Whether an atom or a centre has a feature."""
    atoms = features.shape[0]
    if node >= atoms:
        return bool(kinds[node - atoms] == feature)
    return bool(feature < _AROMATIC and features[node, feature])


@_jit
def _pairs(  # noqa: C901, PLR0912 - a search and a double loop
    features: NDArray[np.bool_],
    left_out: NDArray[np.bool_],
    ends: Ints,
    atom_of: Ints,
    centre_of: Ints,
    kinds: Ints,
) -> Floats:
    """Count pairs of features by their distance.

    Args:
        features: Shape (n, 5).
        left_out: Atoms that are not in the reduced graph, shape (n,).
        ends: Atoms of bonds, shape (2, m).
        atom_of: Of each link between an atom and the centre of a ring: the atom.
        centre_of: Of each such link: the number of the centre.
        kinds: Feature of each centre.
    """
    atoms = features.shape[0]
    nodes = atoms + kinds.size
    near = np.zeros((nodes, nodes), np.bool_)
    for bond in range(ends.shape[1]):
        one, other = ends[0, bond], ends[1, bond]
        if not left_out[one] and not left_out[other]:
            near[one, other] = near[other, one] = True
    for link in range(atom_of.size):
        one, other = atom_of[link], atoms + centre_of[link]
        if not left_out[one]:
            near[one, other] = near[other, one] = True
    out = np.zeros(_VALUES)
    distance = np.empty(nodes, np.int64)
    queue = np.empty(nodes, np.int64)
    for i in range(nodes):
        distance[:] = -1
        distance[i] = 0
        queue[0] = i
        first, last = 0, 1
        while first < last:
            node = queue[first]
            first += 1
            for other in range(nodes):
                if near[node, other] and distance[other] < 0:
                    distance[other] = distance[node] + 1
                    queue[last] = other
                    last += 1
        for j in range(i + 1, nodes):
            apart = distance[j]
            if apart < 1 or apart > _LONGEST:
                continue
            for one in range(_TYPES):
                if not _has(features, kinds, i, one):
                    continue
                for other in range(_TYPES):
                    if not _has(features, kinds, j, other):
                        continue
                    low, high = min(one, other), max(one, other)
                    block = low * _TYPES - low * (low + 1) // 2 + high
                    at = block * _LONGEST + apart - 1
                    out[at] += 1.0
                    if apart > 1:
                        out[at - 1] += _FUZZ
                    if apart < _LONGEST:
                        out[at + 1] += _FUZZ
    return out
