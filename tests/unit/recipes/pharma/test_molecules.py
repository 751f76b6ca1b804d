"""Structures come to one spelling, whatever they looked like before."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

from kifabrik.recipes.pharma.molecules import SKELETON, Compound, Refused, Standardiser, standardise
from kifabrik.recipes.pharma.rejects import Reason

MOLECULES = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "CC(=O)Oc1ccccc1C(=O)[O-].[Na+]",
    "C[N+](C)(C)CC(=O)[O-]",
    "C[C@H](N)C(=O)O",
    "CN1C=NC2=C1C(=O)N(C(=O)N2C)C.Cl",
    "O=C(O)CC(O)(C(=O)O)CC(=O)O.[K+].[OH-]",
    "C/C=C/c1ccc([N+](=O)[O-])cc1",
    "CC[NH+](CC)CCNC(=O)c1ccc(N)cc1.[Cl-]",
    "Oc1cccc2cccnc12",
    "CS(=O)(=O)Nc1ccc2c(c1)[nH]c1ccccc12.CS(=O)(=O)O",
    "CC1=C(C(=O)O)N2C(=O)[C@@H](NC(=O)[C@H](N)c3ccccc3)[C@H]2SC1",
    "[O-]c1ccccc1.[O-]c1ccccc1.[Ca+2]",
    "CCO.OCC",
    "C[n+]1ccccc1",
)
standard = Standardiser()


def spelt(smiles: str, seed: int) -> str:
    """Another spelling of the same structure, its fragments in another order."""
    molecule = Chem.MolFromSmiles(smiles)
    order = list(range(molecule.GetNumAtoms()))
    random.Random(seed).shuffle(order)
    return Chem.MolToSmiles(Chem.RenumberAtoms(molecule, order), canonical=False)


@given(st.sampled_from(MOLECULES), st.integers(0, 10_000))
@settings(max_examples=150)
def test_the_spelling_of_a_smiles_does_not_matter(smiles: str, seed: int) -> None:
    assert standard(spelt(smiles, seed)) == standard(smiles)


@given(st.sampled_from(MOLECULES), st.booleans())
@settings(max_examples=40)
def test_a_standard_structure_stays_as_it_is(smiles: str, tautomers: bool) -> None:
    rules = Standardiser(tautomers=tautomers)
    once = rules(smiles)
    assert isinstance(once, Compound)
    assert rules(once.smiles) == once


@given(st.sampled_from(MOLECULES), st.booleans(), st.booleans(), st.integers(0, 10_000))
@settings(max_examples=100)
def test_salts_and_charges_that_are_kept_do_not_make_another_compound(
    smiles: str, salts: bool, charges: bool, seed: int
) -> None:
    rules = Standardiser(salts=salts, charges=charges)
    once, parent = rules(spelt(smiles, seed)), standard(smiles)
    assert isinstance(once, Compound)
    assert isinstance(parent, Compound)
    assert once.inchikey == parent.inchikey
    assert rules(once.smiles) == once == rules(smiles)
    assert salts or "." not in once.smiles


def test_what_is_kept_is_seen() -> None:
    salt = "CCC[NH+](CC)CC.[Cl-]"
    assert Standardiser(salts=True)(salt).smiles == "CCCN(CC)CC.Cl"
    assert Standardiser(charges=True)(salt).smiles == "CCC[NH+](CC)CC"
    assert Standardiser(salts=True, charges=True)(salt).smiles == "CCC[NH+](CC)CC.[Cl-]"


@given(st.permutations(MOLECULES))
@settings(max_examples=10)
def test_other_structures_beside_it_do_not_matter(order: list[str]) -> None:
    assert dict(zip(order, standardise(order), strict=True)) == {one: standard(one) for one in order}


@given(st.text(max_size=60))
@settings(max_examples=300)
def test_no_text_makes_it_raise(text: str) -> None:
    found = standard(text)
    assert isinstance(found, Refused) or standard(found.smiles) == found


@pytest.mark.parametrize(
    ("smiles", "reason"),
    [
        ("", Reason.NO_STRUCTURE),
        ("   ", Reason.NO_STRUCTURE),
        ("C1CC", Reason.UNREADABLE),
        ("c1ccccc1(", Reason.UNREADABLE),
        ("C(C)(C)(C)(C)C", Reason.UNREADABLE),
        ("[Na+].[Cl-]", Reason.NO_CARBON),
        ("O", Reason.NO_CARBON),
        ("N[Pt](N)(Cl)Cl", Reason.METAL),
        ("CC(=O)O[Hg]C", Reason.METAL),
        ("*CCO", Reason.PLACEHOLDER),
        ("N" + "CC(=O)N" * 500, Reason.TOO_LARGE),
        ("C" * 50_000, Reason.TOO_LARGE),
    ],
)
def test_what_models_are_not_for_is_refused_with_a_reason(smiles: str, reason: Reason) -> None:
    found = standard(smiles)
    assert isinstance(found, Refused)
    assert found.reason is reason


def test_a_salt_is_its_acid() -> None:
    assert standard("CC(=O)Oc1ccccc1C(=O)[O-].[Na+]") == standard("CC(=O)Oc1ccccc1C(=O)O")


def test_stereoisomers_share_the_skeleton_and_not_the_key() -> None:
    left, right = standard("C[C@H](N)C(=O)O"), standard("C[C@@H](N)C(=O)O")
    assert isinstance(left, Compound)
    assert isinstance(right, Compound)
    assert left.inchikey[:SKELETON] == right.inchikey[:SKELETON]
    assert left.inchikey != right.inchikey


def test_processes_change_nothing() -> None:
    asked = ["CCO", "C1CC", "[Na+].CC(=O)[O-]", ""] * 600
    assert list(standardise(asked, workers=2)) == [standard(one) for one in asked]
