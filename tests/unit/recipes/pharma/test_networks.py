"""Networks by Chemprop: kept without pickle, the same every time, and never NaN."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from measured_tables import as_classes, compounds_of, series

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.recipes.pharma import networks
from kifabrik.recipes.pharma.boosting import Recipe
from kifabrik.recipes.pharma.card import principles
from kifabrik.recipes.pharma.compounds import Compounds, Values
from kifabrik.recipes.pharma.endpoints import Endpoint, Kind
from kifabrik.recipes.pharma.evaluating import evaluate
from kifabrik.recipes.pharma.learning import learning_curve
from kifabrik.recipes.pharma.measures import Measure
from kifabrik.recipes.pharma.model import Model, load, save
from kifabrik.recipes.pharma.splitting import Method, split
from kifabrik.recipes.pharma.training import Training, train
from kifabrik.recipes.pharma.words import Words

pytestmark = pytest.mark.timeout(400)
QUICK = Training(recipe=Recipe.CHEMPROP, epochs=4, folds=2)
Sides = tuple[Compounds, Compounds, Endpoint]


def _chemprop() -> None:
    pytest.importorskip(
        "chemprop", reason="Chemprop is an extra, kifabrik[pharma-chemprop], and not installed here"
    )


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Sides:
    compounds, endpoint = compounds_of(series(96), tmp_path_factory.mktemp("sides"))
    made = split(compounds, Method.RANDOM, share=0.25)
    return compounds[made.train], compounds[made.test], endpoint


@pytest.fixture(scope="module")
def model(sides: Sides) -> Model:
    _chemprop()
    return train(sides[0], sides[2], replace(QUICK, epochs=30))


def test_a_network_learns_what_trees_can_learn(model: Model, sides: Sides) -> None:
    found = evaluate(model, sides[0], sides[1])
    mean = next(iter(found.baselines.values()))
    assert found.measures[Measure.MAE].value < 0.9 * mean[Measure.MAE]
    assert found.covered is not None
    assert len(learning_curve(model, sides[0], sides[1])) >= 2
    card = dict(answer for principle in principles(model, None, Words("en")) for answer in principle.answers)
    assert "30 epochs" in card["Learner"]
    assert "chemprop" in card["Versions"]


def test_a_saved_network_says_the_same_to_the_bit_and_nothing_is_pickled(
    model: Model, sides: Sides, tmp_path: Path
) -> None:
    save(model, tmp_path)
    assert {path.suffix for path in tmp_path.iterdir()} == {".json", ".npy", ".csv", ".safetensors"}
    asked = ["CCOCc1ccccc1", "C", "nonsense", *sides[1].smiles[:4]]
    one, other = model.predict(asked), load(tmp_path).predict(asked)
    for name in ("value", "low", "high"):
        assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True), name
    alone = [model.predict([smiles]).value[0] for smiles in asked]
    assert np.array_equal(one.value, alone, equal_nan=True)


def test_the_same_seed_gives_the_same_network_to_the_bit(sides: Sides) -> None:
    _chemprop()
    targets = sides[0].endpoints[sides[2].name].value[:, None]
    asked = sides[1].smiles[:5]

    def said(seed: int) -> list[float]:
        network = networks.grow(Kind.NUMBER, sides[0].smiles, targets, seed, 3)
        return networks.scores([network], asked)[0].tolist()

    assert said(1) == said(1)
    assert said(1) != said(2)


def test_a_network_that_gives_no_number_is_flagged_and_the_mean_stands_for_it(model: Model) -> None:
    broken = networks.grow(Kind.NUMBER, ["CCO", "CCN", "CCC"] * 3, np.arange(9.0)[:, None], 1, 3)
    for weights in broken.module.parameters():
        weights.data.fill_(float("nan"))
    scores, failed = networks.scores([broken], ["CCO", "CCCl"])
    assert scores.tolist() == [4.0, 4.0]
    assert failed.all()
    said = replace(model, networks=(broken,)).predict(["CCOCc1ccccc1", "nonsense"])
    assert said.flagged.tolist() == [True, False]
    assert np.isfinite(said.value[0])
    assert said.reason[1]


def test_endpoints_are_learnt_together_though_each_is_missing_in_places(sides: Sides) -> None:
    _chemprop()
    known = sides[0]
    values = known.endpoints[sides[2].name]
    half = np.arange(len(known)) % 2 == 0
    few = replace(values, value=np.where(half, values.value, np.nan))
    other = Values(value=-values.value, relation=values.relation, count=values.count)
    table = replace(known, endpoints={sides[2].name: few, "other": other})
    made = train(table, sides[2], replace(QUICK, helpers=(Endpoint("other", Kind.NUMBER, "", ""),)))
    assert [network.tasks for network in made.networks] == [2]
    assert made.facts["learnt_together"] == ["other"]
    assert made.facts["compounds"] == half.sum()
    assert len(made.lineage.id) == len(known)
    with pytest.raises(UsageError, match="classes and numbers"):
        train(table, sides[2], replace(QUICK, helpers=(Endpoint("other", Kind.CLASS, "", ""),)))


def test_classes_get_probabilities(sides: Sides) -> None:
    _chemprop()
    copied = sides[0][range(len(sides[0]))]
    made = train(*as_classes(copied, sides[2]), QUICK)
    said = made.predict(sides[1].smiles[:6])
    assert said.probability is not None
    assert ((said.probability > 0) & (said.probability < 1)).all()


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    _chemprop()
    (tmp_path / "network-0.safetensors").write_bytes(b"nonsense")
    with pytest.raises(IntegrityError, match="not a network"):
        networks.read(tmp_path / "network-0.safetensors")


def test_chemprop_that_is_not_installed_is_said(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("chemprop", "chemprop.models"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UsageError, match="needs Chemprop") as caught:
        train(sides[0], sides[2], QUICK)
    assert "pharma-chemprop" in (caught.value.hint or "")
