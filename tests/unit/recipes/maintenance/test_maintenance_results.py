"""What people get: the commands, the report, the tables, the kit."""

import csv
import json
import os
import re
import string
import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner

from kifabrik.cli.main import cli
from kifabrik.recipes.kits import find_kit, write_kit
from kifabrik.recipes.maintenance.alarms import Span
from kifabrik.recipes.maintenance.causes import Cause
from kifabrik.recipes.maintenance.reading import Readings
from kifabrik.recipes.maintenance.report import write_report
from kifabrik.recipes.maintenance.saving import save_alarms
from kifabrik.recipes.maintenance.saying import Sayer
from kifabrik.recipes.maintenance.watching import Alarm, Wishes, watch
from kifabrik.recipes.maintenance.words import WORDS


def run(*words, status=0):
    ran = CliRunner().invoke(cli, ["maintenance", *map(str, words)], prog_name="kifabrik", catch_exceptions=True)
    assert ran.exit_code == status, (ran.output, ran.exception)
    return ran


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("maintenance")
    run("example", folder / "readings")
    ran = run(
        "watch", folder / "readings", "--label", "Störung", "--given", "Last [%]", "--language", "de",
        "--title", "Fräse <7>", "--out", folder / "result",
    )  # fmt: skip
    return folder, ran


def test_the_example_is_read_learnt_and_reported_in_german(made):
    folder, ran = made
    assert "2 Dateien, 16.128 Zeilen von 5 Sensoren, 05.01.2026 06:00 bis 02.03.2026 05:55" in ran.stderr
    assert "ausgelassen  Status: keine Zahlen (läuft)" in ran.stderr
    assert "2 von 2 Störungen" in ran.stdout
    assert "Schwingung [mm/s]" in ran.stdout
    page = (folder / "result" / "report-de.html").read_text()
    assert "Fräse &lt;7&gt;" in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=|url\(|@import", page)
    assert "Kühlmittel [l/min]: 9,2" in page


def test_a_list_for_excel_has_the_readers_separator_and_decimal_comma(made):
    folder, _ = made
    with (folder / "result" / "alarms.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    assert re.fullmatch(r"15\.02\.2026 \d\d:\d\d", rows[0]["von"])
    assert re.fullmatch(r"\d+,\d+", rows[0]["Stärke"])
    with (folder / "result" / "faults.csv").open(encoding="utf-8-sig", newline="") as file:
        leads = [row["angekündigt, Stunden vorher"] for row in csv.DictReader(file, delimiter=";")]
    assert all(float(lead.replace(",", ".")) > 1 for lead in leads)


def test_new_readings_are_checked_and_the_exit_status_says_alarm(made, tmp_path):
    folder, _ = made
    source = folder / "readings" / "Fräse-7 Februar.csv"
    ran = run("check", source, "--model", folder / "result", "--out", tmp_path / "alarms.csv")
    assert "quiet at 2026-03-02 05:55" in ran.stderr
    assert (tmp_path / "alarms.csv").is_file()
    lines = source.read_bytes().decode("cp1252").splitlines()
    at = next(number for number, line in enumerate(lines) if "Störung" in line and number)
    (tmp_path / "today.csv").write_bytes("\n".join(lines[:at]).encode("cp1252"))
    found = json.loads(
        run("check", tmp_path / "today.csv", "--model", folder / "result", "--json", status=10).stdout
    )
    assert found["in_alarm"]
    assert found["strength_now"] > 1
    assert found["alarms"][-1]["sensors"][0]["name"] == "Schwingung [mm/s]"


def test_readings_that_lack_a_sensor_of_the_model_are_refused(made, tmp_path):
    folder, _ = made
    (tmp_path / "x.csv").write_text("Datum;Last [%]\n01.01.2026;5\n02.01.2026;6\n")
    ran = run("check", tmp_path / "x.csv", "--model", folder / "result", status=1)
    assert "is called 'Schwingung [mm/s]'" in str(ran.exception)


def test_a_result_is_never_read_as_readings(made):
    folder, _ = made
    ran = run("watch", folder / "readings", "--out", folder / "readings" / "result", status=1)
    assert "lies among the readings" in str(ran.exception)
    assert not (folder / "readings" / "result").exists()


def test_the_whole_result_is_one_json_document(made, tmp_path):
    folder, _ = made
    ran = run("watch", folder / "readings", "--label", "Störung", "--out", tmp_path / "result", "--json")
    found = json.loads(ran.stdout)
    assert [fault["lead_s"] > 0 for fault in found["faults"]] == [True, True]
    assert found["report"].endswith("report-en.html")
    assert ran.stderr == ""


def test_both_languages_have_the_same_texts_with_the_same_figures():
    def figures(text):
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    german, english = WORDS["de"], WORDS["en"]
    assert german.keys() == english.keys()
    assert {key: figures(text) for key, text in german.items()} == {
        key: figures(text) for key, text in english.items()
    }


@pytest.mark.parametrize("language", ["de", "en"])
@pytest.mark.parametrize("case", ["untimed", "one-sensor", "quiet", "holes"])
def test_a_report_is_written_of_every_kind_of_study(tmp_path, language, case):
    random = np.random.default_rng(2)
    values = random.normal(10, 1, (600, 1 if case == "one-sensor" else 3))
    if case != "quiet":
        values[550:570, 0] += 40
    if case == "holes":
        values[random.random(values.shape) < 0.3] = np.nan
    times = np.datetime64("2026-01-01T00:00:00") + np.arange(600) * np.timedelta64(60, "s")
    names = ("a", "b", "<b>")[: values.shape[1]]
    study = watch(Readings(times, case != "untimed", names, values, None, (), 1), wishes=Wishes(rows=3))
    assert bool(study.alarms) == (case != "quiet")
    text = write_report(study, tmp_path, Sayer(language), "x").read_text()
    assert "<b>" not in text
    assert "nan" not in re.sub("<style>.*?</style>", "", text, flags=re.DOTALL).split()
    assert "{" not in re.sub("<style>.*?</style>", "", text, flags=re.DOTALL)


def test_no_cell_of_a_table_is_taken_for_a_formula(tmp_path):
    readings = Readings(
        np.array(["2026-01-01"], dtype="datetime64[s]"), True, ("=cmd()",), np.ones((1, 1)), None, (), 1
    )

    alarm = Alarm(Span(0, 0, 0), readings.times[0], readings.times[0], 2.0, (Cause(0, -1.5, 1.0, True),), False)
    save_alarms([alarm], readings, tmp_path / "a.csv", Sayer("en"))
    assert (tmp_path / "a.csv").read_text("utf-8-sig").splitlines()[1].split(",")[3:6] == ["'=cmd()", "-1.5", "1"]


def test_the_code_of_the_kit_runs_by_itself_and_reports_metrics(made, tmp_path):
    folder, _ = made
    kit = tmp_path / "kit"
    write_kit(
        find_kit("maintenance"), kit, {"label": "Störung", "given": "Last [%]", "language": "de"}, example=True
    )
    job = (kit / "job.yaml").read_text()
    assert "--label 'Störung' --given 'Last [%]'" in job or "--label Störung" in job
    out, metrics = tmp_path / "out", tmp_path / "metrics.jsonl"
    ran = subprocess.run(
        [sys.executable, "-m", "kifabrik.recipes.maintenance.job", kit / "input", "--out", out,
         "--label", "Störung", "--given", "Last [%]", "--language", "de"],
        cwd=kit / "code",
        env={**os.environ, "PYTHONPATH": str(kit / "code"), "KIFABRIK_METRICS": str(metrics)},
        capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert (out / "alarms.csv").read_bytes() == (folder / "result" / "alarms.csv").read_bytes()
    named = {json.loads(line)["name"]: json.loads(line)["value"] for line in metrics.read_text().splitlines()}
    assert named["announced"] == 1
