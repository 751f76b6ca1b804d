"""`kifabrik pharma predict`."""

from pathlib import Path

import click

from kifabrik.cli.counting import counting
from kifabrik.cli.options import json_option
from kifabrik.cli.pharma_running import cache_option, workers_option
from kifabrik.cli.terminal import remark, show_json, warn


@click.command(
    epilog="""\b
    Examples:
      kifabrik pharma predict model new.smi --out predictions.csv
      kifabrik pharma predict model plate-7.sdf --out predictions.csv --cache features
    """
)
@click.argument("model", type=click.Path(path_type=Path, file_okay=False))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="CSV file to write.")
@click.option("--smiles-column", default="", help="Column of structures. [the one usually called so]")
@cache_option
@workers_option
@json_option
def predict(
    model: Path, file: Path, out: Path, smiles_column: str, cache: Path | None, workers: int, *, as_json: bool
) -> None:
    """Predict the compounds in FILE (CSV, SDF or SMILES; .gz) with MODEL.

    Every row of FILE gets a row, in its order; one that cannot be predicted says why.
    """
    from kifabrik.recipes.pharma.model import load  # noqa: PLC0415 - slow to import
    from kifabrik.recipes.pharma.predicting import predict_file  # noqa: PLC0415

    trained = load(model)
    with counting("compounds", None, quiet=as_json) as progress:
        found = predict_file(
            trained, file, out, smiles_column=smiles_column, workers=workers, cache=cache, progress=progress
        )
    if as_json:
        show_json(
            {
                "file": str(out),
                "endpoint": trained.endpoint.name,
                "unit": trained.endpoint.unit,
                "compounds": found.rows,
                "predicted": found.predicted,
                "in_domain": found.in_domain,
                "not_predicted": dict(found.reasons),
            }
        )
        return
    remark(f"{found.predicted:,} of {found.rows:,} compounds predicted: {out}")
    for reason, count in found.reasons:
        warn(f"{count:,} not predicted: {reason}.")
    outside = found.predicted - found.in_domain
    if outside:
        which = f"{outside:,} of {found.predicted:,}"
        warn(f"{which} are unlike the training compounds (in_domain: no): trust these less.")
