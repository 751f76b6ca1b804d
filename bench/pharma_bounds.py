"""What bounds are worth: measurements beyond a limit are turned into bounds, and the truth is kept for the test.

python bench/pharma_bounds.py DATA [--sets Sol,SERT] [--shapes one,many] [--seeds 2] [--rows 1200] [--trees 300]
    [--ways leave-out,value,learn,imputed] [--spreads 0.5] [--coverage] [--keep FOLDER]

DATA holds `biogen_adme` and `other`. Of each set --rows compounds are drawn, and a quarter of them, by whole
scaffolds, is the test. Limits: `one` for all, beyond which lie three tenths of the values; or `many`, each
compound's by luck one beyond which lie 15, 30 or 50 per cent. Ways: bounds left out, taken as values, learnt
from by likelihood (with each of --spreads), or replaced by what trees that had not seen the scaffold predict,
where that lies beyond the bound (`imputed`; fitted to squared errors). All errors are of the truth of all test
compounds, in standard deviations of the values that are left in training; `beyond` are those whose truth lies
beyond their limit. With --coverage, also how many 90 % intervals hold the truth. With --keep, what was finished
is not made again.
"""

import argparse
import csv
import gzip
import json
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from scipy.stats import spearmanr

from kifabrik.recipes.pharma import boosting
from kifabrik.recipes.pharma.boosting import Recipe, grow, scores
from kifabrik.recipes.pharma.bounds import short_of
from kifabrik.recipes.pharma.calibrating import bands_of, reach_of
from kifabrik.recipes.pharma.compounds import Compounds
from kifabrik.recipes.pharma.endpoints import Kind
from kifabrik.recipes.pharma.features import maplight
from kifabrik.recipes.pharma.fingerprints import morgan
from kifabrik.recipes.pharma.neighbours import nearest
from kifabrik.recipes.pharma.preparing import prepare
from kifabrik.recipes.pharma.splitting import Method, folds, split

SETS = {
    "HLM": ("biogen_adme/ADME_HLM_train.csv", "smiles", "activity", 1),
    "Sol": ("biogen_adme/ADME_Sol_train.csv", "smiles", "activity", -1),
    "hPPB": ("biogen_adme/ADME_hPPB_train.csv", "smiles", "activity", -1),
    "AqSol": ("other/aqsoldb_curated.csv.gz", "SMILES", "Solubility", -1),
    "SERT": ("other/chembl_5thresh_ts_train.csv.gz", "smiles", "CHEMBL228", -1),
    "CA1": ("other/chembl_5thresh_ts_train.csv.gz", "smiles", "CHEMBL261", -1),
    "CA2": ("other/chembl_5thresh_ts_train.csv.gz", "smiles", "CHEMBL205", -1),
}
"""File, column of structures, column of values, and the side that is cut: high clearances, low solubilities and
affinities."""
SHARES = {"one": (0.3,), "many": (0.15, 0.3, 0.5)}
FOLDS = 5
INTERVALS = ("holds: exact", "holds: short", "holds: open")
"""Intervals from residuals of measured compounds; with how far bounds are missed as residuals beside them; and with
these as residuals only known to be exceeded, which is what `train` does."""


@dataclass(frozen=True)
class Case:
    """Training and test data of which one side was cut."""

    features: np.ndarray
    asked: np.ndarray
    target: np.ndarray
    side: np.ndarray
    fold: np.ndarray
    true: np.ndarray
    beyond: np.ndarray
    near: np.ndarray
    asked_near: np.ndarray


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--shapes", default=",".join(SHARES))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--rows", type=int, default=1200)
    parser.add_argument("--trees", type=int, default=300)
    parser.add_argument("--ways", default="leave-out,value,learn,imputed")
    parser.add_argument("--spreads", default="0.5")
    parser.add_argument("--coverage", action="store_true")
    parser.add_argument("--keep", type=Path)
    wishes = parser.parse_args()
    print(f"{'set':7}{'limits':8}{'way':14}{'MAE':>7}{'r':>7}{'rho':>7}{'within':>8}{'beyond':>8}{'CPU s':>7}")
    every = defaultdict(list)
    for name in wishes.sets.split(","):
        compounds = table(wishes, name)
        for shape in wishes.shapes.split(","):
            found = defaultdict(list)
            for seed in range(1, wishes.seeds + 1):
                for way, figures in kept(wishes, name, shape, seed, compounds).items():
                    found[way].append(figures)
            for way, figures in found.items():
                row = np.mean(figures, axis=0)
                every[way].append(row)
                show(name, shape, way, row)
    for way, rows in every.items():
        show("mean", "", way, np.mean(rows, axis=0))


def show(name: str, shape: str, way: str, row: np.ndarray) -> None:
    """One line."""
    if way.startswith("holds"):
        said = "".join(f"{one:8.1%}" for one in row[:3])
        print(f"{name:7}{shape:8}{way:14}{said}  of the truth: all, within, beyond", flush=True)
        return
    print(f"{name:7}{shape:8}{way:14}{''.join(f'{one:7.3f}' for one in row[:3])}", end="")
    print(f"{row[3]:8.3f}{row[4]:8.3f}{row[5]:7.1f}", flush=True)


def table(wishes: argparse.Namespace, name: str) -> Compounds:
    """Compounds of a set, as many as wished."""
    file, structure, value, _ = SETS[name]
    path = wishes.data / file
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as stream:
        rows = [(row[structure], row[value]) for row in csv.DictReader(stream) if row[value]]
    luck = np.random.default_rng(0)
    drawn = luck.permutation(len(rows))[: wishes.rows]
    with TemporaryDirectory() as folder:
        (made := Path(folder) / "rows.csv").write_text(
            "smiles,y\n" + "".join(f"{rows[at][0]},{rows[at][1]}\n" for at in sorted(drawn))
        )
        return prepare([made]).compounds


def kept(
    wishes: argparse.Namespace, name: str, shape: str, seed: int, compounds: Compounds
) -> dict[str, list[float]]:
    """Figures of each way; what was finished before is not made again."""
    path = wishes.keep and wishes.keep / f"{name}-{shape}-{seed}-{wishes.rows}-{wishes.trees}.json"
    held = json.loads(path.read_text()) if path and path.exists() else {}
    ways = [*wishes.ways.split(",")]
    ways = [way if way != "learn" else f"learn {one}" for way in ways for one in
            (wishes.spreads.split(",") if way == "learn" else [""])]  # fmt: skip
    missing = [way for way in ways if way not in held]
    lacks_intervals = wishes.coverage and INTERVALS[-1] not in held
    if missing or lacks_intervals:
        case = cut(wishes, name, shape, seed, compounds)
        for way in missing:
            held[way] = figures(case, way, wishes.trees)
            keep(path, held)
        if lacks_intervals:
            held.update(intervals(case, wishes.trees))
            keep(path, held)
    ways += INTERVALS if wishes.coverage else []
    return {way: held[way] for way in ways}


def cut(wishes: argparse.Namespace, name: str, shape: str, seed: int, compounds: Compounds) -> Case:
    """Turn what lies beyond limits into bounds, in training data only."""
    sign = SETS[name][3]
    truth = next(iter(compounds.endpoints.values())).value
    shares = np.random.default_rng(seed).choice(SHARES[shape], len(truth))
    limit = np.array([np.quantile(sign * truth, 1 - share) for share in shares])
    beyond = sign * truth > limit
    sides = split(compounds, Method.SCAFFOLD, share=0.25, seed=seed)
    features = maplight(compounds.smiles, cache=wishes.keep and wishes.keep / "cache").values
    known = compounds[sides.train]
    side = np.where(beyond, sign, 0).astype(np.int8)[sides.train]
    value = np.where(beyond, sign * limit, truth)[sides.train]
    mean, sd = value[side == 0].mean(), value[side == 0].std()
    packed, fold = morgan(known.smiles), folds(known, FOLDS, seed)
    near = np.zeros(len(known))
    for number in range(FOLDS):
        near[fold == number] = nearest(packed[fold == number], packed[fold != number])[0]
    return Case(
        features=features[sides.train],
        asked=features[sides.test],
        target=(value - mean) / sd,
        side=side,
        fold=fold,
        true=(truth[sides.test] - mean) / sd,
        beyond=beyond[sides.test],
        near=near,
        asked_near=nearest(morgan(compounds[sides.test].smiles), packed)[0],
    )


def figures(case: Case, way: str, trees: int) -> list[float]:
    """MAE, r, rho, MAE within and beyond limits, CPU seconds."""
    begun = time.process_time()
    said = predicted(case, way, trees)
    away = np.abs(said - case.true)
    r, rho = np.corrcoef(said, case.true)[0, 1], spearmanr(said, case.true)[0]
    within, out = away[~case.beyond].mean(), away[case.beyond].mean()
    return [float(one) for one in (away.mean(), r, rho, within, out, time.process_time() - begun)]


def predicted(case: Case, way: str, trees: int) -> np.ndarray:
    """What trees that took bounds in one way say of the test compounds."""
    exact = case.side == 0
    if way == "leave-out":
        return fit(case.features[exact], case.target[exact], None, case.asked, trees)
    if way == "value":
        return fit(case.features, case.target, None, case.asked, trees)
    if way == "imputed":
        return fit(case.features, imputed(case, trees), None, case.asked, trees)
    boosting.SPREAD = float(way.split()[1])
    return fit(case.features, case.target, case.side, case.asked, trees)


def fit(features: np.ndarray, target: np.ndarray, side, asked: np.ndarray, trees: int) -> np.ndarray:
    """What trees say that were grown on some rows."""
    grown = grow(Recipe.FAST, Kind.NUMBER, features, target, 1, trees, side=side)
    return scores([grown], Kind.NUMBER, asked)


def left_out(case: Case, side, trees: int) -> np.ndarray:
    """What trees say of training compounds whose scaffold they have not seen."""
    found = np.zeros(len(case.target))
    for number in range(FOLDS):
        seen = case.fold != number
        mine = None if side is None else side[seen]
        found[~seen] = fit(case.features[seen], case.target[seen], mine, case.features[~seen], trees)
    return found


def imputed(case: Case, trees: int) -> np.ndarray:
    """Targets whose bounds are replaced by predictions that lie beyond them."""
    said = left_out(case, None, trees)
    beyond = np.where(case.side > 0, np.maximum(case.target, said), np.minimum(case.target, said))
    return np.where(case.side == 0, case.target, beyond)


def intervals(case: Case, trees: int) -> dict[str, list[float]]:
    """Share of test compounds whose 90 % interval holds the truth: of all, within and beyond limits."""
    boosting.SPREAD = 0.5
    short = short_of(case.target, case.side, left_out(case, case.side, trees))
    said = fit(case.features, case.target, case.side, case.asked, trees)
    away, is_bound = np.abs(said - case.true), case.side != 0
    found = {}
    for way, at, opens in zip(
        INTERVALS,
        (~is_bound, np.ones(len(short), dtype=bool), np.ones(len(short), dtype=bool)),
        (None, None, is_bound),
        strict=True,
    ):
        bands = bands_of(short[at], case.near[at], case.fold[at], 0.9, opens)
        holds = away <= reach_of(bands, case.asked_near)
        found[way] = [float(one) for one in (holds.mean(), holds[~case.beyond].mean(), holds[case.beyond].mean())]
    return found


def keep(path: Path | None, held: dict[str, list[float]]) -> None:
    """Keep what was finished."""
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(held))


if __name__ == "__main__":
    main()
