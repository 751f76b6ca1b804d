"""Descriptors that measure the information of a molecule's graph, compiled.

The loops reproduce those of RDKit without fused or reordered operations, so that values agree to the last bit of a
32-bit number.

Sources: rdkit.Chem.GraphDescriptors (which names the papers); OpenBLAS and numpy for the order of the sums in the
characteristic polynomial.
"""

import math
from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_BERTZ_CUTOFF: Final = 100
_LN2: Final = math.log(2.0)
_jit = numba.njit(cache=True, nogil=True, error_model="numpy")


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
