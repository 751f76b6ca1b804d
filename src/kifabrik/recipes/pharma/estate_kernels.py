"""Electrotopological state and what RDKit derives from it, compiled.

Sources: rdkit.Chem.EState and rdkit.Chem.EState.EState_VSA, which name the papers.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_ESTATE_BINS: Final = np.array([-0.390, 0.290, 0.717, 1.165, 1.540, 1.807, 2.05, 4.69, 9.17, 15.0])
"""rdkit.Chem.EState.EState_VSA.estateBins."""
_VSA_BINS: Final = np.array([4.78, 5.00, 5.410, 5.740, 6.00, 6.07, 6.45, 7.00, 11.0])
"""rdkit.Chem.EState.EState_VSA.vsaBins."""
_APART: Final = 1e6
"""RDKit's distance of atoms in different fragments is larger than this."""
SHELLS: Final = (2, 10, 18, 36, 54, 86)
"""Atomic numbers of the noble gases, where the principal quantum number steps up."""
_jit = numba.njit(cache=True, nogil=True, error_model="numpy")


@_jit
def estate(number: Ints, degree: Ints, valence: Ints, distance: Floats) -> Floats:
    """Electrotopological state of each atom (Hall, Mohney and Kier, J. Chem. Inf. Comput. Sci. 31 (1991) 76).

    Args:
        number: Atomic numbers.
        degree: Explicit neighbours.
        valence: Outer electrons less hydrogens.
        distance: Bonds between atoms, shape (n, n).
    """
    atoms = number.size
    intrinsic = np.zeros(atoms)
    for atom in range(atoms):
        if degree[atom] > 0:
            shell = 1
            for last in SHELLS:
                if number[atom] > last:
                    shell += 1
            intrinsic[atom] = (4.0 / (shell * shell) * valence[atom] + 1) / degree[atom]
    moved = np.zeros(atoms)
    for i in range(atoms):
        for j in range(i + 1, atoms):
            apart = distance[i, j] + 1
            if apart < _APART:
                step = (intrinsic[i] - intrinsic[j]) / (apart * apart)
                moved[i] += step
                moved[j] -= step
    return moved + intrinsic


@_jit
def estate_values(state: Floats, surface: Floats) -> Floats:
    """What RDKit derives from the electrotopological state.

    Args:
        state: From `estate`.
        surface: Labute surface of each atom.

    Returns:
        MaxAbs, Max, MinAbs, Min; EState_VSA1 to 11; VSA_EState1 to 10.
    """
    out = np.zeros(25)
    out[0] = np.abs(state).max()
    out[1] = state.max()
    out[2] = np.abs(state).min()
    out[3] = state.min()
    for atom in range(state.size):
        out[4 + np.searchsorted(_ESTATE_BINS, state[atom], side="right")] += surface[atom]
        out[15 + np.searchsorted(_VSA_BINS, surface[atom], side="right")] += state[atom]
    return out
