"""Molecules that tests of pharma screening share."""

import csv
import gzip
from itertools import islice
from pathlib import Path

import pytest

ODD = (
    "[Na+].[Cl-]",
    "[Fe]",
    "C",
    "[H][H]",
    "CC[Pt](Cl)(Cl)",
    "[2H]C([2H])C",
    "C1CC1",
    "CC1CC1",
    "C12C3C4C1C5C2C3C45",
    "*CC*",
    "C[N+](C)(C)C.[I-]",
    "[Cu+2].[O-]C(=O)C.[O-]C(=O)C",
    "OB(O)c1ccccc1",
    "[CH3]",
    "O=[Os](=O)(=O)=O",
    "N->[Co]",
    "CC(=O)" + "NC(Cc1ccccc1)C(=O)" * 9 + "O",
    "C~C",
    "F[P-](F)(F)(F)(F)F",
    "CC1(C)SC2C(NC(=O)Cc3ccccc3)C(=O)N2C1C(=O)O",
    "[13CH4]",
    "O=c1c2ccccc2[nH]c2ccccc12",
    "N#Cc1ccc(N=Nc2ccc(OCCCl)cc2)cc1",
)
"""Metals, salts, isotopes, cages, small rings, a peptide: what trips descriptors."""


def pharma_data() -> Path:
    """The folder of public pharma data; skips the test where it is missing."""
    for above in Path(__file__).resolve().parents:
        if (above.parent / "shared/data/pharma").exists():
            return above.parent / "shared/data/pharma"
    pytest.skip("the pharma data is not beside the checkout, in shared/data/pharma")


def moses(count: int, *, skip: int = 0) -> list[str]:
    """Molecules of the MOSES library, in its order."""
    with gzip.open(pharma_data() / "library/moses_train.csv.gz", "rt") as file:
        return [row["SMILES"] for row in islice(csv.DictReader(file), skip, skip + count)]


def drugs(count: int) -> list[str]:
    """Molecules of the blood-brain barrier task: drugs, large ones among them."""
    with (pharma_data() / "tdc_admet/BBB_Martins_train.csv").open() as file:
        return [row["Drug"] for row in islice(csv.DictReader(file), count)]
