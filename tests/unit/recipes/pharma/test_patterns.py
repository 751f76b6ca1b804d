"""Compiled searches for substructures find what RDKit finds."""

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from molecules import ODD, drugs, moses
from rdkit import Chem
from rdkit.Chem import QED, rdMolDescriptors, rdReducedGraphs
from rdkit.rdBase import BlockLogs

from kifabrik.recipes.pharma import crippen, descriptors
from kifabrik.recipes.pharma.erg import reduced_graph
from kifabrik.recipes.pharma.pattern_counts import Patterns
from kifabrik.recipes.pharma.pattern_kernels import MOST_ATOMS
from kifabrik.recipes.pharma.skeleton import read

QUERIES = (
    *("[#6]", "c1ccccc1", "C~N", "[N&X3;!$(N-C=O)]", "[$([C;D3](C)C),$(C=O)]-,=[!$(*#*)&!D1]", "[R0&D2][R0&D2]"),
    *(
        "[$(c1(-[$([N&X3](=O)=O),$([N&X3&+](=O)[O&-])])ccccc1)&!$(cc-&!:*)]",
        "[C,H1].[O]",
        "[!#1]@[!#1]",
        "[r5]~[r6]",
    ),
)
PARTS = (
    "C",
    "c1ccccc1",
    "N",
    "O",
    "C(=O)",
    "S(=O)(=O)",
    "[N+](C)(C)",
    "C#C",
    "C1CC1",
    "n1ccnc1",
    "[2H]",
    "Cl",
    "[O-]",
)


def molecules_of(smiles):
    with BlockLogs():
        found = [Chem.MolFromSmiles(text) for text in smiles]
    return [one for one in found if one is not None and one.GetNumAtoms()]


def asked(molecule, queries):
    return [len(molecule.GetSubstructMatches(query)) for query in queries]


@pytest.mark.parametrize("smiles", [ODD, drugs(150), moses(100)], ids=["odd", "drugs", "library"])
def test_counts_are_rdkits(smiles):
    queries = [Chem.MolFromSmarts(text) for text in QUERIES]
    patterns = Patterns(queries, len(queries))
    for molecule in molecules_of(smiles):
        assert patterns.find(molecule, read(molecule)).counts == asked(molecule, queries), Chem.MolToSmiles(
            molecule
        )


@example(["C", "c1ccccc1", "[2H]"])
@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=9))
@settings(max_examples=60)
def test_counts_of_made_up_molecules_are_rdkits(parts):
    with BlockLogs():
        molecule = Chem.MolFromSmiles(
            "".join(f"({part})" if at % 3 == 1 else part for at, part in enumerate(parts))
        )
    assume(molecule is not None)
    seen = descriptors.look(molecule)
    assert seen.counts[-len(QED.StructuralAlerts) :] == [
        int(molecule.HasSubstructMatch(alert)) for alert in QED.StructuralAlerts
    ]
    ours, theirs = descriptors.together(molecule, seen), np.array(descriptors.one_by_one(molecule))
    with np.errstate(over="ignore"):
        assert np.array_equal(ours.astype(np.float32), theirs.astype(np.float32), equal_nan=True)
    assert np.array_equal(
        reduced_graph(molecule, seen.skeleton, seen.features), rdReducedGraphs.GetErGFingerprint(molecule)
    )


def test_a_kind_of_atom_is_not_taken_for_one_with_hydrogen_atoms_in_the_graph():
    query = Chem.MolFromSmarts("[CH2]")
    patterns = Patterns([query], 1)
    for text in ("[2H]C(C)C", "CC(C)O", "CCC", "[2H]C([2H])C"):
        (molecule,) = molecules_of([text])
        assert patterns.find(molecule, read(molecule)).counts == asked(molecule, [query]), text


def test_molecules_too_large_for_a_word_are_left_to_rdkit():
    (molecule,) = molecules_of(["C" * (MOST_ATOMS + 1)])
    query = Chem.MolFromSmarts("CCC")
    found = Patterns([query], 1, [query]).find(molecule, read(molecule))
    assert (found.counts, found.marks) == ([MOST_ATOMS - 1], None)


def test_more_matches_than_rdkit_looks_for_are_left_to_it():
    (molecule,) = molecules_of(["CC(C)(C)C(C)(C)C(C)(C)C(C)(C)C(C)(C)C(C)(C)C(C)(C)C(C)(C)C(C)(C)C"])
    queries = [Chem.MolFromSmarts("CC(C)(C)C"), Chem.MolFromSmarts("CCCCCCC")]
    assert Patterns(queries, 2).find(molecule, read(molecule)).counts == asked(molecule, queries)


@pytest.mark.parametrize("smiles", [ODD, drugs(150), moses(100)], ids=["odd", "drugs", "library"])
def test_crippen_contributions_are_rdkits(smiles):
    for molecule in molecules_of(smiles):
        found = crippen.contributions(molecule, read(molecule))
        pairs = rdMolDescriptors._CalcCrippenContribs(molecule)
        assert list(zip(found.log_p, found.refractivity, strict=True)) == pairs
        assert found.sums == rdMolDescriptors.CalcCrippenDescriptors(molecule)


def test_rdkits_table_of_contributions_is_used():
    assert crippen._checked_table() is not None
