"""What salts and charges tell: models of parents beside models of structures that keep them, on TDC ADMET tasks.

python bench/pharma_salts.py DATA [--tasks CYP2C9_Veith,BBB_Martins] [--ways parents,salts,charges,both] [--seeds 3]
    [--inner 2] [--keep FOLDER]

DATA holds `tdc_admet`. Fast recipe. `inner` is the measure on left-out scaffolds of the training data (--inner of
five folds, compounds merged by the InChIKey of their parents), where whoever trains sees whether it is worth it;
`test` the official figure, mean and standard deviation over seeds. With --keep, features are kept.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score

from kifabrik.recipes.pharma.boosting import Recipe, grow, scores
from kifabrik.recipes.pharma.compounds import Compounds
from kifabrik.recipes.pharma.endpoints import Kind
from kifabrik.recipes.pharma.features import maplight
from kifabrik.recipes.pharma.molecules import Compound, Standardiser, standardise
from kifabrik.recipes.pharma.preparing import prepare
from kifabrik.recipes.pharma.reading import rows_of
from kifabrik.recipes.pharma.splitting import folds

MEASURES = {"CYP2C9_Veith": ("PR AUC", average_precision_score)}
WAYS = {
    "parents": Standardiser(),
    "salts": Standardiser(salts=True),
    "charges": Standardiser(charges=True),
    "both": Standardiser(salts=True, charges=True),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--tasks", default="CYP2C9_Veith,BBB_Martins")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--inner", type=int, default=2)
    parser.add_argument("--keep", type=Path)
    wishes = parser.parse_args()
    print(f"{'task':14}{'measure':9}{'kept':9}{'changed':>8}  {'inner':16}{'test':16}")
    for task in wishes.tasks.split(","):
        name, measure = MEASURES.get(task, ("ROC AUC", roc_auc_score))
        for way in wishes.ways.split(","):
            begun = time.process_time()
            left = inner(wishes, task, WAYS[way], measure) if wishes.inner else []
            changed, found = outer(wishes, task, WAYS[way], measure) if wishes.seeds else (0, [])
            spent = f"{time.process_time() - begun:5.0f} CPU s"
            said = f"{task:14}{name:9}{way:9}{changed:8,}  {shown(left):16}{shown(found):16}"
            print(f"{said}{spent}", flush=True)


def shown(values: list[float]) -> str:
    """Mean and standard deviation."""
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}" if values else "-"


def inner(wishes: argparse.Namespace, task: str, rules: Standardiser, measure) -> list[float]:
    """The measure on left-out scaffolds of the training data; folds are those of the parents."""
    compounds = prepare([wishes.data / "tdc_admet" / f"{task}_train.csv"], standardiser=rules).compounds
    fold = folds(parents_of(compounds), 5, 1)
    (values,) = compounds.endpoints.values()
    features = maplight(compounds.smiles, cache=wishes.keep).values
    found = []
    for number in range(wishes.inner):
        seen, left = fold != number, fold == number
        trees = grow(Recipe.FAST, Kind.CLASS, features[seen], values.value[seen], 1)
        found.append(float(measure(values.value[left], scores([trees], Kind.CLASS, features[left]))))
    return found


def parents_of(compounds: Compounds) -> Compounds:
    """The same compounds without salts and charges, so that every way is judged on the same folds."""
    found = [Standardiser()(text) for text in compounds.smiles]
    return replace(compounds, smiles=tuple(one.smiles for one in found if isinstance(one, Compound)))


def outer(wishes: argparse.Namespace, task: str, rules: Standardiser, measure) -> tuple[int, list[float]]:
    """How many training structures are others than their parents, and the official figure of each seed."""
    sides, changed = [], 0
    for part in ("train", "test"):
        rows = list(rows_of(wishes.data / "tdc_admet" / f"{task}_{part}.csv"))
        given = [row.structure for row in rows]
        made, parents = list(standardise(given, rules)), list(standardise(given))
        smiles = [one.smiles if isinstance(one, Compound) else text for one, text in zip(made, given, strict=True)]
        if part == "train":
            changed = sum(one != parent for one, parent in zip(made, parents, strict=True))
        values = np.array([float(row.cells["Y"]) for row in rows])
        sides.append((maplight(smiles, cache=wishes.keep).values, values))
    (features, values), (asked, true) = sides
    found = []
    for seed in range(1, wishes.seeds + 1):
        trees = grow(Recipe.FAST, Kind.CLASS, features, values, seed)
        found.append(float(measure(true, scores([trees], Kind.CLASS, asked))))
    return changed, found


if __name__ == "__main__":
    main()
