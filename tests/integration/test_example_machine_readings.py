"""The example for newcomers' own files, run as they run it."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "machine-readings"


def watch(data, out, *words):
    return subprocess.run(
        [sys.executable, EXAMPLE / "watch.py", "--data", data, "--out", out, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def export(folder, *, rows=2000):
    """What a German controller exports: two files, of which the later one holds a bearing that grows loud."""
    random = np.random.default_rng(3)
    load = np.clip(random.normal(0.6, 0.1, rows), 0, 1)
    temperature, vibration = 40 + 10 * load + random.normal(0, 0.3, rows), 0.8 + random.normal(0, 0.03, rows)
    vibration[1700:1720] += 0.8
    start = np.datetime64("2026-03-29T00:00")
    for name, part in (("zweite.CSV", range(rows // 2, rows)), ("erste.csv", range(rows // 2))):
        lines = ["Datum;Uhrzeit;Temperatur [°C];Schwingung;Stückzahl;Status"]
        for at in part:
            day, clock = str(start + np.timedelta64(at, "m")).split("T")
            values = f"{temperature[at]:.2f};{vibration[at]:.3f}".replace(".", ",")
            lines.append(f"{'.'.join(day.split('-')[::-1])};{clock}:00;{values};{at // 3};läuft")
        (folder / name).write_bytes("\r\n".join(lines).encode("cp1252"))


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    data, out = tmp_path_factory.mktemp("messwerte"), tmp_path_factory.mktemp("result")
    export(data)
    ran = watch(data, out)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, out


def test_a_fault_is_found_at_its_time_with_the_sensor_that_shows_it(result):
    _, out = result
    with (out / "odd-times.csv").open(encoding="utf-8-sig", newline="") as file:
        first = next(iter(csv.DictReader(file, delimiter=";")))
    assert (first["from"], first["to"]) == ("2026-03-30 04:20:00", "2026-03-30 04:39:00")
    assert first["sensors"].startswith("Schwingung ")
    assert float(first["times_the_limit"].replace(",", ".")) > 10


def test_what_is_no_sensor_is_left_out_and_named(result):
    said, _ = result
    assert "2 files, 2,000 rows of 2 sensors, 2026-03-29 00:00 to 2026-03-30 09:19" in said
    assert "Stückzahl: only rises: a counter" in said
    assert "Status: no numbers, such as 'läuft'" in said


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (None, "there is no .csv file in"),
        ("", "is empty"),
        ("1,5;2,5\n" * 100, "the first line must name the columns"),
        ("a;b\n" + "x;y\n" * 100, "no column holds numbers that vary"),
        ("a;b\n1;2\n2;3\n3;5\n", "of 3 rows to learn from; at least 30 are needed"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_sentence(tmp_path, content, sentence):
    data = tmp_path / "data"
    data.mkdir()
    if content is not None:
        (data / "x.csv").write_text(content)
    ran = watch(data, tmp_path / "out")
    assert ran.returncode == 1
    assert sentence in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_label_says_how_well_faults_are_told_apart(tmp_path):
    random = np.random.default_rng(5)
    odd = random.random(1000) < 0.05
    values = random.normal(0, 1, 1000) + 30 * odd
    lines = ["value,other,fault", *(f"{v},{random.normal()},{int(o)}" for v, o in zip(values, odd, strict=True))]
    data = tmp_path / "data"
    data.mkdir()
    (data / "x.csv").write_text("\n".join(lines))
    ran = watch(data, tmp_path / "out", "--label", "fault")
    assert "AUC 1.0000" in ran.stdout, ran.stderr
    wrong = watch(data, tmp_path / "out", "--label", "Störung")
    assert "no column is called 'Störung'; there are value, other, fault" in wrong.stderr


def test_a_result_is_never_read_as_readings(tmp_path):
    (tmp_path / "x.csv").write_text("a,b\n" + "".join(f"{n},{n % 7}\n" for n in range(100)))
    ran = watch(tmp_path, tmp_path / "result")
    assert "lies among the readings" in ran.stderr
    assert not (tmp_path / "result").exists()
