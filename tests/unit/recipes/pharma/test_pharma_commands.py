"""The whole way on the command line, and what it says when something is wrong."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from measured_tables import series

from kifabrik.cli.pharma import pharma
from kifabrik.errors import UsageError


def run(*words: str | Path) -> str:
    found = CliRunner().invoke(pharma, [str(word) for word in words], catch_exceptions=False)
    assert found.exit_code == 0, found.output
    return found.stdout


def run_json(*words: str | Path) -> Any:
    return json.loads(run(*words, "--json"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of classes, prepared, split, trained and judged."""
    made = tmp_path_factory.mktemp("commands")
    rows = series(80)
    middle = sorted(value for _, value in rows)[40]
    lines = [f"c{at},{smiles},{int(value > middle)}" for at, (smiles, value) in enumerate(rows)]
    (made / "table.csv").write_text("id,smiles,active\n" + "\n".join([*lines, "bad,C1CC,1"]) + "\n")
    run("prepare", made / "table.csv", "--out", made / "prepared")
    run("split", made / "prepared", "--by", "random", "--test", "0.3", "--out", made / "split")
    quick = ("--recipe", "fast", "--trees", "30", "--folds", "2", "--workers", "1")
    run("train", made / "split", "--out", made / "model", *quick)
    run("evaluate", made / "model", made / "split", "--workers", "1", "--learning-curve")
    run("report", made / "model")
    return made


def test_every_step_leaves_what_it_promises(folder: Path) -> None:
    assert "C1CC" in (folder / "prepared" / "rejects.csv").read_text()
    assert "nearest_train" in (folder / "split" / "test.csv").read_text()
    names = {path.name for path in (folder / "model").iterdir()}
    assert {"model.json", "card.md", "evaluation.json", "test-predictions.csv", "report.html"} <= names
    assert len(json.loads((folder / "model" / "evaluation.json").read_text())["learning"]) > 1


def test_the_report_is_the_same_to_the_byte(folder: Path) -> None:
    before = (folder / "model" / "report.html").read_bytes()
    run("report", folder / "model", "--language", "de")
    assert "Modellkarte" in (folder / "model" / "report.html").read_text()
    assert "Modellkarte" in (folder / "model" / "card.md").read_text()
    run("report", folder / "model")
    assert (folder / "model" / "report.html").read_bytes() == before


def test_the_report_names_no_compound(folder: Path) -> None:
    page = (folder / "model" / "report.html").read_text()
    for name in ("train.csv", "test.csv"):
        lines = (folder / "split" / name).read_text().splitlines()[1:]
        assert not [line for line in lines if line.split(",")[1] in page]


def test_results_are_printed_as_one_document(folder: Path) -> None:
    again = run_json("prepare", folder / "table.csv", "--out", folder / "again")
    assert again["rows"] == 81
    assert again["rejects"] == {"structure cannot be read": 1}
    said = run_json("evaluate", folder / "model", folder / "split", "--workers", "1")
    assert said["measures"]["ROC AUC"]["value"] > 0.8
    assert said["covered"] is None
    (folder / "new.smi").write_text("CCCCCOCc1ccccc1 x\n")
    found = run_json(
        "predict", folder / "model", folder / "new.smi", "--out", folder / "said.csv", "--workers", "1"
    )
    assert found["predicted"] == 1
    assert "active.probability" in (folder / "said.csv").read_text()


def test_a_compound_is_found_in_the_models_it_trained(folder: Path) -> None:
    smiles = (folder / "split" / "train.csv").read_text().splitlines()[1].split(",")[1]
    assert [one["same"] for one in run_json("trained-on", smiles, folder / "model")["models"]] == [True]
    assert run_json("trained-on", "CCCCCCCCCCCCCCCCCl", folder / "model")["models"] == []
    assert not run_json("trained-on", "C1CC", folder / "model")["read_as_structure"]


def test_an_endpoint_that_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match="no endpoint other") as refused:
        run("train", folder / "split", "--endpoint", "other", "--out", folder / "other")
    assert "active" in refused.value.hint
    assert not (folder / "other").exists()


@pytest.mark.parametrize("words", [("split", "nowhere", "--out", "x"), ("report", "nowhere")])
def test_a_folder_that_is_none_says_which_command_makes_one(words: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="nowhere") as refused:
        run(*words)
    assert "kifabrik pharma" in refused.value.hint
