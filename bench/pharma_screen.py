"""A whole screen, hits that staging loses, and enrichment on MUV beside similarity search.

python bench/pharma_screen.py whole MODEL --out FOLDER [--keep 5] [--low] [--workers 2] [--json PATH]
python bench/pharma_screen.py staging MODEL [--molecules 12000] [--sample 5000] [--low] [--json PATH]
python bench/pharma_screen.py muv [--seeds 2] [--json PATH]

`whole` screens all of the MOSES library, and goes on where an earlier call was ended: CPU seconds, wall clock and
most memory are of this call. `staging` lets the full MODEL predict a part of the library, and asks how many of its
best one per cent the first stage would have handed on. `muv` hides half of the actives of each of 17 targets among
its decoys, and looks for them with the other half known. The data is in ../shared/data/pharma.
"""

import contextlib
import csv
import gzip
import os
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import Self

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from catboost import CatBoostClassifier
from pharma import Clock, data, moses
from report import Bar, Picture, hand_on, parser

from kifabrik.recipes.pharma import first_stage, second_stage
from kifabrik.recipes.pharma.crew import Crew, Task
from kifabrik.recipes.pharma.filters import NO_FILTERS
from kifabrik.recipes.pharma.fingerprints import morgan, unpack
from kifabrik.recipes.pharma.libraries import Library
from kifabrik.recipes.pharma.popcount import nearest
from kifabrik.recipes.pharma.screen import screen
from kifabrik.recipes.pharma.screening_plan import Plan, Stage
from kifabrik.recipes.pharma.second_stage import Candidates

KEPT = (0.5, 1, 2, 5, 10)
BEST = 0.01
BATCH = 250
EARLY = 0.01
EVERY_SECONDS = 5.0
TREES = {
    "iterations": 300,
    "depth": 6,
    "learning_rate": 0.1,
    "rsm": 0.3,
    "border_count": 1,
    "auto_class_weights": "SqrtBalanced",
    "thread_count": 1,
    "verbose": False,
    "allow_writing_files": False,
}


class Memory:
    """The most memory that a process and its children held at once, pages they share counted once."""

    def __init__(self) -> None:
        self.most = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_of_error: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._done.wait(EVERY_SECONDS):
            self.most = max(self.most, sum(map(_held, _family(os.getpid()))))


def _family(pid: int) -> list[int]:
    """A process and those it began, as Linux names them."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [each for child in (task / "children").read_text().split() for each in _family(int(child))]
    return found


def _held(pid: int) -> int:
    """Bytes of memory of a process, its share of those it has in common with others."""
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        return 1024 * next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)
    return 0


def whole(model: Path, out: Path, keep: float, workers: int, *, low: bool) -> Picture:
    """Screen all of MOSES in two stages."""
    library = Library(data() / "library/moses_train.csv.gz")
    plan = Plan(model=model, library=library, out=out, keep=keep, low_is_better=low, diverse=50, workers=workers)
    spent: dict[Stage, float] = dict.fromkeys(Stage, 0.0)
    clock, lap = Clock(), Clock()

    def progress(stage: Stage, _done: int, _total: int) -> None:
        nonlocal lap
        spent[stage] += lap.read()[1]
        lap = Clock()

    with Memory() as memory:
        found = screen(plan, progress)
    cpu, wall = clock.read()
    print(f"{found.rows:,} molecules, {found.predicted:,} predicted by the full model, {found.hits:,} hits")
    print(f"rank correlation of the first stage {found.rank_correlation:.2f}")
    print(f"{cpu:.0f} CPU s, {wall:.0f} s with {workers} processes; all held {memory.most / 1e9:.2f} GB at most")
    for stage, seconds in spent.items():
        print(f"  {stage.value:24} {seconds:6.0f} s")
    bars = (Bar("two stages", cpu, "ours"), Bar("limit: 15 min on 2 cores", 1800, "limit"))
    return Picture(f"{found.rows:,} molecules screened", "CPU seconds", bars)


def staging(model: Path, count: int, sample: int, *, low: bool) -> Picture:
    """Share of the best one per cent that the first stage hands on."""
    every = 1_500_000 // count
    smiles = moses(every * count)[::every]
    batches = [
        Candidates(np.arange(at, min(at + BATCH, count)), [""] * len(part), part, np.zeros(len(part), np.float32))
        for at in range(0, count, BATCH)
        for part in [smiles[at : at + BATCH]]
    ]
    clock = Clock()
    with Crew(os.cpu_count() or 1) as crew:
        task = Task(partial(second_stage.judge, model=model, filters=NO_FILTERS), lambda _one: (), None, None)
        values = np.concatenate([table["value"].to_numpy() for table in crew.work(task, batches)])
    cpu, wall = clock.read()
    print(f"full model on {count:,} molecules: {cpu:.0f} CPU s ({count / cpu:.0f} a CPU second), {wall:.0f} s")
    goal = np.where(np.isfinite(values), -values if low else values, -np.inf)
    drawn = np.sort(np.random.default_rng(1).choice(count, sample, replace=False))
    unseen = np.setdiff1d(np.arange(count), drawn)
    with tempfile.TemporaryDirectory() as folder:
        good = drawn[np.isfinite(goal[drawn])]
        clock = Clock()
        learnt = first_stage.learn(Path(folder), [smiles[at] for at in good], goal[good], 1)
        cpu = clock.read()[0]
        print(f"small model, {sample:,} molecules: {cpu:.0f} CPU s, rank correlation {learnt.rank_correlation:.2f}")
        clock = Clock()
        scores = first_stage._scorer(Path(folder))(morgan(smiles))  # noqa: SLF001
        cpu, _ = clock.read()
        print(f"first stage on {count:,} molecules: {count / cpu:,.0f} a CPU second")
    bars = []
    print("per cent kept   of the best 1 % found, among molecules the small model had not learnt from")
    ranked = unseen[np.argsort(-goal[unseen], kind="stable")]
    best = set(ranked[: max(1, round(BEST * len(unseen)))].tolist())
    order = unseen[np.argsort(-scores[unseen], kind="stable")]
    for kept in KEPT:
        found = len(best & set(order[: round(kept / 100 * len(order))].tolist())) / len(best)
        print(f"{kept:13g}   {found:7.0%}   ({len(best)} molecules)")
        bars.append(Bar(f"{kept:g} % kept", found * 100, "ours"))
    bars.append(Bar("single stage", 100, "limit"))
    return Picture("Best one per cent found by two stages", "% of those a single stage finds", tuple(bars))


def muv(seeds: int) -> Picture:
    """Enrichment of hidden actives in the first per cent."""
    with gzip.open(data() / "other/muv.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    targets = [name for name in rows[0] if name.startswith("MUV-")]
    packed = morgan([row["smiles"] for row in rows])
    found: dict[str, list[float]] = {
        "similarity to known actives": [],
        "CatBoost on Morgan bits": [],
        "both ranks": [],
    }
    for target in targets:
        known = np.array([at for at, row in enumerate(rows) if row[target] != "" and packed[at].any()])
        active = np.array([float(rows[at][target]) for at in known]) == 1
        for seed in range(seeds):
            luck = np.random.default_rng(seed)
            order = np.concatenate(
                [luck.permutation(np.flatnonzero(active)), luck.permutation(np.flatnonzero(~active))]
            )
            half = int(active.sum()) // 2
            train = np.concatenate([order[:half], order[active.sum() : active.sum() + 2_000]])
            test = np.setdiff1d(np.arange(len(known)), train)
            similarity = nearest(packed[known[test]], packed[known[order[:half]]])
            model = CatBoostClassifier(**TREES, random_seed=seed)
            model.fit(unpack(packed[known[train]]).astype(np.float32), active[train])
            said = model.predict_proba(unpack(packed[known[test]]).astype(np.float32), thread_count=1)[:, 1]
            ranks = np.argsort(np.argsort(similarity)) + np.argsort(np.argsort(said))
            for name, score in zip(found, (similarity, said, ranks), strict=True):
                found[name].append(_enrichment(score, active[test]))
    print(f"MUV, {len(targets)} targets, {seeds} seeds: enrichment of hidden actives in the first {EARLY:.0%}")
    for name, values in found.items():
        print(f"  {name:28} {np.mean(values):5.1f} ± {np.std(values) / np.sqrt(len(values)):.1f} (standard error)")
    return Picture(
        "MUV, enrichment in the first per cent",
        "times chance",
        tuple(Bar(name, float(np.mean(one)), "peer" if "simil" in name else "ours") for name, one in found.items()),
    )


def _enrichment(score, active) -> float:
    """Actives in the first per cent over those that chance would put there."""
    first = round(EARLY * len(score))
    order = np.lexsort((np.random.default_rng(0).random(len(score)), -score))
    return active[order[:first]].sum() / (active.sum() * first / len(score))


def main() -> None:
    """Measure and print."""
    made = parser(__doc__)
    made.add_argument("what", choices=("whole", "staging", "muv"))
    made.add_argument("model", type=Path, nargs="?")
    made.add_argument("--molecules", type=int, default=12_000)
    made.add_argument("--sample", type=int, default=5_000)
    made.add_argument("--low", action="store_true")
    made.add_argument("--seeds", type=int, default=2)
    made.add_argument("--out", type=Path)
    made.add_argument("--keep", type=float, default=5.0)
    made.add_argument("--workers", type=int, default=2)
    wishes = made.parse_args()
    if wishes.what == "muv":
        hand_on(wishes.json, muv(wishes.seeds))
    elif wishes.model is None:
        made.error(f"{wishes.what} needs a MODEL folder, as kifabrik pharma train writes it")
    elif wishes.what == "whole":
        if wishes.out is None:
            made.error("whole needs --out FOLDER")
        picture = whole(wishes.model, wishes.out, wishes.keep, wishes.workers, low=wishes.low)
        hand_on(wishes.json, picture)
    else:
        hand_on(wishes.json, staging(wishes.model, wishes.molecules, wishes.sample, low=wishes.low))


if __name__ == "__main__":
    main()
