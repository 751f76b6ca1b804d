"""Bounds among measurements are learnt from as bounds, and counted as bounds."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from measured_tables import prepared, series

from kifabrik.recipes.pharma.boosting import Recipe, grow, scores
from kifabrik.recipes.pharma.bounds import judge, ordered, short_of, taken
from kifabrik.recipes.pharma.card import principles
from kifabrik.recipes.pharma.compounds import Compounds
from kifabrik.recipes.pharma.endpoints import Bounds, Endpoint, Kind
from kifabrik.recipes.pharma.evaluating import evaluate
from kifabrik.recipes.pharma.measuring import Wishes
from kifabrik.recipes.pharma.model import Model, load, save
from kifabrik.recipes.pharma.predicting import predict_file
from kifabrik.recipes.pharma.splitting import Method, split
from kifabrik.recipes.pharma.training import Training, train
from kifabrik.recipes.pharma.words import Words

QUICK = Training(recipe=Recipe.FAST, trees=60, folds=2)
CAP = 24.0
Sides = tuple[Compounds, Compounds, Endpoint]


def capped(count: int, folder: Path) -> Sides:
    """Two sides of a table whose values above a cap are written as `>cap`."""
    lines = [
        f"c{at},{smiles},{value if value <= CAP else f'>{CAP}'}" for at, (smiles, value) in enumerate(series(count))
    ]
    made = prepared(folder, "id,smiles,y\n" + "\n".join(lines) + "\n")
    sides = split(made.compounds, Method.RANDOM, share=0.25)
    return made.compounds[sides.train], made.compounds[sides.test], made.endpoints[0]


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Sides:
    return capped(120, tmp_path_factory.mktemp("capped"))


@pytest.fixture(scope="module")
def model(sides: Sides) -> Model:
    return train(sides[0], sides[2], replace(QUICK, shows_neighbours=True))


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    luck = np.random.default_rng(seed)
    features = luck.normal(size=(count, 12)).astype(np.float32)
    return features, features[:, 0] + 0.5 * features[:, 1] + 0.3 * luck.normal(size=count)


@pytest.mark.parametrize("sign", [1, -1], ids=["lower bounds", "upper bounds"])
@pytest.mark.parametrize("recipe", [Recipe.FAST, Recipe.MAPLIGHT])
def test_trees_that_learn_from_bounds_err_less_than_without_them_or_with_their_values(
    recipe: Recipe, sign: int
) -> None:
    """A third of the values lies beyond a bound; judged by the truth of fresh ones."""
    features, truth = drawn(1200, 1)
    fresh, true = drawn(1200, 2)
    truth, true = sign * truth, sign * true
    cap = sign * np.quantile(sign * truth, 0.67)
    side = np.where(sign * truth > sign * cap, sign, 0).astype(np.int8)
    target = np.where(side == 0, truth, cap)
    at = side == 0

    def error(model: object) -> float:
        return float(np.abs(scores([model], Kind.NUMBER, fresh) - true).mean())

    learnt = error(grow(recipe, Kind.NUMBER, features, target, 1, 150, side=side))
    assert learnt < 0.8 * error(grow(recipe, Kind.NUMBER, features[at], target[at], 1, 150))
    assert learnt < 0.9 * error(grow(recipe, Kind.NUMBER, features, target, 1, 150))


def test_without_bounds_nothing_changes() -> None:
    features, truth = drawn(200, 1)
    plain = grow(Recipe.FAST, Kind.NUMBER, features, truth, 1, 40)
    other = grow(Recipe.FAST, Kind.NUMBER, features, truth, 1, 40, side=np.zeros(200, np.int8))
    assert np.array_equal(scores([plain], Kind.NUMBER, features), scores([other], Kind.NUMBER, features))


def test_a_bound_that_the_prediction_keeps_to_pulls_less_than_one_it_does_not() -> None:
    """What lies beyond the bound already is left in peace, so the others' truth is not bent towards the bound."""
    features, truth = drawn(800, 3)
    side = np.ones(800, np.int8)
    side[:400] = 0
    low = np.where(side == 0, truth, truth.min() - 10.0)
    model = grow(Recipe.FAST, Kind.NUMBER, features, low, 1, 150, side=side)
    said = scores([model], Kind.NUMBER, features[400:])
    assert np.abs(said - truth[400:]).mean() < 0.4


def test_the_same_bounds_leave_the_same_files_to_the_byte(sides: Sides, model: Model, tmp_path: Path) -> None:
    again = train(sides[0], sides[2], replace(QUICK, shows_neighbours=True, workers=2))
    for name, one in (("one", model), ("two", again)):
        save(one, tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
    asked = list(sides[1].smiles)
    assert np.array_equal(model.predict(asked).value, load(tmp_path / "one").predict(asked).value)


def test_bounds_let_a_model_say_more_than_anything_measured(sides: Sides, model: Model) -> None:
    without = train(sides[0], sides[2], replace(QUICK, bounds=Bounds.LEAVE_OUT))
    bounded = sides[1][np.flatnonzero(sides[1].endpoints["y"].side > 0)]
    assert len(bounded) >= 5
    beyond = [(one.predict(bounded.smiles).value > CAP).mean() for one in (without, model)]
    assert beyond[0] == 0
    assert beyond[1] > 0.5


def test_test_compounds_with_bounds_are_in_no_measure_and_judged_apart(sides: Sides, model: Model) -> None:
    found = evaluate(model, sides[0], sides[1])
    side = sides[1].endpoints["y"].side
    assert found.count == len(found.true) == (side == 0).sum()
    assert found.bounds.count == (side != 0).sum() > 0
    assert len(found.predictions) == len(sides[1])
    assert sum(one.count for one in found.bins) == found.count
    bounded = found.predictions.high[side != 0]
    assert found.bounds.covered == (bounded > CAP).mean()
    assert found.bounds.covered >= found.bounds.agree
    alone = evaluate(model, sides[0], sides[1].exact("y"))
    assert {name: one.value for name, one in found.measures.items()} == {
        name: one.value for name, one in alone.measures.items()
    }
    assert alone.plain()["bounds"] == {"count": 0, "agree": None, "covered": None, "ordered": None}


@pytest.mark.parametrize(
    ("how", "says"), [(Bounds.LEARN, "trees learn"), (Bounds.LEAVE_OUT, "left out of training")]
)
def test_the_card_says_how_many_bounds_there_are_and_how_they_count(sides: Sides, how: Bounds, says: str) -> None:
    made = train(sides[0], sides[2], replace(QUICK, trees=10, bounds=how))
    count = int((sides[0].endpoints["y"].side > 0).sum())
    said = dict(principles(made, None, Words("en"))[0].answers)["Bounds (< and >)"]
    assert str(count) in said
    assert says in said
    assert made.facts["bounds"] == {">": count, "<": 0}


def test_bounds_taken_as_values_are_measured_in_every_figure(sides: Sides) -> None:
    made = train(sides[0], sides[2], replace(QUICK, trees=10, bounds=Bounds.VALUE))
    assert made.facts["range"][1] == CAP
    assert sum(band.count for band in made.bands) == len(sides[0])
    assert taken(sides[0], Bounds.VALUE).endpoints["y"].side.any() == np.False_


def test_a_neighbour_that_is_a_bound_is_shown_as_one(sides: Sides, model: Model, tmp_path: Path) -> None:
    bounded = sides[0][np.flatnonzero(sides[0].endpoints["y"].side > 0)[:1]]
    exact = sides[0].exact("y")[[0]]
    (tmp_path / "asked.smi").write_text(f"{bounded.smiles[0]} a\n{exact.smiles[0]} b\n")
    predict_file(model, tmp_path / "asked.smi", tmp_path / "said.csv")
    with (tmp_path / "said.csv").open(newline="") as file:
        found = [row["nearest_value"] for row in csv.DictReader(file)]
    assert found == [">24", f"{exact.endpoints['y'].value[0]:g}"]


def test_another_endpoint_helps_with_its_bounds_too(tmp_path: Path) -> None:
    lines = [
        f"c{at},{smiles},{value},{value if value <= CAP else f'>{CAP}'}"
        for at, (smiles, value) in enumerate(series(80))
    ]
    made = prepared(tmp_path, "id,smiles,y,z\n" + "\n".join(lines) + "\n", Wishes(endpoints=("y", "z")))
    one, other = made.endpoints
    model = train(made.compounds, one, replace(QUICK, helpers=(other,)))
    said = scores([model.helpers[0].trees], Kind.NUMBER, np.zeros((1, 2563), np.float32))
    assert np.isfinite(said).all()
    assert "SurvivalAft" in json.dumps(model.helpers[0].trees.get_all_params())


def test_pairs_whose_order_a_bound_leaves_open_are_not_counted() -> None:
    value = np.array([1.0, 3.0, 3.0, 2.0, 1.0])
    side = np.array([0, 0, 1, -1, 0], np.int8)
    # known: the exact ones (1 < 3), what is below >3 (also the exact 3 itself) and <2 below the exact 3 and >3
    assert ordered(value, side, np.array([0.0, 1.0, 2.0, 0.5, 0.1])) == 1.0
    assert ordered(value, side, np.array([0.0, 2.0, 1.0, 0.5, 0.1])) == pytest.approx(6 / 7)
    assert ordered(value, side, np.zeros(5)) == 0.5
    assert np.isnan(ordered(np.array([1.0, 5.0]), np.array([1, 0], np.int8), np.zeros(2)))


@given(
    st.lists(
        st.tuples(st.floats(-5, 5), st.sampled_from([-1, 0, 1]), st.floats(-5, 5), st.floats(0, 3)), min_size=1
    )
)
def test_an_interval_holds_a_bound_where_what_it_is_short_of_it_is_less_than_its_reach(
    rows: list[tuple[float, int, float, float]],
) -> None:
    value, side, predicted, reach = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    sign = side.astype(np.int8)
    short = short_of(value, sign, predicted)
    assert (short >= 0).all()
    found = judge(value, sign, predicted, predicted - reach, predicted + reach)
    at = sign != 0
    assert found.count == at.sum()
    if found.count:
        clearly = 1e-9  # what is nearer than that is a matter of rounding
        low, high = (short[at] < reach[at] - clearly).mean(), (short[at] <= reach[at]).mean()
        assert low - 1e-12 <= found.covered + 1e-12
        assert found.agree <= high + 1e-12
