"""Indexing, searching and screening from the command line, as a chemist would."""

import csv
import json

import pytest
from click.testing import CliRunner
from molecules import moses
from small_model import save_small_model

from kifabrik.cli.pharma import pharma
from kifabrik.errors import UsageError


def _run(*arguments):
    result = CliRunner().invoke(
        pharma, [str(one) for one in arguments], catch_exceptions=False, standalone_mode=False
    )
    return result.stdout


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("library") / "library.csv"
    path.write_text("id,smiles\n" + "".join(f"m{at},{one}\n" for at, one in enumerate(moses(300))) + "bad,C1CC\n")
    return path


def test_an_index_is_made_and_searched(library, tmp_path):
    made = json.loads(
        _run("index", library, "--out", tmp_path / "index", "--substructure", "--workers", 1, "--json")
    )
    assert (made["molecules"], made["rejected"]) == (300, 1)
    query = moses(8)[7]
    found = json.loads(_run("search", tmp_path / "index", query, "--most", 3, "--json"))
    assert [hit["rank"] for hit in found["hits"]] == [1, 2, 3]
    assert (found["hits"][0]["id"], found["hits"][0]["similarity"]) == ("m7", 1.0)
    shown = _run("search", tmp_path / "index", query, "--most", 3, "--out", tmp_path / "hits.csv")
    assert "m7" in shown
    assert max(map(len, shown.splitlines())) <= 80
    with (tmp_path / "hits.csv").open(newline="") as file:
        assert [row["id"] for row in csv.DictReader(file)] == [hit["id"] for hit in found["hits"]]
    assert json.loads(_run("search", tmp_path / "index", "c1ccccc1", "--substructure", "--json"))["hits"]


def test_questions_that_make_no_sense_are_said(library, tmp_path):
    _run("index", library, "--out", tmp_path / "index", "--workers", 1)
    for arguments, words in (
        (["CCO", "--queries", library], "one query"),
        ([], "one query"),
        (["c1cc"], "cannot read"),
        (["CCO", "--substructure", "--threshold", 0.5], "do not go with it"),
    ):
        with pytest.raises(UsageError, match=words):
            _run("search", tmp_path / "index", *arguments)


def test_a_library_is_screened(library, tmp_path):
    model = save_small_model(tmp_path / "model")
    arguments = ["screen", model, library, "--out", tmp_path / "out", "--hits", 5, "--workers", 1]
    said = json.loads(_run(*arguments, "--limit", "weight=..400", "--json"))
    assert (said["rows"], said["hits"], said["single_stage"]) == (301, 5, True)
    assert "301" in _run(*arguments, "--limit", "weight=..400")
    with pytest.raises(UsageError, match="other settings"):
        _run(*arguments)
    with pytest.raises(UsageError, match="picks nothing"):
        _run(*arguments, "--pick", "butina")
