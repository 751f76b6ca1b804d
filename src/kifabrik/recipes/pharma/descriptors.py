"""The 200 RDKit descriptors of the published MapLight recipe, one molecule at a time.

Source of the list: MapLight-TDC, `get_chosen_descriptors` (Notwell and Wood, arXiv:2310.00174).

Invariants:
    - Values are those of `rdkit.Chem.Descriptors`; what RDKit cannot compute is NaN, never an invented number.
    - `together` and `one_by_one` agree in 32 bits as long as numpy multiplies matrices in one thread: of molecules
      above 80 atoms RDKit's `Ipc` depends on the number of threads; that of `together` does not.
    - Where `together` meets what RDKit refuses, it asks one by one.
"""

import math
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import (
    QED,
    Descriptors,
    Mol,
    MolSurf,
    rdFingerprintGenerator,
    rdMolDescriptors,
    rdPartialCharges,
)

from kifabrik.recipes.pharma.crippen import contributions
from kifabrik.recipes.pharma.erg import FEATURES
from kifabrik.recipes.pharma.graph_kernels import graph_values, independent_rings
from kifabrik.recipes.pharma.pattern_counts import Patterns
from kifabrik.recipes.pharma.skeleton import Skeleton, read

NAMES: Final[tuple[str, ...]] = tuple(
    """
BalabanJ BertzCT Chi0 Chi0n Chi0v Chi1 Chi1n Chi1v Chi2n Chi2v Chi3n Chi3v Chi4n Chi4v EState_VSA1 EState_VSA10
EState_VSA11 EState_VSA2 EState_VSA3 EState_VSA4 EState_VSA5 EState_VSA6 EState_VSA7 EState_VSA8 EState_VSA9
ExactMolWt FpDensityMorgan1 FpDensityMorgan2 FpDensityMorgan3 FractionCSP3 HallKierAlpha HeavyAtomCount
HeavyAtomMolWt Ipc Kappa1 Kappa2 Kappa3 LabuteASA MaxAbsEStateIndex MaxAbsPartialCharge MaxEStateIndex
MaxPartialCharge MinAbsEStateIndex MinAbsPartialCharge MinEStateIndex MinPartialCharge MolLogP MolMR MolWt
NHOHCount NOCount NumAliphaticCarbocycles NumAliphaticHeterocycles NumAliphaticRings NumAromaticCarbocycles
NumAromaticHeterocycles NumAromaticRings NumHAcceptors NumHDonors NumHeteroatoms NumRadicalElectrons
NumRotatableBonds NumSaturatedCarbocycles NumSaturatedHeterocycles NumSaturatedRings NumValenceElectrons
PEOE_VSA1 PEOE_VSA10 PEOE_VSA11 PEOE_VSA12 PEOE_VSA13 PEOE_VSA14 PEOE_VSA2 PEOE_VSA3 PEOE_VSA4 PEOE_VSA5
PEOE_VSA6 PEOE_VSA7 PEOE_VSA8 PEOE_VSA9 RingCount SMR_VSA1 SMR_VSA10 SMR_VSA2 SMR_VSA3 SMR_VSA4 SMR_VSA5
SMR_VSA6 SMR_VSA7 SMR_VSA8 SMR_VSA9 SlogP_VSA1 SlogP_VSA10 SlogP_VSA11 SlogP_VSA12 SlogP_VSA2 SlogP_VSA3
SlogP_VSA4 SlogP_VSA5 SlogP_VSA6 SlogP_VSA7 SlogP_VSA8 SlogP_VSA9 TPSA VSA_EState1 VSA_EState10 VSA_EState2
VSA_EState3 VSA_EState4 VSA_EState5 VSA_EState6 VSA_EState7 VSA_EState8 VSA_EState9 fr_Al_COO fr_Al_OH
fr_Al_OH_noTert fr_ArN fr_Ar_COO fr_Ar_N fr_Ar_NH fr_Ar_OH fr_COO fr_COO2 fr_C_O fr_C_O_noCOO fr_C_S fr_HOCCN
fr_Imine fr_NH0 fr_NH1 fr_NH2 fr_N_O fr_Ndealkylation1 fr_Ndealkylation2 fr_Nhpyrrole fr_SH fr_aldehyde
fr_alkyl_carbamate fr_alkyl_halide fr_allylic_oxid fr_amide fr_amidine fr_aniline fr_aryl_methyl fr_azide fr_azo
fr_barbitur fr_benzene fr_benzodiazepine fr_bicyclic fr_diazo fr_dihydropyridine fr_epoxide fr_ester fr_ether
fr_furan fr_guanido fr_halogen fr_hdrzine fr_hdrzone fr_imidazole fr_imide fr_isocyan fr_isothiocyan fr_ketone
fr_ketone_Topliss fr_lactam fr_lactone fr_methoxy fr_morpholine fr_nitrile fr_nitro fr_nitro_arom
fr_nitro_arom_nonortho fr_nitroso fr_oxazole fr_oxime fr_para_hydroxylation fr_phenol fr_phenol_noOrthoHbond
fr_phos_acid fr_phos_ester fr_piperdine fr_piperzine fr_priamide fr_prisulfonamd fr_pyridine fr_quatN fr_sulfide
fr_sulfonamd fr_sulfone fr_term_acetylene fr_tetrazole fr_thiazole fr_thiocyan fr_thiophene fr_unbrch_alkane
fr_urea qed
""".split()  # noqa: SIM905 - 200 quoted names are not easier to read
)


@cache
def _functions() -> tuple[Callable[[Mol], float], ...]:
    return tuple(getattr(Descriptors, name) for name in NAMES)


def one_by_one(molecule: Mol) -> list[float]:
    """Each descriptor by RDKit's own function.

    Args:
        molecule: Sanitised.

    Returns:
        200 values in the order of `NAMES`; NaN where RDKit raised.
    """
    values = []
    for function in _functions():
        try:
            values.append(float(function(molecule)))
        except Exception:  # noqa: BLE001 - RDKit raises whatever its parts raise, on metals and lone atoms
            values.append(math.nan)
    return values


_SHARED: Final[tuple[str, ...]] = (
    *("BalabanJ", "BertzCT", "Chi0", "Chi1", "Ipc", "Kappa2", "Kappa3"),
    *("Chi2n", "Chi2v", "Chi3n", "Chi3v", "Chi4n", "Chi4v"),
    *("MaxAbsEStateIndex", "MaxEStateIndex", "MinAbsEStateIndex", "MinEStateIndex"),
    *(f"EState_VSA{number}" for number in range(1, 12)),
    *(f"VSA_EState{number}" for number in range(1, 11)),
    *(f"SMR_VSA{number}" for number in range(1, 11)),
    *(f"SlogP_VSA{number}" for number in range(1, 13)),
    *(f"PEOE_VSA{number}" for number in range(1, 15)),
    *("MaxPartialCharge", "MinPartialCharge", "MaxAbsPartialCharge", "MinAbsPartialCharge"),
    *("MolLogP", "MolMR", "NumValenceElectrons", "NumRadicalElectrons"),
    *("FpDensityMorgan1", "FpDensityMorgan2", "FpDensityMorgan3"),
    *("NumRotatableBonds", "qed"),
)
"""Descriptors that share work, in the order `together` finds them; those of fragments follow."""
_FRAGMENTS: Final = tuple(name for name in NAMES if name.startswith("fr_"))
_ALONE: Final = tuple(name for name in NAMES if name not in {*_SHARED, *_FRAGMENTS})
_ORDER: Final = np.array([NAMES.index(name) for name in (*_SHARED, *_FRAGMENTS, *_ALONE)])
_QED: Any = QED
_ATOMIC_NUMBERS: Final = 119


class Seen(NamedTuple):
    """What is looked up once in a molecule.

    Attributes:
        skeleton: Its atoms and bonds.
        counts: Of fragments, QED's acceptors, rotatable bonds, QED's alerts.
        features: Which of `erg.FEATURES` each atom is; None for large molecules.
        aliphatic: Which atoms QED takes as those of aliphatic rings; None for large molecules.
    """

    skeleton: Skeleton
    counts: list[int]
    features: NDArray[np.bool_] | None
    aliphatic: NDArray[np.bool_] | None


def look(molecule: Mol) -> Seen:
    """Look up what descriptors share.

    Args:
        molecule: Sanitised, with at least one atom.
    """
    skeleton = read(molecule)
    counts, marks = _patterns().find(molecule, skeleton)
    if marks is None:
        return Seen(skeleton, counts, None, None)
    return Seen(skeleton, counts, marks[:, : len(FEATURES)], marks[:, len(FEATURES)])


def together(molecule: Mol, seen: Seen) -> NDArray[np.float64]:
    """All descriptors, with what they share computed once.

    Args:
        molecule: Sanitised, with at least one atom.
        seen: From `look`.

    Returns:
        Shape (200,), in the order of `NAMES`.
    """
    try:
        found = [*_shared(molecule, seen), *(function(molecule) for function in _alone())]
    except Exception:  # noqa: BLE001 - as above
        return np.array(one_by_one(molecule))
    values = np.empty(len(NAMES))
    values[_ORDER] = found
    return values


@cache
def _alone() -> tuple[Callable[[Mol], float], ...]:
    return tuple(getattr(Descriptors, name) for name in _ALONE)


@cache
def _outer_electrons() -> NDArray[np.int64]:
    table = Chem.GetPeriodicTable()
    return np.array([table.GetNOuterElecs(number) for number in range(_ATOMIC_NUMBERS)])


@cache
def _morgan(radius: int) -> Any:
    return rdFingerprintGenerator.GetMorganGenerator(radius)


@cache
def _patterns() -> Patterns:
    """Those of `Seen`."""
    counted = [
        *map(_pattern_of, _FRAGMENTS),
        *QED.Acceptors,
        Chem.MolFromSmarts(_ROTATABLE),
    ]
    marked = [*map(Chem.MolFromSmarts, FEATURES), QED.AliphaticRings]
    return Patterns([*counted, *QED.StructuralAlerts], _ALERTS_AT, marked)


_ACCEPTORS_AT: Final = len(_FRAGMENTS)
_ROTATABLE_AT: Final = _ACCEPTORS_AT + len(_QED.Acceptors)
_ALERTS_AT: Final = _ROTATABLE_AT + 1
_BULKY: Final = "!$(*#*)&!D1&!$(C(F)(F)F)&!$(C(Cl)(Cl)Cl)&!$(C(Br)(Br)Br)&!$(C([CH3])([CH3])[CH3])"
_STIFF: Final = (
    "!$([CD3](=[N,O,S])-!@[#7,O,S!D1])&!$([#7,O,S!D1]-!@[CD3]=[N,O,S])"
    "&!$([CD3](=[N+])-!@[#7!D1])&!$([#7!D1]-!@[CD3]=[N+])"
)
_ROTATABLE: Final = f"[{_BULKY}&{_STIFF}]-,:;!@[{_BULKY}]"
"""RDKit's strict definition: not beside triple bonds, at the end of chains, to trihalomethyl or tert-butyl, or in
amides and their like. Where hydrogen atoms stand in the graph (deuterium), RDKit counts otherwise, and is asked."""


def _pattern_of(name: str) -> Mol:
    """The pattern of a fragment descriptor, which RDKit keeps as a default argument."""
    function: Any = getattr(Descriptors, name)
    pattern: Mol = function.__defaults__[1]
    return pattern


def _shared(molecule: Mol, seen: Seen) -> list[float]:
    """Values of `_SHARED`, then of `_FRAGMENTS`."""
    skeleton, counts = seen.skeleton, seen.counts
    atoms = skeleton.table
    outer = _outer_electrons()[atoms[0]]
    charges = _charges(molecule)
    crippen = contributions(molecule, skeleton)
    log_p, refractivity = crippen.sums
    surface = np.array(rdMolDescriptors._CalcLabuteASAContribs(molecule)[0])  # noqa: SLF001 - Descriptors calls it so
    heavy = int((atoms[0] > 1).sum())
    circles = [_morgan(radius).GetSparseCountFingerprint(molecule) for radius in (1, 2, 3)]
    return [
        *_graph(molecule, skeleton, surface, outer).tolist(),
        *_surfaces(crippen.refractivity, MolSurf.mrBins, surface),
        *_surfaces(crippen.log_p, MolSurf.logpBins, surface),
        *rdMolDescriptors.PEOE_VSA_(molecule),
        *charges,
        log_p,
        refractivity,
        int((outer - atoms[3] + atoms[2]).sum()),
        int(atoms[4].sum()),
        *(len(one.GetNonzeroElements()) / heavy if heavy else 0.0 for one in circles),
        *(
            (counts[_ROTATABLE_AT], _qed(molecule, log_p, seen))
            if heavy == atoms.shape[1]
            else (rdMolDescriptors.CalcNumRotatableBonds(molecule), _QED.qed(molecule))
        ),
        *counts[:_ACCEPTORS_AT],
    ]


def _charges(molecule: Mol) -> tuple[float, float, float, float]:
    """Largest and smallest Gasteiger charge, and of their absolute values."""
    rdPartialCharges.ComputeGasteigerCharges(molecule)
    smallest, largest = 500.0, -500.0
    for at in range(molecule.GetNumAtoms()):
        charge = molecule.GetAtomWithIdx(at).GetDoubleProp("_GasteigerCharge")
        smallest = min(charge, smallest)
        largest = max(charge, largest)
    sizes = abs(smallest), abs(largest)
    return largest, smallest, max(sizes), min(sizes)


def _surfaces(values: NDArray[np.float64], edges: Sequence[float], surface: NDArray[np.float64]) -> list[float]:
    """Surface of the atoms whose value lies in each bin."""
    found: list[float] = np.bincount(
        np.searchsorted(edges, values, side="right"), weights=surface, minlength=len(edges) + 1
    ).tolist()
    return found


def _graph(
    molecule: Mol, skeleton: Skeleton, surface: NDArray[np.float64], outer: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What `graph_kernels` computes."""
    distance = Chem.GetDistanceMatrix(molecule)
    weighted = Chem.GetDistanceMatrix(molecule, useBO=True, useAtomWts=False, prefix="Balaban")
    values: NDArray[np.float64] = graph_values(
        np.vstack([skeleton.table[:3], outer]),
        skeleton.ends,
        *skeleton.links,
        skeleton.order,
        surface,
        distance,
        weighted,
        rdMolDescriptors.CalcHallKierAlpha(molecule),
    )
    return values


def _qed(molecule: Mol, log_p: float, seen: Seen) -> float:
    """Drug-likeness (Bickerton et al., Nature Chem. 4 (2012) 90) of a molecule without hydrogen atoms."""
    counts = seen.counts
    if seen.aliphatic is None:
        rings = len(Chem.GetSSSR(Chem.DeleteSubstructs(Chem.Mol(molecule), QED.AliphaticRings)))
    else:
        rings = independent_rings(seen.skeleton.ends, seen.aliphatic)
    properties = _QED.QEDproperties(
        MW=rdMolDescriptors._CalcMolWt(molecule),  # noqa: SLF001 - as QED calls it
        ALOGP=log_p,
        HBA=sum(counts[_ACCEPTORS_AT:_ROTATABLE_AT]),
        HBD=rdMolDescriptors.CalcNumHBD(molecule),
        PSA=rdMolDescriptors.CalcTPSA(molecule),
        ROTB=counts[_ROTATABLE_AT],
        AROM=rings,
        ALERTS=sum(counts[_ALERTS_AT:]),
    )
    return float(_QED.qed(molecule, qedProperties=properties))
