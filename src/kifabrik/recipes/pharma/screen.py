"""Screen a library of any size: a quick first stage for all, the full model for the best, hits at the end.

The work lies in numbered parts in `work/` until the screen is finished; a screen that was ended, whatever ended it,
goes on where it was and comes to the same hits.

Invariants:
    - Memory holds a few chunks, the molecules kept for the second stage, and the hits.
    - The result depends on the plan alone: not on the number of processes or on interruptions.
    - A folder that holds another screen is refused.
    - Every row of the library is scored or stands in `rejects.csv`; every molecule of the second stage is predicted
      or stands there.
"""

import json
import math
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kifabrik.durable import make_folder, write_whole
from kifabrik.errors import CapacityError, UsageError
from kifabrik.recipes.pharma import first_stage, hits, second_stage
from kifabrik.recipes.pharma.crew import Crew, Task
from kifabrik.recipes.pharma.filters import NO_FILTERS
from kifabrik.recipes.pharma.first_stage import FirstScores, Learnt
from kifabrik.recipes.pharma.libraries import Library, Molecules
from kifabrik.recipes.pharma.model import load
from kifabrik.recipes.pharma.parts import Parts
from kifabrik.recipes.pharma.screening_plan import First, Plan, Stage, same
from kifabrik.recipes.pharma.second_stage import Candidates

SETTINGS: Final = "settings.json"
_CHUNK: Final = 5_000
"""Rows of a part of the first stage."""
_BATCH: Final = 250
"""Molecules of a part of the second stage."""
_SPARE: Final = 4
"""How many times the molecules that are kept are filtered at most, to replace those that filters leave out."""
_FEWEST: Final = 100
"""Predictions of the sample below which the small model could learn nothing."""

Progress = Callable[[Stage, int, int], None]
"""Told a stage, how many further rows are done, and how many there are in all."""


def screen(plan: Plan, progress: Progress | None = None) -> hits.Summary:
    """Run a screen, or go on with it.

    Args:
        plan: What to do.
        progress: Told how far it is.

    Returns:
        What came out; the files are in `plan.out`.

    Raises:
        UsageError: The folder holds another screen, or the library, the model or the actives cannot be used.
        CapacityError: The folder cannot be written, or its disk is full; what was done is kept.
    """
    try:
        return _Screen(plan, progress or (lambda _stage, _done, _total: None)).run()
    except OSError as error:
        raise CapacityError(
            f"{plan.out} cannot be written: {error.strerror or error}.",
            hint="Make room, or change who may write there; the same command then goes on.",
        ) from error


class _Screen:
    """One run of a screen."""

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self._plan = plan
        self._progress = progress
        self._work = plan.out / "work"
        self._first = Parts(self._work, "first", ".npy")
        self._sampled = Parts(self._work, "sample", ".parquet")
        self._second = Parts(self._work, "second", ".parquet")

    def run(self) -> hits.Summary:
        plan = self._plan
        model = load(plan.model)
        self._progress(Stage.COUNTING, 0, 0)
        rows = plan.library.count()
        if not rows:
            raise UsageError(f"{plan.library.path} has no rows.", hint="Give a library with at least one molecule.")
        self._settle(plan.identity(rows))
        if (known := hits.summary_in(plan.out)) is not None:
            shutil.rmtree(self._work, ignore_errors=True)
            return known
        single = plan.first is First.NONE or (plan.first is First.LEARNT and rows <= 2 * plan.sample)
        learnt = None
        with Crew(plan.workers) as crew:
            if single:
                kept = rows
                candidates = self._all_rows(self._second.finished())
            else:
                learnt = self._prepare_first(crew, rows)
                self._score_all(crew, rows)
                kept, candidates = self._chosen()
            self._judge(crew, candidates, kept)
        counts = hits.Counts(rows=rows, kept=kept, single_stage=single)
        summary = hits.finish(plan, model, counts, learnt, None if single else self._first, self._second)
        shutil.rmtree(self._work, ignore_errors=True)
        return summary

    def _settle(self, identity: dict[str, Any]) -> None:
        """Begin in an empty folder, or make sure that it holds this screen."""
        path = self._plan.out / SETTINGS
        if not path.exists():
            if self._plan.out.exists() and any(self._plan.out.iterdir()):
                raise UsageError(f"{self._plan.out} holds something that is no screen.", hint="Give a new folder.")
            make_folder(self._plan.out)
            write_whole(path, (json.dumps(identity, indent=2) + "\n").encode())
        elif not same(identity, path):
            raise UsageError(
                f"{self._plan.out} holds a screen with other settings, another model or another library.",
                hint="Give a new folder, or remove that one.",
            )
        make_folder(self._work)

    def _prepare_first(self, crew: Crew, rows: int) -> Learnt | None:
        """Make what scores the library, once."""
        plan = self._plan
        if plan.actives is not None:
            if not (self._work / first_stage.REFERENCES).exists():
                smiles = [text for chunk in plan.actives.chunks(_CHUNK) for text in chunk.smiles]
                if not first_stage.keep_references(self._work, smiles):
                    raise UsageError(f"RDKit can read no molecule in {plan.actives.path}.", hint="Give SMILES.")
            return None
        if not (self._work / first_stage.BITS).exists():
            self._sample(crew, rows)
            found = pa.concat_tables(self._sampled.tables())
            values = found["value"].to_numpy() * (-1.0 if plan.low_is_better else 1.0)
            good = np.isfinite(values)
            if good.sum() < _FEWEST:
                raise UsageError(
                    f"The model can predict only {good.sum()} of {len(good)} molecules sampled from the library.",
                    hint="Check the column of SMILES; or give --first none, so that the model sees every molecule.",
                )
            smiles = found["smiles"].take(np.flatnonzero(good)).to_pylist()
            first_stage.learn(self._work, smiles, values[good], plan.seed)
        return first_stage.learnt_in(self._work)

    def _sample(self, crew: Crew, rows: int) -> None:
        """Let the full model predict a sample of the library."""
        plan = self._plan
        drawn = np.sort(np.random.default_rng(plan.seed).choice(rows, min(plan.sample, rows), replace=False))
        finished = self._sampled.finished()
        self._progress(Stage.SAMPLING, min(finished * _BATCH, len(drawn)), len(drawn))
        chosen = _pick(plan.library, drawn, np.full(len(drawn), np.nan, np.float32))
        batches = (chosen.part(start, start + _BATCH) for start in range(finished * _BATCH, len(drawn), _BATCH))
        task = _judging(partial(second_stage.judge, model=plan.model, filters=NO_FILTERS))
        for number, table in enumerate(crew.work(task, batches), finished):
            self._sampled.write_table(number, table)
            self._progress(Stage.SAMPLING, table.num_rows, len(drawn))

    def _score_all(self, crew: Crew, rows: int) -> None:
        """The first stage."""
        finished = self._first.finished()
        self._progress(Stage.FIRST, min(finished * _CHUNK, rows), rows)
        chunks = self._plan.library.chunks(_CHUNK, start=finished * _CHUNK)
        task = Task(partial(first_stage.score_chunk, folder=self._work), _halves_of_chunk, _join_scores, _no_scores)
        for number, found in enumerate(crew.work(task, chunks), finished):
            self._first.write_scores(number, found.scores, found.rejects)
            self._progress(Stage.FIRST, len(found.scores), rows)

    def _chosen(self) -> tuple[int, Iterator[Candidates]]:
        """How many molecules the full model is to predict, and candidates for it, best first."""
        plan = self._plan
        scored = sum(int(np.isfinite(scores).sum()) for scores in self._first.scores())
        kept = math.ceil(scored * plan.keep / 100)
        rows, scores = _best_scores(self._first, min(scored, kept * (_SPARE if plan.filters else 1)))
        in_library = np.argsort(rows)
        found = _pick(plan.library, rows[in_library], scores[in_library])
        place = np.argsort(in_library)
        ranked = Candidates(
            rows, [found.ids[at] for at in place.tolist()], [found.smiles[at] for at in place.tolist()], scores
        )
        begin = self._second.finished() * _BATCH
        return kept, (ranked.part(start, start + _BATCH) for start in range(begin, len(rows), _BATCH))

    def _all_rows(self, finished: int) -> Iterator[Candidates]:
        """Every row of the library, for a screen of a single stage."""
        for chunk in self._plan.library.chunks(_BATCH, start=finished * _BATCH):
            rows = np.arange(chunk.first, chunk.first + len(chunk.smiles))
            smiles = ["" if place in chunk.reasons else text for place, text in enumerate(chunk.smiles)]
            yield Candidates(rows, chunk.ids, smiles, np.full(len(rows), np.nan, np.float32))

    def _judge(self, crew: Crew, candidates: Iterator[Candidates], kept: int) -> None:
        """The second stage, until enough molecules are predicted."""
        plan = self._plan
        finished = self._second.finished()
        passed = sum(_passed(table) for table in self._second.tables())
        self._progress(Stage.SECOND, min(passed, kept), kept)
        if passed >= kept:
            return
        task = _judging(partial(second_stage.judge, model=plan.model, filters=plan.filters))
        for number, table in enumerate(crew.work(task, candidates), finished):
            self._second.write_table(number, table)
            passed += _passed(table)
            self._progress(Stage.SECOND, _passed(table), kept)
            if passed >= kept:
                return


def _judging(do: Callable[[Candidates], pa.Table]) -> Task[Candidates, pa.Table]:
    return Task(do, _halves_of_candidates, lambda one, other: pa.concat_tables([one, other]), second_stage.given_up)


def _passed(table: pa.Table) -> int:
    """Molecules of a batch that have a prediction."""
    return sum(not reason for reason in table["reason"].to_pylist())


def _best_scores(parts: Parts, most: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Rows with the best scores, best first; of equal scores the earlier row is better."""
    rows, scores = np.empty(0, np.int64), np.empty(0, np.float32)
    first = 0
    for part in parts.scores():
        good = np.flatnonzero(np.isfinite(part))
        rows, scores = np.concatenate([rows, first + good]), np.concatenate([scores, part[good]])
        order = np.lexsort((rows, -scores))[:most]
        rows, scores = rows[order], scores[order]
        first += len(part)
    return rows, scores


def _pick(library: Library, rows: NDArray[np.int64], scores: NDArray[np.float32]) -> Candidates:
    """Molecules of given rows, in the order of the library.

    Args:
        library: Streamed once.
        rows: Ascending.
        scores: Of each.
    """
    ids: list[str] = []
    smiles: list[str] = []
    at = 0
    for chunk in library.chunks(_CHUNK):
        while at < len(rows) and rows[at] < chunk.first + len(chunk.smiles):
            place = int(rows[at]) - chunk.first
            ids.append(chunk.ids[place])
            smiles.append("" if place in chunk.reasons else chunk.smiles[place])
            at += 1
        if at == len(rows):
            break
    return Candidates(rows, ids, smiles, scores)


def _halves_of_candidates(candidates: Candidates) -> tuple[Candidates, ...]:
    count = len(candidates.rows)
    return () if count == 1 else (candidates.part(0, count // 2), candidates.part(count // 2, count))


def _halves_of_chunk(chunk: Molecules) -> tuple[Molecules, ...]:
    count = len(chunk.smiles)
    if count == 1:
        return ()
    middle = count // 2
    early = {place: reason for place, reason in chunk.reasons.items() if place < middle}
    late = {place - middle: reason for place, reason in chunk.reasons.items() if place >= middle}
    return (
        Molecules(chunk.first, chunk.ids[:middle], chunk.smiles[:middle], early),
        Molecules(chunk.first + middle, chunk.ids[middle:], chunk.smiles[middle:], late),
    )


def _join_scores(one: FirstScores, other: FirstScores) -> FirstScores:
    return FirstScores(np.concatenate([one.scores, other.scores]), one.rejects + other.rejects)


def _no_scores(chunk: Molecules) -> FirstScores:
    reject = (chunk.first, chunk.ids[0], chunk.smiles[0], "it ended the process that looked at it")
    return FirstScores(np.full(1, np.nan, np.float32), [reject])
