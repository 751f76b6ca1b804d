import tomllib

import pytest
from click.testing import CliRunner
from plant_sites import munich

from kifabrik.cli.plant_report_site import site as command
from kifabrik.plant.law.factors import factors
from kifabrik.plant.law.filling import Basis, Metered
from kifabrik.plant.loads import constant
from kifabrik.plant.physics import simulate
from kifabrik.plant.saving import save
from kifabrik.plant.site_file import open_site
from kifabrik.plant.spans import Span
from kifabrik.plant.studies import study_of
from kifabrik.wiring.factory_config import SiteConfig

METERS = {
    "electricity_it": Metered(1000.0, 1.0),
    "electricity_total": Metered(1100.0, 1.0),
    "heat_reused": Metered(200.0, 1.0),
    "water_withdrawn": Metered(150.0, 0.9),
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    site = munich()
    year = simulate(site, constant(site.fleet(), 0.8, Span(2026)), folder=tmp_path_factory.mktemp("none"))
    return study_of(year, open_site("munich"), "constant:0.8")


def test_without_meters_the_twin_estimates(study):
    found = {one.name: one for one in factors(study)}
    summary = study.summary
    assert found["carbon_g_per_kwh"].value == 363
    assert found["pue_percent"].value == round(100 * summary.pue)
    assert found["reused_percent"].value == round(100 * summary.source_heat / summary.it)
    assert found["water_withdrawn_l_per_kwh"].value == pytest.approx(
        1000 * summary.withdrawn / summary.it, abs=1e-4
    )
    assert {one.basis for one in found.values()} == {Basis.STATED, Basis.ESTIMATED}


def test_meters_of_the_whole_year_count_and_others_do_not(study):
    found = {one.name: one for one in factors(study, METERS)}
    assert (found["pue_percent"].value, found["pue_percent"].basis) == (110, Basis.MEASURED)
    assert (found["reused_percent"].value, found["reused_percent"].basis) == (20, Basis.MEASURED)
    assert found["water_withdrawn_l_per_kwh"].basis is Basis.ESTIMATED


def test_what_is_printed_is_what_a_factory_reads(study, tmp_path):
    save(study, tmp_path / "results")
    done = CliRunner().invoke(command, [str(tmp_path / "results")])
    assert done.exit_code == 0, done.output
    told = SiteConfig.model_validate(tomllib.loads(done.stdout)["site"])
    assert told.stated().pue_percent == round(100 * study.summary.pue)
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
