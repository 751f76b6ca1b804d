"""Garbage gets a clear sentence from every command, and one bad row never ends the work."""

import csv
import gzip
import json

import pytest
from click.testing import CliRunner
from small_model import save_small_model

from kifabrik.cli.pharma import pharma
from kifabrik.errors import UsageError

_PEPTIDE = "N" + "CC(=O)N" * 500 + "CC(=O)O"


def _run(*arguments):
    result = CliRunner().invoke(
        pharma, [str(one) for one in arguments], catch_exceptions=False, standalone_mode=False
    )
    return result.stdout, result.stderr


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_small_model(tmp_path_factory.mktemp("model") / "model")


def _cut():
    whole = gzip.compress(
        b"id,smiles,y\n" + b"".join(b"c%d,%sO,%d\n" % (at, b"C" * (at % 20 + 1), at) for at in range(3_000)),
        mtime=0,
    )
    return whole[: len(whole) // 2]


@pytest.mark.parametrize("command", ["prepare", "predict", "index", "screen"])
@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("empty.csv", b"", "empty"),
        ("empty.csv.gz", gzip.compress(b"", mtime=0), "empty"),
        ("empty.smi", b"", "no rows|no molecule"),
        ("header.csv", b"id,smiles,y\n", "no rows|no molecule"),
        ("cut.csv.gz", _cut(), "ended before|cut"),
        ("plain.csv.gz", b"id,smiles,y\n1,CCO,2\n", "[Nn]ot a gzip"),
        ("other.csv", b"a,b\n1,2\n", "no column of (structures|SMILES)"),
    ],
)
def test_a_file_that_cannot_be_used_is_said(model, tmp_path, command, name, content, words):
    (tmp_path / name).write_bytes(content)
    arguments = (model, tmp_path / name) if command in {"predict", "screen"} else (tmp_path / name,)
    with pytest.raises(UsageError, match=words) as refused:
        _run(command, *arguments, "--out", tmp_path / "out", "--workers", 1)
    assert name in str(refused.value)
    assert refused.value.hint


@pytest.fixture
def garbage(tmp_path):
    path = tmp_path / "garbage.csv"
    rows = ["metal,C[Hg]C,1", f"peptide,{_PEPTIDE},2", "broken,C1CC,3", "nothing,,4", "salt,[Na+].[Cl-],5"]
    path.write_text("id,smiles,y\n" + "\n".join([*rows, "good,CCOc1ccccc1,6"]) + "\n")
    return path


def test_each_bad_row_is_predicted_or_has_its_reason(model, garbage, tmp_path):
    said, shown = _run("predict", model, garbage, "--out", tmp_path / "said.csv", "--workers", 1)
    with (tmp_path / "said.csv").open(newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    assert [bool(row["reason"]) for row in rows.values()] == [True] * 5 + [False]
    assert rows["good"]["polarity"]
    assert "1 of 6 compounds predicted" in said + shown
    for words in ("metal", "too large", "cannot be read"):
        assert f"1 not predicted: {words}" in said + shown or words == "cannot be read"


def test_bad_rows_are_left_out_of_prepare_index_and_screen_with_reasons(model, garbage, tmp_path):
    made = json.loads(_run("prepare", garbage, "--out", tmp_path / "prepared", "--workers", 1, "--json")[0])
    assert made["compounds"] == 1
    indexed = json.loads(_run("index", garbage, "--out", tmp_path / "index", "--workers", 1, "--json")[0])
    assert (indexed["molecules"], indexed["rejected"]) == (4, 2)
    found = json.loads(_run("search", tmp_path / "index", "C[Hg]C", "--most", 1, "--json")[0])
    assert found["hits"][0]["id"] == "metal"
    screened = json.loads(_run("screen", model, garbage, "--out", tmp_path / "out", "--workers", 1, "--json")[0])
    assert (screened["rows"], screened["predicted"], screened["left_out"]) == (6, 1, 5)


def test_a_screen_without_hits_says_how_many_were_left_out(model, tmp_path):
    (tmp_path / "metals.smi").write_text("C[Hg]C\n[Fe]\n")
    with pytest.raises(UsageError, match="2 of 2 were left out") as refused:
        _run("screen", model, tmp_path / "metals.smi", "--out", tmp_path / "out", "--workers", 1)
    assert "rejects.csv" in (refused.value.hint or "")


def test_numbers_that_could_be_of_either_language_say_which_option_decides(tmp_path):
    rows = "".join(f'{at},{"C" * (at + 1)}O,"1,{234 + at}"\n' for at in range(12))
    (tmp_path / "table.csv").write_text(f"id,smiles,y\n{rows}")
    with pytest.raises(UsageError, match="not a number") as refused:
        _run("prepare", tmp_path / "table.csv", "--out", tmp_path / "out", "--workers", 1)
    assert "--decimal" in (refused.value.hint or "")


def test_a_table_of_german_excel_is_read_with_its_unit(tmp_path):
    table = "Name;SMILES;IC50 (nM)\nA;CCO;1,5\nB;c1ccccc1O;2.300,25\nC;CCN;<10\n"
    (tmp_path / "table.csv").write_bytes(table.encode("cp1252"))
    made = json.loads(
        _run("prepare", tmp_path / "table.csv", "--out", tmp_path / "out", "--workers", 1, "--json")[0]
    )
    assert (made["compounds"], made["rejects"], made["endpoints"][0]["bounds"]) == (3, {}, 1)
    with (tmp_path / "out/compounds.csv").open(newline="") as file:
        found = {row["id"]: row["IC50 (nM).relation"] + row["IC50 (nM)"] for row in csv.DictReader(file)}
    assert found == {"A": "=1.5", "B": "=2300.25", "C": "<10"}
    assert json.loads((tmp_path / "out/prepared.json").read_text())["endpoints"][0]["unit"] == "nM"
