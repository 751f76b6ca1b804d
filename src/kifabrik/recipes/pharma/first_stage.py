"""The quick first stage of a screen: a score for every molecule from its Morgan fingerprint alone.

Either a small model learns from a sample of the library what the full model would say, or similarity to known
actives is the score.

Invariants:
    - Scores depend on the molecule, the sample and the seed alone; nothing here sees measurements.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final

import numpy as np
from catboost import CatBoostRegressor
from numpy.typing import NDArray

from kifabrik.durable import replacing, write_whole
from kifabrik.recipes.pharma.boosting import save_trees
from kifabrik.recipes.pharma.fingerprints import WORDS, Packed, morgan, of_molecules, read_chunk, unpack
from kifabrik.recipes.pharma.libraries import Molecules
from kifabrik.recipes.pharma.popcount import nearest

TREES: Final = "first-stage.cbm"
BITS: Final = "first-stage.json"
REFERENCES: Final = "actives.npy"
_RAREST: Final = 0.002
"""Share of the sample that must have a bit on for the small model to see it."""
_HELD_OUT: Final = 5
"""Each fifth molecule of the sample only judges the small model."""
_SETTINGS: Final[dict[str, Any]] = {
    "iterations": 400,
    "depth": 6,
    "learning_rate": 0.1,
    "rsm": 0.3,
    "border_count": 1,
    "thread_count": 1,
    "allow_writing_files": False,
    "verbose": False,
}

Scorer = Callable[[Packed], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class FirstScores:
    """What the first stage says of a chunk.

    Attributes:
        scores: NaN where a molecule could not be read, shape (n,).
        rejects: Row, id, SMILES and reason of those.
    """

    scores: NDArray[np.float32]
    rejects: list[tuple[int, str, str, str]]


@dataclass(frozen=True, slots=True)
class Learnt:
    """How well the small model repeats the full one, on the part of the sample it has not seen.

    Attributes:
        trained_on: Molecules.
        held_out: Molecules.
        rank_correlation: Spearman's, of both models on those held out.
    """

    trained_on: int
    held_out: int
    rank_correlation: float


def learn(folder: Path, smiles: Sequence[str], values: NDArray[np.float64], seed: int) -> Learnt:
    """Train the small model and keep it.

    Args:
        folder: Where to keep it.
        smiles: The sample.
        values: What the full model says, larger is better, shape (n,).
        seed: Of all luck.
    """
    bits = unpack(morgan(smiles))
    held_out = np.arange(len(smiles)) % _HELD_OUT == _HELD_OUT - 1
    columns = np.flatnonzero(bits[~held_out].mean(axis=0) >= _RAREST)
    model = CatBoostRegressor(**_SETTINGS, random_seed=seed)
    model.fit(bits[~held_out][:, columns].astype(np.float32), _normal_scores(values[~held_out]))
    with replacing(folder / TREES) as fresh:
        save_trees(model, fresh)
    said = model.predict(bits[held_out][:, columns].astype(np.float32), thread_count=1)
    learnt = Learnt(int((~held_out).sum()), int(held_out.sum()), _rank_correlation(said, values[held_out]))
    document = {"bits": columns.tolist(), "held_out": learnt.held_out, "trained_on": learnt.trained_on}
    document["rank_correlation"] = learnt.rank_correlation
    write_whole(folder / BITS, json.dumps(document).encode())
    return learnt


def learnt_in(folder: Path) -> Learnt:
    """How well the model kept in a folder does."""
    document = json.loads((folder / BITS).read_text())
    return Learnt(document["trained_on"], document["held_out"], document["rank_correlation"])


def keep_references(folder: Path, smiles: Sequence[str]) -> int:
    """Keep known actives to compare with; gives how many could be read."""
    packed = morgan(smiles)
    packed = packed[packed.any(axis=1)]
    with replacing(folder / REFERENCES) as fresh, fresh.open("wb") as file:
        np.save(file, packed)
    return len(packed)


@cache
def _scorer(folder: Path) -> Scorer:
    """What scores fingerprints, read once in each process."""
    if (folder / REFERENCES).exists():
        references = np.load(folder / REFERENCES, allow_pickle=False).reshape(-1, WORDS)
        return lambda packed: nearest(packed, references)
    model = CatBoostRegressor()
    model.load_model(str(folder / TREES))
    columns = np.array(json.loads((folder / BITS).read_text())["bits"])

    def score(packed: Packed) -> NDArray[np.float32]:
        table = unpack(packed)[:, columns].astype(np.float32)
        return np.asarray(model.predict(table, thread_count=1), np.float32)

    return score


def score_chunk(chunk: Molecules, folder: Path) -> FirstScores:
    """Score a chunk of the library by what is kept in a folder."""
    scores = np.full(len(chunk.smiles), np.nan, np.float32)
    molecules, places, rejects = read_chunk(chunk)
    if molecules:
        scores[places] = _scorer(folder)(of_molecules(molecules))
    return FirstScores(scores, rejects)


def _normal_scores(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values by rank on the scale of a normal distribution, so that no outlier rules the small model."""
    ranks = _ranks(values)
    normal = NormalDist()
    return np.array([normal.inv_cdf((rank + 0.5) / len(values)) for rank in ranks.tolist()])


def _ranks(values: NDArray[Any]) -> NDArray[np.float64]:
    """Ranks from 0; ties share their mean."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts + 1) / 2)[place], np.float64)


def _rank_correlation(one: NDArray[Any], other: NDArray[Any]) -> float:
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:  # noqa: PLR2004 - two points say nothing
        return float("nan")
    return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])
