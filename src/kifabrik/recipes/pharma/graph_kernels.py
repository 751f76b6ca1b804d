"""Descriptors of molecular graphs that RDKit computes in Python, as machine code with the same arithmetic.

Each function adds up in the order RDKit does, without fused or reordered operations, so that values agree to the
last bit of a 32-bit number; the sums over paths (`Chi2n` to `Chi4v`) are added in another order.

Sources: rdkit.Chem.GraphDescriptors, rdkit.Chem.EState (which name the papers); OpenBLAS and numpy for the order
of the sums in the characteristic polynomial.
"""

import math
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
_BERTZ_CUTOFF: Final = 100
_APART: Final = 1e6
"""RDKit's distance of atoms in different fragments is larger than this."""
_SHELLS: Final = (2, 10, 18, 36, 54, 86)
"""Atomic numbers of the noble gases, where the principal quantum number steps up."""
_LN2: Final = math.log(2.0)
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
            for last in _SHELLS:
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


@_jit
def entropy(counts: Floats) -> float:
    """Information of counts, in bits, as `rdkit.ML.InfoTheory` adds it up."""
    total = 0.0
    for count in counts:
        total += count
    if total == 0:
        return 0.0
    sum_ = 0.0
    for count in counts:
        share = count / total
        if share != 0:
            sum_ += -share * math.log(share)
    return sum_ / _LN2


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
def _classes(weighted: Floats) -> Ints:
    """Atoms whose sorted distances agree to four decimals are of one class; the first class is 1."""
    atoms = weighted.shape[0]
    kept = min(atoms, _BERTZ_CUTOFF)
    keys = np.empty((atoms, kept), np.int64)
    class_ = np.zeros(atoms, np.int64)
    found = 0
    for atom in range(atoms):
        row = np.sort(weighted[atom])
        for at in range(kept):
            keys[found, at] = np.int64(row[at] * 10000.0 + 0.5)
        for known in range(found + 1):
            same = True
            for at in range(kept):
                if keys[known, at] != keys[found, at]:
                    same = False
                    break
            if same:
                class_[atom] = known + 1
                found += 1 if known == found else 0
                break
    return class_


@_jit
def _add(keys: Ints, counts: Floats, used: int, key: int, count: float) -> int:
    """Count under a key; new keys come last."""
    for at in range(used):
        if keys[at] == key:
            counts[at] += count
            return used
    keys[used] = key
    counts[used] = count
    return used + 1


@_jit
def bertz(start: Ints, neighbour: Ints, by: Ints, order: Floats, number: Ints, weighted: Floats) -> float:
    """Bertz' complexity (J. Am. Chem. Soc. 103 (1981) 3599).

    Args:
        start: From `adjacency`.
        neighbour: From `adjacency`.
        by: From `adjacency`.
        order: Of bonds, 1.5 where aromatic.
        number: Atomic numbers.
        weighted: Distances over bond orders, shape (n, n).
    """
    atoms = number.size
    if atoms <= 1:
        return 0.0
    class_ = _classes(weighted)
    most = 1
    for atom in range(atoms):
        links = start[atom + 1] - start[atom]
        most += links + links * (links - 1) // 2
    keys = np.empty(most, np.int64)
    counts = np.zeros(most)
    used = 0
    kinds = np.empty(atoms, np.int64)
    kind_counts = np.zeros(atoms)
    kinds_used = 0
    base = atoms + 1
    for atom in range(atoms):
        kinds_used = _add(kinds, kind_counts, kinds_used, number[atom], 1.0)
        hinge = class_[atom]
        for i in range(start[atom], start[atom + 1]):
            one = class_[neighbour[i]]
            order_i = order[by[i]]
            if order_i > 1 and neighbour[i] > atom:
                key = -(min(hinge, one) * base + max(hinge, one))
                used = _add(keys, counts, used, key, order_i * (order_i - 1) / 2)
            for j in range(i + 1, start[atom + 1]):
                other = class_[neighbour[j]]
                key = (min(one, other) * base + hinge) * base + max(one, other)
                used = _add(keys, counts, used, key, order_i * order[by[j]])
    if used == 0:
        counts[0] = 1.0
        used = 1
    total = counts[:used].sum()
    connections = total * (entropy(counts[:used]) + math.log(total) / _LN2)
    return float(atoms * entropy(kind_counts[:kinds_used]) + connections)


@_jit
def _pairwise(values: Floats) -> float:
    """Sum in the order of `numpy.sum`."""
    size = values.size
    if size < 8:  # noqa: PLR2004 - numpy unrolls eight
        total = 0.0
        for value in values:
            total += value
        return total
    if size > 128:  # noqa: PLR2004 - numpy's block
        half = size // 2
        half -= half % 8
        return float(_pairwise(values[:half]) + _pairwise(values[half:]))
    lane = values[:8].copy()
    at = 8
    while at < size - size % 8:
        for one in range(8):
            lane[one] += values[at + one]
        at += 8
    total = ((lane[0] + lane[1]) + (lane[2] + lane[3])) + ((lane[4] + lane[5]) + (lane[6] + lane[7]))
    while at < size:
        total += values[at]
        at += 1
    return float(total)


@_jit
def ipc(start: Ints, neighbour: Ints) -> float:
    """Information of the characteristic polynomial (Bonchev and Trinajstic, J. Chem. Phys. 67 (1977) 4517)."""
    atoms = start.size - 1
    power = np.zeros((atoms, atoms))
    for atom in range(atoms):
        for at in range(start[atom], start[atom + 1]):
            power[atom, neighbour[at]] = 1.0
    following = np.empty((atoms, atoms))
    diagonal = np.empty(atoms)
    coefficients = np.zeros(atoms + 1)
    coefficients[0] = 1.0
    for n in range(1, atoms + 1):
        for atom in range(atoms):
            diagonal[atom] = power[atom, atom]
        value = 1.0 / n * _pairwise(diagonal)
        coefficients[n] = abs(value)
        for atom in range(atoms):
            power[atom, atom] -= value
        for atom in range(atoms):
            following[atom, :] = 0.0
            for at in range(start[atom], start[atom + 1]):
                other = neighbour[at]
                for column in range(atoms):
                    following[atom, column] += power[other, column]
        power, following = following, power
    total = 0.0
    for value in coefficients:
        total += value
    return float(total * entropy(coefficients))


@_jit
def graph_values(
    atoms: Ints, bonds: Ints, order: Floats, surface: Floats, distance: Floats, weighted: Floats, alpha: float
) -> Floats:
    """All descriptors of this module.

    Args:
        atoms: Shape (4, n): atomic number, degree, hydrogens, outer electrons.
        bonds: Shape (2, m): their atoms.
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
    start, neighbour, by = adjacency(number.size, bonds[0], bonds[1])
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
        if number[atom] > _SHELLS[1]:
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
