"""A screen finds what the model finds, leaves nothing out unsaid, and survives being killed."""

import csv
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from deadly import DEADLY, halves, square_all
from molecules import ODD, drugs, moses
from rdkit import Chem
from rdkit.rdBase import BlockLogs
from small_model import save_small_model

from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.crew import Crew, Task
from kifabrik.recipes.pharma.filters import RULES, Alerts, Filters, Limit, Property
from kifabrik.recipes.pharma.libraries import Library
from kifabrik.recipes.pharma.model import load
from kifabrik.recipes.pharma.picking import Picking
from kifabrik.recipes.pharma.screen import screen
from kifabrik.recipes.pharma.screening_plan import First, Plan

_GARBAGE = ["not a molecule", "", "C1CC", "[Zz]", "CC(=O)" + "NC(C)C(=O)" * 400 + "O", "\x00\x1b[31m", "C" * 70_000]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_small_model(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """Of two chunks, so that one can be done and the other not."""
    path = tmp_path_factory.mktemp("library") / "library.smi"
    lines = [*moses(5_200), *ODD, *_GARBAGE]
    path.write_text("".join(f"{smiles}\tm{number}\n" for number, smiles in enumerate(lines)))
    return Library(path)


@pytest.fixture(scope="module")
def small_library(tmp_path_factory):
    path = tmp_path_factory.mktemp("library") / "library.smi"
    path.write_text("".join(f"{smiles}\tm{number}\n" for number, smiles in enumerate(moses(1_050))))
    return Library(path)


def _plan(model, library, out, **changes):
    return Plan(model=model, library=library, out=out, **{"sample": 200, "keep": 3, "hits": 40, **changes})


def _rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


_KILLED = """
import os, signal, sys
from pathlib import Path
from kifabrik.recipes.pharma.libraries import Library
from kifabrik.recipes.pharma.picking import Picking
from kifabrik.recipes.pharma.screen import screen
from kifabrik.recipes.pharma.screening_plan import Plan, Stage

def progress(stage, done, total):
    if stage is Stage[sys.argv[1]] and done:
        os.kill(os.getpid(), signal.SIGKILL)

model, library, out = map(Path, sys.argv[2:])
screen(Plan(model=model, library=Library(library), out=out, sample=200, keep=3, hits=40), progress)
"""


@pytest.mark.timeout(300)
def test_a_screen_killed_twice_comes_to_the_same_files(model, library, tmp_path):
    whole = screen(_plan(model, library, tmp_path / "whole"))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for stage in ("FIRST", "SECOND"):
        arguments = [sys.executable, "-c", _KILLED, stage, model, library.path, tmp_path / "killed"]
        ended = subprocess.run(arguments, env=environment, check=False, capture_output=True)
        assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    assert screen(_plan(model, library, tmp_path / "killed", workers=2)) == whole
    for name in ("hits.csv", "rejects.csv", "summary.json", "settings.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert not (tmp_path / "killed/work").exists()
    rejected = {int(row["row"]) for row in _rows(tmp_path / "whole/rejects.csv")}
    assert rejected >= {5_200 + len(ODD) + at for at in (0, 1, 2, 3, 5, 6)}
    assert whole.rows == 5_200 + len(ODD) + len(_GARBAGE)


def test_hits_are_the_models_best_with_its_own_numbers(model, small_library, tmp_path):
    summary = screen(_plan(model, small_library, tmp_path / "out", keep=15, low_is_better=True, diverse=5))
    hits = _rows(tmp_path / "out/hits.csv")
    values = [float(hit["polarity"]) for hit in hits]
    said = load(model).predict([hit["smiles"] for hit in hits])
    assert values == sorted(values)
    assert values == pytest.approx(said.value.tolist(), rel=1e-5)
    assert [hit["in_domain"] == "yes" for hit in hits] == said.in_domain.tolist()
    assert len(hits) == summary.hits == 40
    assert sorted(int(hit["pick"]) for hit in hits if hit["pick"]) == [1, 2, 3, 4, 5]
    assert hits[0]["pick"] == "1"
    with BlockLogs(), Chem.SDMolSupplier(str(tmp_path / "out/hits.sdf")) as molecules:
        assert [one.GetProp("id") for one in molecules] == [hit["id"] for hit in hits]


def test_a_screen_picks_the_best_of_each_cluster(model, tmp_path):
    path = tmp_path / "library.smi"
    path.write_text("".join(f"{smiles}\n" for smiles in moses(300)))
    wishes = {"first": First.NONE, "hits": 120, "diverse": 500}
    summary = screen(_plan(model, Library(path), tmp_path / "out", **wishes, picking=Picking.BUTINA))
    best_of: dict[str, str] = {}
    for hit in _rows(tmp_path / "out/hits.csv"):
        best_of.setdefault(hit["cluster"], hit["rank"])
        assert (hit["pick"] != "") == (best_of[hit["cluster"]] == hit["rank"])
    assert 1 < summary.picked == summary.clusters == len(best_of) < 120
    with pytest.raises(UsageError, match="other settings"):
        screen(_plan(model, Library(path), tmp_path / "out", **wishes))


def test_two_stages_find_most_of_what_one_stage_finds(model, small_library, tmp_path):
    one = screen(_plan(model, small_library, tmp_path / "one", first=First.NONE, hits=15))
    screen(_plan(model, small_library, tmp_path / "two", sample=500, keep=10, hits=15))
    all_hits = {hit["row"] for hit in _rows(tmp_path / "one/hits.csv")}
    assert one.single_stage
    assert one.predicted + one.left_out == 1_050
    assert len(all_hits & {hit["row"] for hit in _rows(tmp_path / "two/hits.csv")}) >= 9


def test_similarity_to_actives_leads_to_them(model, tmp_path):
    smiles = [*moses(600), *drugs(40)]
    path, actives = tmp_path / "library.smi", tmp_path / "actives.smi"
    path.write_text("".join(f"{one}\n" for one in smiles))
    actives.write_text("".join(f"{one}\n" for one in drugs(20)))
    plan = _plan(
        model, Library(path), tmp_path / "out", first=First.SIMILARITY, actives=Library(actives), keep=3, hits=100
    )
    screen(plan)
    hits = _rows(tmp_path / "out/hits.csv")
    assert {str(row) for row in range(600, 618)} <= {hit["row"] for hit in hits if float(hit["first"]) == 1.0}


def test_filters_leave_out_what_they_forbid_and_others_come_up(model, small_library, tmp_path):
    filters = Filters((*RULES["veber"], Limit(Property.WEIGHT, 200, 320)), (Alerts.PAINS, Alerts.BRENK))
    summary = screen(_plan(model, small_library, tmp_path / "out", filters=filters, keep=10))
    assert summary.predicted == 105
    assert summary.left_out > 10
    with BlockLogs():
        for hit in _rows(tmp_path / "out/hits.csv"):
            assert not filters.reason(Chem.MolFromSmiles(hit["smiles"]))
    reasons = " ".join(row["reason"] for row in _rows(tmp_path / "out/rejects.csv"))
    assert "weight" in reasons
    assert "brenk alert" in reasons


def test_a_folder_with_another_screen_is_refused(model, library, tmp_path):
    path = tmp_path / "library.smi"
    path.write_text("CCO\nCCN\nc1ccccc1O\n")
    screen(_plan(model, Library(path), tmp_path / "out"))
    assert json.loads((tmp_path / "out/summary.json").read_text())["hits"] == 3
    with pytest.raises(UsageError, match="other settings"):
        screen(_plan(model, Library(path), tmp_path / "out", seed=2))
    with pytest.raises(UsageError, match="no screen"):
        screen(_plan(model, library, tmp_path))


def test_an_item_that_ends_its_process_is_given_up_alone():
    task = Task(square_all, halves, lambda one, other: one + other, lambda _numbers: [-1])
    with Crew(2) as crew:
        found = [number for part in crew.work(task, [[1, 2], [3, DEADLY], [8, 9]]) for number in part]
    assert found == [1, 4, 9, -1, 64, 81]


@pytest.mark.parametrize("text", ["weight", "weight=5", "size=1..2", "logp=5..1", "logp=a..b"])
def test_a_limit_that_cannot_be_read_is_said(text):
    with pytest.raises(UsageError, match="cannot be read"):
        Limit.from_text(text)


def test_a_limit_is_read():
    assert Limit.from_text("logp=..3.5") == Limit(Property.LOGP, high=3.5)
    assert Limit.from_text(" Weight = 200 .. 450") == Limit(Property.WEIGHT, 200, 450)
    assert Filters((Limit(Property.RINGS, 1),)).reason(Chem.MolFromSmiles("CCO")) == "rings 0 is below 1"


def test_paths_of_a_plan_are_checked(tmp_path):
    with pytest.raises(UsageError, match="per cent"):
        Plan(model=tmp_path, library=Library(Path("a.smi")), out=tmp_path, keep=0)
    with pytest.raises(UsageError, match="go together"):
        Plan(model=tmp_path, library=Library(Path("a.smi")), out=tmp_path, first=First.SIMILARITY)
