import json

import pytest
from click.testing import CliRunner

from kifabrik.cli.main import cli
from kifabrik.errors import UsageError


def ran(*words):
    return CliRunner().invoke(cli, ["plant", *map(str, words)], catch_exceptions=False)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    done = ran("run", "munich", "--data", tmp_path_factory.mktemp("none"), "--out", folder / "out", "--json")
    assert done.exit_code == 0
    return folder / "out", json.loads(done.stdout)


def test_a_run_prints_and_keeps_the_same_year(results):
    folder, told = results
    assert json.loads((folder / "study.json").read_text(encoding="utf-8"))["summary"]["pue"] == told["pue"]
    written = {path.name for path in folder.iterdir()}
    assert written == {
        "minutes.parquet", "hours.parquet", "hours.csv", "study.json", "report-en.html", "blatt.pdf"
    }  # fmt: skip


def test_balances_are_printed_with_a_run(tmp_path):
    done = ran("run", "munich", "--data", tmp_path, "--load", "daily:0.5-0.9")
    assert "of electricity (closed); IT = idle" in done.output
    assert max(map(len, done.output.splitlines())) <= 80


def test_a_load_below_that_of_nodes_at_rest_is_said_and_gives_no_negative_jobs(tmp_path):
    load = tmp_path / "load.csv"
    load.write_text("time,watts\n0,1000000\n864000,0\n")
    done = ran("run", "munich", "--data", tmp_path, "--load", load)
    assert "The load is less than all nodes take at rest" in done.stderr
    assert "jobs -" not in done.output


def test_the_report_of_the_law_lists_gaps_and_what_each_value_rests_on(results):
    folder, _ = results
    told = json.loads(ran("report", "enefg", folder, "--json").stdout)
    fields = told["registers"]["EnEfG § 13 Abs. 1, Anlage 3"]
    assert {one["basis"] for one in fields} == {"stated", "estimated", "gap"}
    assert [one["figure"] for one in told["thresholds"]] == ["pue", "erf", "ref", "ref"]


def test_cases_are_compared_with_the_same_luck(tmp_path):
    done = ran("compare", "munich", "--vary", "it.gpus=5000,10000", "--data", tmp_path, "--json", "--workers", 2)
    small, large = json.loads(done.stdout)
    assert small["values"] == {"it.gpus": 5000}
    assert large["summary"]["it"] == pytest.approx(2 * small["summary"]["it"], rel=5e-3)
    assert large["summary"]["erf"] < small["summary"]["erf"]


def test_a_comparison_is_drawn_with_a_row_for_each_case(tmp_path):
    done = ran(
        "compare", "munich", "--vary", "river.flow=2 m3/s,25 m3/s", "--data", tmp_path, "--out", tmp_path / "out"
    )
    assert done.exit_code == 0
    page = (tmp_path / "out/comparison-en.html").read_text(encoding="utf-8")
    assert page.count("<tr>") == 3
    assert "flow 2 m3/s" in page


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "berlin"], "There is no site file berlin"),
        (["run", "munich", "--set", "river"], "'river' changes nothing"),
        (["run", "munich", "--set", "river.depth=2"], "A site has no river.depth"),
        (["run", "munich", "--set", "it.gpus=many"], "it.gpus: Input should be a valid integer"),
        (["run", "munich", "--load", "full"], "full is no load and no file"),
        (["compare", "munich", "--vary", "policy=fifo,sjf"], "Policies schedule jobs, and none are given"),
        (["compare", "munich", "--vary", "it.gpus=1,1"], "names a value twice"),
        (["report", "enefg", "nowhere"], "There is no study in nowhere"),
        (["report", "year", "nowhere"], "There is no study in nowhere"),
        (["template", "berlin"], "There is no site file berlin"),
    ],
)
def test_what_makes_no_sense_is_said_in_a_sentence(words, told):
    with pytest.raises(UsageError, match=told):
        ran(*words)


def test_a_template_is_a_site_that_is_in_order(tmp_path):
    path = tmp_path / "site.yaml"
    assert ran("template", "munich", "--out", path).exit_code == 0
    assert "in order" in ran("validate", path, "--data", tmp_path).output


def test_a_meter_is_imported_listed_and_used(results, tmp_path):
    folder, _ = results
    table = tmp_path / "grid.csv"
    firsts = [f"2026-{month:02}-01T00:00+01:00,{month * 1e6}" for month in range(1, 13)]
    table.write_text("\n".join(["time,value", *firsts, "2027-01-01T00:00+01:00,13000000", ""]))
    words = ("--name", "grid", "--kind", "energy", "--unit", "kWh", "--field", "electricity_total")
    assert ran("meters", "import", table, "--store", tmp_path / "meters", *words).exit_code == 0
    assert "13" in ran("meters", "ls", tmp_path / "meters").output
    told = json.loads(ran("report", "enefg", folder, "--meters", tmp_path / "meters", "--json").stdout)
    total = next(
        one for one in told["registers"]["EnEfG § 13 Abs. 1, Anlage 3"] if one["id"] == "electricity_total"
    )
    assert (total["basis"], total["value"]) == ("measured", pytest.approx(12e6))


def test_the_report_of_the_law_says_where_its_rows_stand_and_what_is_only_drafted(results):
    folder, _ = results
    said = ran("report", "enefg", folder, "--language", "de")
    assert "Delegierte Verordnung (EU) 2024/1364, Anhänge I und II; fällig 2027-05-15" in said.output
    assert "Geprüft am Wortlaut: EnEfG" in said.output
    assert "Nicht in Kraft" in said.output
    assert "Nicht am Gesetzestext geprüft" not in said.output
    assert "In Betrieb erst seit 2026-10-01" in said.output
    told = json.loads(ran("report", "enefg", folder, "--json").stdout)
    assert {one["checked"].split(":")[0].split(" as of")[0] for one in told["duties"]} == {
        "against the text of EnEfG (BGBl. 2023 I Nr. 309)"
    }
    assert [one["law"] for one in told["pending"]] == ["EnEfG", "Delegated Regulation (EU) 2024/1364"]
