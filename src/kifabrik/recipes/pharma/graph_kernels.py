"""Descriptors of molecular graphs that RDKit computes in Python, as machine code with the same arithmetic.

Each function adds up in the order RDKit does, without fused or reordered operations, so that values agree to the
last bit of a 32-bit number; the sums over paths (`Chi2n` to `Chi4v`) are added in another order.

Sources: rdkit.Chem.GraphDescriptors, rdkit.Chem.EState (which name the papers); OpenBLAS and numpy for the order
of the sums in the characteristic polynomial.
"""

import numba
import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.pharma.estate_kernels import SHELLS, estate, estate_values
from kifabrik.recipes.pharma.information_kernels import bertz, ipc

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_jit = numba.njit(cache=True, nogil=True, error_model="numpy")


@_jit
def adjacency(atoms: int, begin: Ints, end: Ints) -> tuple[Ints, Ints, Ints]:
    """Neighbours of each atom, ascending.

    Returns:
        Where an atom's neighbours start (n + 1), neighbours (2 m), the bond each is reached by (2 m).
    """
    start = np.zeros(atoms + 1, np.int64)
    for bond in range(begin.size):
        start[begin[bond] + 1] += 1
        start[end[bond] + 1] += 1
    for atom in range(atoms):
        start[atom + 1] += start[atom]
    neighbour = np.empty(2 * begin.size, np.int64)
    by = np.empty(2 * begin.size, np.int64)
    filled = start.copy()
    for bond in range(begin.size):
        for one, other in ((begin[bond], end[bond]), (end[bond], begin[bond])):
            at = filled[one]
            while at > start[one] and neighbour[at - 1] > other:
                neighbour[at] = neighbour[at - 1]
                by[at] = by[at - 1]
                at -= 1
            neighbour[at] = other
            by[at] = bond
            filled[one] += 1
    return start, neighbour, by


@_jit
def with_hydrogens(start: Ints, neighbour: Ints, by: Ints, hydrogens: Ints) -> tuple[Ints, Ints, Ints]:
    """Neighbours when hydrogen atoms are put behind the others, atom by atom.

    Args:
        start: From `adjacency`.
        neighbour: From `adjacency`.
        by: From `adjacency`.
        hydrogens: Of each atom, shape (n,).

    Returns:
        As `adjacency`; a hydrogen atom is the last of its atom's neighbours.
    """
    atoms = start.size - 1
    count = hydrogens.sum()
    first = np.empty(atoms + count + 1, np.int64)
    to = np.empty(neighbour.size + 2 * count, np.int64)
    through = np.empty(neighbour.size + 2 * count, np.int64)
    at, hydrogen, bond = 0, atoms, neighbour.size // 2
    tail = neighbour.size + count
    for atom in range(atoms):
        first[atom] = at
        for link in range(start[atom], start[atom + 1]):
            to[at], through[at] = neighbour[link], by[link]
            at += 1
        for _ in range(hydrogens[atom]):
            to[at], through[at] = hydrogen, bond
            to[tail], through[tail] = atom, bond
            first[hydrogen] = tail
            at, tail, hydrogen, bond = at + 1, tail + 1, hydrogen + 1, bond + 1
    first[atoms + count] = tail
    return first, to, through


@_jit
def independent_rings(ends: Ints, left_out: NDArray[np.bool_]) -> int:
    """Rings of the smallest set that a graph has without some of its atoms: bonds less atoms plus pieces.

    Args:
        ends: Atoms of bonds, shape (2, m).
        left_out: Which atoms are not looked at, shape (n,).
    """
    leader = np.arange(left_out.size)
    rings = 0
    for bond in range(ends.shape[1]):
        one, other = ends[0, bond], ends[1, bond]
        if left_out[one] or left_out[other]:
            continue
        while leader[one] != one:
            one = leader[one]
        while leader[other] != other:
            other = leader[other]
        if one == other:
            rings += 1
        leader[one] = other
    return rings


@_jit
def path_sums(start: Ints, neighbour: Ints, simple: Floats, valence: Floats) -> Floats:  # noqa: C901
    """Path counts and connectivity sums over paths of three, four and five atoms.

    A path may end on an atom it has visited: a ring counts once, from its lowest atom, and a triangle with a tail
    once, from its tail; the atom that closes it counts once. So RDKit's `FindAllPathsOfLengthN` has it.

    Args:
        start: From `adjacency`.
        neighbour: From `adjacency`.
        simple: What an atom contributes to `ChiNn`, shape (n,).
        valence: What an atom contributes to `ChiNv`, shape (n,).

    Returns:
        Paths of three atoms, of four; Chi2n, Chi2v, Chi3n, Chi3v, Chi4n, Chi4v.
    """
    out = np.zeros(8)
    for a in range(start.size - 1):
        for i in range(start[a], start[a + 1]):
            b = neighbour[i]
            for j in range(start[b], start[b + 1]):
                c = neighbour[j]
                if c == a:
                    continue
                n3 = simple[a] * simple[b] * simple[c]
                v3 = valence[a] * valence[b] * valence[c]
                if a < c:
                    out[0] += 1
                    out[2] += n3
                    out[3] += v3
                for k in range(start[c], start[c + 1]):
                    d = neighbour[k]
                    if d == b:
                        continue
                    n4 = n3 if d == a else n3 * simple[d]
                    v4 = v3 if d == a else v3 * valence[d]
                    if (d == a and a < b < c) or (d != a and a < d):
                        out[1] += 1
                        out[4] += n4
                        out[5] += v4
                    if d == a:
                        continue
                    for m in range(start[d], start[d + 1]):
                        e = neighbour[m]
                        if e == c:
                            continue
                        ring = e == a
                        tail = e == b
                        if (
                            (ring and a < b and a < c and b < d)
                            or (tail and c < d)
                            or (not ring and not tail and a < e)
                        ):
                            out[6] += n4 if ring else n4 * simple[e]
                            out[7] += v4 if ring else v4 * valence[e]
    return out


@_jit
def balaban(start: Ints, neighbour: Ints, weighted: Floats) -> float:
    """Balaban's J (Chem. Phys. Lett. 89 (1982) 399).

    Args:
        start: From `adjacency`.
        neighbour: From `adjacency`.
        weighted: Distances over bond orders, shape (n, n).
    """
    atoms = start.size - 1
    sums = np.zeros(atoms)
    for i in range(atoms):
        for j in range(atoms):
            sums[j] += weighted[i, j]
    total = 0.0
    for i in range(atoms):
        for at in range(start[i], start[i + 1]):
            if neighbour[at] >= i:
                total += 1.0 / np.sqrt(sums[i] * sums[neighbour[at]])
    bonds = neighbour.size // 2
    cycles = bonds - atoms + 1
    return float(bonds) / float(cycles + 1) * total if cycles + 1 != 0 else 0.0


@_jit
def graph_values(
    atoms: Ints,
    bonds: Ints,
    start: Ints,
    neighbour: Ints,
    by: Ints,
    order: Floats,
    surface: Floats,
    distance: Floats,
    weighted: Floats,
    alpha: float,
) -> Floats:
    """All descriptors of this module.

    Args:
        atoms: Shape (4, n): atomic number, degree, hydrogens, outer electrons.
        bonds: Shape (2, m): their atoms.
        start: From `adjacency`.
        neighbour: From `adjacency`.
        by: From `adjacency`.
        order: Shape (m,), 1.5 where aromatic.
        surface: Labute surface of each atom, shape (n,).
        distance: Bonds between atoms, shape (n, n).
        weighted: Distances over bond orders, shape (n, n).
        alpha: Hall and Kier's alpha of the molecule.

    Returns:
        BalabanJ, BertzCT, Chi0, Chi1, Ipc, Kappa2, Kappa3; Chi2n, Chi2v, Chi3n, Chi3v, Chi4n, Chi4v; then what
        `estate_values` gives: 38 values.
    """
    number, degree, hydrogens, outer = atoms[0], atoms[1], atoms[2], atoms[3]
    out = np.zeros(38)
    out[0] = balaban(start, neighbour, weighted)
    out[1] = bertz(start, neighbour, by, order, number, weighted)
    for atom in range(number.size):
        if degree[atom]:
            out[2] += np.sqrt(1.0 / degree[atom])
    for bond in range(order.size):
        product = degree[bonds[0, bond]] * degree[bonds[1, bond]]
        if product:
            out[3] += np.sqrt(1.0 / product)
    out[4] = ipc(start, neighbour)
    simple = np.zeros(number.size)
    valence = np.zeros(number.size)
    for atom in range(number.size):
        free = float(outer[atom] - hydrogens[atom])
        simple[atom] = 1.0 / np.sqrt(free) if free != 0 else 0.0
        if number[atom] <= 1:
            continue
        if number[atom] > SHELLS[1]:
            free /= number[atom] - outer[atom] - 1
        valence[atom] = 1.0 / np.sqrt(free) if free != 0 else 0.0
    no_hydrogen = (number[bonds[0]] != 1) & (number[bonds[1]] != 1)
    if not no_hydrogen.all():
        start, neighbour, by = adjacency(number.size, bonds[0][no_hydrogen], bonds[1][no_hydrogen])
    sums = path_sums(start, neighbour, simple, valence)
    heavy = float((number > 1).sum())
    two = (sums[0] + alpha) * (sums[0] + alpha)
    three = (sums[1] + alpha) * (sums[1] + alpha)
    size = heavy + alpha
    out[5] = (size - 1) * (size - 2) * (size - 2) / two if two != 0 else 0.0
    lead = size - 1 if heavy % 2 == 1 else size - 2
    out[6] = lead * (size - 3) * (size - 3) / three if three != 0 else 0.0
    out[7:13] = sums[2:]
    out[13:] = estate_values(estate(number, degree, outer - hydrogens, distance), surface)
    return out
