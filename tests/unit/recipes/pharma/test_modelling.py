"""Models: what they say, what they keep, and what they refuse."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from measured_tables import as_classes, compounds_of, prepared, series

from kifabrik.errors import IntegrityError, UsageError
from kifabrik.recipes.pharma.boosting import Recipe, write
from kifabrik.recipes.pharma.card import principles
from kifabrik.recipes.pharma.compounds import Compounds
from kifabrik.recipes.pharma.endpoints import Endpoint, Kind
from kifabrik.recipes.pharma.evaluating import FAR, evaluate, is_short
from kifabrik.recipes.pharma.measures import Measure
from kifabrik.recipes.pharma.measuring import Wishes
from kifabrik.recipes.pharma.model import Model, load, save
from kifabrik.recipes.pharma.predicting import predict_file
from kifabrik.recipes.pharma.preparing import Prepared
from kifabrik.recipes.pharma.report.page import page
from kifabrik.recipes.pharma.splitting import Method, split
from kifabrik.recipes.pharma.texts import LANGUAGES, Language
from kifabrik.recipes.pharma.tracing import trace
from kifabrik.recipes.pharma.training import Training, train
from kifabrik.recipes.pharma.words import Words

QUICK = Training(recipe=Recipe.FAST, trees=60, folds=2)


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> tuple[Compounds, Compounds, Endpoint]:
    compounds, endpoint = compounds_of(series(96), tmp_path_factory.mktemp("sides"))
    made = split(compounds, Method.RANDOM, share=0.25)
    return compounds[made.train], compounds[made.test], endpoint


@pytest.fixture(scope="module")
def numbers(sides: tuple[Compounds, Compounds, Endpoint]) -> Model:
    return train(sides[0], sides[2], replace(QUICK, shows_neighbours=True))


@pytest.fixture(scope="module")
def classes(sides: tuple[Compounds, Compounds, Endpoint]) -> Model:
    known = sides[0][range(len(sides[0]))]
    return train(*as_classes(known, sides[2]), QUICK)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_report_shows_no_structure_and_loads_nothing(
    numbers: Model, sides: tuple[Compounds, Compounds, Endpoint], language: Language, tmp_path: Path
) -> None:
    save(numbers, tmp_path)
    found = evaluate(numbers, sides[0], sides[1])
    kept = {**found.plain(), "split": "random", "learning": [], "points": points(found)}
    text = page(numbers, kept, tmp_path, Words(language))
    assert f'<html lang="{language}">' in text
    assert "<svg" in text
    assert sides[1].smiles[0] not in text
    assert "src=" not in text
    assert "<script" not in text
    assert Words(language).figure(found.measures[Measure.MAE].value) in text


def test_the_report_says_where_intervals_fail(
    numbers: Model, sides: tuple[Compounds, Compounds, Endpoint], tmp_path: Path
) -> None:
    save(numbers, tmp_path)
    found = evaluate(numbers, sides[0], sides[1])
    kept = {**found.plain(), "split": "random", "learning": [], "points": points(found)}
    count = len(found.true)
    drawn = kept["points"]
    drawn["similarity"] = [0.3 if at < 20 else 0.8 for at in range(count)]
    drawn["low"] = [1e3 if at < 10 else -1e4 for at in range(count)]
    drawn["high"] = [1e4] * count
    text = page(numbers, kept, tmp_path, Words("en"))
    assert "Below a similarity of 0.4 to the training compounds they hold only 50" in text
    assert f"20 of {count} test compounds" in text
    assert "do not rely on them there" in text


def test_a_model_beats_the_mean_and_says_so(numbers: Model, sides: tuple[Compounds, Compounds, Endpoint]) -> None:
    found = evaluate(numbers, sides[0], sides[1])
    mean = next(iter(found.baselines.values()))
    assert found.measures[Measure.MAE].value < 0.5 * mean[Measure.MAE]
    assert found.covered is not None
    assert sum(one.count for one in found.bins) == found.count == len(sides[1])
    assert found.count_far == (found.predictions.similarity < FAR).sum()


def test_a_shortfall_is_said_only_beyond_luck() -> None:
    assert not is_short(0.84, 25, 0.9)
    assert not is_short(0.0, 1, 0.9)
    assert is_short(0.0, 3, 0.9)
    assert is_short(0.84, 250, 0.9)
    assert not is_short(0.89, 100_000, 0.9)
    assert is_short(0.85, 300, 0.9)


def points(found: object) -> dict[str, list[float]]:
    names = ("true", "predicted", "low", "high")
    said = found.predictions
    made = {name: getattr(found, name).tolist() for name in names}
    return made | {"similarity": said.similarity.tolist(), "in_domain": said.in_domain.tolist()}


def test_every_principle_of_the_oecd_is_answered(numbers: Model) -> None:
    titles = [principle.title[:2] for principle in principles(numbers, None, Words("de")) if principle.answers]
    assert titles[:5] == ["1.", "2.", "3.", "4.", "5."]


def test_the_card_says_which_bounds_were_left_out_and_what_may_be_one(tmp_path: Path) -> None:
    rows = [(smiles, max(value, 6.0)) for smiles, value in series(96)]
    compounds, endpoint = compounds_of(rows, tmp_path)
    facts = {"data": {"bounds": {endpoint.name: 7}}}
    model = train(compounds, endpoint, QUICK, facts=facts)
    said = dict(principles(model, None, Words("en"))[0].answers)
    assert "7 measurements were left out in prepare" in said["Bounds (< and >)"]
    at_floor = sum(value == 6.0 for _, value in rows)
    assert f"6, which {at_floor} training compounds have" in said["At the low end"]


def test_a_saved_model_says_the_same_to_the_bit(numbers: Model, classes: Model, tmp_path: Path) -> None:
    asked = ["CCOCc1ccccc1", "CCCCOCCc1ccncc1", "nonsense", "CC(=O)O.[Na]"]
    for number, model in enumerate((numbers, classes)):
        save(model, tmp_path / str(number))
        again = load(tmp_path / str(number))
        one, other = model.predict(asked), again.predict(asked)
        for name in ("value", "low", "high", "similarity", "leverage", "in_domain", "nearest"):
            assert np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True), name
        assert one.reason == other.reason


def test_the_same_seed_gives_the_same_model_to_the_bit(
    numbers: Model, sides: tuple[Compounds, Compounds, Endpoint]
) -> None:
    again = train(sides[0], sides[2], replace(QUICK, workers=3, shows_neighbours=True))
    asked = list(sides[1].smiles)
    assert np.array_equal(numbers.predict(asked).value, again.predict(asked).value)
    assert again.bands == numbers.bands


def test_nothing_of_a_model_is_pickled_and_structures_stay_out_unless_allowed(
    classes: Model, numbers: Model, tmp_path: Path
) -> None:
    save(classes, tmp_path / "closed")
    save(numbers, tmp_path / "open")
    names = {path.name for path in (tmp_path / "closed").iterdir()}
    assert names == {"model.json", "member-0.cbm", "fingerprints.npy", "lineage.csv"}
    assert all(b"csklearn" not in path.read_bytes() for path in (tmp_path / "closed").iterdir())
    smiles = numbers.lineage.smiles[0]
    text = "".join((tmp_path / "closed" / name).read_text() for name in ("model.json", "lineage.csv"))
    assert smiles not in text
    assert smiles in (tmp_path / "open" / "lineage.csv").read_text()


@pytest.mark.parametrize("name", ["member-0.cbm", "fingerprints.npy", "lineage.csv"])
def test_a_part_that_somebody_changed_is_refused(classes: Model, tmp_path: Path, name: str) -> None:
    save(classes, tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes() + b" ")
    with pytest.raises(IntegrityError, match=name):
        load(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(IntegrityError, match="not whole"):
        load(tmp_path)


def test_a_model_that_names_files_elsewhere_is_refused(classes: Model, tmp_path: Path) -> None:
    save(classes, tmp_path)
    document = json.loads((tmp_path / "model.json").read_text())
    document["parts"]["../member-0.cbm"] = document["parts"].pop("member-0.cbm")
    (tmp_path / "model.json").write_text(json.dumps(document))
    with pytest.raises(IntegrityError, match="not whole"):
        load(tmp_path)


def test_no_prediction_is_nan_and_what_cannot_be_predicted_says_why(numbers: Model, classes: Model) -> None:
    asked = ["CCOCc1ccccc1", "C", "O=[N+]([O-])c1ccccc1" * 1, "FC(F)(F)C(F)(F)F", "[CH2-][N+](C)(C)C", "C#C"]
    bad = ["", "C1CC", "[Na+].[Cl-]", "N[Pt]N", "C" * 1000, "*C"]
    for model in (numbers, classes):
        said = model.predict([*asked, *bad])
        assert np.isfinite(said.value[: len(asked)]).all()
        assert all(not one for one in said.reason[: len(asked)])
        assert np.isnan(said.value[len(asked) :]).all()
        assert all(said.reason[len(asked) :])
        assert not said.in_domain[len(asked) :].any()
    assert classes.predict(asked).probability is not None
    assert ((classes.predict(asked).value > 0) & (classes.predict(asked).value < 1)).all()
    ends = numbers.predict(asked)
    assert ((ends.low <= ends.value) & (ends.value <= ends.high)).all()


def test_a_compound_unlike_all_others_is_outside_the_domain(numbers: Model) -> None:
    known = numbers.predict([numbers.lineage.smiles[0]])
    strange = numbers.predict(["FC(F)(F)c1cc(S(=O)(=O)N2CCN(C(=O)C(Cl)(Cl)Cl)CC2)nnc1P(=O)(O)O"])
    assert known.similarity[0] == 1
    assert known.in_domain[0]
    assert not strange.in_domain[0]


def test_test_compounds_that_trained_the_model_are_refused(
    numbers: Model, sides: tuple[Compounds, Compounds, Endpoint]
) -> None:
    with pytest.raises(UsageError, match="leak"):
        evaluate(numbers, sides[0], sides[0])
    with pytest.raises(UsageError, match="trained this model"):
        evaluate(numbers, sides[1], sides[0])


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (series(10), "at least 30 are needed"),
        ([(smiles, 1.5) for smiles, _ in series(40)], "nothing to learn"),
        ([(smiles, float(at < 2)) for at, (smiles, _) in enumerate(series(40))], "smaller class"),
    ],
    ids=["ten rows", "constant", "two of a class"],
)
def test_what_cannot_be_learnt_is_refused_with_a_sentence(
    tmp_path: Path, rows: list[tuple[str, float]], says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        train(*compounds_of(rows, tmp_path), QUICK)


def test_a_logarithm_of_zero_is_refused(tmp_path: Path) -> None:
    compounds, endpoint = compounds_of(series(40), tmp_path)
    assert endpoint.kind is Kind.NUMBER
    with pytest.raises(UsageError, match="no logarithm"):
        train(compounds, endpoint, replace(QUICK, log=True))


def test_an_erased_compound_names_its_models(numbers: Model, classes: Model, tmp_path: Path) -> None:
    save(numbers, tmp_path / "a")
    save(classes, tmp_path / "b")
    folders = [tmp_path / "a", tmp_path / "b"]
    smiles, key = numbers.lineage.smiles[3], numbers.lineage.inchikey[3]
    for asked in (f"{smiles}.Cl", key, numbers.lineage.id[3]):
        found = trace(asked, folders).traces
        assert [one.model for one in found] == folders
        assert all(one.same and one.inchikey == key for one in found)
    other = trace("CCCCCCCCCCCCCl", folders)
    assert (other.traces, other.is_read) == ((), True)
    assert not trace("C1CC", folders).is_read
    (tmp_path / "a/member-0.cbm").write_bytes(b"")
    assert len(trace(smiles, folders).traces) == 2
    (tmp_path / "a/lineage.csv").write_text("id,inchikey\n")
    with pytest.raises(IntegrityError, match=r"lineage\.csv"):
        trace(smiles, folders)


def test_a_file_of_predictions_has_a_row_for_each_row_in_its_order(numbers: Model, tmp_path: Path) -> None:
    asked = tmp_path / "asked.smi"
    asked.write_text("CCOCc1ccccc1 one\nC1CC two\nCCCOCc1ccncc1 three\n")
    counts = predict_file(numbers, asked, tmp_path / "said.csv")
    lines = (tmp_path / "said.csv").read_text().splitlines()
    header = lines[0].split(",")
    assert header[:5] == ["id", "smiles", "y", "y.low", "y.high"]
    assert "nearest_smiles" in header
    assert [line.split(",")[0] for line in lines[1:]] == ["one", "two", "three"]
    assert "cannot be read" in lines[2]
    assert (counts.rows, counts.predicted) == (3, 2)


def test_predictions_disclose_no_training_compound_unless_allowed(classes: Model, tmp_path: Path) -> None:
    asked = tmp_path / "asked.csv"
    asked.write_text(f"smiles\n{classes.lineage.smiles[0]}\n")
    predict_file(classes, asked, tmp_path / "said.csv")
    assert "nearest_" not in (tmp_path / "said.csv").read_text()


def test_a_file_that_cannot_be_predicted_leaves_nothing_behind(classes: Model, tmp_path: Path) -> None:
    asked = tmp_path / "asked.csv"
    asked.write_text("smiles\n")
    with pytest.raises(UsageError, match="no rows"):
        predict_file(classes, asked, tmp_path / "said.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["asked.csv"]


def test_the_better_recipe_is_chosen_without_test_data(tmp_path: Path) -> None:
    compounds, endpoint = compounds_of(series(40), tmp_path)
    model = train(compounds, endpoint, Training(trees=20, folds=2))
    compared = model.facts["compared"]
    assert set(compared) == {"maplight", "fast"}
    assert model.recipe.value == min(compared, key=compared.get)


@pytest.fixture(scope="module")
def helped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Compounds, Model]:
    """A model of an endpoint few compounds have, helped by one that all have and that says almost the same."""
    lines = [
        f"c{at},{smiles},{value if at % 2 else ''},{value + at % 3}"
        for at, (smiles, value) in enumerate(series(96))
    ]
    made = prepare_text(tmp_path_factory.mktemp("helped"), "id,smiles,y,z\n" + "\n".join(lines) + "\n")
    few, many = made.endpoints
    return made.compounds, train(made.compounds, few, replace(QUICK, helpers=(many,)))


def prepare_text(folder: Path, text: str) -> Prepared:
    return prepared(folder, text, Wishes(endpoints=("y", "z")))


def test_a_helper_predicts_and_is_kept(helped: tuple[Compounds, Model], tmp_path: Path) -> None:
    _, model = helped
    save(model, tmp_path)
    assert (tmp_path / "helper-0.cbm").exists()
    asked = ["CCCOCc1ccccc1", "CCOCCc1ccncc1"]
    again = load(tmp_path)
    assert [one.endpoint.name for one in again.helpers] == ["z"]
    assert np.array_equal(model.predict(asked).value, again.predict(asked).value)


def test_compounds_that_trained_only_a_helper_are_in_the_lineage(helped: tuple[Compounds, Model]) -> None:
    compounds, model = helped
    assert set(model.lineage.inchikey) == set(compounds.inchikey)
    assert len(model.fingerprints) == len(compounds.measured("y"))
    assert model.predict(compounds.measured("y").smiles).nearest.max() < len(model.fingerprints)


def test_an_endpoint_does_not_help_itself(helped: tuple[Compounds, Model]) -> None:
    compounds, model = helped
    with pytest.raises(UsageError, match="not another endpoint"):
        train(compounds, model.endpoint, replace(QUICK, helpers=(model.endpoint,)))


def test_the_same_training_leaves_the_same_files_to_the_byte(tmp_path: Path) -> None:
    compounds, endpoint = compounds_of(series(40), tmp_path)
    for name in ("one", "two"):
        save(train(compounds, endpoint, replace(QUICK, trees=10)), tmp_path / name)
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name


def test_trees_on_a_full_disk_are_a_fault_of_the_disk(classes: Model) -> None:
    with pytest.raises(OSError, match="No space left") as refused:
        write(classes.members[0], Path("/dev/full"))
    assert refused.value.filename == "/dev/full"
