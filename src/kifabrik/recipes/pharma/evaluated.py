"""What `evaluate` leaves beside a model: `evaluation.json`, and `test-predictions.csv` with each compound."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from kifabrik.recipes.pharma.compounds import write_table
from kifabrik.recipes.pharma.evaluating import Evaluation
from kifabrik.recipes.pharma.keeping import digest, read_document, versions, write_document
from kifabrik.recipes.pharma.learning import Step
from kifabrik.recipes.pharma.model import DOCUMENT, load
from kifabrik.recipes.pharma.sides import Sides

EVALUATION: Final = "evaluation.json"
COMPOUNDS: Final = "test-predictions.csv"


def save_evaluation(found: Evaluation, sides: Sides, folder: Path, *, learning: Sequence[Step] = ()) -> None:
    """Keep what was found beside the model.

    Args:
        found: By `evaluate`.
        sides: The data it was judged on.
        folder: Of the model.
        learning: Points of its learning curve, where it was made.
    """
    model = load(folder)
    test = sides.test.measured(model.endpoint.name)
    said = found.predictions
    values = test.endpoints[model.endpoint.name]
    header = ("id", "smiles", "measured", "relation", "predicted", "low", "high", "similarity", "in_domain")
    rows = zip(
        test.id,
        test.smiles,
        values.value.tolist(),
        values.relation,
        said.value.tolist(),
        said.low.tolist(),
        said.high.tolist(),
        said.similarity.tolist(),
        ("yes" if one else "no" for one in said.in_domain),
        strict=True,
    )
    write_table(folder / COMPOUNDS, header, list(rows))
    content = {
        **found.plain(),
        "model": digest(folder / DOCUMENT),
        "tables": sides.digests,
        "split": sides.method,
        "points": {
            "true": _plain(found.true),
            "predicted": _plain(found.predicted),
            "low": _plain(found.low),
            "high": _plain(found.high),
            "similarity": _plain(found.similarity),
            "in_domain": [bool(one) for one in said.in_domain[found.exact]],
        },
        "learning": [{"compounds": one.compounds, "value": one.value} for one in learning],
        "versions": versions(),
    }
    write_document(folder / EVALUATION, "evaluation", content)


def load_evaluation(folder: Path) -> dict[str, Any]:
    """What `save_evaluation` kept.

    Raises:
        UsageError: If the model was not judged yet.
    """
    return read_document(folder / EVALUATION, "evaluation", "evaluate")


def _plain(values: Any) -> list[float | None]:
    return [float(one) if math.isfinite(one) else None for one in values]
