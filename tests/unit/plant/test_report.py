import re

import pytest
from matplotlib.figure import Figure
from plant_sites import munich

from kifabrik.plant.comparing import compare
from kifabrik.plant.loads import constant
from kifabrik.plant.physics import simulate
from kifabrik.plant.report import charts, write_report, write_sheet
from kifabrik.plant.report.multiples import share_scales, write_comparison
from kifabrik.plant.report.words import WORDS, Speaker
from kifabrik.plant.site_file import SiteFile
from kifabrik.plant.spans import Span
from kifabrik.plant.studies import study_of


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    site = munich(name="<b>Ort</b> & Söhne")
    year = simulate(site, constant(site.fleet(), 0.8, Span(2026)), folder=tmp_path_factory.mktemp("none"))
    return study_of(year, SiteFile(site, "", {}), "constant:0.8")


@pytest.mark.parametrize(("language", "pue"), [("de", "{:.3f}"), ("en", "{:.3f}")])
def test_the_report_tells_its_figures_in_the_readers_numbers(study, tmp_path, language, pue):
    text = write_report(study, tmp_path, language).read_text(encoding="utf-8")
    wanted = pue.format(study.summary.pue)
    assert (wanted.replace(".", ",") if language == "de" else wanted) in text
    assert text.count("<svg") == 5
    assert WORDS["estimated"][language == "en"] in text


def test_names_from_the_site_are_escaped(study, tmp_path):
    text = write_report(study, tmp_path, "en").read_text(encoding="utf-8")
    assert "<b>Ort" not in text
    assert "&lt;b&gt;Ort" in text


def test_the_report_asks_nothing_of_the_network(study, tmp_path):
    text = write_report(study, tmp_path, "de").read_text(encoding="utf-8")
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", text.replace('xmlns:xlink="http', ""))
    assert "<script" not in text


def test_every_picture_has_a_name_for_those_who_cannot_see_it(study, tmp_path):
    text = write_report(study, tmp_path, "de").read_text(encoding="utf-8")
    assert re.findall(r'<svg role="img" aria-label="([^"]+)"', text)[0] == "Energiefluss des Jahres, GWh"
    assert text.count("<svg") == text.count('<svg role="img" aria-label="')


def test_the_sheet_is_one_page(study, tmp_path):
    written = write_sheet(study, tmp_path).read_bytes()
    assert written.startswith(b"%PDF")
    assert len(re.findall(rb"/Type /Page\b", written)) == 1


def test_small_multiples_have_the_scale_of_the_largest_case(tmp_path):
    cases = compare("munich", {"it.gpus": [2000, 10_000]}, changes={}, load="constant:0.8", folder=tmp_path)
    grid = Figure().subplots(2, 1, sharey="col", squeeze=False)
    for axes, case in zip(grid[:, 0], cases, strict=True):
        charts.power(axes, case.study, Speaker("en"))
    share_scales(grid)
    most = max(case.study.hourly["electricity"].max() for case in cases) / 1e6
    assert all(axes.get_ylim()[1] >= most for axes in grid[:, 0])
    page = write_comparison(cases, tmp_path, "en").read_text(encoding="utf-8")
    assert page.count("10,000 GPUs") == 2  # in the table, and on its row


def test_both_languages_say_everything():
    assert all(german.strip() and english.strip() for german, english in WORDS.values())
    assert Speaker("de").number(1234.5) == "1.234,5"
    assert Speaker("en").number(1234.5) == "1,234.5"
    assert Speaker("de").number(float("nan")) == "-"


def test_a_german_page_says_its_load_and_its_sources_in_german(study, tmp_path):
    text = write_report(study, tmp_path, "de").read_text(encoding="utf-8")
    assert "Last: konstant 80 %" in text
    assert "Fluss: Jahresgang aus der Standortdatei; die Tabelle wurde nicht gefunden." in text
    assert "standortbasiert" in text
    assert "marktbasiert" in text
    shown = re.sub(r"<style.*?</style>|<[^>]*>", " ", text, flags=re.DOTALL)
    assert not re.search(r"constant|yearly|withdrawn|consumed", shown)
