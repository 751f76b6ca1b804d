"""Results on disk: what is read back is what was written, and broken files are named."""

import errno
import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from studied import critical_of, frontier_of, network_of, outage_of, results_of

from kifabrik.cli.supply_chain_report import report
from kifabrik.errors import CapacityError, UsageError
from kifabrik.recipes.supply_chain.results import LANE_FIGURES, NODE_FIGURES, SCENARIO_FIGURES
from kifabrik.recipes.supply_chain.saving import SETTINGS, TABLES, load, load_study, save


def saved(tmp_path, **studies):
    results = results_of(network_of([2, 3, 2]))
    save(results, tmp_path, **studies)
    return results


@pytest.mark.parametrize("fill", [None, np.nan, np.inf])
def test_results_come_back_as_they_were(tmp_path, fill):
    results = results_of(network_of([2, 3, 2]), fill=fill)
    save(results, tmp_path)
    again = load(tmp_path)
    assert again.network == results.network
    assert again.settings == results.settings
    assert again.seconds == results.seconds
    for part in ("scenarios", "nodes", "nodes_error", "lanes", "courses"):
        before, after = getattr(results, part), getattr(again, part)
        assert list(after) == list(before)
        for name, values in before.items():
            assert after[name].dtype == values.dtype
            np.testing.assert_array_equal(after[name], values)


def test_what_further_studies_found_comes_back(tmp_path):
    network = network_of([2, 3, 2])
    outage, critical, frontier = outage_of(), tuple(critical_of(network)), frontier_of("a", "b")
    saved(tmp_path, outages=[outage], critical=critical, frontier=frontier)
    study = load_study(tmp_path)
    assert study.critical == critical
    assert study.frontier == frontier
    assert study.outages == (outage,)
    np.testing.assert_array_equal(study.outages[0].backlog_with, outage.backlog_with)


def test_a_study_without_courses_comes_back(tmp_path):
    results = saved(tmp_path)
    results.courses.clear()
    save(results, tmp_path)
    assert load(tmp_path).courses == {}


def test_every_figure_has_a_unit_and_a_label_in_both_languages(tmp_path):
    saved(tmp_path)
    figures = {"scenarios": SCENARIO_FIGURES, "nodes": NODE_FIGURES, "lanes": LANE_FIGURES}
    for table, names in figures.items():
        schema = pq.read_schema(tmp_path / f"{table}.parquet")
        for name in names:
            said = schema.field(name).metadata
            assert said[b"unit"]
            assert said[b"label_en"] != name.encode()
            assert said[b"label_de"] != name.encode()
    assert pq.read_schema(tmp_path / "scenarios.parquet").field("in_transit").metadata[b"unit"] == b"EUR"
    assert pq.read_schema(tmp_path / "nodes.parquet").field("in_transit").metadata[b"unit"] == b"units"
    assert pq.read_schema(tmp_path / "nodes.parquet").field("cost").metadata[b"unit"] == b"EUR per period"


def test_settings_are_strict_json(tmp_path):
    saved(tmp_path, outages=[outage_of()])

    def refused(word):
        raise AssertionError(word)

    json.loads((tmp_path / SETTINGS).read_text(encoding="utf-8"), parse_constant=refused)


@pytest.mark.parametrize("name", [*TABLES, SETTINGS])
def test_a_missing_file_is_named(tmp_path, name):
    saved(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(UsageError, match=name):
        load(tmp_path)


@pytest.mark.parametrize("name", [*TABLES, SETTINGS])
@pytest.mark.parametrize("keep", [0, 100])
def test_a_file_cut_short_is_named(tmp_path, name, keep):
    saved(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:keep])
    with pytest.raises(UsageError, match=name):
        load(tmp_path)


@pytest.mark.parametrize("part", ["network", "settings", "outages", "critical", "frontier", "seconds"])
@pytest.mark.parametrize("wrong", [None, 3, "x", [{}], {}])
def test_settings_that_make_no_sense_are_refused_or_read(tmp_path, part, wrong):
    saved(tmp_path)
    document = json.loads((tmp_path / SETTINGS).read_text(encoding="utf-8"))
    (tmp_path / SETTINGS).write_text(json.dumps({**document, part: wrong}), encoding="utf-8")
    try:
        load(tmp_path)
    except UsageError as error:
        assert str(tmp_path) in error.message  # noqa: PT017 - some of these are right


def test_tables_of_two_studies_are_not_taken_for_one(tmp_path):
    saved(tmp_path)
    save(results_of(network_of([2, 2])), tmp_path / "other")
    (tmp_path / "other" / "nodes.parquet").replace(tmp_path / "nodes.parquet")
    with pytest.raises(UsageError, match="4 rows; 7 belong there"):
        load(tmp_path)


def test_a_full_disk_is_said_and_leaves_no_half_results(tmp_path, monkeypatch):
    saved(tmp_path)
    real, calls = os.fsync, []

    def full(handle):
        calls.append(handle)
        if len(calls) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CapacityError, match="disk is full"):
        save(results_of(network_of([2, 2])), tmp_path)
    assert not list(tmp_path.glob("*.new"))
    with pytest.raises(UsageError, match="no results"):
        load(tmp_path)


def test_a_folder_that_is_a_file_is_said(tmp_path):
    (tmp_path / "x").write_text("")
    with pytest.raises(UsageError, match="cannot be written to"):
        save(results_of(network_of([1])), tmp_path / "x")


@pytest.mark.parametrize(
    ("language", "words"),
    [("de", ("Bestandswert", "Lagerbestand ohne Unterwegs")), ("en", ("Stock value", "Stock on hand, without"))],
)
def test_the_command_writes_the_report_of_saved_results(tmp_path, language, words):
    saved(tmp_path, critical=critical_of(network_of([2, 3, 2])))
    done = CliRunner().invoke(report, [str(tmp_path), "--language", language])
    assert done.exit_code == 0, done.output
    page = (tmp_path / f"report-{language}.html").read_text(encoding="utf-8")
    assert all(word in page for word in words)


def test_the_command_names_a_folder_without_results(tmp_path):
    done = CliRunner().invoke(report, [str(tmp_path)])
    assert isinstance(done.exception, UsageError)
    assert str(tmp_path) in done.exception.message


def test_what_is_as_usual_is_not_written(tmp_path):
    save(results_of(network_of([2, 2])), tmp_path)
    node = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))["network"]["nodes"][0]
    assert "product" in node
    assert "storage" not in node
