"""What descriptors ask of atoms and bonds, read once from a molecule."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import Mol

from kifabrik.recipes.pharma.graph_kernels import adjacency

AtomKind = tuple[int, int, int, int, int, int, int, bool, int, int, int]
BondKind = tuple[Any, bool, bool]
Ints = NDArray[np.int64]
Links = tuple[Ints, Ints, Ints]

_AROMATIC_ORDER: Final = 1.5
_PROPERTIES: Final = 11


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Atoms and bonds of a molecule.

    Attributes:
        atoms: Of each atom: atomic number, degree, hydrogens, charge, radical electrons, isotope, valence, whether
            aromatic, number of rings, size of the smallest ring (0: none), how many of its neighbours
            are hydrogen atoms of the graph.
        bonds: Of each bond: RDKit's type, whether aromatic, whether in a ring.
        table: Shape (11, n): the properties of atoms as numbers.
        ends: Shape (2, m): the two atoms of each bond.
        order: Shape (m,): RDKit's number of each bond's type, 1.5 where aromatic.
        links: Neighbours of each atom, from `adjacency`.
    """

    atoms: list[AtomKind]
    bonds: list[BondKind]
    table: Ints
    ends: Ints
    order: NDArray[np.float64]
    links: Links


def read(molecule: Mol) -> Skeleton:
    """Read atoms and bonds of a sanitised molecule."""
    size = molecule.GetNumAtoms()
    rings, smallest = [0] * size, [0] * size
    info = molecule.GetRingInfo()
    for ring in info.AtomRings():
        for at in ring:
            rings[at] += 1
            if not 0 < smallest[at] <= len(ring):
                smallest[at] = len(ring)
    in_ring = {at for ring in info.BondRings() for at in ring}
    atom_at, bond_at = molecule.GetAtomWithIdx, molecule.GetBondWithIdx
    atoms = [
        (
            (atom := atom_at(at)).GetAtomicNum(),
            atom.GetDegree(),
            atom.GetTotalNumHs(),
            atom.GetFormalCharge(),
            atom.GetNumRadicalElectrons(),
            atom.GetIsotope(),
            atom.GetTotalValence(),
            atom.GetIsAromatic(),
            rings[at],
            smallest[at],
            0,
        )
        for at in range(size)
    ]
    if any(one[0] == 1 for one in atoms):
        atoms = [(*one[:-1], _hydrogens(atom_at(at))) for at, one in enumerate(atoms)]
    bonds, order, begin, end = [], [], [], []
    for at in range(molecule.GetNumBonds()):
        bond = bond_at(at)
        kind, is_aromatic = bond.GetBondType(), bond.GetIsAromatic()
        bonds.append((kind, is_aromatic, at in in_ring))
        order.append(_AROMATIC_ORDER if is_aromatic else kind)
        begin.append(bond.GetBeginAtomIdx())
        end.append(bond.GetEndAtomIdx())
    ends = np.array((begin, end), np.int64)
    return Skeleton(
        atoms=atoms,
        bonds=bonds,
        table=np.array(atoms, np.int64).reshape(-1, _PROPERTIES).T,
        ends=ends,
        order=np.array(order, np.float64),
        links=adjacency(size, ends[0], ends[1]),
    )


def _hydrogens(atom: Any) -> int:
    return sum(neighbour.GetAtomicNum() == 1 for neighbour in atom.GetNeighbors())
