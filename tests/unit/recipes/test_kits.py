import json
import os
import subprocess
import sys

import pytest

from kifabrik.errors import ConflictError, NotFoundError, UsageError
from kifabrik.jobs.jobfile import read_job
from kifabrik.recipes.kits import KITS, find_kit, requirements, write_kit


@pytest.mark.parametrize("name", KITS)
def test_the_job_files_of_every_kit_are_valid_and_find_their_files(name, tmp_path):
    write_kit(find_kit(name), tmp_path / "kit", {})
    jobs = sorted((tmp_path / "kit").glob("*.yaml"))
    assert jobs
    for path in jobs:
        job = read_job(path)
        assert (path.parent / job.workdir / "kifabrik" / "errors.py").is_file()
        assert (path.parent / job.environment.requirements).read_text()


@pytest.mark.parametrize("name", KITS)
def test_a_kit_is_never_written_over_something(name, tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(ConflictError, match="not empty"):
        write_kit(find_kit(name), tmp_path, {})
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", KITS)
def test_requirements_name_one_version_of_each_package(name):
    lines = requirements(find_kit(name)).split()
    assert lines == sorted(set(lines))
    assert all("==" in line for line in lines)
    assert any(line.startswith("pydantic==") for line in lines)


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"scenarois": "3"}, "no setting 'scenarois'"),
        ({"scenarios": "many"}, "scenarios must be a whole number from 2"),
        ({"runs": "0"}, "runs must be a whole number from 1 to 48"),
        ({"name": "A B"}, "'A B' is not a name for a job"),
        ({"dataset": "x; rm -rf /"}, "is not a name for a dataset"),
        ({"what-if": "'; curl evil"}, "what-if must not hold"),
        ({"language": "fr"}, "language must be de, en, not"),
        ({"memory": "much"}, "memory must be a size"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(chosen, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        write_kit(find_kit("supply-chain"), tmp_path / "kit", chosen)
    assert not (tmp_path / "kit").exists()


@pytest.mark.parametrize(
    ("recipe", "chosen", "said"),
    [
        ("maintenance", {"title": "Press 3\nrun: evil"}, "title must not hold a line break"),
        ("maintenance", {"given": "Load\\"}, "given must not hold a backslash"),
        ("pharma-train", {"endpoints": "IC50,$HOME"}, "endpoints must not hold [$]"),
        ("supply-chain", {"what-if": "it's"}, "what-if must not hold a quotation mark"),
    ],
)
def test_what_would_end_a_word_of_the_jobs_command_line_is_named(recipe, chosen, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        write_kit(find_kit(recipe), tmp_path / "kit", chosen)


def test_a_recipe_that_is_not_there_is_named_with_those_there_are():
    with pytest.raises(NotFoundError, match="no recipe 'chatbot'") as told:
        find_kit("chatbot")
    assert "supply-chain" in told.value.hint


def job(kit, *words):
    """Run the recipe's program as the sandbox does: with the kit's own code and nothing else of kifabrik."""
    script = (
        "import sys, kifabrik; assert 'code' in kifabrik.__file__; "
        "import runpy; runpy.run_module('kifabrik.recipes.supply_chain', run_name='__main__', alter_sys=True)"
    )
    environment = {**os.environ, "PYTHONPATH": "", "KIFABRIK_METRICS": str(kit / "metrics"), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", script, *map(str, words)]
    return subprocess.run(words, cwd=kit / "code", env=environment, capture_output=True, text=True, check=False)


@pytest.mark.timeout(600)  # it compiles the simulator, where nobody has
def test_a_kit_runs_on_its_own_code_with_history_and_says_what_it_found(tmp_path):
    kit, told = tmp_path / "kit", []
    recipe = find_kit("supply-chain")
    recipe.finish(kit, write_kit(recipe, kit, {}, example=True), told.append)
    assert len(told) == 1
    network = kit / "input"
    names = [line.split(",")[:2] for line in (network / "demand.csv").read_text().splitlines()[1:]]
    product, site = names[0]
    rows = [f"{product},{site},2026-01-{day:02},{day % 4}" for day in range(1, 29)]
    (network / "history.csv").write_text("product,site,date,quantity\n" + "\n".join(rows) + "\n")
    ran = job(kit, "run", network, "--out", kit / "out", "--scenarios", "64", "--periods", "60", "--critical", "2")
    assert ran.returncode == 0, ran.stderr
    assert f"history of {product}@{site}: " in ran.stdout
    assert "simulating: 64 of 64" in ran.stdout
    assert (kit / "out" / "report-en.html").is_file()
    assert (kit / "out" / "fits" / "0001.svg").is_file()
    metrics = [json.loads(line) for line in (kit / "metrics").read_text().splitlines()]
    assert {one["name"] for one in metrics} == {"beta", "alpha", "cost", "stock_value"}


def test_a_kit_that_meets_bad_tables_says_so_without_a_traceback(tmp_path):
    kit = tmp_path / "kit"
    write_kit(find_kit("supply-chain"), kit, {}, example=True)
    (kit / "input" / "bom.csv").write_text("product,component\nPUMP-S,PUMP-S\n")
    ran = job(kit, "run", kit / "input", "--out", kit / "out")
    assert ran.returncode == 1
    assert "error: " in ran.stderr
    assert "Traceback" not in ran.stderr
