"""What an operator does by the day: bills, prices, figures for monitoring, backups."""

import csv
import io
import shutil

import pytest


def test_a_bill_says_what_the_customers_own_statement_says(stage, trained, tmp_path):
    month = stage.customer.kifabrik("statement", "--json").json()
    [bill] = [
        one
        for one in stage.factory.kifabrik("admin", "bill", "--json").json()["bills"]
        if one["tenant"] == month["tenant"]
    ]
    assert bill["statement"]["total"]["exact"] == month["total"]["exact"]
    assert bill["statement"]["total"]["eur"] > 0
    assert bill["statement"]["log"]["root"]
    table = tmp_path / "bills.csv"
    stage.factory.kifabrik("admin", "bill", "--out", table)
    rows = {row["tenant"]: row for row in csv.DictReader(io.StringIO(table.read_text()))}
    assert float(rows[month["tenant"]]["eur"]) == month["total"]["eur"]
    page = tmp_path / "rechnung.html"
    stage.factory.kifabrik("admin", "bill", "--tenant", month["tenant"], "--out", page, "--language", "de")
    assert "Monatsabrechnung" in page.read_text()
    assert stage.name("slope") not in page.read_text()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--month", "2026-13"], 2, "not a month"),
        (["--tenant", "t-nobody"], 3, "there is no tenant t-nobody"),
        (["--out", "bill.html"], 2, "a page is for one tenant"),
        (["--out", "bill.pdf"], 2, "End it in .csv or .html"),
    ],
)
def test_a_bill_that_cannot_be_made_says_why(stage, words, status, said):
    assert said in stage.factory.kifabrik("admin", "bill", *words, expect=status).err


def test_the_price_list_is_written_once_and_checked(stage):
    before = stage.factory.kifabrik("admin", "prices", "--json").json()
    assert before["name"] == "example prices"
    file = stage.factory.home / "factory" / "prices.toml"
    try:
        assert "Wrote" in stage.factory.kifabrik("admin", "prices", "--write").err
        stage.factory.kifabrik("admin", "prices", "--write", expect=5)
        file.write_text(file.read_text().replace("cpu_core_hour_eur = 0.04", "cpu_core_hour_eur = 1.5"))
        after = stage.factory.kifabrik("admin", "prices", "--json").json()
        assert after["eur"]["CPU thread, hour"] == 1.5
        file.write_text("cpu_core_hour_euro = 1\n")
        assert "unknown key 'cpu_core_hour_euro'" in stage.factory.kifabrik("admin", "prices", expect=2).err
    finally:
        file.unlink(missing_ok=True)


def test_figures_for_monitoring_tell_of_runs_nodes_and_keyholders_and_no_names(stage, trained, tmp_path):
    file = tmp_path / "kifabrik.prom"
    stage.factory.kifabrik("admin", "metrics", "--out", file)
    text = file.read_text()
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert figures["kifabrik_service_answers"] == "1"
    assert float(figures["kifabrik_disk_free_bytes"]) > 0
    tenant = stage.customer.kifabrik("statement", "--json").json()["tenant"]
    assert float(figures[f'kifabrik_stored_bytes{{tenant="{tenant}"}}']) > 0
    assert "# TYPE kifabrik_unregistered_bytes gauge" in text
    assert f'kifabrik_keyholder_silent_seconds{{tenant="{tenant}"}}' in figures
    assert any(name.startswith("kifabrik_node_cores_free{") for name in figures)
    assert 'kifabrik_runs{state="running"}' in figures
    assert stage.name("slope") not in text
    for name in {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")}:
        assert f"# HELP {name} " in text


def test_a_backup_taken_beside_the_service_is_a_factory_that_agrees_with_itself(stage, trained, tmp_path):
    folder = tmp_path / "backup"
    stage.factory.kifabrik("admin", "backup", folder)
    assert stage.factory.kifabrik("admin", "backup", folder, "--json").json()["copied"] == 0
    restored = tmp_path / "restored"
    shutil.copytree(folder, restored / "factory")
    shutil.rmtree(restored / "factory" / "node")  # its runs are of the machine it was taken from
    stage.factory.kifabrik("admin", "check", "--deep", "--home", restored)
    before, after = (
        stage.factory.kifabrik("admin", "bill", "--home", home, "--json").json()["bills"]
        for home in (stage.factory.home, restored)
    )
    assert [one["statement"]["total"] for one in before] == [one["statement"]["total"] for one in after]
