from datetime import date

import numpy as np
import pytest
from plant_sites import munich

from kifabrik.plant.law.filling import Basis, Metered, concerned, cooling_degree_days, fill
from kifabrik.plant.law.rows import rules, verdicts
from kifabrik.plant.loads import constant
from kifabrik.plant.physics import simulate
from kifabrik.plant.site_file import SiteFile
from kifabrik.plant.spans import Span
from kifabrik.plant.studies import study_of

OLD, NEW = date(2020, 1, 1), date(2026, 7, 1)


def bounds(start, year, figure):
    values = {"pue": 1.25, "pue_all": 1.27, "erf": 0.12, "ref": 0.8}
    return [
        (one.threshold.at_most or one.threshold.at_least, one.binding, one.met)
        for one in verdicts(values, start, year)
        if one.threshold.figure == figure
    ]


@pytest.mark.parametrize(
    ("start", "year", "figure", "expected"),
    [
        (OLD, 2026, "pue_all", [(1.5, False, True), (1.3, False, True)]),
        (OLD, 2027, "pue_all", [(1.5, True, True), (1.3, False, True)]),
        (OLD, 2030, "pue_all", [(1.3, True, True)]),
        (OLD, 2030, "pue", []),
        (OLD, 2030, "erf", []),
        (NEW, 2027, "pue", [(1.2, False, False)]),
        (NEW, 2028, "pue", [(1.2, True, False)]),
        (NEW, 2028, "erf", [(0.10, True, True)]),
        (date(2027, 7, 1), 2029, "erf", [(0.15, True, False)]),
        (date(2028, 7, 1), 2030, "erf", [(0.20, True, False)]),
        (OLD, 2025, "ref", [(0.5, True, True), (1.0, False, False)]),
        (OLD, 2027, "ref", [(1.0, True, False)]),
    ],
)
def test_thresholds_are_those_of_the_law(start, year, figure, expected):
    assert bounds(start, year, figure) == expected


def test_a_start_on_the_29th_of_february_binds_two_years_later():
    (erf,) = [
        one
        for one in verdicts({"pue": 1, "pue_all": 1, "erf": 0, "ref": 1}, date(2028, 2, 29), 2030)
        if one.value == 0
    ]
    assert erf.since == date(2030, 3, 1)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    site = munich()
    year = simulate(site, constant(site.fleet(), 0.8, Span(2026)), folder=tmp_path_factory.mktemp("none"))
    return study_of(year, SiteFile(site, "", {}), "constant:0.8")


def test_every_field_says_what_it_rests_on_and_gaps_have_no_value(study):
    for register in rules().registers:
        for one in fill(register, study):
            assert (one.value is None) == (one.basis is Basis.GAP)


def test_a_meter_that_covers_the_year_is_taken_and_one_that_does_not_is_remarked(study):
    register = rules().registers[1]
    whole = {"electricity_total": Metered(9e7, 1.0), "electricity_it": Metered(8e7, 0.5)}
    by_id = {one.field.id: one for one in fill(register, study, whole)}
    assert by_id["electricity_total"].basis is Basis.MEASURED
    assert by_id["electricity_total"].value == 9e7
    assert by_id["electricity_it"].basis is Basis.ESTIMATED
    assert "50.0%" in by_id["electricity_it"].remark


def test_a_small_site_is_not_concerned(study):
    assert all(concerned(register, study) for register in rules().registers)
    small = munich(it__gpus=100, electricity__connection="200 kW")
    from dataclasses import replace

    assert not any(
        concerned(register, replace(study, file=SiteFile(small, "", {}))) for register in rules().registers
    )


def test_cooling_degree_days_count_warm_days_only():
    celsius = np.repeat([10.0, 23.9, 24.0, 30.0], 24)
    assert cooling_degree_days(celsius) == pytest.approx(3.0 + 9.0)
