"""What descriptors ask of atoms and bonds, read once from a molecule."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit.Chem import Mol

AtomKind = tuple[int, int, int, int, int, int, int, bool, int, int]
BondKind = tuple[float, bool, bool]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """Atoms and bonds of a molecule.

    Attributes:
        atoms: Of each atom: atomic number, degree, hydrogens, charge, radical electrons, isotope, valence, whether
            aromatic, number of rings, size of the smallest ring (0: none).
        ends: The two atoms of each bond.
        bonds: Of each bond: RDKit's number of its type, whether aromatic, whether in a ring.
    """

    atoms: list[AtomKind]
    ends: list[tuple[int, int]]
    bonds: list[BondKind]

    def atom_table(self) -> NDArray[np.int64]:
        """Shape (10, n): the properties of atoms as numbers."""
        return np.array(self.atoms, np.int64).reshape(-1, 10).T

    def end_table(self) -> NDArray[np.int64]:
        """Shape (2, bonds)."""
        return np.ascontiguousarray(np.array(self.ends, np.int64).reshape(-1, 2).T)


def read(molecule: Mol) -> Skeleton:
    """Read atoms and bonds of a sanitised molecule."""
    rings = molecule.GetRingInfo()
    atom_at, bond_at = molecule.GetAtomWithIdx, molecule.GetBondWithIdx
    atoms = [_atom(atom_at(number), rings) for number in range(molecule.GetNumAtoms())]
    ends, bonds = [], []
    for number in range(molecule.GetNumBonds()):
        bond = bond_at(number)
        ends.append((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))
        bonds.append((float(bond.GetBondType()), bond.GetIsAromatic(), rings.NumBondRings(number) > 0))
    return Skeleton(atoms, ends, bonds)


def _atom(atom: Any, rings: Any) -> AtomKind:
    at = atom.GetIdx()
    return (
        atom.GetAtomicNum(),
        atom.GetDegree(),
        atom.GetTotalNumHs(),
        atom.GetFormalCharge(),
        atom.GetNumRadicalElectrons(),
        atom.GetIsotope(),
        atom.GetTotalValence(),
        atom.GetIsAromatic(),
        rings.NumAtomRings(at),
        rings.MinAtomRingSize(at),
    )
