"""Features equal those of the published recipe's plain loop."""

import numpy as np
import pytest
from molecules import ODD, drugs, moses
from rdkit import Chem, DataStructs
from rdkit.Avalon.pyAvalonTools import GetAvalonCountFP
from rdkit.Chem import rdFingerprintGenerator, rdReducedGraphs
from rdkit.rdBase import BlockLogs

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma import descriptors
from kifabrik.recipes.pharma.features import MOST_ATOMS, NAMES, maplight
from kifabrik.recipes.pharma.fingerprints import morgan, unpack


def _plainly(smiles):
    rows = []
    with BlockLogs():
        for text in smiles:
            molecule = Chem.MolFromSmiles(text)
            morgan_counts = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=1024)
            avalon = np.zeros(0, np.int32)
            DataStructs.ConvertToNumpyArray(GetAvalonCountFP(molecule, nBits=1024), avalon)
            rows.append(
                np.concatenate(
                    [
                        morgan_counts.GetCountFingerprintAsNumPy(molecule),
                        avalon,
                        rdReducedGraphs.GetErGFingerprint(molecule),
                        descriptors.one_by_one(molecule),
                    ]
                )
            )
    with np.errstate(over="ignore"):
        values = np.array(rows).astype(np.float32)
    values[~np.isfinite(values)] = np.nan
    return values


@pytest.mark.parametrize("molecules", ["odd", "drugs", "library"])
def test_features_equal_those_of_the_plain_loop(molecules):
    smiles = {"odd": lambda: ODD, "drugs": lambda: drugs(120), "library": lambda: moses(120)}[molecules]()
    features = maplight(smiles)
    plain = _plainly(smiles)
    different = ~((features.values == plain) | (np.isnan(features.values) & np.isnan(plain)))
    assert not [(smiles[row], NAMES[column]) for row, column in zip(*np.nonzero(different), strict=True)]


def test_there_are_2563_features_with_names_of_their_own():
    features = maplight(["CCO"])
    assert features.values.shape == (1, 2563) == (1, len(set(features.names)))
    assert features.values.dtype == np.float32


def test_what_cannot_be_read_is_a_row_of_nan_and_disturbs_no_other():
    giant = "C" * (MOST_ATOMS + 1)
    features = maplight(["CCO", "not a molecule", "", giant, "CCO"])
    assert np.isnan(features.values[:, 0]).tolist() == [False, True, True, True, False]
    assert features.flagged.tolist() == [False, True, True, True, False]
    assert np.array_equal(features.values[0], features.values[4])


def test_values_rdkit_has_not_are_flagged():
    features = maplight(["CC[Pt](Cl)(Cl)", "CCO"])
    assert features.flagged.tolist() == [True, False]
    assert np.isnan(features.values[0, NAMES.index("MaxPartialCharge")])


def test_processes_and_cache_change_nothing(tmp_path):
    smiles = [*ODD, *moses(240)]
    alone = maplight(smiles).values
    first = maplight(smiles, workers=2, cache=tmp_path / "kept").values
    second = maplight(smiles[::-1], cache=tmp_path / "kept").values
    assert np.array_equal(alone, first, equal_nan=True)
    assert np.array_equal(alone[::-1], second, equal_nan=True)


def test_a_cache_that_is_something_else_is_named(tmp_path):
    maplight(["CCO"], cache=tmp_path)
    (file,) = tmp_path.glob("*.sqlite")
    file.write_bytes(b"something else" * 1000)
    with pytest.raises(UsageError, match="sqlite"):
        maplight(["CCO"], cache=tmp_path)


def test_packed_bits_are_rdkits():
    smiles = [*moses(50), *ODD, "nonsense"]
    bits = unpack(morgan(smiles))
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    for text, row in zip(smiles[:-1], bits[:-1], strict=True):
        with BlockLogs():
            assert np.array_equal(row, generator.GetFingerprintAsNumPy(Chem.MolFromSmiles(text))), text
    assert not bits[-1].any()
