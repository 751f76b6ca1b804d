"""Models of kifabrik on public data beside the published MapLight rows, and intervals against their promise.

python bench/pharma_tdc.py DATA [--seeds 5] [--tasks hERG,BBB_Martins] [--as-published] [--keep FOLDER]
    [--json PATH]

DATA holds `tdc_admet` (official train and test data of six tasks of the TDC ADMET group) and `biogen_adme` (Fang et
al. 2023, the paper's train and test data). With --keep, finished seeds and features are kept and not made again.
Structures are standardised first, as `kifabrik pharma prepare` does (no salts, no charges where possible); with
--as-published features come from the structures as the files have them, as for the published rows.
Test compounds that are also in the training data as published, as another salt or stereoisomer, are counted, and
the figure without them is printed beside the official one.
"""

import argparse
import json
import os
import time
from pathlib import Path

import numpy as np
from report import Bar, Picture, hand_on, parser
from sklearn.metrics import average_precision_score, roc_auc_score

from kifabrik.recipes.pharma.boosting import Recipe, grow, scores
from kifabrik.recipes.pharma.endpoints import Kind
from kifabrik.recipes.pharma.features import maplight
from kifabrik.recipes.pharma.molecules import Compound
from kifabrik.recipes.pharma.molecules import standardise as standard
from kifabrik.recipes.pharma.reading import rows_of
from kifabrik.recipes.pharma.splitting import leaks

PUBLISHED = {
    "hERG": (roc_auc_score, "ROC AUC", "0.871 ± 0.004", "0.880 ± 0.002 MapLight + GNN"),
    "Bioavailability_Ma": (roc_auc_score, "ROC AUC", None, "0.750 ± 0.022 KPGT"),
    "CYP2D6_Substrate_CarbonMangels": (
        average_precision_score,
        "PR AUC",
        "0.713 ± 0.006",
        "0.737 ± 0.016 KPGT",
    ),
    "BBB_Martins": (roc_auc_score, "ROC AUC", "0.916 ± 0.001", "0.923 ± 0.002 MiniMol"),
    "AMES": (roc_auc_score, "ROC AUC", "0.868 ± 0.002", "0.883 ± 0.005 MolE"),
    "CYP2C9_Veith": (average_precision_score, "PR AUC", "0.783 ± 0.002", "0.859 ± 0.001 MapLight + GNN"),
}
"""Measure, MapLight's row and the best row known: mean and standard deviation of five seeds.

MapLight: Notwell and Wood, arXiv:2310.00174, and the leaderboard of TDC; that of bioavailability repeats rows of
another task, so no row of MapLight is known for it. KPGT: Nature Commun. 14 (2023) 7568, supplementary table 8.
MiniMol, and as it cites them MolE and the leaderboard of June 2024: arXiv:2404.14986. All three were pretrained."""


def main() -> None:
    """Measure and print."""
    wishes = arguments()
    kept = wishes.keep / "seeds.json" if wishes.keep else None
    done = json.loads(kept.read_text()) if kept and kept.exists() else {}
    tasks = wishes.tasks.split(",") if wishes.tasks else list(PUBLISHED)
    recipes = [Recipe(name) for name in wishes.recipes.split(",")]
    for seed in range(1, wishes.seeds + 1):
        for task in tasks:
            data = None
            for recipe in recipes:
                key = f"{task} {recipe.value} {seed}"
                if key in done:
                    continue
                data = data or read(wishes.data, task, wishes.keep, as_published=wishes.as_published)
                done[key] = judge(*data, task, recipe, seed)
                if kept:
                    kept.write_text(json.dumps(done))
                print(f"{key:45} {done[key]['official']:.4f}   {done[key]['seconds']:6.1f} CPU s", flush=True)
    hand_on(wishes.json, picture(show(done, tasks, recipes, wishes.seeds)))


def arguments() -> argparse.Namespace:
    """What is wished."""
    made = parser(__doc__)
    made.add_argument("data", type=Path)
    made.add_argument("--seeds", type=int, default=5)
    made.add_argument("--tasks", default="")
    made.add_argument("--recipes", default="fast,maplight")
    made.add_argument("--as-published", action="store_true", help="features of structures as they stand there")
    made.add_argument("--keep", type=Path)
    wishes = made.parse_args()
    if wishes.keep:
        wishes.keep.mkdir(exist_ok=True)
    return wishes


def read(data: Path, task: str, keep: Path | None, *, as_published: bool):
    """Features, values and InChIKeys of both sides; of every row, standardised where it can be."""
    sides = []
    for part in ("train", "test"):
        rows = list(rows_of(data / "tdc_admet" / f"{task}_{part}.csv"))
        found = list(standard([row.structure for row in rows]))
        smiles = [
            row.structure if as_published or not isinstance(one, Compound) else one.smiles
            for one, row in zip(found, rows, strict=True)
        ]
        keys = [one.inchikey if isinstance(one, Compound) else f"row {at}" for at, one in enumerate(found)]
        values = np.array([float(row.cells["Y"]) for row in rows])
        sides.append((maplight(smiles, cache=keep and keep / "features").values, values, keys))
    return sides


def judge(train, test, task: str, recipe: Recipe, seed: int):
    """Official figure, the one without twins, and CPU seconds of one seed."""
    measure = PUBLISHED[task][0]
    begun = time.process_time()
    model = grow(recipe, Kind.CLASS, train[0], train[1], seed)
    spent = time.process_time() - begun
    found = scores([model], Kind.CLASS, test[0])
    twins = {leak.test for leak in leaks(train[2], test[2])}
    apart = np.array([at for at in range(len(found)) if at not in twins])
    return {
        "official": float(measure(test[1], found)),
        "apart": float(measure(test[1][apart], found[apart])),
        "twins": len(twins),
        "seconds": spent,
        "scores": found.tolist(),
        "true": test[1].tolist(),
    }


def _mean_of(measure, runs):
    """What the mean of two models' probabilities reaches; without twins it is not known, they are only counted."""
    said = np.mean([run["scores"] for run in runs], axis=0)
    true = runs[0]["true"]
    return {
        "official": float(measure(true, said)),
        "apart": float("nan"),
        "twins": runs[0]["twins"],
        "scores": said.tolist(),
        "true": true,
    }


def show(done, tasks, recipes, seeds: int) -> dict[str, dict[str, float]]:
    """Mean, standard deviation and the mean of members, beside the published row; the means by task and recipe."""
    means = {}
    figures = f"{'ours':17}{'all seeds':>9}{'no twins':>10}  {'MapLight':15}best known"
    print(f"\n{'task':32}{'measure':9}{'recipe':10}{'seeds':>5}  {figures}")
    for task in tasks:
        measure, name, published, best = PUBLISHED[task]
        found = {
            recipe.value: [
                done[key] for seed in range(1, seeds + 1) if (key := f"{task} {recipe.value} {seed}") in done
            ]
            for recipe in recipes
        }
        if len(recipes) > 1:
            found["both"] = [_mean_of(measure, pair) for pair in zip(*found.values(), strict=False)]
        for recipe, runs in found.items():
            if not runs:
                continue
            values = np.array([run["official"] for run in runs])
            means.setdefault(task, {})[recipe] = float(values.mean())
            together = measure(runs[0]["true"], np.mean([run["scores"] for run in runs], axis=0))
            ours = f"{values.mean():.3f} ± {values.std():.3f}" if len(runs) > 1 else f"{values.mean():.3f}"
            apart = np.mean([run["apart"] for run in runs])
            twins = "" if np.isnan(apart) else f"{apart:.3f} ({runs[0]['twins']})"
            print(
                f"{task:32}{name:9}{recipe:10}{len(runs):5}  {ours:17}{together:9.3f}"
                f"{twins:>11}  {published or 'not known':15}{best}"
            )
    return means


def picture(means: dict[str, dict[str, float]]) -> Picture:
    """Our last column of recipes beside the published means."""
    bars = []
    for task, ours in means.items():
        _, _, published, best = PUBLISHED[task]
        recipe = list(ours)[-1]
        bars.append(Bar(f"{task.partition('_')[0]}, kifabrik ({recipe})", ours[recipe], "ours"))
        bars += [Bar("MapLight", float(published.split()[0]))] if published else []
        bars.append(Bar(f"best known: {best.split(maxsplit=3)[-1]}", float(best.split()[0])))
    return Picture(
        "Six tasks of the TDC ADMET group",
        "area under the curve of each task",
        tuple(bars),
        note="ROC AUC; PR AUC of CYP2D6 and CYP2C9. Means of five seeds. `both`: mean of the two recipes'"
        " probabilities. MapLight's row of bioavailability is not known.",
    )


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
