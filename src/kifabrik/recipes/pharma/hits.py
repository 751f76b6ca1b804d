"""What a screen leaves behind: hits as CSV and SDF, rejects, and a summary.

Files:
    hits.csv       best first: rank, id, smiles, the model's columns, in_domain, similarity, first, pick, cluster,
                   row
    hits.sdf       the same molecules with coordinates in the plane, and the same columns as properties
    rejects.csv    rows without a score and molecules without a prediction, with reasons
    summary.json   counts; written last
"""

import csv
import io
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from rdkit import Chem
from rdkit.Chem import rdDepictor
from rdkit.rdBase import BlockLogs

from kifabrik.durable import replacing, write_whole
from kifabrik.recipes.pharma.endpoints import Kind
from kifabrik.recipes.pharma.first_stage import Learnt
from kifabrik.recipes.pharma.left_out import RejectsFile
from kifabrik.recipes.pharma.model import Model
from kifabrik.recipes.pharma.parts import Parts
from kifabrik.recipes.pharma.picking import Picks, pick
from kifabrik.recipes.pharma.screening_plan import Plan
from kifabrik.recipes.pharma.second_stage import SCHEMA

SUMMARY: Final = "summary.json"
_DIGITS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How much a screen looked at.

    Attributes:
        rows: Of the library.
        kept: Molecules that the full model was to predict.
        single_stage: Whether it saw all.
    """

    rows: int
    kept: int
    single_stage: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What came out.

    Attributes:
        rows: Of the library.
        unread: Rows the first stage could not score; 0 where there was none.
        left_out: Molecules of the second stage that filters or the model left out.
        predicted: Molecules that the full model predicted.
        in_domain: Those of them in its domain.
        hits: In `hits.csv`.
        picked: Hits picked to be unlike each other.
        clusters: Clusters that hits fall into; 0 where none were made.
        single_stage: Whether the full model saw every molecule.
        rank_correlation: Of the small model with the full one on molecules it had not seen; None: there was none.
    """

    rows: int
    unread: int
    left_out: int
    predicted: int
    in_domain: int
    hits: int
    picked: int
    clusters: int
    single_stage: bool
    rank_correlation: float | None


def summary_in(folder: Path) -> Summary | None:
    """The summary of a screen that is finished."""
    path = folder / SUMMARY
    return Summary(**json.loads(path.read_text())) if path.exists() else None


def finish(
    plan: Plan, model: Model, counts: Counts, learnt: Learnt | None, first: Parts | None, second: Parts
) -> Summary:
    """Write the files of a screen whose stages are done."""
    unread, left_out = _write_rejects(plan.out / "rejects.csv", first, second)
    best = pa.table({field.name: pa.array([], field.type) for field in SCHEMA})
    predicted = in_domain = 0
    for table in _predicted(second, counts.kept):
        predicted += table.num_rows
        in_domain += sum(table["in_domain"].to_pylist())
        best = _best(pa.concat_tables([best, table]), plan)
    picks = pick(best["smiles"].to_pylist(), plan.diverse, plan.picking)
    columns, rows = _rows(best, picks, model)
    _write_csv(plan.out / "hits.csv", columns, rows)
    _write_sdf(plan.out / "hits.sdf", columns, rows)
    correlation = learnt.rank_correlation if learnt else None
    summary = Summary(
        rows=counts.rows,
        unread=unread,
        left_out=left_out,
        predicted=predicted,
        in_domain=in_domain,
        hits=best.num_rows,
        picked=len(picks.places),
        clusters=max(picks.clusters, default=0),
        single_stage=counts.single_stage,
        rank_correlation=None if correlation is None or math.isnan(correlation) else correlation,
    )
    write_whole(plan.out / SUMMARY, (json.dumps(asdict(summary), indent=2) + "\n").encode())
    return summary


def _predicted(second: Parts, kept: int) -> Iterator[pa.Table]:
    """Predicted molecules of the second stage, no more than were to be kept."""
    left = kept
    for table in second.tables():
        good = [place for place, reason in enumerate(table["reason"].to_pylist()) if not reason][:left]
        left -= len(good)
        yield table.take(pa.array(good, pa.int64()))


def _best(table: pa.Table, plan: Plan) -> pa.Table:
    """The hits among molecules, best first."""
    values = table["value"].to_numpy() * (1.0 if plan.low_is_better else -1.0)
    good = np.isfinite(values)
    if plan.only_in_domain:
        good &= np.asarray(table["in_domain"].to_pylist(), bool)
    order = np.lexsort((table["row"].to_numpy(), values))
    return table.take(order[good[order]][: plan.hits])


def _rows(table: pa.Table, picks: Picks, model: Model) -> tuple[list[str], list[list[str]]]:
    """Columns and rows of the hits, as text."""
    name = model.endpoint.name
    is_class = model.endpoint.kind is Kind.CLASS
    figures = {f"{name}.probability": "value"} if is_class else {name: "value", f"{name}.low": "low"}
    if not is_class:
        figures[f"{name}.high"] = "high"
    columns = ["rank", "id", "smiles", *figures, "in_domain", "similarity", "first", "pick", "cluster", "row"]
    pick_of = {place: number for number, place in enumerate(picks.places, 1)}
    rows = []
    for place, hit in enumerate(table.to_pylist()):
        rows.append(
            [
                str(place + 1),
                hit["id"],
                hit["smiles"],
                *(_number(hit[column]) for column in figures.values()),
                "yes" if hit["in_domain"] else "no",
                _number(hit["similarity"]),
                _number(hit["first"]),
                str(pick_of.get(place, "")),
                str(picks.clusters[place]) if picks.clusters else "",
                str(hit["row"]),
            ]
        )
    return columns, rows


def _number(value: float) -> str:
    return f"{value:.{_DIGITS}g}" if math.isfinite(value) else ""


def _write_csv(path: Path, columns: list[str], rows: list[list[str]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


def _write_sdf(path: Path, columns: list[str], rows: list[list[str]]) -> None:
    with BlockLogs(), replacing(path) as fresh, fresh.open("w", encoding="utf-8") as file:
        writer: Any = Chem.SDWriter(file)
        for row in rows:
            said = dict(zip(columns, row, strict=True))
            molecule = Chem.MolFromSmiles(said["smiles"])
            rdDepictor.Compute2DCoords(molecule)
            molecule.SetProp("_Name", said["id"])
            for name, value in said.items():
                if value:
                    molecule.SetProp(name, value)
            writer.write(molecule)
        writer.close()


def _write_rejects(path: Path, first: Parts | None, second: Parts) -> tuple[int, int]:
    """Put the rejects of both stages together; gives how many there are of each."""
    unread = left_out = 0
    with replacing(path) as fresh, RejectsFile(fresh) as file:
        for number in range(first.finished() if first else 0):
            part = first.rejects_path(number) if first else path
            if part.exists():
                with part.open(encoding="utf-8", newline="") as rows:
                    found = [(int(row[0]), row[1], row[2], row[3]) for row in list(csv.reader(rows))[1:]]
                file.write(found)
                unread += len(found)
        for table in second.tables():
            gone = [row for row in table.select(["row", "id", "smiles", "reason"]).to_pylist() if row["reason"]]
            file.write((row["row"], row["id"], row["smiles"], row["reason"]) for row in gone)
            left_out += len(gone)
    return unread, left_out
