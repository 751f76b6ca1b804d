"""A kit runs on its own code, and on the simulator that came compiled with it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kifabrik
from kifabrik.recipes.kits import find_kit, write_kit
from kifabrik.recipes.supply_chain import portable

pytestmark = pytest.mark.timeout(900)  # it compiles the simulator for each class, where nobody has

STUDY = """
import hashlib, sys
from pathlib import Path
from kifabrik.recipes.supply_chain import portable
print(portable.take(Path(sys.argv[1])))
from kifabrik.recipes.supply_chain.engine import simulate
from kifabrik.recipes.supply_chain.kernel.block import simulate_block
from kifabrik.recipes.supply_chain.results import Settings
from kifabrik.recipes.supply_chain.tables import read_network
results = simulate(read_network(Path(sys.argv[2])), Settings(scenarios=64, periods=60), workers=1)
figures = {**results.scenarios, **results.nodes}
print(hashlib.sha256(b"".join(figures[name].tobytes() for name in sorted(figures))).hexdigest())
print(sum(simulate_block.stats.cache_hits.values()), sum(simulate_block.stats.cache_misses.values()))
"""


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    """With example input, and compiled for this machine's classes of processors."""
    folder, told = tmp_path_factory.mktemp("supply") / "kit", []
    recipe = find_kit("supply-chain")
    recipe.finish(folder, write_kit(recipe, folder, {}, example=True), told.append)
    assert len(told) == 1
    return folder


def job(kit, metrics, *words):
    """Run the recipe's program as the sandbox does: with the kit's own code and nothing else of kifabrik."""
    script = (
        "import sys, kifabrik; assert 'code' in kifabrik.__file__; "
        "import runpy; runpy.run_module('kifabrik.recipes.supply_chain', run_name='__main__', alter_sys=True)"
    )
    environment = {**os.environ, "PYTHONPATH": "", "KIFABRIK_METRICS": str(metrics), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-c", script, *map(str, words)]
    return subprocess.run(words, cwd=kit / "code", env=environment, capture_output=True, text=True, check=False)


def test_a_kit_runs_on_its_own_code_with_history_and_says_what_it_found(kit, tmp_path):
    network, out = tmp_path / "input", tmp_path / "out"
    shutil.copytree(kit / "input", network)
    names = [line.split(",")[:2] for line in (network / "demand.csv").read_text().splitlines()[1:]]
    product, site = names[0]
    rows = [f"{product},{site},2026-01-{day:02},{day % 4}" for day in range(1, 29)]
    (network / "history.csv").write_text("product,site,date,quantity\n" + "\n".join(rows) + "\n")
    words = ("run", network, "--out", out, "--scenarios", "64", "--periods", "60", "--critical", "2")
    ran = job(kit, tmp_path / "metrics", *words)
    assert ran.returncode == 0, ran.stderr
    assert f"history of {product}@{site}: " in ran.stdout
    assert "simulating: 64 of 64" in ran.stdout
    assert (out / "report-en.html").is_file()
    assert (out / "fits" / "0001.svg").is_file()
    metrics = [json.loads(line) for line in (tmp_path / "metrics").read_text().splitlines()]
    assert {one["name"] for one in metrics} == {"beta", "alpha", "cost", "stock_value"}


def test_a_kit_that_meets_bad_tables_says_so_without_a_traceback(kit, tmp_path):
    network = tmp_path / "input"
    shutil.copytree(kit / "input", network)
    (network / "bom.csv").write_text("product,component\nPUMP-S,PUMP-S\n")
    ran = job(kit, tmp_path / "metrics", "run", network, "--out", tmp_path / "out")
    assert ran.returncode == 1
    assert "error: " in ran.stderr
    assert "Traceback" not in ran.stderr


def study(code, compiled, tables):
    """Run a study in a process of its own; returns class, digest of figures, cache hits and misses."""
    environment = {**os.environ, "PYTHONPATH": str(code), "OMP_NUM_THREADS": "1"}
    environment.pop("NUMBA_CACHE_DIR", None)
    words = [sys.executable, "-P", "-c", STUDY, str(compiled), str(tables)]
    ran = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split("\n")[:3]


def test_a_study_takes_what_came_compiled_and_finds_the_same_to_the_bit(kit, tmp_path):
    made = portable.levels()
    if not made:
        pytest.skip("nothing is compiled ahead for this processor")
    compiled = kit / "code/kifabrik/recipes/supply_chain/compiled"
    assert sorted(made) == sorted(place.name for place in compiled.iterdir())
    usual = study(Path(kifabrik.__file__).parent.parent, tmp_path / "nothing", kit / "input")
    assert usual[0] == "None"
    for level in made:
        alone = tmp_path / f"only-{level}"
        shutil.copytree(compiled / level, alone / level)
        assert study(kit / "code", alone, kit / "input") == [level, usual[1], "1 0"]  # read, not compiled
