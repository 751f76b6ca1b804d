"""Intervals hold what they promise, probabilities mean what they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from kifabrik.recipes.pharma.calibrating import Calibration, Shape, bands_of, reach_of
from kifabrik.recipes.pharma.endpoints import Kind
from kifabrik.recipes.pharma.measures import Measure, calibration_error, measure, with_intervals
from kifabrik.recipes.pharma.scaling import Scaling


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Residuals that are wider for compounds further away."""
    luck = np.random.default_rng(seed)
    similarity = luck.uniform(0.1, 1.0, count)
    return luck.normal(size=count) * (1.5 - similarity), similarity


@pytest.mark.parametrize("level", [0.8, 0.9])
def test_new_compounds_are_covered_as_promised_in_every_bin(level: float) -> None:
    residuals, similarity = drawn(6000, 1)
    bands = bands_of(residuals, similarity, np.arange(6000) % 5, level)
    fresh, near = drawn(20_000, 2)
    held = np.abs(fresh) <= reach_of(bands, near)
    assert held.mean() == pytest.approx(level, abs=0.015)
    for band in bands:
        inside = (near >= band.low) & (near < band.high)
        assert level - 0.02 < held[inside].mean() < level + 0.06
        assert level - 0.03 < band.covered < level + 0.05
    assert bands[0].reach > bands[-1].reach


def test_a_thin_bin_is_not_believed_to_be_easy() -> None:
    """Over many draws a bin of sixty nearly always keeps its promise; its own quantile would in seven of ten."""
    kept = []
    for seed in range(60):
        luck = np.random.default_rng(seed)
        similarity = np.concatenate([luck.uniform(0.0, 0.3, 900), luck.uniform(0.7, 1.0, 60)])
        residuals = luck.normal(size=960)
        near = bands_of(residuals, similarity, np.arange(960) % 5, 0.9)[-1]
        fresh = np.abs(luck.normal(size=4000))
        kept.append((fresh <= near.reach).mean() >= 0.88)
    assert np.mean(kept) > 0.9


def test_far_compounds_are_covered_nearly_always_not_half_of_the_time() -> None:
    """Over many draws the bin of far compounds keeps its promise; its own quantile would in about half of them."""
    kept = []
    for seed in range(100):
        luck = np.random.default_rng(seed)
        similarity = np.concatenate([luck.uniform(0.1, 0.3, 80), luck.uniform(0.4, 1.0, 800)])
        residuals = luck.normal(size=880) * np.where(similarity < 0.3, 2.0, 1.0)
        far = bands_of(residuals, similarity, np.arange(880) % 5, 0.9)[0]
        kept.append((np.abs(2 * luck.normal(size=4000)) <= far.reach).mean() >= 0.9)
    assert np.mean(kept) > 0.88


def test_a_bin_that_needs_more_gets_it() -> None:
    luck = np.random.default_rng(3)
    similarity = np.concatenate([luck.uniform(0.0, 0.3, 300), luck.uniform(0.7, 1.0, 900)])
    residuals = luck.normal(size=1200) * np.where(similarity < 0.5, 3.0, 1.0)
    far, *_, near = bands_of(residuals, similarity, np.arange(1200) % 5, 0.9)
    assert far.reach == pytest.approx(3 * 1.81, rel=0.15)
    assert near.reach < 1.3 * 1.645


def test_thin_bins_are_joined() -> None:
    residuals, similarity = drawn(60, 1)
    bands = bands_of(residuals, similarity, np.arange(60) % 5, 0.9)
    assert len(bands) == 1
    assert (bands[0].low, bands[0].high, bands[0].count) == (0.0, 1.0, 60)


@given(st.integers(50, 400), st.integers(0, 100))
@settings(max_examples=25)
def test_bins_hold_every_compound_once(count: int, seed: int) -> None:
    residuals, similarity = drawn(count, seed)
    bands = bands_of(residuals, similarity, np.arange(count) % 5, 0.9)
    assert sum(band.count for band in bands) == count
    assert bands[0].low == 0
    assert bands[-1].high == 1
    assert reach_of(bands, np.array([0.0, 1.0])).tolist() == [bands[0].reach, bands[-1].reach]


@pytest.mark.parametrize(("count", "shape"), [(400, Shape.PLATT), (4000, Shape.ISOTONIC)])
def test_overconfident_scores_become_honest_and_keep_their_order(count: int, shape: Shape) -> None:
    luck = np.random.default_rng(1)
    truth = luck.uniform(0.05, 0.95, count)
    classes = (luck.uniform(size=count) < truth).astype(float)
    odds = np.log(truth / (1 - truth))
    scores = 1 / (1 + np.exp(-3 * odds))
    made = Calibration.of(scores, classes)
    assert made.shape is shape
    said = made(scores)
    assert calibration_error(classes, said) < 0.6 * calibration_error(classes, scores)
    assert np.all(np.diff(said[np.argsort(scores)]) >= 0)
    assert 0 < said.min() <= said.max() < 1


def test_scores_that_say_nothing_give_the_rate() -> None:
    classes = np.array([0.0, 1.0] * 20 + [1.0] * 20)
    said = Calibration.of(np.full(60, 0.3), classes)(np.array([0.1, 0.9]))
    assert said == pytest.approx([2 / 3, 2 / 3], abs=0.01)


@given(st.integers(20, 60), st.integers(0, 1000))
@settings(max_examples=30)
def test_measures_of_classes_are_those_of_scikit_learn(count: int, seed: int) -> None:
    luck = np.random.default_rng(seed)
    true = (luck.uniform(size=count) < 0.5).astype(float)
    true[:2] = 0, 1
    found = np.round(luck.uniform(size=count), 1)
    ours = measure(Kind.CLASS, true, found)
    assert ours[Measure.ROC_AUC] == pytest.approx(metrics.roc_auc_score(true, found))
    assert ours[Measure.MCC] == pytest.approx(metrics.matthews_corrcoef(true, found >= 0.5))
    assert ours[Measure.BALANCED] == pytest.approx(metrics.balanced_accuracy_score(true, found >= 0.5))
    assert ours[Measure.BRIER] == pytest.approx(metrics.brier_score_loss(true, found))


def test_a_bootstrap_interval_holds_the_value_and_is_reproducible() -> None:
    luck = np.random.default_rng(1)
    true = luck.normal(size=100)
    found = true + luck.normal(size=100)
    one = with_intervals(Kind.NUMBER, true, found, seed=5, rounds=200)
    assert one == with_intervals(Kind.NUMBER, true, found, seed=5, rounds=200)
    assert all(each.low < each.value < each.high for each in one.values())


def test_a_constant_prediction_has_no_correlation_and_no_warning() -> None:
    found = measure(Kind.NUMBER, np.arange(10.0), np.ones(10))
    assert np.isnan(found[Measure.PEARSON])
    assert found[Measure.MAE] == pytest.approx(3.7)


def test_values_over_decades_are_scaled_as_logarithms_and_come_back() -> None:
    values = np.array([1.0, 10.0, 1000.0])
    scaling = Scaling.of(values)
    assert scaling.log
    assert scaling.back(scaling.forth(values)) == pytest.approx(values)
    assert not Scaling.of(np.array([-1.0, 10.0, 1000.0])).log
    assert not Scaling.of(np.array([1.0, 2.0, 50.0])).log


def test_residuals_only_known_to_be_exceeded_widen_intervals_to_what_the_truth_needs() -> None:
    """Two fifths of the residuals are only known to exceed something: leaving these out covers too little."""
    luck = np.random.default_rng(4)
    size = np.abs(luck.normal(size=6000))
    limit = np.abs(luck.normal(size=6000)) * 1.5
    is_bound = limit < size
    assert 0.3 < is_bound.mean() < 0.5
    seen, near, fold = np.minimum(size, limit), np.full(6000, 0.5), np.arange(6000) % 5
    fresh = np.abs(luck.normal(size=20_000))
    (band,) = bands_of(seen, near, fold, 0.9, is_bound)
    assert (fresh <= band.reach).mean() == pytest.approx(0.9, abs=0.02)
    assert band.count == (~is_bound).sum()
    (naive,) = bands_of(seen[~is_bound], near[~is_bound], fold[~is_bound], 0.9)
    assert (fresh <= naive.reach).mean() < 0.85


def test_predictions_beyond_their_bounds_say_nothing_of_intervals() -> None:
    residuals, similarity = drawn(400, 5)
    fold = np.arange(400) % 5
    plain = bands_of(residuals, similarity, fold, 0.9)
    more = np.concatenate([residuals, np.zeros(100)]), np.concatenate([similarity, np.full(100, 0.5)])
    is_bound = np.arange(500) >= 400
    assert bands_of(*more, np.arange(500) % 5, 0.9, is_bound) == plain
