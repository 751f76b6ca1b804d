"""Compiled search for the queries of `smarts` in one molecule.

A molecule is its bonds by atom (`adjacency`), and truth tables: of plain expressions for each atom, of bond
expressions for each bond.
"""

from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from kifabrik.recipes.pharma.smarts import AND, NOT, OR

Ints = NDArray[np.int64]
Truth = NDArray[np.bool_]

MOST_ATOMS: Final = 64
"""Atoms of a molecule whose sets of atoms fit into a word. Below it no surrounding that the descriptors ask for
reaches the 1,000 matches at which RDKit stops looking."""
MOST_MATCHES: Final = 1000
_MOST_STEPS: Final = 64
_MOST_CODES: Final = 64
_jit = numba.njit(cache=True, nogil=True, error_model="numpy")


@_jit
def _walk(  # noqa: C901, PLR0912, PLR0915 - one loop: numba counts references of arrays at each call
    steps: Ints,
    rings: Ints,
    truth: Truth,
    bond_truth: Truth,
    start: Ints,
    neighbour: Ints,
    by: Ints,
    scratch: Ints,
    sets: NDArray[np.uint64],
    marked: Truth,
) -> int:
    """Matches of one query.

    Args:
        steps: Those of the query.
        rings: Ring closures.
        truth: Shape (atoms, columns).
        bond_truth: Shape (bonds, bond expressions).
        start: From `adjacency`.
        neighbour: From `adjacency`.
        by: From `adjacency`.
        scratch: Shape (2, steps), overwritten.
        sets: Filled with the sets of atoms found, as bits of words, until there are so many matches; empty if the
            first match is enough.
        marked: Atoms a match starts at are set; empty if that is not wanted.

    Returns:
        How many sets there are; 1 or 0 if one match is enough; -1 if there were as many matches as `sets` holds.
    """
    count = steps.shape[0]
    found, matches = 0, 0
    for root in range(truth.shape[0]):
        if not truth[root, steps[0, 0]]:
            continue
        scratch[0, 0] = root
        scratch[1, 1] = start[root]
        step = 1
        while step > 0:
            if step == count:
                if marked.size:
                    marked[root] = True
                    break
                if not sets.size:
                    return 1
                matches += 1
                if matches >= sets.size:
                    return -1
                bits = np.uint64(0)
                for at in range(count):
                    bits |= np.uint64(1) << np.uint64(scratch[0, at])
                known = False
                for at in range(found):
                    if sets[at] == bits:
                        known = True
                        break
                if not known:
                    sets[found] = bits
                    found += 1
                step -= 1
                continue
            column, bond = steps[step, 0], steps[step, 2]
            last = start[scratch[0, steps[step, 1]] + 1]
            at = scratch[1, step]
            moved = False
            while at < last:
                other = neighbour[at]
                fits = truth[other, column] and bond_truth[by[at], bond]
                at += 1
                if not fits:
                    continue
                for before in range(step):
                    if scratch[0, before] == other:
                        fits = False
                        break
                if fits:
                    for ring in range(steps[step, 3], steps[step, 4]):
                        mate = scratch[0, rings[ring, 0]]
                        fits = False
                        for link in range(start[other], start[other + 1]):
                            if neighbour[link] == mate:
                                fits = bond_truth[by[link], rings[ring, 1]]
                                break
                        if not fits:
                            break
                if fits:
                    scratch[0, step] = other
                    moved = True
                    break
            scratch[1, step] = at
            if moved:
                step += 1
                if step < count:
                    scratch[1, step] = start[scratch[0, steps[step, 1]]]
            else:
                step -= 1
    return found


@_jit
def complete(  # noqa: C901, PLR0912 - as above
    plain: int,
    kind: Ints,
    code: Ints,
    code_at: Ints,
    first: Ints,
    steps: Ints,
    rings: Ints,
    truth: Truth,
    bond_truth: Truth,
    start: Ints,
    neighbour: Ints,
    by: Ints,
) -> Truth:
    """Fill the columns of surroundings and combinations.

    Args:
        plain: Of a `Program`, as the six that follow.
        kind: Of a `Program`.
        code: Of a `Program`.
        code_at: Of a `Program`.
        first: Of a `Program`.
        steps: Of a `Program`.
        rings: Of a `Program`.
        truth: Shape (atoms, columns); the plain ones are filled.
        bond_truth: Shape (bonds, bond expressions).
        start: From `adjacency`.
        neighbour: From `adjacency`.
        by: From `adjacency`.

    Returns:
        Shape (columns,): whether any atom is in the column.
    """
    atoms = truth.shape[0]
    nothing = np.empty(0, np.uint64)
    scratch = np.empty((2, _MOST_STEPS), np.int64)
    stack = np.empty(_MOST_CODES, np.bool_)
    marked = np.empty(atoms, np.bool_)
    present = np.zeros(truth.shape[1], np.bool_)
    for atom in range(atoms):
        for column in range(plain):
            present[column] |= truth[atom, column]
    for later in range(kind.size):
        column, query = plain + later, kind[later]
        if query >= 0:
            possible = True
            for row in range(first[query], first[query + 1]):
                if not present[steps[row, 0]]:
                    possible = False
                    break
            if possible:
                marked[:] = False
                _walk(
                    steps[first[query] : first[query + 1]],
                    rings, truth, bond_truth, start, neighbour, by, scratch, nothing, marked,
                )  # fmt: skip
                for atom in range(atoms):
                    truth[atom, column] = marked[atom]
                    present[column] |= marked[atom]
            continue
        for atom in range(atoms):
            top = 0
            for at in range(code_at[later], code_at[later + 1]):
                part = code[at]
                if part >= 0:
                    stack[top] = truth[atom, part]
                    top += 1
                elif part == NOT:
                    stack[top - 1] = not stack[top - 1]
                elif part == AND:
                    top -= 1
                    stack[top - 1] = stack[top - 1] and stack[top]
                elif part == OR:
                    top -= 1
                    stack[top - 1] = stack[top - 1] or stack[top]
            truth[atom, column] = stack[0]
            present[column] |= stack[0]
    return present


@_jit
def count(
    queries: Ints,
    once_from: int,
    first: Ints,
    steps: Ints,
    rings: Ints,
    present: Truth,
    truth: Truth,
    bond_truth: Truth,
    start: Ints,
    neighbour: Ints,
    by: Ints,
) -> Ints:
    """How many sets of atoms match each query.

    Args:
        queries: Which to count.
        once_from: Queries at this place and later count once at most.
        first: Of a `Program`.
        steps: Of a `Program`.
        rings: Of a `Program`.
        present: From `complete`.
        truth: Completed.
        bond_truth: Shape (bonds, bond expressions).
        start: From `adjacency`.
        neighbour: From `adjacency`.
        by: From `adjacency`.

    Returns:
        Shape (queries,); -1 where RDKit would have stopped looking.
    """
    counts = np.zeros(queries.size, np.int64)
    sets = np.empty(MOST_MATCHES, np.uint64)
    scratch = np.empty((2, _MOST_STEPS), np.int64)
    no_marks = np.empty(0, np.bool_)
    for place in range(queries.size):
        begin, end = first[queries[place]], first[queries[place] + 1]
        possible = True
        for row in range(begin, end):
            if not present[steps[row, 0]]:
                possible = False
                break
        if possible:
            counts[place] = _walk(
                steps[begin:end],
                rings, truth, bond_truth, start, neighbour, by, scratch,
                sets[:0] if place >= once_from else sets, no_marks,
            )  # fmt: skip
    return counts
