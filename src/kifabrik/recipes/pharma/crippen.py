"""Contributions of atoms to logP and molar refractivity.

Source: Wildman and Crippen, J. Chem. Inf. Comput. Sci. 39 (1999) 868. An atom's contribution is that of the first
of 110 patterns that starts at it. RDKit's descriptors need them twice: of the molecule as it is, for surfaces by
contribution, and of the molecule with its hydrogen atoms, for the sums.

Invariants:
    - Contributions and sums equal RDKit's; where that is not sure, RDKit is asked.
"""

from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, RDConfig
from rdkit.Chem import Mol, rdMolDescriptors

from kifabrik.recipes.pharma.graph_kernels import with_hydrogens
from kifabrik.recipes.pharma.pattern_counts import Answers
from kifabrik.recipes.pharma.pattern_kernels import MOST_ATOMS, complete
from kifabrik.recipes.pharma.skeleton import AtomKind, BondKind, Skeleton, read
from kifabrik.recipes.pharma.smarts import Compiler

Floats = NDArray[np.float64]

_TABLE: Final = "Crippen.txt"
"""RDKit's data file: label, pattern, logP, refractivity; separated by tabs."""
_IN_CODE: Final = (("!C;!N;!O", "!#6;!#7;!#8"), ("!S]", "!#16]"))
"""What RDKit's compiled table says of neighbours of hydrogen atoms, where its data file names aliphatic ones."""
_HYDROGEN: Final = "[#1]"
_PROBES: Final = (
    "c1cc[nH]c1",
    "OO",
    "[O-][n+]1ccccc1S(=O)(=O)NC(C)(C)C",
    "FC(F)(F)C#CC=Nc1cc(Cl)c(Br)o1",
    "C[Si](C)(C)OP",
)
_HYDROGEN_KIND: Final[AtomKind] = (1, 1, 0, 0, 0, 0, 1, False, 0, 0, 0)
_HYDROGEN_BOND: Final[BondKind] = (Chem.BondType.SINGLE, False, False)


class Contributions(NamedTuple):
    """Of one molecule.

    Attributes:
        log_p: Of each atom, hydrogen atoms left out, shape (n,).
        refractivity: The same of molar refractivity.
        sums: logP and molar refractivity of the molecule with its hydrogen atoms.
    """

    log_p: Floats
    refractivity: Floats
    sums: tuple[float, float]


def contributions(molecule: Mol, skeleton: Skeleton) -> Contributions:
    """Contributions of a molecule's atoms.

    Args:
        molecule: Sanitised.
        skeleton: Of the molecule.
    """
    table = _checked_table()
    if table is None or len(skeleton.atoms) > MOST_ATOMS or any(kind[0] <= 1 for kind in skeleton.atoms):
        return _asked(molecule)
    return table.of(molecule, skeleton)


def _asked(molecule: Mol) -> Contributions:
    """What RDKit says."""
    pairs = np.array(rdMolDescriptors._CalcCrippenContribs(molecule)).reshape(-1, 2)  # noqa: SLF001 - as MolSurf does
    return Contributions(pairs[:, 0], pairs[:, 1], rdMolDescriptors.CalcCrippenDescriptors(molecule))


class Table:
    """The patterns of RDKit's data file, for compiled code.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._compiler = compiler = Compiler()
        values = []
        self._columns = []
        for line in path.read_text(encoding="utf-8").splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            _, pattern, log_p, refractivity, *_ = [*line.split("\t"), "", ""]
            if pattern.startswith(_HYDROGEN):
                for other, ours in _IN_CODE:
                    pattern = pattern.replace(other, ours)
            self._columns.append(compiler.starts_at(Chem.MolFromSmarts(pattern)))
            values.append((float(log_p or 0), float(refractivity.strip() or 0)))
        self._values = np.array([*values, (0.0, 0.0)])
        self._program = compiler.program()
        self._first = self._program.plain + np.array(self._columns)
        self._plain = [Chem.MolFromSmarts(text) for text in compiler.atoms]  # an atom does not outlive its molecule
        atoms = [query.GetAtomWithIdx(0) for query in self._plain]
        bonds = [bond for _, bond in compiler.bonds.values()]
        columns = len(atoms) + len(self._program.kind)
        self._bare = Answers(atoms, columns), Answers(bonds, len(bonds))
        self._full = Answers(atoms, columns), Answers(bonds, len(bonds))

    def of(self, molecule: Mol, skeleton: Skeleton) -> Contributions:
        """Contributions of a molecule without hydrogen atoms in its graph."""
        atoms, bonds = self._bare
        bare = self._types(
            atoms.of(skeleton.atoms, molecule.GetAtomWithIdx),
            bonds.of(skeleton.bonds, molecule.GetBondWithIdx),
            skeleton.links,
        )
        hydrogens = skeleton.table[2]
        count = int(hydrogens.sum())
        atoms, bonds = self._full
        whole = _Whole(molecule)
        full = self._types(
            atoms.of([*skeleton.atoms, *[_HYDROGEN_KIND] * count], whole.atom),
            bonds.of([*skeleton.bonds, *[_HYDROGEN_BOND] * count], whole.bond),
            with_hydrogens(*skeleton.links, hydrogens),
        )
        log_p, refractivity = self._values[bare].T
        # added one after the other, as RDKit does
        total = np.cumsum(self._values[full], axis=0)[-1]
        return Contributions(log_p, refractivity, (float(total[0]), float(total[1])))

    def _types(self, truth: NDArray[np.bool_], bond_truth: NDArray[np.bool_], links: Any) -> NDArray[np.intp]:
        """The first pattern that starts at each atom; one more than there are where none does."""
        complete(*self._program, truth, bond_truth, *links)
        starts = truth[:, self._first]
        return np.where(starts.any(axis=1), starts.argmax(axis=1), len(self._first))


class _Whole:
    """A molecule with its hydrogen atoms, made if it is asked for.

    Args:
        molecule: Without them.
    """

    def __init__(self, molecule: Mol) -> None:
        self._bare = molecule
        self._made: Mol | None = None

    def _molecule(self) -> Mol:
        if self._made is None:
            self._made = Chem.AddHs(self._bare)
        return self._made

    def atom(self, number: int) -> Any:
        """An atom; hydrogen atoms come last."""
        return self._molecule().GetAtomWithIdx(number)

    def bond(self, number: int) -> Any:
        """A bond; those to hydrogen atoms come last."""
        return self._molecule().GetBondWithIdx(number)


@cache
def _checked_table() -> Table | None:
    """The patterns, if RDKit's file is there and says what RDKit does."""
    path = Path(RDConfig.RDDataDir) / _TABLE
    if not path.is_file():
        return None
    table = Table(path)
    for text in _PROBES:
        molecule = Chem.MolFromSmiles(text)
        ours, theirs = table.of(molecule, read(molecule)), _asked(molecule)
        if ours.sums != theirs.sums or not np.array_equal(ours.log_p, theirs.log_p):
            return None
    return table
