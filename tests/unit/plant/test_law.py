import re
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from plant_sites import munich

from kifabrik.errors import UsageError
from kifabrik.plant.law.filling import Basis, Metered, concerned, cooling_degree_days, fill, runs_since
from kifabrik.plant.law.rows import Rules, rules, verdicts
from kifabrik.plant.loads import constant
from kifabrik.plant.physics import simulate
from kifabrik.plant.site_file import SHIPPED, SiteFile, parse_site
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
    assert not any(
        concerned(register, replace(study, file=SiteFile(small, "", {}))) for register in rules().registers
    )


def test_cooling_degree_days_count_warm_days_only():
    celsius = np.repeat([10.0, 23.9, 24.0, 30.0], 24)
    assert cooling_degree_days(celsius) == pytest.approx(3.0 + 9.0)


def test_every_row_says_what_text_it_was_held_against():
    law = rules()
    rows = (*law.thresholds, *law.duties, *law.registers)
    assert all(re.fullmatch(r"against the text of .+: https://\S+", law.checked(row)) for row in rows)
    assert law.checked(law.duties[0].model_copy(update={"seen": None})) == "not checked against the text"


def test_a_row_cannot_name_a_source_that_is_not_there():
    document = rules().model_dump(by_alias=True, mode="json")
    document["registers"] = []
    document["thresholds"][0]["seen"] = "hearsay"
    with pytest.raises(ValueError, match="was seen in hearsay, which is no source"):
        Rules.model_validate(document)


def test_registers_ask_for_what_their_annexes_list():
    enefg, union = rules().registers
    numbers = [f"1 {letter}" for letter in "abcdef"] + [f"2 {letter}" for letter in "abcdefghi"]
    assert list(dict.fromkeys(one.clause for one in enefg.fields)) == numbers
    asked = [f"I 1 {letter}" for letter in "abcde"] + ["I 2 a", "I 2 b"]
    asked += [f"II 1 {letter}" for letter in "abcdefghijklmnopqr"] + ["II 2 a", "II 2 b"]
    asked += [f"II 3 {letter}" for letter in "abcd"]
    assert list(dict.fromkeys(one.clause for one in union.fields)) == asked


@pytest.mark.parametrize(
    ("connection_kw", "day", "owed"),
    [
        (16_000, date(2026, 12, 31), ["§ 12 Abs. 1", "§ 12 Abs. 2 Nr. 1", "§ 12 Abs. 3", "§ 15"]),
        (16_000, date(2025, 12, 31), ["§ 12 Abs. 1", "§ 12 Abs. 2 Nr. 1", "§ 15"]),
        (999, date(2026, 12, 31), ["§ 12 Abs. 1", "§ 12 Abs. 2 Nr. 1", "§ 15"]),
        (16_000, date(2024, 12, 31), ["§ 15"]),
    ],
)
def test_duties_begin_by_date_and_size(connection_kw, day, owed):
    assert [one.law.removeprefix("EnEfG ") for one in rules().owed(connection_kw, day)] == owed


def test_water_of_the_loop_is_not_the_set_point_of_air(study):
    by_id = {one.field.id: one for one in fill(rules().registers[1], study)}
    assert by_id["intake_temperature"].basis is Basis.GAP
    assert by_id["refrigerants"].basis is Basis.GAP


def test_the_temperature_of_waste_heat_is_a_mean_over_the_year(study):
    by_id = {one.field.id: one for one in fill(rules().registers[1], study)}
    assert by_id["heat_reused_temperature"].value == pytest.approx(study.hourly["loop_back"].mean())


def test_an_operator_states_a_field_by_its_id(study):
    by_id = {one.field.id: one for one in fill(rules().registers[1], study)}
    assert (by_id["lau_code"].value, by_id["lau_code"].basis) == ("09162000", Basis.STATED)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("room_aera: 3000 m²", r"line \d+: operator.stated.room_aera is no field of a register"),
        ("room_area: 3000", r"line \d+: operator.stated.room_area: 3000 is not text in quotes, with its unit"),
        ("grid_functions: no", r"line \d+: operator.stated.grid_functions: False is not text in quotes"),
    ],
)
def test_what_is_stated_wrongly_is_named_with_its_line(written, told):
    text = (SHIPPED / "munich.yaml").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match=told):
        parse_site(text.replace('lau_code: "09162000"', written), "site.yaml")


def test_operation_that_began_within_the_year_is_said(study):
    assert runs_since(study, 2026) == date(2026, 10, 1)
    assert runs_since(study, 2027) is None
