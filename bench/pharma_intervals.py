"""Intervals of kifabrik on the Biogen ADME data: what they promise and what they hold, by similarity.

python bench/pharma_intervals.py DATA [--recipe fast] [--endpoints HLM,Sol,hPPB] [--workers 1] [--fit-only]
    [--json PATH]

DATA holds `biogen_adme` (Fang et al. 2023, the paper's train and test data). Test compounds that are, as another
salt or stereoisomer, in the training data as published are left out and counted.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from kifabrik.recipes.pharma.boosting import Recipe, grow, scores
from kifabrik.recipes.pharma.endpoints import Kind
from kifabrik.recipes.pharma.evaluating import evaluate
from kifabrik.recipes.pharma.features import maplight
from kifabrik.recipes.pharma.measures import Measure
from kifabrik.recipes.pharma.preparing import prepare
from kifabrik.recipes.pharma.scaling import Scaling
from kifabrik.recipes.pharma.splitting import leaks
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
    wishes = parser.parse_args()
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
