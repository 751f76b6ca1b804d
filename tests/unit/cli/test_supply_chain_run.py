import json

import pytest
from click.testing import CliRunner

from kifabrik.cli.supply_chain_run import run
from kifabrik.recipes.supply_chain.tables.template import write_example

pytestmark = pytest.mark.usefixtures("simulator")


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pumps")
    write_example(folder)
    return folder


def test_the_bad_end_of_a_figure_is_the_one_nobody_wishes(tables, tmp_path):
    words = [str(tables), "--scenarios", "64", "--periods", "90", "--critical", "0", "--out", str(tmp_path / "out")]
    said = CliRunner().invoke(run, words, catch_exceptions=False).output
    rows = {}
    for line in said.splitlines():
        name, _, figures = line.partition("  ")
        rows[name] = [figure.rstrip("%").replace(",", "") for figure in figures.split()]
    for name, bad_is_less in (("fill rate β (met at once)", True), ("revenue of a scenario (EUR)", True),
                              ("cost of a scenario (EUR)", False), ("stock value, mean (EUR)", False)):  # fmt: skip
        mean, bad = float(rows[name][0]), float(rows[name][-1])
        assert (bad < mean) is bad_is_less, name


def test_json_is_one_document_without_remarks(tables, tmp_path):
    words = [
        str(tables),
        "--scenarios",
        "64",
        "--periods",
        "30",
        "--critical",
        "0",
        "--out",
        str(tmp_path),
        "--json",
    ]
    said = json.loads(CliRunner().invoke(run, words, catch_exceptions=False).stdout)
    assert 0 < said["figures"]["beta"][0] <= 1
