"""Intervals of kifabrik on the Biogen ADME data: what they promise and what they hold, by similarity.

python bench/pharma_intervals.py DATA [--recipe fast] [--endpoints HLM,Sol,hPPB] [--workers 1] [--fit-only]
    [--json PATH]
python bench/pharma_intervals.py DATA --splits paper,random,cluster [--seeds 2] [--trees 300] [--keep FOLDER]

DATA holds `biogen_adme` (Fang et al. 2023, the paper's train and test data). Test compounds that are, as another
salt or stereoisomer, in the training data as published are left out and counted. With --splits, both parts are
also put together and split anew, and coverage is pooled over endpoints and seeds: one test set has some fifty
compounds far from its training data, too few to tell bad luck from a bad interval. With --keep, finished splits are
not made again.
"""

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

from kifabrik.recipes.pharma.boosting import Recipe, grow, scores
from kifabrik.recipes.pharma.calibrating import bands_of, reach_of
from kifabrik.recipes.pharma.endpoints import Kind
from kifabrik.recipes.pharma.evaluating import evaluate
from kifabrik.recipes.pharma.features import maplight
from kifabrik.recipes.pharma.fingerprints import morgan
from kifabrik.recipes.pharma.measures import Measure
from kifabrik.recipes.pharma.neighbours import nearest
from kifabrik.recipes.pharma.preparing import prepare
from kifabrik.recipes.pharma.scaling import Scaling
from kifabrik.recipes.pharma.splitting import Method, folds, leaks, split
from kifabrik.recipes.pharma.training import Training, train

AIM = {"HLM": 0.706, "Sol": 0.634}
"""Pearson r to be reached on the paper's test data."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--recipe", default="fast")
    parser.add_argument("--endpoints", default="HLM,Sol")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--fit-only", action="store_true", help="Only Pearson r of one fit, without intervals.")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--splits", default="", help="paper, random, cluster, scaffold: pool coverage over them")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--trees", type=int, default=300)
    parser.add_argument("--keep", type=Path)
    wishes = parser.parse_args()
    if wishes.splits:
        pooled(wishes)
        return
    kept = {}
    for name in wishes.endpoints.split(","):
        kept[name] = judge(wishes, name)
    if wishes.json:
        wishes.json.write_text(json.dumps(kept))


def judge(wishes: argparse.Namespace, name: str):
    """Train on the published training data, judge on the published test data."""
    folder = wishes.data / "biogen_adme"
    begun, spent = time.perf_counter(), time.process_time()
    known = prepare([folder / f"ADME_{name}_train.csv"])
    test = prepare([folder / f"ADME_{name}_test.csv"]).compounds
    twins = {leak.test for leak in leaks(known.compounds.inchikey, test.inchikey)}
    test = test[np.array([at for at in range(len(test)) if at not in twins])]
    if wishes.fit_only:
        return fit(known.compounds, test, known.endpoints[0].name, Recipe(wishes.recipe), name)
    recipe = None if wishes.recipe == "auto" else Recipe(wishes.recipe)
    model = train(known.compounds, known.endpoints[0], Training(recipe=recipe, workers=wishes.workers))
    found = evaluate(model, known.compounds, test, workers=wishes.workers)
    r = found.measures[Measure.PEARSON]
    print(f"{name}: {len(known.compounds)} to train, {found.count} to test ({len(twins)} twins left out)")
    print(f"  Pearson r {r.value:.3f} ({r.low:.3f} to {r.high:.3f}){aim_of(name)}")
    for which, measures in found.baselines.items():
        print(f"  {which.value:24} {np.nan_to_num(measures[Measure.PEARSON]):.3f}")
    print(f"  intervals promise {model.level:.0%}, hold {found.covered:.1%}")
    for one in found.bins:
        print(f"    similarity {one.low:.1f} to {one.high:.1f}: {one.covered:.0%} of {one.count}")
    print(f"  {time.process_time() - spent:.0f} CPU s, {time.perf_counter() - begun:.0f} s", flush=True)
    return found.plain()


EDGES = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 1.0)


def pooled(wishes: argparse.Namespace) -> None:
    """Coverage of 90 % intervals by similarity, pooled over endpoints and seeds, for each way to split."""
    bins = "".join(f"{f'{low} to {high}':>13}" for low, high in pairwise(EDGES))
    print(f"{'split':8}{'sets':>5}{'all':>16}{bins}")
    for outer in wishes.splits.split(","):
        held, near = [], []
        sets = [(name, seed) for name in wishes.endpoints.split(",") for seed in seeds_of(outer, wishes)]
        for name, seed in sets:
            kept = wishes.keep / f"cov-{name}-{outer}-{seed}.npz" if wishes.keep else None
            if kept and kept.exists():
                found = dict(np.load(kept))
            else:
                found = one_split(wishes, name, outer, seed)
                if kept:
                    np.savez(kept, **found)
            bands = bands_of(found["y"] - found["scaffold_p"], found["scaffold_1"], found["scaffold_f"], 0.9)
            held.append(np.abs(found["yy"] - found["qp"]) <= reach_of(bands, found["q1"]))
            near.append(found["q1"])
        is_held, similarity = np.concatenate(held), np.concatenate(near)
        cells = [f"{is_held.mean():.1%} of {len(is_held):,}"]
        for low, high in pairwise(EDGES):
            inside = (similarity >= low) & ((similarity < high) | (high == 1))
            cells.append(f"{is_held[inside].mean():.0%} of {inside.sum():,}" if inside.any() else "-")
        print(f"{outer:8}{len(sets):5}{cells[0]:>16}" + "".join(f"{cell:>13}" for cell in cells[1:]), flush=True)


def seeds_of(outer: str, wishes: argparse.Namespace) -> list[int]:
    """Seeds of a split; the paper's is one."""
    return [1] if outer == "paper" else list(range(1, wishes.seeds + 1))


def one_split(wishes: argparse.Namespace, name: str, outer: str, seed: int) -> dict[str, np.ndarray]:
    """Values, predictions and similarities of left-out training data (`y`, `scaffold_…`) and of test data."""
    files = [wishes.data / "biogen_adme" / f"ADME_{name}_{part}.csv" for part in ("train", "test")]
    if outer == "paper":
        known, test = (prepare([file]).compounds for file in files)
        twins = {leak.test for leak in leaks(known.inchikey, test.inchikey)}
        test = test[np.array([at for at in range(len(test)) if at not in twins])]
    else:
        both = prepare(files).compounds
        sides = split(both, Method(outer), share=0.2, seed=seed)
        known, test = both[sides.train], both[sides.test]
    endpoint = next(iter(known.endpoints))
    scaling = Scaling.of(known.endpoints[endpoint].value)
    target = scaling.forth(known.endpoints[endpoint].value)
    cache = wishes.keep and wishes.keep / "cache"
    features, asked = (maplight(one.smiles, cache=cache).values for one in (known, test))
    packed, fold = morgan(known.smiles), folds(known, 5, 1)

    def said(places: np.ndarray, of: np.ndarray) -> np.ndarray:
        trees = grow(Recipe(wishes.recipe), Kind.NUMBER, features[places], target[places], 1, wishes.trees)
        return scores([trees], Kind.NUMBER, of)

    left, near = np.zeros(len(target)), np.zeros(len(target))
    for number in range(5):
        seen, out = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        left[out] = said(seen, features[out])
        near[out] = nearest(packed[out], packed[seen])[0]
    return {
        "y": target,
        "scaffold_p": left,
        "scaffold_1": near,
        "scaffold_f": fold,
        "yy": scaling.forth(test.endpoints[endpoint].value),
        "qp": said(np.arange(len(target)), asked),
        "q1": nearest(morgan(test.smiles), packed)[0],
    }


def aim_of(name: str) -> str:
    """What is to be reached, where something is."""
    return f"; aim {AIM[name]:.3f}" if name in AIM else ""


def fit(known, test, endpoint: str, recipe: Recipe, name: str):
    """Grow one set of trees on all training data."""
    scaling = Scaling.of(known.endpoints[endpoint].value)
    target = scaling.forth(known.endpoints[endpoint].value)
    trees = grow(recipe, Kind.NUMBER, maplight(known.smiles).values, target, 1)
    found = scores([trees], Kind.NUMBER, maplight(test.smiles).values)
    r = float(np.corrcoef(found, scaling.forth(test.endpoints[endpoint].value))[0, 1])
    print(f"{name}: {len(known)} to train, {len(test)} to test; Pearson r {r:.3f}{aim_of(name)}", flush=True)
    return r


if __name__ == "__main__":
    main()
