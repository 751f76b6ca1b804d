"""Structures: from what a chemist's file says to one spelling of the compound that was measured.

Invariants of `Standardiser`:
- the result depends on the structure only, not on how its SMILES is spelt;
- the InChIKey is that of the parent (largest fragment, no charges that can go), whatever the SMILES keeps: another
  salt of a compound is the same compound;
- what it returns is returned unchanged when it is put in again;
- it never raises for bad structures, however large or broken: they come back with a reason.
"""

import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from rdkit import Chem, rdBase
from rdkit.Chem.MolStandardize import rdMolStandardize

from kifabrik.recipes.pharma.crew import Crew, Task
from kifabrik.recipes.pharma.rejects import Reason

SKELETON: Final = 14
"""Letters of an InChIKey that say formula and connections: stereoisomers share them (IUPAC InChI, chapter 6)."""
MOST_ATOMS: Final = 150
"""Heavy atoms. Oral drugs have up to 80; the largest of 1,584,663 MOSES molecules has 27, of TDC's sets 130."""
_LONGEST: Final = 20_000
"""Letters of a SMILES that are still parsed: a parser's time is not for whoever sends a file."""
_SHOWN: Final = 200
_ROUNDS: Final = 5
_METALS: Final = Chem.MolFromSmarts(
    "[Be,Sc,Y,Ti,Zr,Hf,V,Nb,Ta,Cr,Mo,W,Mn,Tc,Re,Fe,Ru,Os,Co,Rh,Ir,Ni,Pd,Pt,Cu,Ag,Au,Zn,Cd,Hg,Al,Ga,In,Tl,Sn,Pb,"
    "Bi,Po,La,Ce,Pr,Nd,Pm,Sm,Eu,Gd,Tb,Dy,Ho,Er,Tm,Yb,Lu,Ac,Th,Pa,U,Np,Pu,Am]"
)
"""Anywhere in what was measured. Metals of groups 1 and 2 are counter-ions and go with the smaller fragments."""
_LIGHT_METALS: Final = Chem.MolFromSmarts("[Li,Na,K,Rb,Cs,Fr,Mg,Ca,Sr,Ba,Ra]")
_CARBON: Final = Chem.MolFromSmarts("[#6]")
_FEW: Final = 2_000
_BATCH: Final = 500


@dataclass(frozen=True, slots=True)
class Compound:
    """A structure in its one spelling.

    Attributes:
        smiles: Canonical, with stereochemistry, and with the salts or charges that were to be kept.
        inchikey: Standard InChIKey of the parent.
    """

    smiles: str
    inchikey: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A structure that is none, or that the models are not for.

    Attributes:
        reason: Why.
        detail: What was seen.
    """

    reason: Reason
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standardiser:
    """Cleans structures up: largest fragment, no charges that can go, normal groups.

    Attributes:
        tautomers: Whether to choose one tautomer for all (RDKit's rules; some ten times slower).
        most_atoms: Heavy atoms of the largest compound that is taken.
        salts: Whether structures keep their smaller fragments.
        charges: Whether they keep their charges.
    """

    tautomers: bool = False
    most_atoms: int = MOST_ATOMS
    salts: bool = False
    charges: bool = False

    def __call__(self, text: str) -> Compound | Refused:
        """Standardise one structure.

        Args:
            text: A SMILES, or an MDL molblock.
        """
        if not text.strip():
            return Refused(Reason.NO_STRUCTURE, "")
        with rdBase.BlockLogs():
            try:
                return self._standardise(text)
            except (RuntimeError, ValueError) as error:  # what RDKit raises; RuntimeError is its invariants
                return Refused(Reason.CLEANING_FAILED, _first_line(error))

    def _standardise(self, text: str) -> Compound | Refused:
        if len(text) > _LONGEST and not _is_molblock(text):
            return Refused(Reason.TOO_LARGE, f"{len(text):,} letters")
        molecule = _read(text)
        if molecule is None:
            return Refused(Reason.UNREADABLE, shortened(text))
        return self._refuse(molecule) or self._settle(str(Chem.MolToSmiles(molecule)))

    def _settle(self, smiles: str) -> Compound | Refused:
        settled = self._settled(smiles)
        if isinstance(settled, Refused) or not (self.salts or self.charges):
            return settled if isinstance(settled, Refused) else _named(*settled)
        parent = replace(self, salts=False, charges=False)(settled[0])
        return parent if isinstance(parent, Refused) else Compound(settled[0], parent.inchikey)

    def _settled(self, smiles: str) -> tuple[str, Any] | Refused:
        """Clean up until nothing changes: the rules are not idempotent for every structure."""
        for _ in range(_ROUNDS):
            molecule = Chem.MolFromSmiles(smiles)
            if molecule is None:
                break
            cleaned = self._clean(molecule)
            if cleaned == smiles:
                return smiles, molecule
            smiles = cleaned
        return Refused(Reason.CLEANING_FAILED, shortened(smiles))

    def _clean(self, molecule: Any) -> str:
        molecule = rdMolStandardize.Cleanup(molecule)
        if not self.salts:
            molecule = rdMolStandardize.LargestFragmentChooser().choose(molecule)
        if not self.charges:
            molecule = rdMolStandardize.Uncharger().uncharge(molecule)
        if self.tautomers:
            molecule = rdMolStandardize.TautomerEnumerator().Canonicalize(molecule)
        return str(Chem.MolToSmiles(molecule))

    def _refuse(self, molecule: Any) -> Refused | None:
        if not molecule.GetNumAtoms():
            return Refused(Reason.NO_STRUCTURE, "no atoms")
        metals = molecule.GetSubstructMatches(_METALS)
        if metals:
            return Refused(Reason.METAL, molecule.GetAtomWithIdx(metals[0][0]).GetSymbol())
        if self.salts:
            heavy = molecule.GetNumHeavyAtoms()
        else:
            largest = max(Chem.GetMolFrags(molecule), key=len)
            heavy = sum(molecule.GetAtomWithIdx(at).GetAtomicNum() > 1 for at in largest)
        if heavy > self.most_atoms:
            return Refused(Reason.TOO_LARGE, f"{heavy:,} heavy atoms, {self.most_atoms} allowed")
        return None


def standardise(
    texts: Sequence[str], standardiser: Standardiser | None = None, *, workers: int = 1
) -> Iterable[Compound | Refused]:
    """Standardise many structures, in their order.

    Args:
        texts: SMILES or molblocks.
        standardiser: How; by default without tautomers.
        workers: Processes; few structures are done in this one.
    """
    standardiser = standardiser or Standardiser()
    if workers <= 1 or len(texts) < _FEW:
        yield from map(standardiser, texts)
        return
    chunks = (tuple(texts[start : start + _BATCH]) for start in range(0, len(texts), _BATCH))
    task = Task(partial(_standardise_many, standardiser), _halved, operator.add, _given_up)
    with Crew(workers) as crew:
        for found in crew.work(task, chunks):
            yield from found


def _standardise_many(standardiser: Standardiser, texts: tuple[str, ...]) -> tuple[Compound | Refused, ...]:
    return tuple(map(standardiser, texts))


def _halved(texts: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    middle = len(texts) // 2
    return (texts[:middle], texts[middle:]) if middle else ()


def _given_up(texts: tuple[str, ...]) -> tuple[Compound | Refused, ...]:
    return tuple(Refused(Reason.CLEANING_FAILED, "it ended the process that cleaned it up") for _ in texts)


def shortened(text: str) -> str:
    """Text that fits into a cell: the first 200 letters, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def _is_molblock(text: str) -> bool:
    return "\n" in text and "M  END" in text


def _read(text: str) -> Any:
    if _is_molblock(text):
        return Chem.MolFromMolBlock(text, sanitize=True, removeHs=True)
    return Chem.MolFromSmiles(text.strip())


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _named(smiles: str, molecule: Any) -> Compound | Refused:
    if not molecule.HasSubstructMatch(_CARBON) or molecule.HasSubstructMatch(_LIGHT_METALS):
        return Refused(Reason.NO_CARBON, smiles)
    if any(not atom.GetAtomicNum() for atom in molecule.GetAtoms()):
        return Refused(Reason.PLACEHOLDER, smiles)
    inchikey = str(Chem.MolToInchiKey(molecule))  # type: ignore[no-untyped-call]
    return Compound(smiles, inchikey) if inchikey else Refused(Reason.CLEANING_FAILED, "it has no InChI")
