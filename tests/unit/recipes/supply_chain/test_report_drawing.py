"""Drawings and numbers of the report: scales, layers, large networks, writing of numbers."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from studied import critical_of, network_of, results_of

from kifabrik.recipes.supply_chain.report.axes import Scale
from kifabrik.recipes.supply_chain.report.courses import fan
from kifabrik.recipes.supply_chain.report.layout import at_places, layers, untangled
from kifabrik.recipes.supply_chain.report.network_map import network_map
from kifabrik.recipes.supply_chain.report.numerals import Numerals
from kifabrik.recipes.supply_chain.report.risk import risk_of, shade
from kifabrik.recipes.supply_chain.report.svg import shortened

ENGLISH, GERMAN = Numerals("en"), Numerals("de")


@pytest.mark.parametrize(
    ("value", "digits", "english", "german"),
    [
        (1234.5, 1, "1,234.5", "1.234,5"),
        (-1234567.891, 2, "−1,234,567.89", "−1.234.567,89"),
        (-0.0001, 2, "0.00", "0,00"),
        (math.nan, 2, "–", "–"),
        (math.inf, 2, "–", "–"),
    ],
)
def test_numbers_have_the_marks_of_their_language(value, digits, english, german):
    assert ENGLISH.number(value, digits) == english
    assert GERMAN.number(value, digits) == german


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.01234, "0.0123"),
        (1.005, "1.00"),
        (12.34, "12.3"),
        (99_999, "99,999"),
        (2_400_000, "2.40\u00a0m"),
    ],
)
def test_amounts_have_three_digits_that_count(value, text):
    assert ENGLISH.amount(value) == text


@given(st.floats(-1e12, 1e12), st.floats(-1e12, 1e12), st.booleans())
@settings(max_examples=200)
def test_marks_of_an_axis_are_written_differently_and_without_rounding(low, high, zero):
    scale = Scale.around([low, high], 0.0, 100.0, zero=zero)
    marks = scale.marks()
    assert 1 <= len(marks) <= 12
    if scale.step > 1e-5 and abs(high - low) > 1e-3 * max(abs(high), abs(low)):
        assert len({ENGLISH.tick(mark, scale.step) for mark in marks}) == len(marks)


def test_a_mark_at_two_and_a_half_is_not_written_as_two():
    assert ENGLISH.tick(2.5, 2.5) == "2.5"
    assert ENGLISH.tick(0.925, 0.025) == "0.925"


@given(st.lists(st.integers(1, 6), min_size=1, max_size=7), st.integers(1, 9))
@settings(max_examples=50)
def test_each_node_stands_in_one_layer_and_never_right_of_what_it_supplies(widths, most):
    network = network_of(widths)
    columns = layers(network, most)
    assert len(columns) <= most
    where = {at: number for number, column in enumerate(columns) for at in column}
    assert sorted(where) == list(range(len(network.nodes)))
    assert sum(len(column) for column in columns) == len(network.nodes)
    places = {node.name: at for at, node in enumerate(network.nodes)}
    for lane in network.lanes:
        if lane.source:
            assert where[places[lane.source]] <= where[places[lane.target]]


def test_a_network_too_large_for_boxes_stands_at_its_places():
    for width, by_place in ((5, False), (40, True)):
        network = network_of([width, width], place=lambda layer, number: (9.5 + layer, 48.5 + number / 10))
        drawn = network_map(network, risk_of(results_of(network), ()), "map", ENGLISH)
        assert (drawn.by_place, drawn.is_dots) == (by_place, by_place)
        assert drawn.drawn == len(network.nodes)


def test_untangling_removes_a_crossing():
    assert untangled([[0, 1], [2, 3]], [(0, 3), (1, 2)]) in ([[0, 1], [3, 2]], [[1, 0], [2, 3]])


@pytest.mark.parametrize("size", [2000, 10_000])
def test_a_large_network_is_drawn_in_a_small_file_and_says_what_is_left_out(size):
    network = network_of([size // 4] * 4)
    drawn = network_map(network, risk_of(results_of(network), ()), "map", ENGLISH)
    assert drawn.is_dots
    assert drawn.drawn == min(size, 4000)
    assert len(drawn.named) == 10
    assert drawn.lanes < drawn.all_lanes or drawn.lanes <= 500
    assert len(drawn.picture) < 700_000


def test_no_two_dots_of_a_large_network_lie_on_each_other():
    network = network_of([900, 500, 400, 200])
    picture = network_map(network, risk_of(results_of(network), ()), "map", ENGLISH).picture
    spots = {part.split(' r="')[0] for part in picture.split("<circle ")[1:]}
    assert len(spots) == 2000


def test_nodes_with_coordinates_stand_there_with_north_on_top():
    network = network_of([2, 1], place=lambda layer, number: (9.5 + layer, 48.5 + 3 * number))
    points = at_places(network, 1000.0, 400.0, 10.0)
    assert points[1][1] < points[0][1]
    assert points[2][0] > points[0][0]


def test_nodes_at_one_place_are_drawn_apart():
    network = network_of([3, 3], place=lambda layer, _: (9.5 + layer, 48.5))
    points = at_places(network, 1000.0, 400.0, 10.0)
    assert len({(round(x, 3), round(y, 3)) for x, y in points}) == 6


def test_risk_is_the_wait_by_littles_law_where_no_failure_was_tested():
    network = network_of([1, 1])
    results = results_of(network)
    results.nodes["backlog"][:] = [6.0, 8.0]
    results.nodes["met"][:] = [np.nan, 4.0]
    results.lanes["shipped"][:] = [9.0, 3.0]
    assert risk_of(results, ()).values.tolist() == [2.0, 2.0]


def test_risk_is_the_cost_of_a_failure_where_that_was_tested():
    network = network_of([2, 2])
    risk = risk_of(results_of(network), critical_of(network, most=3))
    assert risk.values[:3].tolist() == [100.0, 200.0, 300.0]
    assert np.isnan(risk.values[3])
    assert risk.riskiest() == [2, 1, 0]
    assert risk.colour(2) == shade(1.0)


def test_a_fan_of_thousands_of_periods_stays_small_and_one_without_figures_is_none():
    luck = np.random.default_rng(1)
    assert len(fan(luck.normal(size=(20_000, 5)), "a", "b", ENGLISH)) < 80_000
    assert fan(np.full((5, 3), np.nan), "a", "b", ENGLISH) is None
    assert fan(np.zeros((5, 0)), "a", "b", ENGLISH) is None


def test_a_long_name_loses_its_middle():
    short = shortened("housing-4711-left-front@Wolfsburg", 100.0, 12.0)
    assert short.startswith("hous")
    assert short.endswith("burg")
    assert len(short) <= 15


@pytest.mark.parametrize(
    ("low", "high", "ends"),
    [
        (1_150_316, 1_153_240, ("1.1503\u00a0m", "1.1532\u00a0m")),
        (4_100_000, 4_900_000, ("4.10\u00a0m", "4.90\u00a0m")),
        (112_935, 113_169, ("112,935", "113,169")),
        (40.17, 41.82, ("40.2", "41.8")),
        (40.171, 40.182, ("40.171", "40.182")),
        (250.04, 250.61, ("250.0", "250.6")),
        (5, 5, ("5.00", "5.00")),
        (0, 0, ("0", "0")),
        (-2_000_000, -1_900_000, ("−2.00\u00a0m", "−1.90\u00a0m")),
    ],
)
def test_ends_of_an_interval_are_short_and_can_be_told_apart(low, high, ends):
    assert ENGLISH.ends(low, high) == ends
