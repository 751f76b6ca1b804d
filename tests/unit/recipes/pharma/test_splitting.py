"""Test data must not be in the training data, in no disguise."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from measured_tables import compounds_of, prepared, series, write

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.compounds import Compounds
from kifabrik.recipes.pharma.fingerprints import morgan
from kifabrik.recipes.pharma.molecules import Standardiser
from kifabrik.recipes.pharma.neighbours import nearest, nearest_others, similarities
from kifabrik.recipes.pharma.prepared import save_prepared
from kifabrik.recipes.pharma.preparing import prepare
from kifabrik.recipes.pharma.sides import load_split, save_split
from kifabrik.recipes.pharma.splitting import Method, check_apart, folds, leaks, scaffold_groups, split


@pytest.fixture(scope="module")
def compounds(tmp_path_factory: pytest.TempPathFactory) -> Compounds:
    return compounds_of(series(80), tmp_path_factory.mktemp("series"))[0]


@pytest.mark.parametrize(
    "kept", [Standardiser(), Standardiser(salts=True, charges=True)], ids=["parents", "salts and charges kept"]
)
@pytest.mark.parametrize(
    ("planted", "same"),
    [("OCC(C)N", True), ("CC(N)CO.Cl", True), ("C[C@H](N)CO", False), ("C[C@@H]([NH3+])CO.[Br-]", False)],
    ids=["duplicate", "salt", "stereo twin", "salt of a stereo twin"],
)
def test_a_planted_twin_trips_the_check(tmp_path: Path, planted: str, same: bool, kept: Standardiser) -> None:
    old = write(tmp_path / "old.csv", "id,smiles,y\na,CC(N)CO,1\nb,CCCCO,2\n")
    new = write(tmp_path / "new.csv", f"id,smiles,y\nx,CCCCN,1\ny,{planted},2\n")
    train, test = (prepare([file], standardiser=kept).compounds for file in (old, new))
    assert [leak.same for leak in leaks(train.inchikey, test.inchikey)] == [same]
    with pytest.raises(UsageError, match="leak") as refused:
        check_apart(train, test)
    assert "y is" in refused.value.message
    assert " a" in refused.value.message


def test_sides_that_share_nothing_pass(tmp_path: Path) -> None:
    train = prepared(tmp_path, "smiles,y\nCCO,1\nCCN,2\n").compounds
    check_apart(train, prepared(tmp_path, "smiles,y\nCCC,1\nCCCl,2\n").compounds)


@pytest.mark.parametrize("method", [Method.SCAFFOLD, Method.CLUSTER, Method.RANDOM])
def test_a_split_covers_all_and_leaks_nothing(compounds: Compounds, method: Method) -> None:
    made = split(compounds, method, share=0.25, seed=3)
    assert sorted([*made.train, *made.test]) == list(range(len(compounds)))
    assert 0 < len(made.test) <= 0.25 * len(compounds)
    assert not leaks(compounds[made.train].inchikey, compounds[made.test].inchikey)
    assert made.similarity.max() <= 1


def test_scaffolds_stay_whole(compounds: Compounds) -> None:
    groups = np.array(scaffold_groups(compounds))
    made = split(compounds, Method.SCAFFOLD, share=0.3, seed=1)
    assert not set(groups[made.train]) & set(groups[made.test])
    fold = folds(compounds, 4, 1)
    assert all(len(set(fold[groups == group])) == 1 for group in set(groups))


def test_the_order_of_compounds_changes_nothing_and_the_seed_does(compounds: Compounds) -> None:
    back = compounds[list(reversed(range(len(compounds))))]

    def tested(table: Compounds, seed: int) -> set[str]:
        return set(table[split(table, Method.RANDOM, seed=seed).test].inchikey)

    assert tested(compounds, 1) == tested(back, 1)
    assert tested(compounds, 1) != tested(compounds, 2)


def dated(compounds: Compounds, date: Callable[[int], str]) -> Compounds:
    return replace(compounds, date=tuple(date(at) for at in range(len(compounds))))


def test_by_time_all_test_compounds_are_younger(compounds: Compounds) -> None:
    table = dated(compounds, lambda at: f"20{10 + at % 14:02}-01-01")
    made = split(table, share=0.2)
    assert made.method is Method.TIME
    assert max(table[made.train].date) < made.cut <= min(table[made.test].date)


def test_by_time_a_younger_stereoisomer_is_left_out(tmp_path: Path) -> None:
    rows = "\n".join(f"c{at},{'C' * (at + 1)}O,{at},2020-01-01" for at in range(12))
    text = (
        f"id,smiles,y,date\n{rows}\nold,C[C@H](N)CO,1,2020-01-01\nnew,C[C@@H](N)CO,1,2024-01-01\nn,CCS,1,2024-01-01"
    )
    table = prepared(tmp_path, text).compounds
    made = split(table)
    assert [table.id[at] for at in made.left_out] == ["new"]
    assert [table.id[at] for at in made.test] == ["n"]


def test_compounds_without_a_date_are_not_split_by_time(compounds: Compounds) -> None:
    with pytest.raises(UsageError, match="have no date"):
        split(dated(compounds, lambda at: "2020" if at else ""), Method.TIME)


def test_too_few_compounds_are_not_split(compounds: Compounds) -> None:
    with pytest.raises(UsageError, match="cannot be split"):
        split(compounds[range(5)])


def test_a_split_that_somebody_changed_is_refused(tmp_path: Path) -> None:
    lines = "\n".join(f"c{at},{smiles},{value}" for at, (smiles, value) in enumerate(series(30)))
    path = write(tmp_path / "t.csv", f"id,smiles,y\n{lines}\n")
    made = prepare([path])
    facts = save_prepared(made, [path], tmp_path / "prepared")
    save_split(made.compounds, facts, split(made.compounds), tmp_path / "split", share=0.2, seed=1)
    assert len(load_split(tmp_path / "split").train) > 0
    train, test = tmp_path / "split" / "train.csv", tmp_path / "split" / "test.csv"
    whole = test.read_text()
    test.write_text(whole + train.read_text().splitlines()[1] + ",0.5\n")
    with pytest.raises(UsageError, match="leak"):
        load_split(tmp_path / "split")
    test.write_text(whole.replace("c", "d", 1))
    with pytest.raises(UsageError):
        load_split(tmp_path / "split")


def test_similarities_are_those_of_rdkit(compounds: Compounds) -> None:
    from rdkit import Chem, DataStructs
    from rdkit.Chem import rdFingerprintGenerator

    maker = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    bits = [maker.GetFingerprint(Chem.MolFromSmiles(smiles)) for smiles in compounds.smiles]
    packed = morgan(compounds.smiles)
    theirs = np.array([DataStructs.BulkTanimotoSimilarity(one, bits) for one in bits])
    assert np.array_equal(similarities(packed, packed), theirs.astype(np.float32))
    np.fill_diagonal(theirs, -1)
    assert np.array_equal(nearest_others(packed), theirs.max(axis=1).astype(np.float32))
    best, place = nearest(packed[:3], packed[10:])
    assert np.array_equal(best, theirs[:3, 10:].max(axis=1).astype(np.float32))
    assert np.array_equal(theirs[range(3), place + 10].astype(np.float32), best)
