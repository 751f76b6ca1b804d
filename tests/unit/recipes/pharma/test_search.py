"""Search of an index gives RDKit's own numbers."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from molecules import ODD, drugs, moses
from rdkit import Chem, DataStructs
from rdkit.Chem import rdFingerprintGenerator
from rdkit.rdBase import BlockLogs

from kifabrik.errors import CapacityError, UsageError
from kifabrik.recipes.pharma.fingerprints import morgan
from kifabrik.recipes.pharma.index import HEADER, build, open_index
from kifabrik.recipes.pharma.libraries import Library
from kifabrik.recipes.pharma.search import similar, with_substructure

_SMILES = [*ODD, *moses(3_000)]


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("index")
    file = folder / "library.smi.gz"
    with gzip.open(file, "wt") as lines:
        lines.writelines(f"{smiles} m{number}\n" for number, smiles in enumerate(_SMILES))
    build(Library(file), folder / "index", patterns=True)
    return open_index(folder / "index")


@pytest.fixture(scope="module")
def bits():
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    with BlockLogs():
        return [generator.GetFingerprint(Chem.MolFromSmiles(smiles)) for smiles in _SMILES]


def _queries():
    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    smiles = [*moses(40, skip=50_000), *drugs(20), *_SMILES[:30:3]]
    with BlockLogs():
        return smiles, [generator.GetFingerprint(Chem.MolFromSmiles(one)) for one in smiles]


def _expected(values, most, threshold):
    order = np.lexsort((np.arange(len(values)), -values))
    return [row for row in order if values[row] >= threshold][:most]


@pytest.mark.parametrize(
    ("most", "threshold", "weights"),
    [(10, 0.0, (1, 1)), (None, 0.4, (1, 1)), (None, 0.05, (1, 1)), (25, 0.3, (0.9, 0.1)), (None, 0.6, (0.1, 0.9))],
)
def test_hits_and_similarities_are_those_of_rdkits_bulk_functions(index, bits, most, threshold, weights):
    smiles, queries = _queries()
    hits = similar(index, morgan(smiles), most=most, threshold=threshold, weights=weights, workers=2)
    for query, found in zip(queries, hits, strict=True):
        if weights == (1, 1):
            values = np.array(DataStructs.BulkTanimotoSimilarity(query, bits))
        else:
            values = np.array(DataStructs.BulkTverskySimilarity(query, bits, *weights))
        expected = _expected(values, most, threshold)
        assert found.rows.tolist() == expected
        assert found.similarities.tolist() == values[expected].tolist()


def test_a_query_has_the_same_answer_alone_and_in_a_batch(index):
    queries = morgan(_queries()[0])
    batch = similar(index, queries, most=7, workers=2)
    for at in (0, 33, 60):
        (alone,) = similar(index, queries[at : at + 1], most=7)
        assert alone.rows.tolist() == batch[at].rows.tolist()


@pytest.mark.parametrize("smarts", ["c1ccncc1", "C(=O)N", "[Pt]", "S(=O)(=O)N", "C1CC1", "[13CH4]"])
def test_substructure_hits_are_those_of_asking_each_molecule(index, smarts):
    query = Chem.MolFromSmarts(smarts)
    with BlockLogs():
        molecules = [Chem.MolFromSmiles(one) for one in _SMILES]
    expected = [row for row, molecule in enumerate(molecules) if molecule.HasSubstructMatch(query)]
    assert with_substructure(index, smarts).tolist() == expected
    assert with_substructure(index, smarts, most=3).tolist() == expected[:3]


def test_a_substructure_that_cannot_be_read_is_said(index):
    with pytest.raises(UsageError, match="substructure"):
        with_substructure(index, "c1cc(")


@pytest.mark.parametrize("processes", [1, 2])
def test_rows_that_cannot_be_read_are_left_out_with_their_reason(tmp_path, processes):
    file = tmp_path / "library.csv"
    file.write_bytes(
        b"name;SMILES\na;CCO\nb;not a molecule\nc;\nd;C1CC\ne;c1ccccc1;too many\nf;\xff\xfe\n\nh;"
        + b"C" * 70_000
        + b"\ni;CCN\n"
    )
    header = build(Library(file), tmp_path / "index", workers=processes)
    index = open_index(tmp_path / "index")
    assert index.molecules.to_pydict() == {"row": [0, 7], "id": ["a", "i"], "smiles": ["CCO", "CCN"]}
    assert (header.molecules, header.rejected) == (2, 6)
    lines = (tmp_path / "index/rejects.csv").read_text().splitlines()
    assert lines[0] == "row,id,smiles,reason"
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3", "4", "5", "6"]
    assert "3 cells, the header 2" in lines[4]


def test_all_file_formats_give_the_same_index(tmp_path):
    smiles = moses(100)
    (tmp_path / "a.smi").write_text("".join(f"{one}\tid{at}\n" for at, one in enumerate(smiles)))
    (tmp_path / "b.csv").write_text(
        "id,smiles\r\n" + "".join(f'id{at},"{one}"\r\n' for at, one in enumerate(smiles))
    )
    pq.write_table(
        pa.table({"x": range(100), "smiles": smiles, "id": [f"id{at}" for at in range(100)]}),
        tmp_path / "c.parquet",
    )
    tables = []
    for name in ("a.smi", "b.csv", "c.parquet"):
        build(Library(tmp_path / name), tmp_path / f"{name}-index")
        tables.append(open_index(tmp_path / f"{name}-index"))
    assert tables[0].molecules == tables[1].molecules == tables[2].molecules
    assert np.array_equal(tables[0].fingerprints, tables[2].fingerprints)


def test_a_library_that_is_cut_off_or_missing_is_said_in_a_sentence(tmp_path):
    packed = gzip.compress("".join(f"{one}\n" for one in moses(500)).encode())
    (tmp_path / "cut.smi.gz").write_bytes(packed[: len(packed) // 2])
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    for name, words in (
        ("cut.smi.gz", "no whole gzip"),
        ("none.smi", "no file"),
        ("wrong.csv", "no column of SMILES"),
    ):
        with pytest.raises(UsageError, match=words):
            build(Library(tmp_path / name), tmp_path / "index")
    assert not (tmp_path / "index").exists()


def test_a_damaged_index_is_refused(tmp_path):
    (tmp_path / "a.smi").write_text("CCO\nCCN\n")
    build(Library(tmp_path / "a.smi"), tmp_path / "index")
    header = tmp_path / "index" / HEADER
    text = header.read_text()
    header.write_text(json.dumps(json.loads(text) | {"molecules": 3}))
    with pytest.raises(UsageError, match="damaged"):
        open_index(tmp_path / "index")
    header.write_text(text)
    (tmp_path / "index/fingerprints.npy").write_bytes(b"nothing")
    with pytest.raises(UsageError, match="damaged"):
        open_index(tmp_path / "index")
    with pytest.raises(UsageError, match="no index"):
        open_index(tmp_path)


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "a.smi").write_text("CCO\n")
    with pytest.raises(CapacityError, match="cannot be written"):
        build(Library(tmp_path / "a.smi"), tmp_path / "a.smi" / "index")
