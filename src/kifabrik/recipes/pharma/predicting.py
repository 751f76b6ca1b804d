"""Predictions of a file of compounds, in the order of its rows, a batch at a time."""

import csv
import itertools
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from kifabrik.durable import replacing
from kifabrik.errors import UsageError
from kifabrik.recipes.pharma.endpoints import Kind
from kifabrik.recipes.pharma.measuring import identity_of
from kifabrik.recipes.pharma.model import Lineage, Model
from kifabrik.recipes.pharma.numbers import Relation
from kifabrik.recipes.pharma.reading import Row, rows_of

_BATCH: Final = 2_000
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of the rows of a file.

    Attributes:
        rows: All.
        predicted: Those that have a prediction.
        in_domain: Those of them the model may be trusted with.
        reasons: Why others have none, and how many, the most frequent first.
    """

    rows: int
    predicted: int
    in_domain: int
    reasons: tuple[tuple[str, int], ...] = ()


def predict_file(
    model: Model,
    file: Path,
    out: Path,
    *,
    smiles_column: str = "",
    workers: int = 1,
    cache: Path | None = None,
    progress: Callable[[int], None] | None = None,
) -> Counts:
    """Predict a file of any length.

    Args:
        model: Predicts.
        file: CSV, SDF or SMILES file, gzipped or not.
        out: CSV to write; it appears when it is whole.
        smiles_column: Column of structures; empty: the one usually called so.
        workers: Processes.
        cache: A folder that keeps features between calls.
        progress: Called with the number of rows done.

    Raises:
        UsageError: If the file cannot be read or `out` cannot be written.
    """
    rows = predicted = inside = 0
    reasons: Counter[str] = Counter()
    try:
        with replacing(out) as fresh, fresh.open("w", encoding="utf-8", newline="") as stream:
            writer = _header(stream, model)
            for batch in _batches(rows_of(file, smiles_column)):
                said, lines = _lines(model, batch, file, workers, cache)
                writer.writerows(lines)
                rows += len(batch)
                predicted += said[0]
                inside += said[1]
                reasons.update(line[-1].partition(":")[0] for line in lines if line[-1])
                if progress:
                    progress(len(batch))
            if not rows:
                hint = "It needs rows below the column names."
                raise UsageError(f"{file.name} has no rows of compounds.", hint=hint)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise UsageError(f"{out} cannot be written: {reason}.", hint="Name another file with --out.") from error
    return Counts(rows=rows, predicted=predicted, in_domain=inside, reasons=tuple(reasons.most_common()))


def _header(stream: TextIO, model: Model) -> Any:
    writer = csv.writer(stream, lineterminator="\n")
    name = model.endpoint.name
    figures = (
        [f"{name}.probability"] if model.endpoint.kind is Kind.CLASS else [name, f"{name}.low", f"{name}.high"]
    )
    near = ["nearest_id", "nearest_smiles", "nearest_value"] if model.shows_neighbours else []
    writer.writerow(["id", "smiles", *figures, "in_domain", "similarity", "leverage", "flagged", *near, "reason"])
    return writer


def _lines(
    model: Model, batch: list[Row], file: Path, workers: int, cache: Path | None
) -> tuple[tuple[int, int], list[list[str]]]:
    said = model.predict([row.structure for row in batch], workers=workers, cache=cache)
    is_class = model.endpoint.kind is Kind.CLASS
    lines = []
    for at, row in enumerate(batch):
        figures = [said.value[at]] if is_class else [said.value[at], said.low[at], said.high[at]]
        near = []
        if model.shows_neighbours:
            place = int(said.nearest[at])
            lineage = model.lineage
            near = [lineage.id[place], lineage.smiles[place], _measured(lineage, place)] if place >= 0 else [""] * 3
        known = not said.reason[at]
        lines.append(
            [
                identity_of(row, file.name),
                said.smiles[at] or " ".join(row.structure.split())[:200],
                *(_number(one) for one in figures),
                "yes" if said.in_domain[at] else "no",
                f"{said.similarity[at]:.4f}" if known else "",
                _number(float(said.leverage[at])),
                "yes" if said.flagged[at] else "no",
                *near,
                row.broken or said.reason[at],
            ]
        )
    return (sum(not one for one in said.reason), int(said.in_domain.sum())), lines


def _measured(lineage: Lineage, place: int) -> str:
    """What was measured of a training compound, with its mark where it is a bound."""
    mark = lineage.relation[place] if lineage.relation[place] != Relation.EQUAL.value else ""
    return f"{mark}{_number(lineage.value[place])}"


def _number(value: float) -> str:
    return f"{value:.{_DIGITS}g}" if math.isfinite(value) else ""


def _batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    while batch := list(itertools.islice(rows, _BATCH)):
        yield batch
